"""MOSEv2's measures against its program's formulas, written here as they are described."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from score_cases import GONE, LOST, PERFECT, object_score

from maskscope.errors import ShapeError
from maskscope.evaluate.adaptive import (
    ComeAndGo,
    adaptive_boundary_f,
    adaptive_radius_px,
    disappearance_clips,
    reappearance_clips,
    stepped_disk,
)
from maskscope.evaluate.boundary import boundary_f, outline
from maskscope.evaluate.protocol import evaluate_sequence


def program_disk(radius: float) -> np.ndarray:
    """The disk of scikit-image, which knows no fractions and is not centred with one."""
    steps = np.arange(-radius, radius + 1)
    columns, rows = np.meshgrid(steps, steps)
    return (columns**2 + rows**2 <= radius**2).astype(np.uint8)


def program_f(prediction: np.ndarray, truth: np.ndarray, radius: float) -> float:
    guess, true = outline(prediction), outline(truth)
    if not guess.any() or not true.any():
        return float(guess.any() == true.any())
    precision = (guess & cv2.dilate(true, program_disk(radius))).sum() / guess.sum()
    recall = (true & cv2.dilate(guess, program_disk(radius))).sum() / true.sum()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def box(top: int, left: int, bottom: int, right: int, size: tuple[int, int] = (300, 400)) -> np.ndarray:
    mask = np.zeros(size, dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize(
    ("area", "height", "width", "expected"),
    [
        (1, 480, 854, 1.0),
        (100, 480, 854, 1.0),
        (101, 480, 854, 2.0),
        (2500, 480, 854, 5.0),
        (4900, 480, 854, 7.0),
        (4901, 480, 854, 0.008 * math.hypot(480, 854)),  # rounded up it would pass the cap of 7.84
        (10**6, 1080, 1920, 0.008 * math.hypot(1080, 1920)),  # 17.62, not rounded
        (0, 1080, 1920, 0.008 * math.hypot(1080, 1920)),
    ],
)
def test_radius_follows_the_area_up_to_the_cap(area: int, height: int, width: int, expected: float) -> None:
    assert adaptive_radius_px(area, height, width) == expected


@pytest.mark.parametrize("radius", [0.9, 1.0, 3.5, 4.01, 7.99, 17.624, 8.0])
def test_the_disk_is_the_program_s_off_centre_one(radius: float) -> None:
    near = stepped_disk(radius)
    point = np.zeros((61, 61), dtype=np.uint8)
    point[30, 30] = 1
    spread = cv2.dilate(point, program_disk(radius))
    rows, columns = np.nonzero(spread)
    # A pixel that finds the point at (row, column) from itself lies at the opposite side of the point.
    found = {(30 - row, 30 - column) for row, column in zip(rows, columns, strict=True)}
    assert {(row, column) for row, first, last in near.runs for column in range(first, last + 1)} == found


def test_at_1080p_it_has_971_pixels() -> None:
    near = stepped_disk(0.008 * math.hypot(1080, 1920))
    assert sum(last - first + 1 for _, first, last in near.runs) == 971


boxes = st.tuples(st.integers(0, 40), st.integers(0, 50), st.integers(1, 50), st.integers(1, 60))


@settings(max_examples=60, deadline=None)
@given(boxes, boxes)
def test_both_fs_equal_the_program(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    size = (300, 400)  # cap 4.0, exactly
    prediction, truth = (box(y, x, y + h, x + w, size) for y, x, h, w in (one, other))
    cap = 0.008 * math.hypot(*size)
    own = min(cap, math.ceil(0.1 * math.sqrt(truth.sum())))
    assert adaptive_boundary_f(prediction, truth) == program_f(prediction, truth, own)
    score = evaluate_sequence([prediction] * 3, [truth] * 3, "mose", objects={1: None})
    assert score.boundary[0, 0] == program_f(prediction, truth, math.ceil(cap) if own < cap else cap)
    assert score.objects[0].adaptive is not None
    assert score.objects[0].adaptive[0] == program_f(prediction, truth, own)
    shared, union = (prediction & truth).sum(), (prediction | truth).sum()
    assert score.region[0, 0] == (shared + 1) / (union + 1)


def test_a_small_object_must_be_met_closely() -> None:
    truth, aside = box(100, 100, 104, 150, (480, 854)), box(108, 100, 112, 150, (480, 854))
    assert not (truth & aside).any()
    assert boundary_f(aside, truth) == 1.0
    assert adaptive_boundary_f(aside, truth) == 0.0  # two pixels are near, these are four away
    assert adaptive_boundary_f(truth, truth) == 1.0
    large = box(50, 50, 400, 700, (480, 854))
    assert adaptive_boundary_f(large, np.roll(large, 5, axis=1)) == 1.0


def test_on_the_smallest_images_outlines_must_be_the_same() -> None:
    mask = box(2, 2, 6, 6, (10, 10))
    assert adaptive_boundary_f(mask, mask) == 1.0
    assert adaptive_boundary_f(np.roll(mask, 3, axis=0), mask) < 0.5


def test_absent_objects() -> None:
    nothing, something = box(0, 0, 0, 0), box(10, 10, 30, 30)
    assert adaptive_boundary_f(nothing, nothing) == 1.0
    assert adaptive_boundary_f(something, nothing) == 0.0
    assert adaptive_boundary_f(nothing, something) == 0.0
    with pytest.raises(ShapeError, match="of one frame"):
        adaptive_boundary_f(np.stack([nothing] * 2), np.stack([nothing] * 2))


@pytest.mark.parametrize(
    ("visible", "gone", "back"),
    [
        ("1111", [], []),
        ("1001", [(1, 3)], [(3, 4)]),
        ("0011", [], [(2, 4)]),  # an absence from the start does not count, its return does
        ("1011010", [(1, 2), (4, 5), (6, 7)], [(2, 4), (5, 6)]),
        ("1100", [(2, 4)], []),
        ("0000", [], []),
        ("", [], []),
    ],
)
def test_clips_of_disappearance_and_reappearance(
    visible: str, gone: list[tuple[int, int]], back: list[tuple[int, int]]
) -> None:
    there = np.array([each == "1" for each in visible], dtype=bool)
    assert [(clip.start, clip.stop) for clip in disappearance_clips(there)] == gone
    assert [(clip.start, clip.stop) for clip in reappearance_clips(there)] == back


def test_scores_are_means_of_clips_then_of_objects_that_have_some() -> None:
    # gone: frames 1, 2 (J 1, 0) and 5 (J 1); back: 3, 4 (J 0, 1) and 6 (J 0)
    ghost = (0, 0, 10)
    frames = (PERFECT, GONE, ghost, LOST, PERFECT, GONE, LOST)
    come_and_go = ComeAndGo.of(object_score(*frames, adaptive=[1, 1, 0.5, 0, 0.8, 1, 0.2]))
    assert come_and_go.disappearance is not None
    assert come_and_go.reappearance is not None
    assert come_and_go.disappearance.j == pytest.approx((0.5 + 1) / 2)
    assert come_and_go.disappearance.f_adaptive == pytest.approx((0.75 + 1) / 2)
    assert come_and_go.reappearance.j == pytest.approx((0.5 + 0) / 2)
    assert come_and_go.reappearance.f_adaptive == pytest.approx((0.4 + 0.2) / 2)
    assert come_and_go.reappearance.j_and_f_adaptive == pytest.approx((0.25 + 0.3) / 2)
    assert come_and_go.disappearance.num_clips == 2

    only_gone = object_score(PERFECT, GONE, adaptive=[1, 1])
    total = ComeAndGo.average([object_score(*frames, adaptive=[1, 1, 0.5, 0, 0.8, 1, 0.2]), only_gone])
    assert total.disappearance is not None
    assert total.disappearance.j == pytest.approx((0.75 + 1) / 2)
    assert total.reappearance == come_and_go.reappearance


def test_no_clips_without_adaptive_f_or_where_nothing_was_predicted() -> None:
    assert ComeAndGo.of(object_score(PERFECT, GONE, PERFECT)) == ComeAndGo(None, None)
    truths = [
        box(5, 5, 9, 9, (20, 20)),
        box(0, 0, 0, 0, (20, 20)),
        box(5, 5, 9, 9, (20, 20)),
        box(5, 5, 9, 9, (20, 20)),
    ]
    score = evaluate_sequence(None, truths, "mose")
    assert ComeAndGo.average(score.objects) == ComeAndGo(None, None)
    np.testing.assert_array_equal(score.region, 0)  # even where the object is absent
    assert score.notes == ("not predicted, counted as 0",)
