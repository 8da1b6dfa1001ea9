from __future__ import annotations

import numpy as np
import pytest

from maskscope.errors import MaskscopeError
from maskscope.evaluate.robustness import BreakingSeverity, robustness
from maskscope.evaluate.statistics import Bootstrap

QUICK = Bootstrap(resamples=1000)


def scores(*clips: float) -> dict[tuple[str, int], float]:
    return {(f"clip{index}", 1): value for index, value in enumerate(clips)}


def test_retention_drop_and_means_by_hand() -> None:
    result = robustness(scores(0.9, 0.7), {1: scores(0.9, 0.7), 3: scores(0.6, 0.6), 5: scores(0.5, 0.3)}, QUICK)
    assert result.severities == (1, 3, 5)
    assert result.clean.estimate == pytest.approx(0.8)
    assert [each.estimate for each in result.score] == pytest.approx([0.8, 0.6, 0.4])
    assert [each.estimate for each in result.retention] == pytest.approx([1, 0.75, 0.5])
    assert [each.estimate for each in result.drop] == pytest.approx([0, 0.2, 0.4])
    assert result.mean_retention.estimate == pytest.approx(0.75)
    assert result.mean_score.estimate == pytest.approx(0.6)
    assert result.mean_drop.estimate == pytest.approx(0.2)
    assert result.breaking.estimate == 3
    assert (result.num_objects, result.num_clips) == (2, 2)


def test_retention_is_of_means_so_that_a_bad_clip_does_not_rule() -> None:
    result = robustness(scores(1.0, 0.01), {1: scores(1.0, 0.0)}, QUICK)
    assert result.retention[0].estimate == pytest.approx(1 / 1.01)


def test_intervals_are_paired() -> None:
    clean = scores(*np.random.default_rng(1).uniform(0.2, 1, size=20))
    result = robustness(clean, {1: {key: 0.9 * value for key, value in clean.items()}}, QUICK)
    assert result.retention[0].low == pytest.approx(0.9)
    assert result.retention[0].high == pytest.approx(0.9)
    assert result.clean.high - result.clean.low > 0.1


@pytest.mark.parametrize(
    ("retentions", "expected"),
    [
        ([1.0, 0.9, 0.8], BreakingSeverity(None, None, None)),  # 0.8 itself is not below
        ([1.0, 0.79, 0.9], BreakingSeverity(2, 2, 2)),
        ([0.1, 0.1, 0.1], BreakingSeverity(1, 1, 1)),
    ],
)
def test_breaking_severity_is_the_first_below(retentions: list[float], expected: BreakingSeverity) -> None:
    harder = {severity: scores(value, value) for severity, value in enumerate(retentions, start=1)}
    assert robustness(scores(1.0, 1.0), harder, QUICK).breaking == expected


def test_breaking_severity_has_an_interval_where_clips_disagree() -> None:
    clean = scores(*[1.0] * 10)
    harder = {1: scores(*[1.0] * 10), 2: scores(*[0.7] * 7, *[1.0] * 3), 3: scores(*[0.5] * 10)}
    breaking = robustness(clean, harder, QUICK).breaking
    assert breaking == BreakingSeverity(2, 2, 3) or breaking == BreakingSeverity(3, 2, 3)
    assert robustness(clean, {1: scores(*[0.9] * 5, *[0.7] * 5)}, QUICK).breaking == BreakingSeverity(None, 1, None)


def test_only_objects_with_all_scores_count(caplog: pytest.LogCaptureFixture) -> None:
    clean = {("a", 1): 0.8, ("a", 2): 0.6, ("b", 1): 1.0}
    with caplog.at_level("WARNING", logger="maskscope"):
        result = robustness(clean, {1: {("a", 1): 0.4, ("b", 1): 0.5, ("c", 1): 0.1}}, QUICK)
    assert result.num_objects == 2
    assert result.clean.estimate == pytest.approx(0.9)
    assert result.left_out == (("a", 2), ("c", 1))
    assert "2 objects" in caplog.text


@pytest.mark.parametrize(
    ("clean", "harder", "message"),
    [
        (scores(0.5), {}, "one severity or more"),
        (scores(0.5), {1: {("other", 1): 0.5}}, "no object has a score"),
        (scores(0.0), {1: scores(0.0)}, "clean score is 0"),
    ],
)
def test_what_cannot_be_compared_is_refused(clean: dict, harder: dict, message: str) -> None:
    with pytest.raises(MaskscopeError, match=message):
        robustness(clean, harder, QUICK)
