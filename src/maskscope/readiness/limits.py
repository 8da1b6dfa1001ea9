"""Where a falling curve passes a level, with an interval by drawing blocks of frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskscope.readiness.blocks import block_draws, ends

Pairs = NDArray[np.float64]
"""(blocks, 3): sum of J at a level, sum of J of the clean run on the same frames, number of frames."""


@dataclass(frozen=True, eq=False)
class CurvePoint:
    """One level that was tried.

    Attributes:
        level: on the axis.
        blocks_b3: sums of each block of the clip, the same blocks at every level; see `Pairs`.
    """

    level: float
    blocks_b3: Pairs

    @property
    def j(self) -> float:
        """Mean J."""
        sums = self.blocks_b3.sum(0)
        return float(sums[0] / sums[2]) if sums[2] else 0.0

    @property
    def retention(self) -> float:
        """J over that of the clean run; 0 where the clean run has none."""
        sums = self.blocks_b3.sum(0)
        return float(sums[0] / sums[1]) if sums[1] > 0 else 0.0


@dataclass(frozen=True)
class Limit:
    """Where retention passes the level that is kept.

    Attributes:
        level: None where it never falls so low.
        low, high: 95 % interval on the axis; None where it cannot be told.
        retentions: interval of the retention at each point, in their order.
        js: of J likewise.
    """

    level: float | None
    low: float | None
    high: float | None
    retentions: tuple[tuple[float, float] | None, ...]
    js: tuple[tuple[float, float] | None, ...]


def limit_of(points: Sequence[CurvePoint], keep: float, logarithmic: bool, seed: int = 0) -> Limit:
    """Interpolate the first crossing from the mild side, and draw blocks for its interval.

    A draw that never falls counts with the hardest level tried, so an interval that ends there is open on that side.

    Args:
        points: two or more from the mildest, which is the clip as it is, to the hardest; of equal blocks.
        keep: retention.
        logarithmic: interpolate over the logarithm of levels.
        seed: of the draws.
    """
    levels = [point.level for point in points]
    found = crossing(levels, [point.retention for point in points], keep, logarithmic)
    times = block_draws(len(points[0].blocks_b3), seed)
    sums = np.stack([times @ point.blocks_b3 for point in points], axis=1)  # (draws, points, 3)
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.where(sums[..., 1] > 0, sums[..., 0] / sums[..., 1], np.nan)
        js = np.where(sums[..., 2] > 0, sums[..., 0] / sums[..., 2], np.nan)
    low = high = None
    if found is not None:
        drawn = [crossing(levels, row.tolist(), keep, logarithmic) for row in kept if np.isfinite(row).all()]
        at = ends(np.array([levels[-1] if each is None else each for each in drawn]))
        low, high = at if at is not None else (None, None)
    several = range(len(points))
    return Limit(found, low, high, tuple(ends(kept[:, k]) for k in several), tuple(ends(js[:, k]) for k in several))


def crossing(levels: Sequence[float], values: Sequence[float], keep: float, logarithmic: bool) -> float | None:
    """Level at which `values` first fall below `keep`, by straight lines; None where they never do.

    Where the first is below already, its level.
    """
    for index, value in enumerate(values):
        if value >= keep:
            continue
        if index == 0:
            return levels[0]
        share = (values[index - 1] - keep) / (values[index - 1] - value)
        return between(levels[index - 1], levels[index], share, logarithmic)
    return None


def between(first: float, last: float, share: float, logarithmic: bool) -> float:
    """The level at 0..1 of the way from one to another."""
    if logarithmic:
        return math.exp(math.log(first) + share * (math.log(last) - math.log(first)))
    return first + share * (last - first)
