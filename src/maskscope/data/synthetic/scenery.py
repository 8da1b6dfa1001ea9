"""The landscape: sky, mountains, hills, a line of trees, a meadow in perspective, and what grows and lies on it.

Every layer repeats after some way, far beyond the picture's width, so the camera may walk on for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.data.synthetic import sprites
from maskscope.data.synthetic.camera import EYE_M, View
from maskscope.data.synthetic.sprites import Bytes, Sprite
from maskscope.data.synthetic.textures import Floats, band_noise, ground_tile, line_noise, mix, smoothstep

HAZE = np.array([206, 216, 220], dtype=np.float32)
_TILE_M = (14.0, 14.0)  # depth and width of the meadow that repeats
_PERIOD_M = 26.0  # way after which tufts, stones and trees repeat
_TREE_LINE_M = 34.0


@dataclass(frozen=True)
class Standing:
    """A sprite that stands on the ground."""

    sprite: Sprite
    x_m: float
    z_m: float
    size: float = 1.0


class Scenery:
    """One landscape.

    Args:
        rng: draws it; used while building only.
        height_px: picture height.
        width_px: picture width.
    """

    def __init__(self, rng: np.random.Generator, height_px: int, width_px: int) -> None:
        self._height, self._width = height_px, width_px
        fine = height_px / 480
        columns = int(np.clip(round(2048 * fine / 64), 4, 64)) * 64
        tile = ground_tile(rng, (columns // 2, columns), _TILE_M)
        self._ground = [np.rint(tile).astype(np.uint8)]
        for box in ((3, 5), (13, 25)):  # a distant texel is an average over many
            wrapped = cv2.copyMakeBorder(tile, 32, 32, 32, 32, cv2.BORDER_WRAP)
            blurred = cv2.blur(wrapped, box)[32:-32, 32:-32]
            self._ground.append(np.rint(blurred).astype(np.uint8))
        period = int(np.ceil(1.4 * width_px / 64)) * 64 + 512
        horizon = View(0.0, height_px, width_px).horizon_px
        self._strips = [
            (_sky(rng, int(1.3 * horizon) + 2, period), 900.0),
            (_ridge(rng, int(0.24 * height_px), period, (150, 165, 186), (128, 146, 166), 0.55), 260.0),
            (_ridge(rng, int(0.13 * height_px), period, (132, 152, 128), (108, 132, 92), 0.3), 90.0),
        ]
        self._trees = _tree_line(rng, int(0.115 * height_px) + 3, period)
        self._standing = _scatter(rng, height_px)

    def backdrop(self, view: View) -> Floats:
        """Sky to meadow, without anything that stands on it: `(H, W, 3)` float32, RGB 0..255."""
        canvas = np.empty((self._height, self._width, 3), dtype=np.float32)
        canvas[:] = HAZE
        for strip, z_m in self._strips:
            self._draw_strip(canvas, strip, z_m, view)
        self._draw_ground(canvas, view)
        self._draw_strip(canvas, self._trees, _TREE_LINE_M, view)
        return canvas

    def standing(self, view: View) -> Iterator[Standing]:
        """All that stands in the picture's span, in no order."""
        for item in self._standing:
            left, right = view.span(item.z_m)
            margin = item.sprite.width_m * item.size
            first = int(np.ceil((left - margin - item.x_m) / _PERIOD_M))
            last = int(np.floor((right + margin - item.x_m) / _PERIOD_M))
            for lap in range(first, last + 1):
                yield Standing(item.sprite, item.x_m + lap * _PERIOD_M, item.z_m, item.size)

    def tufts(self, rng: np.random.Generator, x_m: float, z_m: float, width_m: float) -> list[Standing]:
        """Grass at the foot of something `width_m` wide, just in front of it."""
        choice = [item.sprite for item in self._standing[:6]]
        count = int(np.clip(width_m / 0.16, 3, 16))
        places = x_m + np.linspace(-0.5, 0.5, count) * (width_m + 0.1) + rng.normal(0, 0.04, count)
        return [
            Standing(choice[int(kind)], float(x), z_m - float(nearer), float(size))
            for x, kind, nearer, size in zip(
                places,
                rng.integers(6, size=count),
                rng.uniform(0.02, 0.15, count),
                rng.uniform(0.5, 0.9, count),
                strict=True,
            )
        ]

    def _draw_strip(self, canvas: Floats, strip: Bytes, z_m: float, view: View) -> None:
        rows, period = strip.shape[:2]
        foot = view.horizon_px + view.focal_px * EYE_M / z_m
        origin = view.width_px / 2 - view.focal_px * view.x_m / z_m  # column 0 of the strip, steady
        margin = 0.1 * view.width_px
        first = int(np.floor(-margin - origin))
        columns = np.arange(first, first + int(view.width_px + 2 * margin) + 2) % period
        matrix = view.steady_to_picture()
        # Pixel indices of the strip's window to picture indices: centres lie at half integers on both sides.
        shift = np.array([origin + first + 0.5, foot - rows + 0.5])
        matrix[:, 2] += matrix[:, :2] @ shift - 0.5
        top = max(int(foot - rows * 1.1 - 0.08 * view.height_px), 0)
        bottom = min(int(foot + 0.08 * view.height_px) + 2, view.height_px)
        matrix[1, 2] -= top
        drawn = cv2.warpAffine(
            np.ascontiguousarray(strip[:, columns]), matrix, (view.width_px, bottom - top), flags=cv2.INTER_LINEAR
        )
        paste(canvas[top:bottom], np.asarray(drawn, dtype=np.uint8))

    def _draw_ground(self, canvas: Floats, view: View) -> None:
        inverse = cv2.invertAffineTransform(view.steady_to_picture())
        tilt = abs(inverse[1, 0]) * view.width_px
        centre_row = float(view.steady_to_picture()[1] @ np.array([view.width_px / 2, view.horizon_px, 1.0]))
        top = max(int(centre_row - tilt) - 1, 0)
        px = (np.arange(view.width_px, dtype=np.float32) + 0.5)[None, :]
        py = (np.arange(top, view.height_px, dtype=np.float32) + 0.5)[:, None]
        (a, b, c), (d, e, f) = inverse.astype(np.float32)
        below = d * px + e * py + np.float32(f - view.horizon_px)
        z = np.float32(view.focal_px * EYE_M) / np.maximum(below, np.float32(0.4))
        x = (a * px + b * py + np.float32(c - view.width_px / 2)) * z / np.float32(view.focal_px)
        rows, columns = self._ground[0].shape[:2]
        # The offset wraps before it meets float32, or precision would fade along the way.
        u = (x + np.float32(view.x_m % _TILE_M[1])) * np.float32(columns / _TILE_M[1]) % columns
        v = z * np.float32(rows / _TILE_M[0]) % rows
        ground = np.empty((*z.shape, 3), dtype=np.float32)
        depth = z.mean(axis=1)
        starts = (0.0, 8.0, 17.0, np.inf)
        for level, (near, far) in enumerate(pairwise(starts)):
            reach = np.flatnonzero((depth > near / 1.25) & (depth <= far))
            if not len(reach):
                continue
            band = slice(reach[0], reach[-1] + 1)
            drawn = cv2.remap(self._ground[level], u[band], v[band], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
            if level == 0:
                ground[band] = drawn
            else:
                share = smoothstep(near / 1.25, near, z[band]) if near else np.ones_like(z[band])
                known = np.where((depth[band] > near)[:, None, None], drawn, ground[band])
                ground[band] = mix(known, drawn, share)
        haze = np.float32(0.72) * (1 - np.exp(-z / np.float32(55.0)))
        ground += (HAZE - ground) * haze[..., None]
        cover = np.clip(below + np.float32(0.5), 0, 1)[..., None]
        canvas[top:] += (ground - canvas[top:]) * cover


def paste(canvas: Floats, drawn: Bytes) -> None:
    """Lay `(h, w, 4)` uint8 (RGB times alpha, alpha) over `(h, w, 3)` float32, in place."""
    canvas *= 1.0 - drawn[..., 3:].astype(np.float32) / 255.0
    canvas += drawn[..., :3]


def sprite_matrix(item: Standing, level: Bytes, view: View) -> NDArray[np.float64]:
    """`(2, 3)` from pixel places of a sprite's level to picture places (centres at half integers on both sides)."""
    rows, columns = level.shape[:2]
    x, y = view.place(item.x_m, 0.0, item.z_m)
    grow = view.scale(item.z_m) * item.sprite.height_m * item.size / rows
    c, s = grow * np.cos(view.roll), grow * np.sin(view.roll)
    turn = np.array([[c, -s], [s, c]])
    return np.column_stack([turn, np.array([x, y]) - turn @ np.array([columns / 2, rows])])


def level_for(item: Standing, view: View, supersample: int = 1) -> Bytes:
    """The sprite's level that is just finer than it will be drawn."""
    rows = view.scale(item.z_m) * item.sprite.height_m * item.size * supersample
    fitting = [level for level in item.sprite.levels if level.shape[0] >= rows]
    return fitting[-1] if fitting else item.sprite.levels[0]


def _opaque(rgb: Floats) -> Bytes:
    full = np.concatenate([rgb, np.full((*rgb.shape[:2], 1), 255, np.float32)], axis=-1)
    return np.asarray(np.rint(np.clip(full, 0, 255)), dtype=np.uint8)


def _sky(rng: np.random.Generator, rows: int, period: int) -> Bytes:
    up = np.linspace(1, 0, rows, dtype=np.float32)[:, None] * np.ones((1, period), np.float32)
    blue = mix(HAZE, np.array((108, 156, 208)), smoothstep(0.0, 1.0, up))
    clouds = band_noise(rng, (rows, period), longest_px=rows * 1.1, shortest_px=4, slope=1.5, stretch=(1.0, 2.2))
    shade = np.roll(clouds, max(rows // 30, 1), axis=0)
    white = mix((196, 202, 210), (250, 248, 242), smoothstep(-0.4, 0.6, clouds - shade + 0.15))
    return _opaque(mix(blue, white, 0.85 * smoothstep(0.25, 1.5, clouds + 0.15)))


def _ridge(
    rng: np.random.Generator,
    rows: int,
    period: int,
    far: tuple[int, int, int],
    near: tuple[int, int, int],
    rugged: float,
) -> Bytes:
    line = line_noise(rng, period, longest_px=period / 2, shortest_px=6, slope=1.4 - 0.5 * rugged)
    crest = rows * np.clip(0.55 - 0.17 * line, 0.05, 0.95)
    y = np.arange(rows, dtype=np.float32)[:, None]
    grain = band_noise(rng, (rows, period), longest_px=rows, shortest_px=3, slope=0.8, stretch=(1.0 + rugged, 1.0))
    light = grain - np.roll(grain, (2, 2), axis=(0, 1))
    down = (y - crest[None, :]) / rows
    rgb = mix(near, far, smoothstep(0.0, 0.5, down + 0.06 * grain)) * (1 + 0.05 * grain + 0.07 * light)[..., None]
    alpha = np.clip(y - crest[None, :] + 0.5, 0, 1).astype(np.float32)[..., None]
    full = np.concatenate([np.clip(rgb, 0, 255) * alpha, alpha * 255], axis=-1)
    return np.asarray(np.rint(full), dtype=np.uint8)


def _tree_line(rng: np.random.Generator, rows: int, period: int) -> Bytes:
    fine, margin = 2, rows
    shape = (rows * fine, (period + 2 * margin) * fine)
    count = int(period / rows * 9)
    x = rng.uniform(0, period, count)
    groups = 0.5 + 0.5 * np.tanh(line_noise(rng, period, longest_px=period / 2, shortest_px=period / 12, slope=0.5))
    high = groups[x.astype(int) % period] * rng.uniform(0.3, 0.75, count) + 0.05
    puffs = np.stack([x, rows * (1 - high), rows * (0.08 + 0.16 * high) * rng.uniform(0.8, 1.2, count)], axis=-1)
    skirts = [puffs + np.array([0, rows * 0.2 * k, 0]) * (puffs[:, 1:2] + rows * 0.2 * k < rows) for k in range(3)]
    every = np.concatenate(skirts)
    every = every[np.argsort(every[:, 1])]
    # Painted thrice, a period apart, so that crowns at the seam are whole on both sides.
    laps = np.concatenate([every + np.array([margin + lap * period, 0, 0]) for lap in (-1, 0, 1)])
    laps = laps[(laps[:, 0] > -margin) & (laps[:, 0] < period + 3 * margin)]
    leaf = max(rows * fine * 0.035, 2.0)
    rgb, alpha = sprites.foliage(rng, laps * fine, shape, leaf, (72, 92, 52))
    rgb, alpha = sprites.halved(rgb, alpha)
    window = slice(margin, margin + period)
    rgb, alpha = mix(rgb[:, window], HAZE, np.full((rows, period), 0.30, np.float32)), alpha[:, window]
    full = np.concatenate([rgb * alpha[..., None], alpha[..., None] * 255], axis=-1)
    return np.asarray(np.rint(np.clip(full, 0, 255)), dtype=np.uint8)


def _scatter(rng: np.random.Generator, height_px: int) -> list[Standing]:
    fine = height_px / 480
    grass = [sprites.tuft(rng, max(int(80 * fine), 10), 0.34, flower=i % 3 == 0) for i in range(6)]
    stones = [sprites.stone(rng, max(int(48 * fine), 8), 0.3) for _ in range(4)]
    trees = [sprites.tree(rng, max(int(190 * fine), 24), 4.6) for _ in range(4)]
    items = [Standing(sprite, float(rng.uniform(0, _PERIOD_M)), 9.5) for sprite in grass]

    def add(choice: list[Sprite], count: int, near: float, far: float, small: float, large: float) -> None:
        for z in rng.uniform(near, far, count):
            sprite = choice[int(rng.integers(len(choice)))]
            items.append(Standing(sprite, float(rng.uniform(0, _PERIOD_M)), float(z), float(rng.uniform(small, large))))

    add(grass, 60, 5.0, 9.0, 0.35, 0.8)
    add(grass, 110, 9.0, 24.0, 0.7, 1.6)
    add(grass, 14, 3.3, 4.4, 0.5, 1.0)
    add(stones, 10, 3.6, 4.5, 0.3, 0.9)
    add(stones, 26, 9.5, 24.0, 0.6, 2.4)
    add(trees, 11, 14.0, 30.0, 0.75, 1.15)
    return items
