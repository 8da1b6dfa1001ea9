"""What a high separation is to be held against: place alone, colour alone, and another region of the same shape.

A read-out with many channels tells almost any region from the rest of one picture. Only what it does better for the
object than for a region elsewhere, and than place and colour do, says something of the features (Hewitt and Liang,
arXiv 1909.03368, for text).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskscope.errors import ShapeError
from maskscope.observe.grid import Regions


@lru_cache(maxsize=8)
def place_features(grid: tuple[int, int]) -> Tensor:
    """(5, rows, columns) float32: x, y in -1..1, their squares and product, so that a read-out can draw an ellipse."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, grid[0]), torch.linspace(-1, 1, grid[1]), indexing="ij")
    return torch.stack((x, y, x * x, y * y, x * y))


def colour_features(picture_hwc: NDArray[np.uint8], grid: tuple[int, int]) -> Tensor:
    """(9, rows, columns) float32: each cell's mean red, green and blue in 0..1, their squares and products.

    Raises:
        ShapeError: no (H, W, 3) uint8 picture.
    """
    if picture_hwc.ndim != 3 or picture_hwc.shape[2] != 3 or picture_hwc.dtype != np.uint8:
        raise ShapeError(f"a picture is (H, W, 3) uint8, it is {picture_hwc.shape} {picture_hwc.dtype}")
    cells = cv2.resize(picture_hwc, (grid[1], grid[0]), interpolation=cv2.INTER_AREA)
    red, green, blue = torch.from_numpy(cells.astype(np.float32) / 255).unbind(-1)
    products = (red * red, green * green, blue * blue, red * green, green * blue, blue * red)
    return torch.stack((red, green, blue, *products))


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A place for the control region: the object's own shape of each frame, centred where the object was not.

    Attributes:
        row: of the box's centre, as a fraction of the picture's height.
        column: as a fraction of its width.
    """

    row: float
    column: float

    @classmethod
    def find(cls, regions: Regions, seed: int = 0) -> Elsewhere | None:
        """A place where the object's shape fits into the picture and touches no cell of it; None if there is none.

        Args:
            regions: the object on the frame where read-outs are fitted.
            seed: of the choice among all such places.
        """
        touched = regions.shares > 0
        rows, columns = np.flatnonzero(touched.any(1)), np.flatnonzero(touched.any(0))
        if not len(rows):
            return None
        shape = touched[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        # how many of the shape's cells would lie on touched or invalid ones, for each place of its box
        taken = (touched | ~regions.valid).astype(np.float32)
        height, width = shape.shape
        overlap = cv2.filter2D(taken, -1, shape.astype(np.float32), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)[
            : taken.shape[0] - height + 1, : taken.shape[1] - width + 1
        ]
        free = np.argwhere(overlap < 0.5)
        if not len(free):
            return None
        top, left = free[np.random.default_rng(seed).integers(len(free))]
        return cls(float(top + height / 2) / taken.shape[0], float(left + width / 2) / taken.shape[1])

    def control(self, regions: Regions) -> Regions:
        """The object's shape moved there, and the rest of the picture, to which the object then belongs.

        Where the object has come to this place its cells stay its own; a shape that leaves the picture is cut.
        """
        shares = regions.shares
        touched = shares > 0
        moved = np.zeros_like(shares)
        rows, columns = np.flatnonzero(touched.any(1)), np.flatnonzero(touched.any(0))
        if len(rows):
            shape = shares[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            top = round(self.row * shares.shape[0] - shape.shape[0] / 2)
            left = round(self.column * shares.shape[1] - shape.shape[1] / 2)
            into = (slice(max(top, 0), top + shape.shape[0]), slice(max(left, 0), left + shape.shape[1]))
            cut = moved[into]
            cut[:] = shape[max(-top, 0) :, max(-left, 0) :][: cut.shape[0], : cut.shape[1]]
            moved[touched] = 0
        return Regions.of_shares(moved, regions.valid)
