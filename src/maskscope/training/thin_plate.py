"""Where every pixel moves from where a few do: thin-plate splines, which bend as little as they can.

Of all smooth maps that move the control points as asked, the spline has the least bending energy, the integral of its
squared second derivatives; what is affine it leaves unbent. Bookstein, "Principal warps: thin-plate splines and the
decomposition of deformations", IEEE TPAMI 11(6), 1989.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from maskscope.training.store import Pixels

Places = NDArray[np.float32]
"""(t, h, w, 2) x and y in pixels, the first pixel's centre at 0."""

COARSEST_PX = 8
"""Largest distance between pixels at which the spline itself is evaluated; between them it is linear."""


def control_points(grid: tuple[int, int], size_hw: tuple[int, int]) -> NDArray[np.float64]:
    """(rows * columns, 2) places (x, y) in pixels, evenly from the first pixel's centre to the last one's."""
    (rows, columns), (height, width) = grid, size_hw
    x = np.linspace(0, max(width - 1, 1), columns)  # apart, even in a picture of a single row
    y = np.linspace(0, max(height - 1, 1), rows)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def thin_plate(grid: NDArray[np.float64], size_hw: tuple[int, int]) -> RBFInterpolator:
    """The spline that moves `control_points` as the grid says.

    Args:
        grid: (t, rows, columns, 2) displacements in x and y, of t frames.
        size_hw: of the picture.

    Returns:
        Maps (n, 2) places to (n, 2 t) displacements: x and y of the first frame, of the second ...
    """
    n_frames, rows, columns, _ = grid.shape
    values = grid.transpose(1, 2, 0, 3).reshape(rows * columns, 2 * n_frames)
    return RBFInterpolator(control_points((rows, columns), size_hw), values, kernel="thin_plate_spline")


def sources(grid: NDArray[np.float64], size_hw: tuple[int, int]) -> Places:
    """Of every pixel of a picture of `size_hw`, the place that it moves to; arguments as of `thin_plate`."""
    (height, width), n_frames = size_hw, len(grid)
    step = int(np.clip(min(size_hw) // 16, 1, COARSEST_PX))
    rows, columns = -(-height // step) + 2, -(-width // step) + 2  # a node more on each side, where resizing repeats
    x, y = (step * (np.arange(n) - 1) + (step - 1) / 2 for n in (columns, rows))
    nodes = np.stack(np.meshgrid(x, y), axis=-1)
    moved = thin_plate(grid, size_hw)(nodes.reshape(-1, 2)).reshape(rows, columns, n_frames, 2)
    coarse = (nodes[:, :, None] + moved).astype(np.float32)
    out = np.empty((n_frames, height, width, 2), np.float32)
    for t in range(n_frames):
        fine = cv2.resize(coarse[:, :, t], (columns * step, rows * step), interpolation=cv2.INTER_LINEAR)
        out[t] = fine[step : step + height, step : step + width]
    return out


def warp(picture: Pixels, sources_hw2: NDArray[np.float32], border: int = cv2.BORDER_CONSTANT) -> Pixels:
    """Each pixel shows what lies at its source, between pixels by linear interpolation.

    Args:
        picture: (h, w) or (h, w, c).
        sources_hw2: (h, w, 2) places x and y in pixels.
        border: OpenCV's kind of border; by default nothing lies outside.
    """
    moved = cv2.remap(picture, sources_hw2, None, cv2.INTER_LINEAR, borderMode=border)  # type: ignore[call-overload]
    return np.asarray(moved, np.uint8)
