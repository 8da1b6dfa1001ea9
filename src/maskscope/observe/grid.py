"""From a mask of the frame to cells of a stage's grid: which are the object, which are background, which are neither.

The frame is resized to the model's input as a whole, so every grid covers the whole frame, whatever their sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskscope.errors import ShapeError

OBJECT_SHARE: Final = 0.5
"""A cell is the object's where it covers more than this."""
LEAST_SHARE: Final = 0.1
"""An object that nowhere covers this much of a cell is lost at that stride."""

RegionState = Literal["ok", "absent", "lost at this stride", "fills the frame"]


def coverage(mask_hw: NDArray[np.bool_], grid: tuple[int, int]) -> NDArray[np.float32]:
    """The share of each cell's area that a mask covers.

    Args:
        mask_hw: (H, W) bool, of any size; also smaller than the grid.
        grid: rows and columns of cells laid over the whole mask.

    Returns:
        (rows, columns) float32 in 0..1; their mean is the mask's mean.

    Raises:
        ShapeError: the mask is not a boolean picture, or the grid has no cell.
    """
    if mask_hw.ndim != 2 or mask_hw.dtype != np.bool_ or 0 in mask_hw.shape:
        raise ShapeError(
            f"a mask is (H, W) bool, it is {mask_hw.shape} {mask_hw.dtype}", "give one picture; threshold logits first"
        )
    if len(grid) != 2 or min(grid) < 1:
        raise ShapeError(f"a grid has one row and one column at least, it is {tuple(grid)}")
    (height, width), (rows, columns) = mask_hw.shape, grid
    ys, xs = np.flatnonzero(mask_hw.any(1)), np.flatnonzero(mask_hw.any(0))
    if not len(ys):
        return np.zeros(grid, np.float32)
    box = slice(int(ys[0]), int(ys[-1]) + 1), slice(int(xs[0]), int(xs[-1]) + 1)  # all else adds nothing
    inside = torch.from_numpy(mask_hw[box].astype(np.float32))
    # torch and not numpy: two pools of threads that take turns on the same cores cost more than the product
    shares = _shares(height, rows)[:, box[0]] @ inside @ _shares(width, columns)[:, box[1]].T
    covered: NDArray[np.float32] = shares.clamp_(0, 1).numpy()
    return covered


@lru_cache(maxsize=64)
def _shares(pixels: int, cells: int) -> Tensor:
    """(cells, pixels): the share of each cell's length that each pixel fills; each row sums to one."""
    size = pixels / cells
    starts = np.arange(cells)[:, None] * size
    left = np.maximum(starts, np.arange(pixels)[None])
    right = np.minimum(starts + size, np.arange(1, pixels + 1)[None])
    lengths = np.where(right - left > 1e-9, right - left, 0)  # a cell that ends with a pixel has nothing of the next
    return torch.from_numpy((lengths / size).astype(np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """One object on one frame, as cells of a grid. Cells on the outline belong to neither map.

    Attributes:
        object: (rows, columns) bool; all False unless the state is "ok" or "fills the frame".
        background: (rows, columns) bool, cells that the object does not touch.
        valid: (rows, columns) bool, cells without any pixel that lacks truth.
        shares: (rows, columns) float32 in 0..1, what the object covers of each cell.
        state: "ok"; "absent", the mask is empty; "lost at this stride", no cell has as much as `LEAST_SHARE` of it;
            "fills the frame", no cell is background.
    """

    object: NDArray[np.bool_]
    background: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    shares: NDArray[np.float32]
    state: RegionState

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.object.shape
        return rows, columns

    @classmethod
    def of(
        cls, mask_hw: NDArray[np.bool_], grid: tuple[int, int], valid_hw: NDArray[np.bool_] | None = None
    ) -> Regions:
        """Divide the cells of a grid.

        An object's cells are those it covers by more than half; where there is none such, those it covers most.

        Args:
            mask_hw: (H, W) bool, the object.
            grid: rows and columns.
            valid_hw: (H, W) bool, False at pixels without truth (void labels, borders that a camera revealed); a cell
                with such a pixel is neither object nor background.

        Raises:
            ShapeError: no boolean picture, or two of different sizes.
        """
        if valid_hw is not None and valid_hw.shape != mask_hw.shape:
            raise ShapeError(
                f"the mask is {mask_hw.shape} and its valid pixels are {valid_hw.shape}; they are of one size"
            )
        valid = np.ones(grid, bool) if valid_hw is None else coverage(~valid_hw, grid) == 0
        shares = coverage(mask_hw, grid)
        return cls.of_shares(shares, valid)

    @classmethod
    def of_shares(cls, shares: NDArray[np.float32], valid: NDArray[np.bool_]) -> Regions:
        """The same from `coverage`, (rows, columns) each."""
        background = (shares == 0) & valid
        inside = np.where(valid, shares, np.float32(0))
        largest = float(inside.max())
        nothing = np.zeros_like(valid)
        if not shares.any():
            return cls(nothing, background, valid, shares, "absent")
        if largest < LEAST_SHARE:
            return cls(nothing, background, valid, shares, "lost at this stride")
        cells = inside > OBJECT_SHARE if largest > OBJECT_SHARE else inside >= largest * (1 - 1e-4)
        return cls(cells, background, valid, shares, "ok" if background.any() else "fills the frame")
