"""Cut-outs that stand upright in the landscape: stones, tufts of grass, trees, and what an animal hides behind.

Each is painted once, about as fine as it is needed, and later drawn at any size and place.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskscope.data.synthetic.body import SKYLIGHT, SUN, SUNLIGHT
from maskscope.data.synthetic.textures import Floats, band_noise, line_noise, mix, smoothstep

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Sprite:
    """A cut-out with its foot in the middle of its lower edge.

    Attributes:
        levels: `(h, w, 4)` uint8, RGB times alpha, and alpha; each level half the size of the one before.
        height_m: what the height stands for in the world.
    """

    levels: tuple[Bytes, ...]
    height_m: float

    @property
    def width_m(self) -> float:
        """What the width stands for in the world."""
        rows, columns = self.levels[0].shape[:2]
        return self.height_m * float(columns / rows)


def make_sprite(rgb: ArrayLike, alpha: ArrayLike, height_m: float) -> Sprite:
    """A sprite of a picture `(h, w, 3)` 0..255 and its coverage `(h, w)` 0..1."""
    cover = np.asarray(alpha, dtype=np.float32)[..., None]
    full = np.concatenate([np.asarray(rgb, dtype=np.float32) * cover, cover * 255], axis=-1)
    # An empty rim, so that the edges stay smooth where the sprite is shifted by parts of a pixel. None below: it is
    # the foot.
    full = np.pad(full, ((2, 0), (2, 2), (0, 0)))
    level = np.rint(np.clip(full, 0, 255)).astype(np.uint8)
    levels = [level]
    while min(level.shape[:2]) >= 8:
        level = cv2.resize(level, (level.shape[1] // 2, level.shape[0] // 2), interpolation=cv2.INTER_AREA)
        levels.append(level)
    return Sprite(tuple(levels), height_m * full.shape[0] / (full.shape[0] - 2))


def _lit(normal_x: Floats, normal_y: Floats, normal_z: Floats) -> Floats:
    """Light `(..., 3)` on a surface with these normals: x right, y up, z to the viewer."""
    sun = np.clip(normal_x * SUN[0] + normal_y * SUN[1] + normal_z * SUN[2], 0.0, 1.0).astype(np.float32)
    sky = (0.42 + 0.2 * normal_y).astype(np.float32)
    return np.asarray(sky[..., None] * SKYLIGHT + 0.75 * sun[..., None] * SUNLIGHT, dtype=np.float32)


def stone(rng: np.random.Generator, size_px: int, height_m: float) -> Sprite:
    """A lichened field stone, about 1.6 times as wide as high."""
    rows, columns = size_px, int(size_px * rng.uniform(1.4, 1.9))
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    x, y = (x + 0.5) / columns * 2 - 1, 1.06 - (y + 0.5) / rows * 1.06
    ripple = line_noise(rng, 256, longest_px=256, shortest_px=20, slope=1.2)
    turn = ((np.arctan2(y, x) / (2 * np.pi)) * 256).astype(int) % 256
    radius = 0.9 + 0.05 * ripple[turn]
    room = 1 - (np.hypot(x, y) / radius) ** 2
    relief = 0.05 * band_noise(rng, (rows, columns), longest_px=size_px * 0.5, shortest_px=3, slope=1.2)
    z = np.sqrt(np.maximum(room, 0)) + relief
    nx, ny = -cv2.Sobel(z, cv2.CV_32F, 1, 0, scale=size_px / 26), cv2.Sobel(z, cv2.CV_32F, 0, 1, scale=size_px / 26)
    length = np.sqrt(nx**2 + ny**2 + 1)
    grey = mix((126, 122, 114), (168, 160, 146), smoothstep(-1, 1, relief * 20))
    lichen = band_noise(rng, (rows, columns), longest_px=size_px * 0.4, shortest_px=4, slope=0.6)
    albedo = mix(grey, np.array((142, 148, 92)), 0.6 * smoothstep(0.7, 1.4, lichen))
    return make_sprite(albedo * _lit(nx / length, ny / length, 1 / length), smoothstep(0.0, 0.06, room), height_m)


def tuft(rng: np.random.Generator, size_px: int, height_m: float, flower: bool = False) -> Sprite:
    """Blades of grass from one root, some with a flower."""
    rows, columns = 2 * size_px, int(2 * size_px * rng.uniform(1.0, 1.5))
    rgb, alpha = np.zeros((rows, columns, 3), np.float32), np.zeros((rows, columns), np.float32)
    for _ in range(int(rng.integers(16, 30))):
        foot = columns * (0.5 + 0.13 * rng.standard_normal())
        lean, high = rng.uniform(-0.42, 0.42) * columns, rows * rng.uniform(0.45, 0.95)
        t = np.linspace(0, 1, 9)
        x = foot + lean * t**1.8
        y = rows - high * t * (1 - 0.18 * np.abs(lean) / columns * t)
        tone = rng.uniform(0.7, 1.15)
        root, tip = np.array((58, 74, 30)) * tone, np.array((156, 158, 78)) * tone
        for i in range(len(t) - 1):
            start, end = ((int(x[j] * 8), int(y[j] * 8)) for j in (i, i + 1))
            thick = max(round(rows * 0.022 * (1 - 0.8 * t[i])), 1)
            colour = (root + (tip - root) * t[i]).tolist()
            cv2.line(rgb, start, end, colour, thick, cv2.LINE_8, 3)
            cv2.line(alpha, start, end, 1.0, thick, cv2.LINE_8, 3)
        if flower and rng.random() < 0.3:
            head = (int(x[-1]), int(y[-1]))
            petal = ((226, 214, 120), (220, 206, 224), (232, 228, 218))[int(rng.integers(3))]
            cv2.circle(rgb, head, max(rows // 26, 2), petal, -1)
            cv2.circle(alpha, head, max(rows // 26, 2), 1.0, -1)
    return make_sprite(*halved(rgb, alpha), height_m)


def halved(rgb: Floats, alpha: Floats) -> tuple[Floats, Floats]:
    """Half the size, with soft edges: colours count by their coverage."""
    size = (alpha.shape[1] // 2, alpha.shape[0] // 2)
    cover = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    colour = cv2.resize(rgb * alpha[..., None], size, interpolation=cv2.INTER_AREA)
    return np.asarray(colour / np.maximum(cover, 1e-3)[..., None], np.float32), np.asarray(cover, np.float32)


def foliage(
    rng: np.random.Generator,
    puffs: NDArray[np.float64],
    shape: tuple[int, int],
    leaf_px: float,
    green: ArrayLike = (78, 100, 42),
) -> tuple[Floats, Floats]:
    """Leaves on the surface of round puffs, lit as the puffs would be.

    Args:
        rng: scatters the leaves.
        puffs: `(n, 3)` x, y, radius in pixels, painted in this order.
        shape: `(rows, columns)` of the picture.
        leaf_px: length of a leaf.
        green: mean colour of the leaves.

    Returns:
        Picture `(rows, columns, 3)` 0..255 and coverage `(rows, columns)` 0..1, both float32.
    """
    painted = np.zeros((*shape, 4), np.float32)  # colour and coverage at one stroke
    base = np.asarray(green, dtype=np.float64)
    for x, y, radius in puffs:
        cv2.circle(painted, (round(x), round(y)), int(radius * 0.8), (*(base * 0.5).tolist(), 1.0), -1)
        count = int(np.clip(9.0 * (radius / leaf_px) ** 2, 12, 1500))
        turn, out = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.random(count)) * 1.04
        nx, ny = out * np.cos(turn), -out * np.sin(turn)
        nz = np.sqrt(np.maximum(1 - out**2, 0))
        light = 0.40 + 0.16 * ny + 0.80 * np.clip(nx * SUN[0] + ny * SUN[1] + nz * SUN[2], 0, 1)
        light *= rng.uniform(0.82, 1.18, count)
        warm = rng.normal(0, 0.05, count)
        order = np.argsort(light)
        tints = np.stack([1 + warm, np.ones(count), 1 - warm], axis=-1)
        inks = np.ones((count, 4))
        inks[:, :3] = np.clip(base * light[:, None] * tints * 1.32, 0, 250)
        at = np.rint(np.stack([x + nx * radius, y - ny * radius], axis=-1)).astype(int)
        half = leaf_px * rng.uniform(0.35, 0.62, count)
        axes = np.maximum(np.rint(np.stack([half, half * 0.5], axis=-1)).astype(int), 1)
        angles = rng.uniform(0, 180, count)
        leaves = zip(*(part[order].tolist() for part in (at, axes, angles, inks)), strict=True)
        for place, size, angle, ink in leaves:
            cv2.ellipse(painted, place, size, angle, 0, 360, ink, -1)
    return painted[..., :3], painted[..., 3]


def tree(rng: np.random.Generator, size_px: int, height_m: float) -> Sprite:
    """A broad-leaved tree of the middle distance."""
    rows, columns = 2 * size_px, int(2 * size_px * rng.uniform(0.75, 1.0))
    trunk = int(columns * 0.022) + 1
    crown = rng.uniform(0.55, 0.68) * rows
    turns, outs = rng.uniform(0, 2 * np.pi, 24), np.sqrt(rng.random(24))
    x = columns * (0.5 + 0.36 * outs * np.cos(turns))
    y = crown * (0.54 + 0.30 * outs * np.sin(turns))
    puffs = np.stack([x, y, rng.uniform(0.09, 0.17, 24) * columns], axis=-1)
    green = np.array((80, 98, 44)) * rng.uniform(0.85, 1.1) * (rng.uniform(0.9, 1.25), 1.0, 1.0)
    rgb, alpha = foliage(rng, puffs[np.argsort(-y)], (rows, columns), max(rows * 0.022, 2.5), green)
    stem = np.zeros_like(alpha)
    cv2.line(stem, (columns // 2, int(crown * 0.7)), (columns // 2, rows), 1.0, 2 * trunk)
    shade = np.linspace(1.2, 0.6, columns, dtype=np.float32)[None, :, None]
    rgb = np.where((stem > alpha)[..., None], np.array((92, 76, 60), np.float32) * shade, rgb)
    return make_sprite(*halved(rgb, np.maximum(alpha, stem)), height_m)


def trunk(rng: np.random.Generator, width_px: int, height_px: int, height_m: float) -> Sprite:
    """The trunk of an old tree, longer than the picture is high; its bark fills the middle `width_px` everywhere."""
    columns = int(width_px * 1.5)
    y, x = np.mgrid[0:height_px, 0:columns].astype(np.float32)
    up = (height_px - 1 - y) / width_px  # in widths above the ground
    roots = 0.25 * np.exp(-up * 3.2)
    edges = [1 + 0.022 * line_noise(rng, height_px, longest_px=3 * width_px, shortest_px=4, slope=1.0) for _ in "lr"]
    reach = np.where(x < columns / 2, edges[0][:, None], edges[1][:, None])
    half = width_px / 2 * (np.maximum(reach, 1.0) + roots)
    across = (x + 0.5 - columns / 2) / half
    grain = band_noise(
        rng, (height_px, columns), longest_px=width_px / 3, shortest_px=max(width_px / 40, 2), slope=0.5, stretch=(6, 1)
    )
    ridges = 1 - np.abs(cv2.GaussianBlur(grain, (0, 0), sigmaX=0.7, sigmaY=max(width_px / 25, 1.0)) * 1.5)
    nx = np.clip(across, -1, 1) - 0.5 * cv2.Sobel(ridges, cv2.CV_32F, 1, 0, scale=0.25)
    nx = np.clip(nx, -1, 1)
    nz = np.sqrt(1 - nx**2)
    bark = mix((62, 50, 40), (136, 114, 92), smoothstep(-0.6, 1.0, ridges))
    moss = band_noise(rng, (height_px, columns), longest_px=width_px, shortest_px=4, slope=1.0)
    bark = mix(bark, np.array((96, 108, 52)), 0.7 * smoothstep(0.5, 1.5, moss + 0.9 - 0.6 * up))
    alpha = np.clip((1 - np.abs(across)) * half, 0, 1)
    return make_sprite(bark * _lit(nx, np.zeros_like(nx), nz), alpha, height_m)


def thicket(rng: np.random.Generator, core_px: tuple[int, int], height_m: float) -> Sprite:
    """A dense bush that lets nothing through within its core.

    Args:
        rng: grows it.
        core_px: `(height, width)` of the rectangle over the foot's middle that is wholly covered.
        height_m: what the core's height stands for in the world.
    """
    high, wide = core_px
    puff = max(0.16 * high, 8.0)
    rows, columns = int(high + 2.3 * puff), int(wide + 3.6 * puff)
    across, up = max(round(wide / (0.75 * puff)), 3), max(round(high / (0.62 * puff)), 3)
    # The puffs stay within the core, so that the bush hides hardly more than it must.
    spread = max(wide - 1.3 * puff, 0.5 * wide)
    x = columns / 2 + np.linspace(-0.5, 0.5, across)[None, :] * spread + rng.normal(0, 0.22 * puff, (up, across))
    y = rows - high * np.linspace(0.9, 0.02, up)[:, None] + rng.normal(0, 0.25 * puff, (up, across))
    dome = 0.9 * puff * (1 - np.linspace(-1, 1, across) ** 2)[None, :]
    puffs = np.stack([x, y - dome * np.linspace(1, 0, up)[:, None], rng.uniform(0.7, 1.25, x.shape) * puff], axis=-1)
    rgb, alpha = foliage(rng, puffs.reshape(-1, 3), (rows, columns), max(0.05 * high, 3.0))
    left = (columns - wide) // 2
    hole = np.zeros_like(alpha, dtype=bool)
    hole[rows - high :, left : left + wide] = True
    hole &= alpha == 0
    rgb[hole] = (32, 42, 20)
    alpha[hole] = 1.0
    depth = np.linspace(1.08, 0.62, rows, dtype=np.float32)[:, None, None]
    # Blades and leaf litter at the foot, so that it does not end in a straight cut.
    ragged = line_noise(rng, columns, longest_px=puff, shortest_px=3, slope=0.4) * 0.05 * puff
    foot = rows - 1 - np.abs(ragged).astype(int)
    below = np.arange(rows)[:, None] > foot[None, :]
    alpha = np.where(below, 0.0, alpha).astype(np.float32)
    return make_sprite(rgb * depth, alpha, height_m * rows / high)
