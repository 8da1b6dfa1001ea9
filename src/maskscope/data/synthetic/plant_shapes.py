"""Things of a plant, drawn by place and turn: coverage of a shape, and what is on its surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.data.synthetic.textures import band_noise

Floats: TypeAlias = NDArray[np.float32]
SAMPLES = 4  # a side, per pixel, of an edge


@dataclass(frozen=True, eq=False)
class Thing:
    """A flat picture of a thing with its outline, to be laid into a frame.

    Attributes:
        rgb: (h, w, 3) float32, 0..255.
        alpha: (h, w) float32 coverage, 0..1.
    """

    rgb: Floats
    alpha: Floats


def thing(
    size: tuple[int, int], polygons: list[NDArray[np.float64]], holes: list[NDArray[np.float64]], rgb: Floats
) -> Thing:
    """A thing whose outline is polygons without holes, in units of its picture: (0, 0) to (1, 1).

    Args:
        size: (h, w) px.
        polygons: (n, 2) points x, y each.
        holes: likewise.
        rgb: (h, w, 3) float32 surface.
    """
    fine = np.zeros((size[0] * SAMPLES, size[1] * SAMPLES), np.uint8)
    scale = np.array([size[1], size[0]]) * SAMPLES
    for points, value in [*((p, 255) for p in polygons), *((p, 0) for p in holes)]:
        cv2.fillPoly(fine, [np.rint(points * scale).astype(np.int32)], value)
    alpha = cv2.resize(fine, (size[1], size[0]), interpolation=cv2.INTER_AREA).astype(np.float32)
    return Thing(rgb, alpha * np.float32(1 / 255))


def ring(
    points: int, radius: float, teeth: float = 0.0, middle: tuple[float, float] = (0.5, 0.5)
) -> NDArray[np.float64]:
    """A circle, or a cogwheel with `teeth` as deep as a share of its radius, (points, 2)."""
    turn = 2 * np.pi * np.arange(points) / points
    reach = radius * (1 - teeth * ((np.arange(points) // 2) % 2))
    return np.stack([middle[0] + reach * np.cos(turn), middle[1] + reach * np.sin(turn)], -1)


def rounded(left: float, top: float, right: float, bottom: float, corner: float) -> NDArray[np.float64]:
    """A box with round corners, (32, 2)."""
    turn = np.linspace(0, np.pi / 2, 8)
    corners = ((right, bottom, 0), (left, bottom, 1), (left, top, 2), (right, top, 3))
    parts = []
    for x, y, quarter in corners:
        inward_x, inward_y = (corner if x == left else -corner), (corner if y == top else -corner)
        angle = turn + quarter * np.pi / 2
        parts.append(np.stack([x + inward_x + corner * np.cos(angle), y + inward_y + corner * np.sin(angle)], -1))
    return np.concatenate(parts)


def metal(rng: np.random.Generator, size: tuple[int, int], tone: tuple[float, float, float], shine: float) -> Floats:
    """Brushed metal, lit from the upper left."""
    grain = band_noise(rng, size, longest_px=size[1] / 3, shortest_px=2, slope=0.4, stretch=(6.0, 1.0))
    spots = band_noise(rng, size, longest_px=size[1] / 2, shortest_px=size[1] / 12, slope=1.0)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32) / max(size)
    light = 1 + shine * (0.55 - x - 0.7 * y) + 0.05 * grain + 0.06 * spots
    return np.asarray(np.clip(np.array(tone, np.float32) * light[..., None], 0, 255), np.float32)


def rough(
    rng: np.random.Generator, size: tuple[int, int], tone: tuple[float, float, float], depth: float = 0.08
) -> Floats:
    """Concrete, rubber, cloth or plaster: broad stains and fine grain."""
    broad = band_noise(rng, size, longest_px=size[1] / 1.5, shortest_px=size[1] / 20, slope=1.2)
    fine = band_noise(rng, size, longest_px=12, shortest_px=2, slope=0.3)
    light = 1 + depth * broad + 0.6 * depth * fine
    return np.asarray(np.clip(np.array(tone, np.float32) * light[..., None], 0, 255), np.float32)


def matrix_of(
    item: Thing, x: float, y: float, width: float, turn: float = 0.0, tall: float = 1.0
) -> NDArray[np.float64]:
    """(2, 3) from the thing's picture to the frame: its middle at (x, y), `width` px wide, turned by radians."""
    height, wide = item.alpha.shape
    scale = width / wide
    cosine, sine = np.cos(turn) * scale, np.sin(turn) * scale
    linear = np.array([[cosine, -sine * tall], [sine, cosine * tall]])
    middle = linear @ np.array([wide / 2, height / 2])
    return np.concatenate([linear, (np.array([x, y]) - middle)[:, None]], 1)


def lay(canvas: Floats, item: Thing, matrix: NDArray[np.float64], light: float = 1.0) -> Floats:
    """Draw a thing into a frame.

    Args:
        canvas: (h, w, 3), changed.
        item: what.
        matrix: where, as `matrix_of` gives it.
        light: factor on its colours.

    Returns:
        (h, w) float32 coverage.
    """
    cover = np.zeros(canvas.shape[:2], np.float32)
    rows, columns = _window(item, matrix, canvas.shape[:2])
    if rows.stop > rows.start and columns.stop > columns.start:
        size, moved = _inside(rows, columns, matrix)
        alpha = cv2.warpAffine(item.alpha, moved, size, flags=cv2.INTER_LINEAR)
        rgb = cv2.warpAffine(item.rgb, moved, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        part = canvas[rows, columns]
        part += (rgb * np.float32(light) - part) * alpha[..., None]
        cover[rows, columns] = alpha
    return cover


def shade(
    canvas: Floats, item: Thing, matrix: NDArray[np.float64], shift: tuple[float, float], blur: float, dark: float
) -> None:
    """The soft shadow of a thing, drawn before it."""
    moved = matrix.copy()
    moved[:, 2] += shift
    blur = max(blur, 0.5)
    rows, columns = _window(item, moved, canvas.shape[:2], margin=round(3 * blur))
    if rows.stop > rows.start and columns.stop > columns.start:
        size, inside = _inside(rows, columns, moved)
        cover = cv2.GaussianBlur(cv2.warpAffine(item.alpha, inside, size), (0, 0), blur)
        canvas[rows, columns] *= (1 - dark * cover)[..., None]


def _window(item: Thing, matrix: NDArray[np.float64], size: tuple[int, ...], margin: int = 1) -> tuple[slice, slice]:
    """Rows and columns of the frame that the thing may touch; empty where it is out of the frame."""
    height, width = item.alpha.shape
    corners = matrix @ np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]], np.float64)
    (left, top), (right, bottom) = np.floor(corners.min(1)) - margin, np.ceil(corners.max(1)) + margin + 1
    rows = slice(int(np.clip(top, 0, size[0])), int(np.clip(bottom, 0, size[0])))
    return rows, slice(int(np.clip(left, 0, size[1])), int(np.clip(right, 0, size[1])))


def _inside(rows: slice, columns: slice, matrix: NDArray[np.float64]) -> tuple[tuple[int, int], NDArray[np.float64]]:
    """Size (w, h) of the window, and the matrix into it."""
    moved = matrix.copy()
    moved[:, 2] -= (columns.start, rows.start)
    return (columns.stop - columns.start, rows.stop - rows.start), moved
