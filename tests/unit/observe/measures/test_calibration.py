"""Scores that are right, wrong, or right on average only."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maskscope.errors import ShapeError
from maskscope.observe.measures.calibration import (
    NO_FRAMES,
    ONE_KIND,
    ScoredFrame,
    brier_score,
    calibration,
    calibration_floor,
    expected_calibration_error,
    reliability,
    score_auc,
)


def test_perfectly_calibrated() -> None:
    """Of ten frames said to be visible with 0.3, three are; of ten with 0.8, eight."""
    forecasts = [0.3] * 10 + [0.8] * 10
    truths = [1] * 3 + [0] * 7 + [1] * 8 + [0] * 2
    assert expected_calibration_error(forecasts, truths) == pytest.approx(0.0, abs=1e-12)
    assert brier_score(forecasts, truths) == pytest.approx((0.3 * 0.7 + 0.8 * 0.2) / 2)
    assert score_auc(forecasts, truths) == pytest.approx((8 * 7 + 0.5 * (8 * 2 + 3 * 7)) / (11 * 9))


def test_anti_calibrated() -> None:
    forecasts, truths = [1.0] * 5 + [0.0] * 5, [0] * 5 + [1] * 5
    assert expected_calibration_error(forecasts, truths) == 1.0
    assert brier_score(forecasts, truths) == 1.0
    assert score_auc(forecasts, truths) == 0.0


def test_right_on_average_is_not_right() -> None:
    """One bin hides what ten show."""
    forecasts, truths = [0.95] * 10 + [0.05] * 10, [0] * 10 + [1] * 10
    assert expected_calibration_error(forecasts, truths, bins=1) == pytest.approx(0.0)
    assert expected_calibration_error(forecasts, truths, bins=10) == pytest.approx(0.95)


def test_bins() -> None:
    table = reliability([0.0, 0.1, 0.49, 0.5, 1.0], [0.0, 1.0, 0.5, 0.25, 0.75], bins=2)
    first, second = table
    assert (first.low, first.high, first.count, second.count) == (0.0, 0.5, 3, 2)
    assert (first.forecast, first.truth) == (pytest.approx(0.59 / 3), pytest.approx(0.5))
    assert (second.forecast, second.truth) == (pytest.approx(0.75), pytest.approx(0.5))
    assert [(row.count, row.forecast, row.truth) for row in reliability([], [], bins=2)] == [(0, None, None)] * 2


def test_auc_counts_ties_half() -> None:
    assert score_auc([1.0, 2.0, 3.0], [0, 1, 1]) == 1.0
    assert score_auc([5.0, 5.0], [0, 1]) == 0.5
    assert score_auc([1.0, 2.0], [1, 1]) is None


def test_the_floor_is_what_chance_gives() -> None:
    """One frame at 0.5 is always half off, many are hardly; certain forecasts never."""
    assert calibration_floor([0.5]) == 0.5
    rng = np.random.default_rng(3)
    many = rng.uniform(0, 1, 4000)
    floor = calibration_floor(many)
    measured = expected_calibration_error(many, rng.uniform(0, 1, 4000) < many)
    assert floor is not None
    assert floor < 0.03
    assert measured == pytest.approx(floor, abs=0.015)
    assert calibration_floor([0.0, 1.0]) == 0.0
    assert calibration_floor([]) is None


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def test_readings_of_frames() -> None:
    frames = [
        ScoredFrame(0.9, logit(0.9), 0.7),
        ScoredFrame(0.9, logit(0.9), 0.9),
        ScoredFrame(0.3, logit(0.6), 0.2),
        ScoredFrame(0.8, logit(0.2), None),
    ]
    readings = {reading.metric: reading for reading in calibration(frames, object_id=7)}
    value = {metric: reading.value for metric, reading in readings.items()}
    assert value["predicted_iou.ece"] == pytest.approx((2 * abs(0.9 - 0.8) + abs(0.3 - 0.2)) / 3)
    assert value["predicted_iou.brier"] == pytest.approx((0.04 + 0.0 + 0.01) / 3)
    assert value["predicted_iou.bias"] == pytest.approx(0.1)
    assert value["predicted_iou.auc"] == 1.0
    assert value["object_score.brier"] == pytest.approx((0.01 + 0.01 + 0.16 + 0.04) / 4)
    assert value["object_score.bias"] == pytest.approx(2.6 / 4 - 0.75)
    assert value["object_score.ece"] == pytest.approx((2 * 0.1 + 0.4 + 0.2) / 4)
    assert value["object_score.auc"] == 1.0
    assert value["object_score.ece_floor"] is not None
    assert all(reading.object == 7 and reading.stage == "prompt_attended" for reading in readings.values())


def test_what_cannot_be_had_is_a_state() -> None:
    always = {reading.metric: reading for reading in calibration([ScoredFrame(0.9, 5.0, 0.8)] * 3)}
    assert (always["object_score.auc"].value, always["object_score.auc"].state) == (None, ONE_KIND)
    assert always["predicted_iou.ece"].value == pytest.approx(0.1)
    never = {reading.metric: reading for reading in calibration([ScoredFrame(0.9, -5.0, None)] * 3)}
    assert never["predicted_iou.ece"].state == NO_FRAMES
    assert never["object_score.ece"].value == pytest.approx(1 / (1 + math.exp(5)))
    assert all(reading.state == NO_FRAMES for reading in calibration([]))


def test_logits_are_no_forecasts() -> None:
    with pytest.raises(ShapeError, match="turn logits into probabilities"):
        brier_score([3.0], [1.0])
    with pytest.raises(ShapeError, match="a truth is nan"):
        brier_score([0.5], [float("nan")])
    with pytest.raises(ShapeError, match=r"\(2,\)"):
        reliability([0.5, 0.5], [1.0])
    with pytest.raises(ShapeError, match="0 bins"):
        reliability([0.5], [1.0], bins=0)
    with pytest.raises(ShapeError, match=r"\(1,\)"):
        score_auc([1.0], [0, 1])
