"""Areas and precisions by hand, with ties, and against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from maskscope.errors import MaskscopeError
from maskscope.observe.measures.ranking import auc, average_precision


@pytest.mark.parametrize(
    ("ours", "theirs", "area", "precision"),
    [
        ([3, 4], [1, 2], 1.0, 1.0),
        ([1, 2], [3, 4], 0.0, (1 / 3 + 2 / 4) / 2),
        ([2, 4], [1, 3], 0.75, (1 + 2 / 3) / 2),
        ([1], [1], 0.5, 0.5),
        ([1, 1], [1, 1, 1, 1, 1, 1], 0.5, 0.25),  # nothing is said: chance
        ([2, 1], [1, 0], 0.875, (1 + 2 / 3) / 2),
    ],
)
def test_by_hand(ours: list[float], theirs: list[float], area: float, precision: float) -> None:
    assert auc(ours, theirs) == pytest.approx(area)
    assert average_precision(ours, theirs) == pytest.approx(precision)


def test_by_definition() -> None:
    rng = np.random.default_rng(3)
    ours, theirs = rng.integers(0, 12, 40) + 3, rng.integers(0, 12, 90)
    pairs = np.sign(ours[:, None] - theirs[None])
    assert auc(ours, theirs) == pytest.approx((pairs.mean() + 1) / 2)
    expected, recall = 0.0, 0.0
    for threshold in sorted(set(ours) | set(theirs), reverse=True):
        hits, mistakes = (ours >= threshold).sum(), (theirs >= threshold).sum()
        expected += (hits / 40 - recall) * hits / (hits + mistakes)
        recall = hits / 40
    assert average_precision(ours, theirs) == pytest.approx(expected)


def test_two_normal_distributions() -> None:
    """Apart by one standard deviation: the area is Phi(1 / sqrt 2) = 0.7602."""
    rng = np.random.default_rng(0)
    area = auc(rng.normal(1, 1, 20_000).astype(np.float32), rng.normal(0, 1, 20_000).astype(np.float32))
    assert area == pytest.approx(0.7602, abs=0.01)


@pytest.mark.parametrize(("ours", "theirs"), [([], [1]), ([1], []), ([float("nan")], [1]), ([1], [float("inf")])])
def test_what_has_no_order_is_refused(ours: list[float], theirs: list[float]) -> None:
    for measure in (auc, average_precision):
        with pytest.raises(MaskscopeError, match=r"has no scores|not all finite"):
            measure(ours, theirs)
