"""Features of one frame, laid out as another picture of the same scene shows it.

A transformation that moves pixels says for each of its frames which homography leads back to the source frame. Cells of
the two feature maps that lie on the same part of the scene are brought together here, by bilinear sampling. What it
cannot undo: features are not equivariant, so a map that was turned or enlarged differs from the features of the turned
picture even where nothing was lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional as F

from maskscope.errors import ShapeError


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """A source frame's features in the layout of the other picture.

    Attributes:
        features_chw: (c, h, w).
        valid_hw: (h, w) bool, the cell's centre lies inside of the source frame. Elsewhere the features are those of
            the nearest border and mean nothing.
    """

    features_chw: Tensor
    valid_hw: Tensor


def align(source_chw: Tensor, to_source: ArrayLike | None, size_hw: tuple[int, int]) -> Aligned:
    """Bring a source frame's features to the places where the other picture shows what they stand for.

    Args:
        source_chw: (c, h, w) features whose grid covers the whole frame.
        to_source: (3, 3) homography from the other picture's pixels to the source frame's (x right, y down, centres of
            pixels at whole numbers); None where nothing moved, which returns the features themselves.
        size_hw: (height, width) of both frames in pixels.

    Raises:
        ShapeError: features without a grid, or a map that is no finite (3, 3) matrix.
    """
    if source_chw.ndim != 3:
        raise ShapeError(f"the features are {tuple(source_chw.shape)}, expected (c, h, w)")
    _, h, w = source_chw.shape
    if to_source is None:
        return Aligned(source_chw, torch.ones(h, w, dtype=torch.bool, device=source_chw.device))
    matrix = np.asarray(to_source, np.float64)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        raise ShapeError(f"the map of coordinates is {matrix.shape}, expected a finite (3, 3) homography")
    height, width = size_hw
    y, x = np.meshgrid((np.arange(h) + 0.5) * height / h - 0.5, (np.arange(w) + 0.5) * width / w - 0.5, indexing="ij")
    mapped = np.stack((x, y, np.ones_like(x)), axis=-1) @ matrix.T
    ahead = mapped[..., 2] > 1e-9  # behind the camera nothing is shown
    xy = mapped[..., :2] / np.where(ahead, mapped[..., 2], 1.0)[..., None]
    xy = (xy + 0.5) / (width, height) * 2 - 1  # the frame's borders are at -1 and 1
    valid = ahead & (np.abs(xy) <= 1).all(-1)
    grid = torch.from_numpy(np.where(valid[..., None], xy, 0.0)).to(source_chw.device, source_chw.dtype)
    moved = F.grid_sample(source_chw[None], grid[None], mode="bilinear", padding_mode="border", align_corners=False)
    return Aligned(moved[0], torch.from_numpy(valid).to(source_chw.device))
