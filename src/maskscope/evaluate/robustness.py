"""How much of a score is left when clips are made harder: retention, drop, and where it breaks.

Everything is over the same objects, clean and at every severity, and clips are drawn together (see
`maskscope.evaluate.statistics`), so that what clips have in common cancels.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskscope.errors import MaskscopeError
from maskscope.evaluate.statistics import Bootstrap, Interval

logger = logging.getLogger(__name__)

BREAKING_RETENTION = 0.8
"""Below this a tracker counts as broken."""

Scores = Mapping[tuple[str, int], float]
"""(clip, object) -> score in 0..1, such as the mean of its J and F."""


@dataclass(frozen=True)
class BreakingSeverity:
    """The first severity at which retention is below 0.8; None where none is.

    Attributes:
        estimate: on all clips.
        low: lower end of the percentile interval of the drawn ones.
        high: upper end; None says that in more draws than the interval leaves out nothing breaks.
    """

    estimate: int | None
    low: int | None
    high: int | None


@dataclass(frozen=True)
class Robustness:
    """One tracker under one family of transformations.

    Attributes:
        clean: score without transformation.
        severities: ascending; the next three have one interval for each.
        score: score at each severity.
        retention: score over clean score, 1 where nothing is lost.
        drop: clean score less score.
        mean_score: mean over severities.
        mean_retention: the same of retention.
        mean_drop: the same of drop.
        breaking: the first severity that breaks the tracker.
        num_objects: objects that have all scores, and are counted.
        num_clips: their clips.
        left_out: objects that lack a score somewhere.
    """

    clean: Interval
    severities: tuple[int, ...]
    score: tuple[Interval, ...]
    retention: tuple[Interval, ...]
    drop: tuple[Interval, ...]
    mean_score: Interval
    mean_retention: Interval
    mean_drop: Interval
    breaking: BreakingSeverity
    num_objects: int
    num_clips: int
    left_out: tuple[tuple[str, int], ...] = ()


def robustness(clean: Scores, harder: Mapping[int, Scores], bootstrap: Bootstrap | None = None) -> Robustness:
    """Compare scores at several severities with the clean ones.

    Args:
        clean: score of each object of the untouched clips.
        harder: severity -> scores of the same objects.
        bootstrap: how intervals are made; by default BCa at 95 %, 10,000 draws, seed 0.

    Raises:
        MaskscopeError: no severity, no object that has all scores, or a clean score of 0, of which nothing can be kept.
    """
    if not harder:
        raise MaskscopeError("robustness compares with one severity or more, there is none")
    severities = tuple(sorted(harder))
    everything = (clean, *(harder[severity] for severity in severities))
    kept = sorted(set(clean).intersection(*everything[1:]))
    left_out = tuple(sorted(set(clean).union(*everything[1:]) - set(kept)))
    if left_out:
        logger.warning("%d objects lack a score somewhere and are left out: %s", len(left_out), left_out[:5])
    if not kept:
        raise MaskscopeError("no object has a score both clean and at every severity", "score the same clips")
    clips = sorted({clip for clip, _ in kept})
    place = {clip: index for index, clip in enumerate(clips)}
    rows = np.zeros((len(clips), len(everything) + 1))
    for clip, number in kept:
        rows[place[clip]] += (*(scores[clip, number] for scores in everything), 1)
    if not rows[:, 0].sum() > 0:
        raise MaskscopeError("the clean score is 0, so nothing can be kept of it", "check the clean predictions")
    how = bootstrap or Bootstrap()
    numbers = iter(how.intervals(rows, _numbers))
    return Robustness(
        clean=next(numbers),
        severities=severities,
        score=tuple(next(numbers) for _ in severities),
        retention=tuple(next(numbers) for _ in severities),
        drop=tuple(next(numbers) for _ in severities),
        mean_score=next(numbers),
        mean_retention=next(numbers),
        mean_drop=next(numbers),
        breaking=_breaking(rows, severities, how),
        num_objects=len(kept),
        num_clips=len(clips),
        left_out=left_out,
    )


def _numbers(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Clean score; score, retention, drop of each severity; their means. Sums are clean, each severity, objects."""
    clean, harder = sums[:, :1] / sums[:, -1:], sums[:, 1:-1] / sums[:, -1:]
    kinds = (harder, _retention(sums), clean - harder)
    return np.concatenate([clean, *kinds, *(kind.mean(axis=1, keepdims=True) for kind in kinds)], axis=1)


def _retention(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each severity; 1 where the drawn clips have nothing to keep."""
    clean = sums[:, :1]
    return np.divide(sums[:, 1:-1], clean, out=np.ones_like(sums[:, 1:-1]), where=clean > 0)


def _breaking(rows: NDArray[np.float64], severities: tuple[int, ...], bootstrap: Bootstrap) -> BreakingSeverity:
    def first(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        broken = _retention(sums) < BREAKING_RETENTION
        return np.where(broken.any(axis=1), np.array(severities)[broken.argmax(axis=1)], math.inf)[:, None]

    tail = (1 - bootstrap.confidence) / 2
    # Of numbers that only come whole no mean of two is an end.
    ends = np.quantile(bootstrap.draws(rows, first)[:, 0], (tail, 1 - tail), method="inverted_cdf")
    estimate, low, high = (
        int(value) if math.isfinite(value) else None for value in (first(rows.sum(axis=0, keepdims=True))[0, 0], *ends)
    )
    return BreakingSeverity(estimate, low, high)
