"""At which tap the object comes to be separate: a figure along the taps, its interval, and a test for one step up.

The figure is any that is higher the further apart object and background are, such as `separation_auc`. A unit is what
was drawn independently: a clip. Frames of one clip resemble their neighbours; they are drawn, and shuffled, in blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskscope.errors import SettingError, ShapeError
from maskscope.observe.measures.separation import Place, place_of
from maskscope.observe.reading import Reading

CONFIDENCE: Final = 0.95
RESAMPLES: Final = 2000
NOT_DETERMINED: Final = "not determined"

_AT_ONCE = 1 << 22  # numbers in memory at a time


@dataclass(frozen=True, slots=True)
class Resampling:
    """How units are drawn.

    Attributes:
        block: 1 where units are clips; where they are consecutive frames, as many as depend on each other, 10 say.
        confidence: share of resamples inside an interval, above 0 and below 1.
        resamples: how often units are drawn.
        seed: of the draws.

    Raises:
        SettingError: one of them is out of range.
    """

    block: int = 1
    confidence: float = CONFIDENCE
    resamples: int = RESAMPLES
    seed: int = 0

    def __post_init__(self) -> None:
        if self.block < 1 or self.resamples < 1 or not 0 < self.confidence < 1:
            raise SettingError(
                "block and resamples are 1 or more and the confidence is above 0 and below 1, they are "
                f"{self.block}, {self.resamples} and {self.confidence}"
            )

    @property
    def ends(self) -> tuple[float, float]:
        """Shares of the drawn distribution at which an interval begins and ends."""
        return (1 - self.confidence) / 2, (1 + self.confidence) / 2


@dataclass(frozen=True, slots=True, eq=False)
class AlongTaps:
    """A figure at each tap.

    Attributes:
        taps: their names, in the order a frame passes them.
        mean_t: (t,) over units.
        low_t: (t,) lower end of the interval at each tap.
        high_t: (t,) upper end.
    """

    taps: tuple[str, ...]
    mean_t: NDArray[np.float64]
    low_t: NDArray[np.float64]
    high_t: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Onset:
    """The tap from which on the figure is higher.

    Attributes:
        tap: the first one after the step; None where the test finds no step up.
        rise: mean from there on, less the mean before; of the best step, also where it is not significant.
        p: chance of a step as good as this if the order of the taps meant nothing.
        earliest: lower end of the interval of `tap`, a tap's name; None where there is no onset.
        latest: its upper end.
        state: "ok" or "not determined".
    """

    tap: str | None
    rise: float
    p: float
    earliest: str | None
    latest: str | None
    state: str


def rows_of(
    readings: Iterable[Reading], places: Sequence[Place], metric: str = "separation_auc"
) -> NDArray[np.float64]:
    """A measure along places, a row for each frame of each object that has a value at all of them.

    Args:
        readings: of one clip, in any order.
        places: positions, or "position/tap", in the order wanted, see `place_of`.
        metric: whose values.

    Returns:
        (frames of objects, places) float64, sorted by object and frame; without rows where no frame has all.
    """
    found: dict[tuple[int, int], dict[Place, float]] = {}
    for reading in readings:
        if reading.metric != metric or reading.value is None or reading.stage is None:
            continue
        if reading.frame is None or reading.object is None:
            continue
        found.setdefault((reading.object, reading.frame), {})[place_of(reading.stage, reading.tap)] = reading.value
    whole = [[row[place] for place in places] for _, row in sorted(found.items()) if row.keys() >= set(places)]
    return np.array(whole, dtype=np.float64).reshape(-1, len(places))


def along_taps(values_ut: ArrayLike, taps: Sequence[str], how: Resampling | None = None) -> AlongTaps:
    """Mean over units and its bootstrap interval (percentiles) at each tap.

    Args:
        values_ut: (units, taps) finite.
        taps: names.
        how: units are drawn.

    Raises:
        ShapeError: no unit, fewer than two taps, or as many names as there are not columns.
        SettingError: values that are not finite.
    """
    values, how = _checked(values_ut, taps), how or Resampling()
    means = np.concatenate([drawn.mean(1) for drawn in _draws(values, how)])
    low, high = np.quantile(means, how.ends, axis=0)
    return AlongTaps(tuple(taps), values.mean(0), low, high)


def onset(values_ut: ArrayLike, taps: Sequence[str], how: Resampling | None = None) -> Onset:
    """The step up that fits best, and whether the order of the taps matters.

    For each split of the mean over units the statistic is sqrt(k (t - k) / t) x (mean of the t - k taps after it - mean
    of the k before it); its largest value marks the onset. The test shuffles the taps of each block of units and counts
    how often as large a value comes up. The onset's interval is that of its place in resampled units.

    Arguments and errors as of `along_taps`; a p above 1 - confidence is "not determined".
    """
    values, how = _checked(values_ut, taps), how or Resampling()
    statistic = _steps(values.mean(0))
    best = int(statistic.argmax())
    rise = float(values[:, best + 1 :].mean() - values[:, : best + 1].mean())
    as_good = sum(
        int((_steps(shuffled.mean(1)).max(-1) >= statistic[best] - 1e-12).sum()) for shuffled in _shuffles(values, how)
    )
    p = (1 + as_good) / (1 + how.resamples)
    if p > 1 - how.confidence or rise <= 0:
        return Onset(None, rise, p, None, None, NOT_DETERMINED)
    places = np.concatenate([_steps(drawn.mean(1)).argmax(-1) for drawn in _draws(values, how)])
    low, high = np.quantile(places, how.ends, method="nearest")
    return Onset(taps[best + 1], rise, p, taps[int(low) + 1], taps[int(high) + 1], "ok")


def _steps(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., t) -> (..., t - 1), entry k for a step between taps k and k + 1."""
    count = values.shape[-1]
    before = np.arange(1, count)
    sums = np.cumsum(values, axis=-1)
    earlier = sums[..., :-1] / before
    later = (sums[..., -1:] - sums[..., :-1]) / (count - before)
    steps: NDArray[np.float64] = np.sqrt(before * (count - before) / count) * (later - earlier)
    return steps


def _draws(values: NDArray[np.float64], how: Resampling) -> Iterable[NDArray[np.float64]]:
    """Pieces (some resamples, units, taps): blocks of consecutive units, in a circle (Politis and Romano, 1992)."""
    rng = np.random.default_rng(how.seed)
    units = len(values)
    block = min(how.block, units)
    blocks = -(-units // block)
    for size in _pieces(how.resamples, values.size):
        starts = rng.integers(units, size=(size, blocks, 1))
        rows = ((starts + np.arange(block)) % units).reshape(size, -1)[:, :units]
        yield values[rows]


def _shuffles(values: NDArray[np.float64], how: Resampling) -> Iterable[NDArray[np.float64]]:
    """Pieces (some resamples, units, taps): the taps of each block of units in another order."""
    rng = np.random.default_rng([how.seed, 1])
    units, taps = values.shape
    block = min(how.block, units)
    blocks = -(-units // block)
    for size in _pieces(how.resamples, values.size):
        orders = rng.random((size, blocks, taps)).argsort(-1).repeat(block, axis=1)[:, :units]
        yield np.take_along_axis(values[None], orders, axis=-1)


def _pieces(resamples: int, numbers: int) -> Iterable[int]:
    size = max(1, _AT_ONCE // numbers)
    return (min(size, resamples - done) for done in range(0, resamples, size))


def _checked(values_ut: ArrayLike, taps: Sequence[str]) -> NDArray[np.float64]:
    values = np.asarray(values_ut, dtype=np.float64)
    if values.ndim != 2 or len(values) == 0 or values.shape[1] < 2 or values.shape[1] != len(taps):
        raise ShapeError(
            f"values are (units, taps), one unit and two taps at least, they are {values.shape} for {len(taps)} names"
        )
    if not np.isfinite(values).all():
        raise SettingError("values along the taps are not all finite", "leave out units that lack a tap")
    return values
