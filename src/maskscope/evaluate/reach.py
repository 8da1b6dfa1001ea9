"""How much of one outline lies within a disk of another one, on pictures packed to one bit a pixel.

A picture is one big integer, row after row, with zeros behind each row that catch what is moved beyond its end. Moving
every pixel at once is then one shift, and a disk is one shift for each of its rows: their runs of pixels differ in
length only, and each length follows from a shorter one. That is exact, and its time grows with the radius, not with
its square as where every pixel of the disk is looked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Neighbourhood:
    """Which pixels are near a pixel.

    Attributes:
        runs: `(row, first, last)`: columns first to last of row `row` are near, counted from the pixel.
    """

    runs: tuple[tuple[int, int, int], ...]

    @property
    def margin_px(self) -> int:
        """Furthest column."""
        return max(max(abs(first), abs(last)) for _, first, last in self.runs)


@lru_cache(maxsize=256)
def disk(radius_px: float) -> Neighbourhood:
    """All pixels no further than the radius, in pixels, 0 or more."""
    reach = np.arange(-math.floor(radius_px), math.floor(radius_px) + 1)
    return neighbourhood_of(reach[:, None] ** 2 + reach[None, :] ** 2 <= radius_px**2)


def neighbourhood_of(kernel: NDArray[np.bool_]) -> Neighbourhood:
    """The near pixels as a picture, `(H, W)` bool, the pixel itself at `(H // 2, W // 2)`.

    The near pixels of a row must be one run, as they are in every convex shape.
    """
    top, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    rows = ((row, np.flatnonzero(near)) for row, near in enumerate(kernel))
    return Neighbourhood(tuple((row - top, int(at[0]) - left, int(at[-1]) - left) for row, at in rows if at.size))


@dataclass(frozen=True)
class PackedPicture:
    """A picture of one bit a pixel.

    Attributes:
        bits: pixel (0, 0) is the highest bit, rows follow each other.
        stride: bits from a pixel to the one below it.
    """

    bits: int
    stride: int

    @classmethod
    def of(cls, picture_hw: NDArray[np.uint8], margin_px: int) -> PackedPicture:
        """Pack `(H, W)` uint8 of 0 and 1, with room for moves of up to `margin_px` columns."""
        height, width = picture_hw.shape
        stride = -(-(width + margin_px) // 8) * 8
        padded = np.zeros((height, stride), dtype=np.uint8)
        padded[:, :width] = picture_hw
        return cls(int.from_bytes(np.packbits(padded).tobytes(), "big"), stride)

    def dilated(self, near: Neighbourhood) -> int:
        """Every pixel that has one of ours near it; what lies in the margins or above the picture means nothing."""
        runs, run, length = {}, self.bits, 1
        for wanted in sorted({last - first + 1 for _, first, last in near.runs}):
            while length < wanted:  # a run and itself moved on are a longer one, up to twice as long
                step = min(length, wanted - length)
                run |= run << step
                length += step
            runs[wanted] = run
        result = 0
        for row, first, last in near.runs:
            # Whoever looks down and to the right at us lies above and to the left, which is towards higher bits.
            move = row * self.stride + first
            run = runs[last - first + 1]
            result |= run << move if move >= 0 else run >> -move
        return result


def covered_px(asking: PackedPicture, others: PackedPicture, near: Neighbourhood) -> int:
    """How many pixels of `asking` have one of `others` near them; both are of one size and margin."""
    return (asking.bits & others.dilated(near)).bit_count()
