from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from maskscope.errors import MaskscopeError, ShapeError
from maskscope.evaluate.region import region_similarity

masks = arrays(np.bool_, (9, 12))


def square(top: int, left: int, side: int) -> np.ndarray:
    mask = np.zeros((20, 30), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


@pytest.mark.parametrize(
    ("prediction", "truth", "expected"),
    [
        (square(2, 2, 4), square(2, 2, 4), 1.0),
        (square(2, 2, 4), square(2, 4, 4), 8 / 24),
        (square(2, 2, 4), square(10, 10, 4), 0.0),
        (square(0, 0, 0), square(0, 0, 0), 1.0),
        (square(0, 0, 0), square(2, 2, 4), 0.0),
        (square(2, 2, 4), square(0, 0, 0), 0.0),
        (square(2, 2, 4).astype(np.uint8) * 255, square(2, 2, 2).astype(np.int64), 4 / 16),
    ],
)
def test_intersection_over_union(prediction: np.ndarray, truth: np.ndarray, expected: float) -> None:
    assert region_similarity(prediction, truth) == expected


def test_void_pixels_count_for_nothing() -> None:
    truth, prediction = square(2, 2, 4), square(2, 2, 6)
    assert region_similarity(prediction, truth, void=prediction & ~truth) == 1.0
    assert region_similarity(prediction, truth, void=prediction) == 1.0
    assert region_similarity(np.stack([prediction, truth]), np.stack([truth] * 2), void=~truth).tolist() == [1.0, 1.0]


def test_a_stack_scores_each_frame() -> None:
    empty = square(0, 0, 0)
    scores = region_similarity(
        np.stack([square(2, 2, 4), empty, square(2, 4, 4)])[None],
        np.stack([square(2, 2, 4), empty, square(2, 2, 4)])[None],
    )
    assert isinstance(scores, np.ndarray)
    assert scores.shape == (1, 3)
    np.testing.assert_array_equal(scores, [[1.0, 1.0, 8 / 24]])


@settings(deadline=None)
@given(masks, masks)
def test_is_symmetric_and_a_fraction(one: np.ndarray, other: np.ndarray) -> None:
    score = region_similarity(one, other)
    assert score == region_similarity(other, one)
    assert 0 <= score <= 1


@settings(deadline=None)
@given(masks, masks, st.integers(0, 5), st.integers(0, 5))
def test_background_around_changes_nothing(one: np.ndarray, other: np.ndarray, before: int, after: int) -> None:
    padded = [np.pad(mask, ((before, after), (after, before))) for mask in (one, other)]
    assert region_similarity(*padded) == region_similarity(one, other)


def test_wrong_masks_are_refused() -> None:
    mask = square(2, 2, 4)
    with pytest.raises(ShapeError, match=r"\(20, 30\) and \(20, 29\).*resize the prediction"):
        region_similarity(mask, mask[:, 1:])
    with pytest.raises(ShapeError, match="two dimensions"):
        region_similarity(mask[0], mask[0])
    with pytest.raises(MaskscopeError, match=r"prediction is float32.*threshold"):
        region_similarity(mask.astype(np.float32), mask)
    with pytest.raises(ShapeError, match="void mask"):
        region_similarity(mask, mask, void=mask[1:])
