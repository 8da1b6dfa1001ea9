from __future__ import annotations

import numpy as np
import pytest

from maskscope.errors import MaskscopeError, ShapeError
from maskscope.evaluate.boundary import boundary_f
from maskscope.evaluate.protocol import ALL_FRAMES, DAVIS, Statistics, evaluate_sequence, summarise
from maskscope.evaluate.region import region_similarity


def labels(*boxes: tuple[int, int, int, int, int]) -> np.ndarray:
    """A 32x48 label map of `(label, top, left, bottom, right)` boxes."""
    label_map = np.zeros((32, 48), dtype=np.uint8)
    for label, top, left, bottom, right in boxes:
        label_map[top:bottom, left:right] = label
    return label_map


ONE = (1, 4, 4, 14, 14)
TWO = (2, 4, 24, 14, 34)
SHIFTED = (1, 4, 8, 14, 18)


def test_davis_drops_the_first_and_the_last_frame() -> None:
    truths = [labels(ONE)] * 5
    predictions = [labels(), labels(ONE), labels(SHIFTED), labels(), labels()]
    score = evaluate_sequence(iter(predictions), iter(truths), "davis")
    assert score.protocol is DAVIS
    assert score.object_ids == (1,)
    assert score.frames.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(score.region, [[1.0, 60 / 140, 0.0]])
    expected_f = boundary_f(labels(SHIFTED), labels(ONE))
    np.testing.assert_array_equal(score.boundary, [[1.0, expected_f, 0.0]])
    assert score.j.mean == pytest.approx((1 + 60 / 140) / 3)
    assert score.j.recall == pytest.approx(1 / 3)
    assert score.j.decay == pytest.approx((1 + 60 / 140) / 2)  # three frames: the first quarter is two, the last one
    assert score.j_and_f == pytest.approx((score.region.mean() + score.boundary.mean()) / 2)
    assert score.object_region(1) == score.j
    assert score.object_boundary(1) == score.f


def test_all_frames_counts_the_ends() -> None:
    score = evaluate_sequence([labels(ONE), labels()], [labels(ONE)] * 2, ALL_FRAMES)
    assert score.frames.tolist() == [0, 1]
    np.testing.assert_array_equal(score.region, [[1.0, 0.0]])


def test_every_object_is_scored_on_its_own() -> None:
    truths = [labels(ONE, TWO)] * 3
    predictions = [labels(ONE, TWO), labels((2, 4, 4, 14, 14), TWO), labels(ONE, TWO)]
    score = evaluate_sequence(predictions, truths)
    assert score.object_ids == (1, 2)
    np.testing.assert_array_equal(score.region, [[0.0], [0.5]])
    for row, label in enumerate(score.object_ids):
        guess, truth = predictions[1] == label, truths[1] == label
        assert score.region[row, 0] == region_similarity(guess, truth)
        assert score.boundary[row, 0] == boundary_f(guess, truth)


def test_an_absent_object_scores_one_where_it_is_not_predicted_and_zero_where_it_is() -> None:
    truths = [labels(ONE), labels(), labels(), labels(ONE)]
    predictions = [labels(ONE), labels(), labels(ONE), labels(ONE)]
    score = evaluate_sequence(predictions, truths)
    np.testing.assert_array_equal(score.region, [[1.0, 0.0]])
    np.testing.assert_array_equal(score.boundary, [[1.0, 0.0]])


def test_late_objects_count_only_where_the_protocol_says_so() -> None:
    truths = [labels(ONE), labels(ONE), labels(ONE, TWO), labels(ONE, TWO)]
    predictions = [labels(ONE), labels(ONE, TWO), labels(ONE, TWO), labels(ONE)]
    assert evaluate_sequence(predictions, truths, DAVIS).object_ids == (1,)
    score = evaluate_sequence(predictions, truths, ALL_FRAMES)
    assert score.object_ids == (1, 2)
    np.testing.assert_array_equal(score.region, [[1, 1, 1, 1], [1, 0, 1, 0]])
    np.testing.assert_array_equal(score.boundary, [[1, 1, 1, 1], [1, 0, 1, 0]])


def test_void_is_background_in_davis_and_nothing_in_all_frames() -> None:
    truths = [labels(ONE, (255, 4, 14, 14, 24))] * 3
    predictions = [labels((1, 4, 4, 14, 24))] * 3
    assert evaluate_sequence(predictions, truths, DAVIS).region.tolist() == [[0.5]]
    score = evaluate_sequence(predictions, truths, ALL_FRAMES)
    assert score.region.tolist() == [[1.0] * 3]
    assert score.boundary.tolist() == [[1.0] * 3]


def test_boolean_and_wide_label_maps_are_read() -> None:
    truths = [labels(ONE) > 0] * 3
    assert evaluate_sequence(truths, truths).object_ids == (1,)
    wide = [labels(ONE).astype(np.int32) * 700] * 3
    assert evaluate_sequence(wide, wide).object_ids == (700,)


@pytest.mark.parametrize(
    ("predictions", "truths", "message"),
    [
        ([labels(ONE)] * 2, [labels(ONE)] * 3, "predictions end after 2"),
        ([labels(ONE)] * 4, [labels(ONE)] * 3, "truth ends after 3"),
        ([labels(ONE)[1:]] * 3, [labels(ONE)] * 3, r"\(31, 48\) \(prediction\)"),
        ([np.stack([labels(ONE)] * 3)] * 3, [labels(ONE)] * 3, r"shape \(3, 32, 48\)"),
    ],
)
def test_frames_that_do_not_go_together_are_refused(
    predictions: list[np.ndarray], truths: list[np.ndarray], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        evaluate_sequence(predictions, truths)


@pytest.mark.parametrize(
    ("predictions", "truths", "message"),
    [
        (
            [labels(ONE)] * 2,
            [labels(ONE)] * 2,
            "all frames but the first and the last; .* 2 frames none is left",
        ),
        ([], [], "no object to score"),
        ([labels()] * 3, [labels()] * 3, "no object to score"),
        ([labels()] * 3, [labels((255, 4, 4, 9, 9))] * 3, r"other than 0 and 255 \(void\)"),
        ([labels(ONE), labels(TWO), labels(ONE)], [labels(ONE)] * 3, "frame 1 predicts label 2"),
        ([labels(ONE).astype(np.float32)] * 3, [labels(ONE)] * 3, "prediction of frame 0 is float32"),
    ],
)
def test_what_cannot_be_scored_is_an_error_and_never_nan(
    predictions: list[np.ndarray], truths: list[np.ndarray], message: str
) -> None:
    with pytest.raises(MaskscopeError, match=message):
        evaluate_sequence(predictions, truths)


def test_unknown_protocol_names_the_known_ones() -> None:
    with pytest.raises(MaskscopeError, match="davis, mose, sav, lvos, ytvos, all-frames"):
        evaluate_sequence([], [], "davis17")


def test_recall_is_strictly_above_one_half() -> None:
    assert Statistics.of([0.5, 0.5000001, 1.0, 0.0]).recall == 0.5


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 78, 256, 257, 300, 1000])
def test_decay_compares_the_first_quarter_with_the_last(count: int) -> None:
    # A straight line falls by the distance of the two quarters' middles; frame numbers beyond 255 must not wrap.
    line = np.linspace(1, 0, count)
    borders = [math_round(1 + quarter * (count - 1) / 4) - 1 for quarter in range(5)]
    middles = (borders[0] + borders[1]) / 2, (borders[3] + borders[4]) / 2
    step = 1 / max(count - 1, 1)
    assert Statistics.of(line).decay == pytest.approx((middles[1] - middles[0]) * step, abs=1e-12)


def math_round(value: float) -> int:
    """Halves up."""
    return int(value + 0.5)


@pytest.mark.parametrize("values", [[], [0.5, np.nan], [[0.5]]])
def test_statistics_of_nothing_or_nan_are_refused(values: list[float]) -> None:
    with pytest.raises(MaskscopeError, match="finite score"):
        Statistics.of(values)


def test_a_dataset_counts_every_object_once() -> None:
    perfect = evaluate_sequence([labels(ONE, TWO)] * 9, [labels(ONE, TWO)] * 9)
    lost = evaluate_sequence([labels()] * 4, [labels(ONE)] * 4)
    total = summarise([perfect, lost])
    assert total.num_objects == 3
    assert total.j.mean == pytest.approx(2 / 3)
    assert total.f.recall == pytest.approx(2 / 3)
    assert total.j_and_f == pytest.approx(2 / 3)
    with pytest.raises(MaskscopeError, match="one protocol"):
        summarise([perfect, evaluate_sequence([labels(ONE)], [labels(ONE)], ALL_FRAMES)])
    with pytest.raises(MaskscopeError, match="none"):
        summarise([])
