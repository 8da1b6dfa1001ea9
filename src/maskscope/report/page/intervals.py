"""Means of rows with the interval that clips, or stretches of frames, let one trust them within."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from math import exp, log
from typing import Final

import numpy as np
from numpy.typing import NDArray

from maskscope.evaluate.statistics import Bootstrap, Interval
from maskscope.records import Record

BLOCK_FRAMES: Final = 10
"""Frames in a row that are drawn together: neighbours resemble each other."""
LEAST_CLIPS: Final = 5
"""Of as many clips, clips are drawn; of fewer, blocks of their frames."""
_BOOTSTRAP: Final = Bootstrap(resamples=2000, method="percentile")

Unit = tuple[str, int]  # clip, block of frames


def mean_of(rows: Iterable[Record]) -> Interval | None:
    """Mean of the rows' values and its interval of 95 %; None without a value."""
    sums: dict[Unit, NDArray[np.float64]] = defaultdict(lambda: np.zeros(2))
    for row in rows:
        if row.value is not None:
            sums[_unit(row)] += (row.value, 1)
    if not sums:
        return None
    return _BOOTSTRAP.intervals(list(_drawn(sums).values()), lambda s: s[:, :1] / np.maximum(s[:, 1:], 1))[0]


def geometric_mean_of(rows: Iterable[Record]) -> Interval | None:
    """Geometric mean of ratios, which one frame that has next to nothing below the line cannot blow up; likewise.

    Ratios beyond 1/1000 and 1000 count as these, as what is 0 has no logarithm.
    """
    logs = (replace(row, value=log(min(max(row.value, 1e-3), 1e3))) for row in rows if row.value is not None)
    found = mean_of(logs)
    return None if found is None else Interval(exp(found.estimate), exp(found.low), exp(found.high))


def share_of(rows: Iterable[Record], states: Iterable[str]) -> Interval | None:
    """Share of the rows with one of some states; None without a row."""
    wanted = set(states)
    sums: dict[Unit, NDArray[np.float64]] = defaultdict(lambda: np.zeros(2))
    for row in rows:
        sums[_unit(row)] += (row.state in wanted, 1)
    if not sums:
        return None
    return _BOOTSTRAP.intervals(list(_drawn(sums).values()), lambda s: s[:, :1] / np.maximum(s[:, 1:], 1))[0]


def retention_of(rows: Iterable[Record], clean: Iterable[Record]) -> Interval | None:
    """Mean of the rows' values over the clean rows' mean, drawn together; None without either, or where clean is 0.

    Only objects that both have count.
    """
    ours, theirs = _valued(rows), _valued(clean)
    both = {(row.clip, row.object) for row in ours} & {(row.clip, row.object) for row in theirs}
    sums: dict[Unit, NDArray[np.float64]] = defaultdict(lambda: np.zeros(4))
    for side, chosen in enumerate((ours, theirs)):
        for row in chosen:
            if (row.clip, row.object) in both:
                sums[_unit(row)][2 * side : 2 * side + 2] += (row.value or 0.0, 1)
    drawn = _drawn(sums)
    total = sum(drawn.values(), np.zeros(4))
    if not (total[1] and total[2]):
        return None

    def ratio(s: NDArray[np.float64]) -> NDArray[np.float64]:
        mean = s[:, 0] / np.maximum(s[:, 1], 1)
        before = s[:, 2] / np.maximum(s[:, 3], 1)
        return (mean / np.maximum(before, 1e-9))[:, None]

    return _BOOTSTRAP.intervals(list(drawn.values()), ratio)[0]


def basis(clips: int) -> str:
    """What the intervals stand on, in a sentence."""
    if clips >= LEAST_CLIPS:
        return f"Intervals are 95 % bootstrap intervals over {clips} clips."
    which = "this one clip" if clips == 1 else f"these {clips} clips"
    return (
        f"Intervals are 95 % bootstrap intervals over stretches of {BLOCK_FRAMES} frames of {which}: "
        "they say how steady a figure is here, not what other clips would give."
    )


def _valued(rows: Iterable[Record]) -> list[Record]:
    return [row for row in rows if row.value is not None]


def _unit(row: Record) -> Unit:
    return row.clip, -1 if row.frame is None else row.frame // BLOCK_FRAMES


def _drawn(sums: dict[Unit, NDArray[np.float64]]) -> dict[Unit, NDArray[np.float64]]:
    """Blocks, or clips where there are enough of them."""
    if len({clip for clip, _ in sums}) < LEAST_CLIPS:
        return sums
    together: dict[Unit, NDArray[np.float64]] = {}
    for (clip, _), row in sums.items():
        together[clip, 0] = together[clip, 0] + row if (clip, 0) in together else row
    return together
