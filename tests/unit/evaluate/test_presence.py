from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from score_cases import ELSEWHERE, GHOST, GONE, GRAZED, HALF, LOST, PERFECT, object_score

from maskscope.evaluate.presence import FrameCounts, Outcome, Presence, Returns, outcomes, success_area


def test_every_kind_of_frame_is_told_apart() -> None:
    score = object_score(PERFECT, HALF, GRAZED, ELSEWHERE, LOST, GONE, GHOST)
    assert [Outcome(kind).name for kind in outcomes(score)] == [
        "hit", "hit", "drift", "drift", "miss", "absence", "hallucination"
    ]  # fmt: skip
    assert FrameCounts.of(score) == FrameCounts(hit=2, miss=1, drift=2, absence=1, hallucination=1)
    # VOT counts any overlap as tracked.
    assert FrameCounts.of(score, 0.0) == FrameCounts(hit=3, miss=1, drift=1, absence=1, hallucination=1)


def test_threshold_itself_is_no_hit() -> None:
    tenth = object_score((1, 6, 5))  # IoU 0.1
    assert tenth.iou.tolist() == [0.1]
    assert FrameCounts.of(tenth).drift == 1
    assert FrameCounts.of(tenth, 0.0999).hit == 1


def test_measures_of_a_sequence_by_hand() -> None:
    presence = Presence.of(object_score(PERFECT, HALF, GRAZED, ELSEWHERE, LOST, GONE, GHOST, GONE))
    assert presence.hit == pytest.approx(2 / 5)
    assert presence.miss == pytest.approx(1 / 5)
    assert presence.drift == pytest.approx(2 / 5)
    assert presence.hallucination == pytest.approx(1 / 3)
    assert presence.absence_detection == pytest.approx(2 / 3)
    assert presence.robustness == pytest.approx(3 / 5)
    assert presence.accuracy == pytest.approx((1 + 0.5 + 1 / 19) / 3)
    assert presence.not_reported == pytest.approx(1 / 5)
    assert presence.drifted == pytest.approx(1 / 5)
    assert presence.robustness + presence.not_reported + presence.drifted == pytest.approx(1)
    assert presence.recovered is None
    assert presence.latency_frames is None


def test_what_has_no_frames_is_none_and_never_nan() -> None:
    never_absent, never_there = Presence.of(object_score(PERFECT)), Presence.of(object_score(GONE, GHOST))
    assert never_absent.absence_detection is None
    assert never_absent.hallucination is None
    assert never_there.robustness is never_there.accuracy is never_there.hit is never_there.success is None
    assert never_there.quality == pytest.approx(0.5)
    missed = Presence.of(object_score(LOST))
    assert (missed.robustness, missed.accuracy) == (0.0, None)


@pytest.mark.parametrize(
    ("iou", "area"),
    [
        ([1.0], 1.0),  # above 99 thresholds, equal to the last, where that is enough
        ([0.0], 0.0),
        ([1.0, 0.0], 0.5),
        ([0.5], 0.5),  # above thresholds 0/99 to 49/99
        ([0.999], 0.99),
    ],
)
def test_area_under_the_success_plot(iou: list[float], area: float) -> None:
    assert success_area(np.array(iou)) == pytest.approx(area, abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_area_is_the_plot_drawn_threshold_by_threshold_and_about_the_mean(iou: list[float]) -> None:
    shares = [sum(value > t if t < 1 else value >= t for value in iou) / len(iou) for t in np.linspace(0, 1, 100)]
    area = success_area(np.array(iou))
    assert area == pytest.approx(sum(shares) / 100, abs=1e-12)
    assert area == pytest.approx(np.mean(iou), abs=0.011)


class TestReturns:
    def test_latency_counts_from_the_return(self) -> None:
        score = object_score(PERFECT, GONE, LOST, ELSEWHERE, HALF, PERFECT, GONE, GHOST, PERFECT)
        returns = Returns.of(score)
        assert returns.latencies == (2, 0)
        assert returns.recovered == 1.0
        assert returns.latency_frames == 1.0

    def test_a_return_that_ends_before_it_is_found_is_not_recovered(self) -> None:
        score = object_score(PERFECT, GONE, LOST, LOST, GONE, PERFECT, GONE, LOST)
        returns = Returns.of(score)
        assert returns.latencies == (None, 0, None)
        assert returns.recovered == pytest.approx(1 / 3)
        assert returns.latency_frames == 0.0

    def test_an_absence_that_begins_with_the_first_counted_frame_has_a_return(self) -> None:
        # Seen on frame 0, which is given and does not count; gone on the first frame that does.
        assert Returns.of(object_score(GONE, PERFECT, first=1, seen=0)).latencies == (0,)

    def test_a_first_appearance_is_no_return(self) -> None:
        assert Returns.of(object_score(GONE, GONE, PERFECT, first=0, seen=2)).latencies == ()
        assert Returns.of(object_score(GONE, PERFECT, GONE, LOST, first=0, seen=1)).latencies == (None,)


def test_average_leaves_out_what_an_object_does_not_have() -> None:
    one, other = Presence.of(object_score(PERFECT, GONE)), Presence.of(object_score(LOST, PERFECT))
    mean = Presence.average([one, other])
    assert mean.robustness == pytest.approx(0.75)
    assert mean.absence_detection == 1.0  # the other was never absent
    assert mean.recovered is None
    assert Presence.average([]).robustness is None
