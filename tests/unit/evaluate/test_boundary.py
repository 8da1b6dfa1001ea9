from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from maskscope.errors import MaskscopeError, ShapeError
from maskscope.evaluate.boundary import boundary_f, outline, tolerance_radius_px

sizes = st.tuples(st.integers(1, 14), st.integers(1, 18))


@st.composite
def mask_pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Noise, or rectangles that often touch the border, since outlines end there."""
    height, width = draw(sizes)

    def rectangle() -> np.ndarray:
        mask = np.zeros((height, width), dtype=bool)
        top, left = draw(st.integers(0, height)), draw(st.integers(0, width))
        mask[top : top + draw(st.integers(0, height)), left : left + draw(st.integers(0, width))] = True
        return mask

    noise = arrays(np.bool_, (height, width))
    one, other = (draw(noise) if draw(st.booleans()) else rectangle() for _ in range(2))
    return one, other


def textbook_outline(mask: np.ndarray) -> set[tuple[int, int]]:
    height, width = mask.shape
    neighbours = ((0, 1), (1, 0), (1, 1))
    return {
        (y, x)
        for y in range(height)
        for x in range(width)
        if any(y + v < height and x + u < width and mask[y + v, x + u] != mask[y, x] for v, u in neighbours)
    }


def textbook_f(prediction: np.ndarray, truth: np.ndarray, radius: float) -> float:
    """The definition word by word: every outline pixel looks at every one of the other outline."""
    outlines = textbook_outline(prediction), textbook_outline(truth)
    if not outlines[0] or not outlines[1]:
        return float(outlines[0] == outlines[1])
    shares = []
    for own, other in (outlines, outlines[::-1]):
        near = sum(any((y - v) ** 2 + (x - u) ** 2 <= radius**2 for v, u in other) for y, x in own)
        shares.append(near / len(own))
    precision, recall = shares
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@settings(max_examples=150, deadline=None)
@given(mask_pairs(), st.sampled_from([0.0, 0.008, 0.2, 1, 2, 3.5, 6]))
def test_equals_the_definition(pair: tuple[np.ndarray, np.ndarray], tolerance: float) -> None:
    prediction, truth = pair
    height, width = truth.shape
    radius = tolerance if tolerance >= 1 else math.ceil(tolerance * math.hypot(height, width))
    assert boundary_f(prediction, truth, tolerance=tolerance) == textbook_f(prediction, truth, radius)


@settings(deadline=None)
@given(mask_pairs())
def test_outline_equals_the_definition(pair: tuple[np.ndarray, np.ndarray]) -> None:
    for mask in pair:
        assert {(int(y), int(x)) for y, x in np.argwhere(outline(mask))} == textbook_outline(mask)


@settings(deadline=None)
@given(mask_pairs())
def test_is_a_symmetric_fraction(pair: tuple[np.ndarray, np.ndarray]) -> None:
    score = boundary_f(*pair)
    assert 0 <= score <= 1
    assert score == pytest.approx(boundary_f(*pair[::-1]), abs=1e-15)


@settings(deadline=None)
@given(mask_pairs(), st.integers(1, 6), st.integers(1, 6))
def test_background_around_changes_nothing(pair: tuple[np.ndarray, np.ndarray], before: int, after: int) -> None:
    # One pixel first: it is what lets an object at the border have an outline there.
    one, other = (np.pad(mask, 1) for mask in pair)
    padded = [np.pad(mask, ((before, after), (after, before))) for mask in (one, other)]
    assert boundary_f(*padded, tolerance=2) == boundary_f(one, other, tolerance=2)


def box(top: int, left: int, bottom: int, right: int, size: tuple[int, int] = (40, 60)) -> np.ndarray:
    mask = np.zeros(size, dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


EMPTY, FULL = box(0, 0, 0, 0), box(0, 0, 40, 60)


@pytest.mark.parametrize(
    ("prediction", "truth", "expected"),
    [
        (EMPTY, EMPTY, 1.0),
        (EMPTY, box(5, 5, 9, 9), 0.0),
        (box(5, 5, 9, 9), EMPTY, 0.0),
        (FULL, FULL, 1.0),
        (FULL, EMPTY, 1.0),  # neither has an outline: the official tool's answer
        (FULL, box(5, 5, 9, 9), 0.0),
        (box(5, 5, 15, 15), box(5, 6, 15, 16), 1.0),  # one pixel aside is within the tolerance
        (box(5, 5, 15, 15), box(5, 35, 15, 45), 0.0),
        (box(39, 59, 40, 60), box(39, 59, 40, 60), 1.0),  # bottom right: three outline pixels, none of them itself
    ],
)
def test_edge_cases(prediction: np.ndarray, truth: np.ndarray, expected: float) -> None:
    assert boundary_f(prediction, truth) == expected


def test_precision_and_recall_are_told_apart() -> None:
    # Truth: a 10x10 box (outline 40 px). Prediction: the same and a far one of the same size.
    truth = box(5, 5, 15, 15)
    prediction = truth | box(25, 45, 35, 55)
    assert boundary_f(prediction, truth, tolerance=1) == pytest.approx(2 * 0.5 * 1 / 1.5)


@pytest.mark.parametrize(
    ("height", "width", "expected"), [(480, 854, 8), (720, 1280, 12), (1080, 1920, 18), (300, 400, 4), (1, 1, 1)]
)
def test_radius_follows_the_diagonal(height: int, width: int, expected: int) -> None:
    assert tolerance_radius_px(height, width) == expected


def test_void_pixels_are_emptied_in_both() -> None:
    truth = box(5, 5, 15, 15)
    prediction = truth | box(25, 45, 35, 55)
    assert boundary_f(prediction, truth, void=prediction & ~truth) == 1.0


def test_a_stack_scores_each_frame_and_inputs_stay() -> None:
    predictions = np.stack([EMPTY, box(5, 5, 15, 15), FULL, box(3, 4, 20, 30)]).reshape(2, 2, 40, 60)
    truths = np.stack([EMPTY, box(9, 5, 15, 15), EMPTY, box(5, 5, 15, 15)]).reshape(2, 2, 40, 60)
    before = predictions.copy(), truths.copy()
    scores = boundary_f(predictions, truths)
    assert isinstance(scores, np.ndarray)
    assert scores.tolist() == [
        [boundary_f(predictions[row, column], truths[row, column]) for column in range(2)] for row in range(2)
    ]
    assert 0 < scores[1, 1] < 1
    np.testing.assert_array_equal(predictions, before[0])
    np.testing.assert_array_equal(truths, before[1])


def test_strided_and_integer_masks_mean_the_same() -> None:
    one, other = box(3, 4, 20, 30), box(5, 5, 15, 15)
    expected = boundary_f(one, other)
    wide = np.zeros((40, 120), dtype=bool)
    wide[:, ::2] = one
    assert boundary_f(wide[:, ::2], other) == expected
    assert boundary_f(np.asfortranarray(one), other.astype(np.uint8) * 255) == expected


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ShapeError, match="one shape"):
        boundary_f(EMPTY, EMPTY[1:])
    for tolerance in (-0.1, math.nan, math.inf):
        with pytest.raises(MaskscopeError, match="tolerance"):
            boundary_f(EMPTY, EMPTY, tolerance=tolerance)
