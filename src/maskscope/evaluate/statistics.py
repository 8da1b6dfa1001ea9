"""Bootstrap intervals over clips (Efron and Tibshirani, "An Introduction to the Bootstrap", chapters 13 and 14).

Objects of one clip fail together, so clips are drawn, not objects. Everything reported here is a function of sums over
clips (a mean over objects is one sum over another, a retention too), and sums of a drawn set of clips are one product
of matrices: how often each clip was drawn, times its row. Columns that are drawn together are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskscope.errors import SettingError, ShapeError

Method = Literal["bca", "percentile"]
Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""`(n, n_columns)` sums over clips -> `(n, n_numbers)`, row by row."""

RESAMPLES = 10_000
CONFIDENCE = 0.95

_AT_ONCE = 1 << 22  # drawn clips in memory at a time
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Interval:
    """An estimate and how far clips let one trust it.

    Attributes:
        estimate: the statistic on all clips.
        low: lower end.
        high: upper end.
    """

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.estimate:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are made.

    Attributes:
        confidence: share of the distribution inside, above 0 and below 1.
        resamples: how many sets of clips are drawn.
        seed: of the draws; the same seed gives the same interval on every machine.
        method: "bca" corrects bias and skewness (BCa), "percentile" does not. With one clip, or where all resamples
            agree, both give the estimate itself.
    """

    confidence: float = CONFIDENCE
    resamples: int = RESAMPLES
    seed: int = 0
    method: Method = "bca"

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1:
            raise SettingError(f"the confidence is above 0 and below 1, it is {self.confidence}", "give such as 0.95")
        if self.resamples < 1:
            raise SettingError(f"a bootstrap draws once or more, not {self.resamples} times", "give such as 10000")
        if self.method not in ("bca", "percentile"):
            raise SettingError(f"there is no bootstrap method {self.method!r}", "give bca or percentile")

    def intervals(self, rows: ArrayLike, statistic: Statistic) -> list[Interval]:
        """Intervals of several numbers that are functions of sums over clips, all from the same draws.

        Args:
            rows: `(n_clips, n_columns)` finite numbers.
            statistic: `(n, n_columns)` sums -> `(n, n_numbers)`.

        Raises:
            ShapeError: not two dimensions, or no clip.
        """
        columns = np.asarray(rows, dtype=np.float64)
        if columns.ndim != 2 or len(columns) == 0 or not np.isfinite(columns).all():
            raise ShapeError(f"a bootstrap needs one row of finite numbers a clip, it got shape {columns.shape}")
        total = columns.sum(axis=0, keepdims=True)
        estimate = statistic(total)[0]
        draws = self.draws(columns, statistic)
        # What the statistic is without each clip in turn; with a single clip there is nothing to leave out.
        left_out = statistic(total - columns) if self.method == "bca" and len(columns) > 1 else None
        return [
            self._interval(estimate[k], draws[:, k], None if left_out is None else left_out[:, k])
            for k in range(len(estimate))
        ]

    def draws(self, columns: NDArray[np.float64], statistic: Statistic) -> NDArray[np.float64]:
        """The statistic of each drawn set of clips, `(resamples, n_numbers)`."""
        clips = len(columns)
        rng = np.random.default_rng(self.seed)
        at_once = max(1, _AT_ONCE // clips)
        parts = []
        for begin in range(0, self.resamples, at_once):
            times = rng.multinomial(clips, np.full(clips, 1 / clips), size=min(at_once, self.resamples - begin))
            parts.append(statistic(times @ columns))
        return np.concatenate(parts)

    def _interval(self, estimate: float, draws: NDArray[np.float64], left_out: NDArray[np.float64] | None) -> Interval:
        tail = (1 - self.confidence) / 2
        low, high = tail, 1 - tail
        if left_out is not None:
            low, high = _corrected(estimate, draws, left_out, tail)
        return Interval(float(estimate), *(float(end) for end in np.quantile(draws, (low, high))))


def mean_interval(values: Sequence[ArrayLike], bootstrap: Bootstrap | None = None) -> Interval:
    """Interval of a mean over objects, whose clips are drawn.

    Args:
        values: for each clip the scores of its objects, one or more.
        bootstrap: how; by default BCa at 95 %, 10,000 draws, seed 0.
    """
    rows = [(np.sum(each), np.size(each)) for each in values]
    return (bootstrap or Bootstrap()).intervals(rows, lambda sums: sums[:, :1] / sums[:, 1:])[0]


def difference_interval(
    ours: Sequence[ArrayLike], theirs: Sequence[ArrayLike], bootstrap: Bootstrap | None = None
) -> Interval:
    """Interval of the difference of two means over the same objects, ours less theirs, clips drawn together.

    Pairing takes out what clips have in common: a difference can be sure where both means are not.

    Raises:
        ShapeError: other clips, or another number of objects in one of them.
    """
    sizes = [[np.size(each) for each in side] for side in (ours, theirs)]
    if sizes[0] != sizes[1]:
        raise ShapeError(
            f"a paired difference is over the same objects of the same clips, got {sizes[0]} and {sizes[1]}"
        )
    rows = [(np.sum(a) - np.sum(b), np.size(a)) for a, b in zip(ours, theirs, strict=True)]
    return (bootstrap or Bootstrap()).intervals(rows, lambda sums: sums[:, :1] / sums[:, 1:])[0]


def _corrected(
    estimate: float, draws: NDArray[np.float64], left_out: NDArray[np.float64], tail: float
) -> tuple[float, float]:
    """Shares of the drawn distribution that BCa takes as ends, for nominal ends `tail` and `1 - tail`."""
    # Ties count half, or a statistic of few values would look biased.
    below = (np.count_nonzero(draws < estimate) + np.count_nonzero(draws <= estimate)) / (2 * len(draws))
    if not 0 < below < 1:
        return tail, 1 - tail  # the estimate lies at an end: nothing to correct by
    bias = _NORMAL.inv_cdf(below)
    away = left_out.mean() - left_out
    spread = np.sum(away**2) ** 1.5
    acceleration = float(np.sum(away**3) / (6 * spread)) if spread > 0 else 0.0

    def end(share: float) -> float:
        z = bias + _NORMAL.inv_cdf(share)
        return _NORMAL.cdf(bias + z / (1 - acceleration * z))

    return end(tail), end(1 - tail)
