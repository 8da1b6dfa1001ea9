"""Each benchmark's frames, objects and answer to what is missing, on sequences small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest

from maskscope.errors import MaskscopeError, ShapeError
from maskscope.evaluate.protocol import evaluate_sequence, summarise
from maskscope.evaluate.rules import PROTOCOLS

SIZE = (24, 32)
A, B, C = (1, 2, 2, 8, 8), (2, 2, 14, 8, 20), (3, 14, 2, 20, 8)


def labels(*boxes: tuple[int, int, int, int, int]) -> np.ndarray:
    label_map = np.zeros(SIZE, dtype=np.uint8)
    for label, top, left, bottom, right in boxes:
        label_map[top:bottom, left:right] = label
    return label_map


def masks(*boxes: tuple[int, int, int, int, int], absent: tuple[int, ...] = ()) -> dict[int, np.ndarray]:
    """Masks by object, those of `absent` empty."""
    found = {box[0]: labels(box) > 0 for box in boxes}
    return found | {number: labels() > 0 for number in absent}


def test_names_are_keys_and_every_protocol_says_what_it_counts() -> None:
    assert list(PROTOCOLS) == ["davis", "mose", "sav", "lvos", "ytvos", "all-frames"]
    for name, protocol in PROTOCOLS.items():
        assert protocol.name == name
        assert len(protocol.about) > 40


class TestMose:
    def test_first_frame_s_objects_without_the_ends_and_smoothed_j(self) -> None:
        truths = [labels(A), labels(A), labels(), labels(A, B), labels(A)]
        predictions = [labels(), labels(A), labels(A), labels(C), labels()]
        score = evaluate_sequence(predictions, truths, "mose")
        assert score.object_ids == (1,)
        assert score.frames.tolist() == [1, 2, 3]
        np.testing.assert_allclose(score.region, [[1.0, 1 / 37, 1 / 37]])  # 36 pixels on one side, none shared
        assert score.objects[0].iou.tolist() == [1.0, 0.0, 0.0]
        assert score.notes == (
            "object 2 is not among those that mose scores, and left out",
            "predicted object 3 is not in the truth, and ignored",
        )

    def test_metadata_says_which_objects(self) -> None:
        truths = [labels(A), labels(A, B), labels(A, B)]
        score = evaluate_sequence(truths, truths, "mose", objects={1: None, 2: None})
        assert score.object_ids == (1, 2)

    def test_a_frame_that_was_not_predicted_is_an_error(self) -> None:
        truths = [labels(A)] * 4
        with pytest.raises(MaskscopeError, match="protocol mose wants every frame that counts predicted, 1 of 4"):
            evaluate_sequence([None, labels(A), None, None], truths, "mose")
        assert evaluate_sequence([None, labels(A), labels(A), None], truths, "mose").j.mean == 1.0


class TestSav:
    def test_each_object_drops_the_ends_of_its_own_annotated_frames(self) -> None:
        truths = [masks(A), masks(A, B), masks(A, B), masks(A, B), masks(B)]
        predictions = [masks(A, B)] * 5
        score = evaluate_sequence(predictions, truths, "sav")
        assert [each.frames.tolist() for each in score.objects] == [[1, 2], [2, 3]]
        assert score.frames.tolist() == [1, 2, 3]
        np.testing.assert_array_equal(score.region, [[1, 1, np.nan], [np.nan, 1, 1]])
        assert score.j_and_f == 1.0

    def test_overlaps_are_kept(self) -> None:
        inner = (2, 3, 3, 6, 6)
        truths = [masks(A, inner)] * 4
        assert evaluate_sequence(truths, truths, "sav").j.mean == 1.0

    def test_scores_begin_where_truth_or_prediction_first_shows_the_object(self) -> None:
        gone = masks(absent=(1,))
        truths = [masks(A), gone, gone, masks(A), gone, masks(A)]
        late = evaluate_sequence([gone, gone, gone, masks(A), gone, gone], truths, "sav")
        assert late.objects[0].frames.tolist() == [3, 4]  # no free ones for being absent on frames 1 and 2
        early = evaluate_sequence([gone, gone, masks(A), masks(A), gone, gone], truths, "sav")
        assert early.objects[0].frames.tolist() == [2, 3, 4]
        np.testing.assert_array_equal(early.objects[0].region, [0, 1, 1])

    def test_an_object_that_no_counted_frame_shows_is_left_out_and_said(self) -> None:
        truths = [masks(A, B), masks(A, absent=(2,)), masks(A, absent=(2,)), masks(A, B)]
        score = evaluate_sequence(truths, truths, "sav")
        assert score.object_ids == (1,)
        assert score.notes == ("object 2 is on no frame that counts, and left out",)

    def test_an_object_s_missing_prediction_is_an_error_and_an_unknown_one_is_ignored(self) -> None:
        truths = [masks(A, B)] * 4
        with pytest.raises(MaskscopeError, match=r"1 of 4 are not \(the first: frame 2, object 2\)"):
            evaluate_sequence([masks(A, B), masks(A, B), masks(A), masks(A, B)], truths, "sav")
        score = evaluate_sequence([masks(A, B, C)] * 4, truths, "sav")
        assert score.notes == ("predicted object 3 is not in the truth, and ignored",)


class TestLvos:
    NUMBERS = range(1, 52, 5)  # eleven frames: 1, 6, ... 51

    def test_every_fifth_from_the_object_s_own_start_without_the_ends(self) -> None:
        truths = [labels(A)] * 4 + [labels(A, B)] * 7
        score = evaluate_sequence(truths, truths, "lvos", frame_numbers=self.NUMBERS)
        assert [each.frames.tolist() for each in score.objects] == [list(range(1, 10)), list(range(5, 10))]
        dense = evaluate_sequence([labels(A)] * 23, [labels()] * 2 + [labels(A)] * 21, "lvos")
        assert dense.objects[0].frames.tolist() == [7, 12, 17]  # of 2, 7, 12, 17, 22

    def test_metadata_gives_the_range(self) -> None:
        truths = [labels(A, B)] * 11
        objects = {1: range(1, 51, 5), 2: range(16, 41, 5)}  # 1 to 46; 16 to 36
        score = evaluate_sequence(truths, truths, "lvos", frame_numbers=self.NUMBERS, objects=objects)
        assert [each.frames.tolist() for each in score.objects] == [list(range(1, 9)), [4, 5, 6]]

    def test_variation_is_over_frames(self) -> None:
        truths = [labels(A)] * 4
        score = evaluate_sequence(
            [labels(A), labels(A), labels(), labels(A)], truths, "lvos", frame_numbers=range(0, 20, 5)
        )
        assert score.objects[0].variation == 0.5

    def test_numbers_of_frames_are_as_many_as_frames(self) -> None:
        with pytest.raises(ShapeError, match="3 frame numbers for 2 true masks"):
            evaluate_sequence([labels(A)] * 2, [labels(A)] * 2, "lvos", frame_numbers=[1, 6, 11])


def test_ytvos_counts_each_object_after_the_frame_that_gives_it() -> None:
    truths = [labels(A), labels(A), labels(A, B), labels(A, B), labels(A)]
    score = evaluate_sequence([labels(A)] * 5, truths, "ytvos")
    assert [each.frames.tolist() for each in score.objects] == [[1, 2, 3, 4], [3, 4]]
    assert score.objects[1].region.tolist() == [0.0, 1.0]
    assert "own reading" in PROTOCOLS["ytvos"].about


class TestAllFrames:
    def test_missing_frames_count_as_empty(self) -> None:
        score = evaluate_sequence([labels(A), None, labels(A)], [labels(A), labels(A), labels()], "all-frames")
        assert score.region.tolist() == [[1, 0, 0]]
        assert score.notes == ("1 of 3 frames not predicted, counted as empty",)

    def test_a_missing_sequence_is_empty_throughout(self) -> None:
        score = evaluate_sequence(None, iter([labels(A), labels()]), "all-frames")
        assert score.region.tolist() == [[0, 1]]
        assert not score.objects[0].predicted

    def test_others_refuse_a_missing_sequence(self) -> None:
        for name in ("davis", "sav", "lvos", "ytvos"):
            with pytest.raises(MaskscopeError, match=f"protocol {name} wants every sequence predicted, dog is not"):
                evaluate_sequence(None, [labels(A)] * 3, name, name="dog")


class TestSeenAndUnseen:
    def test_the_mean_is_over_both_kinds_and_not_over_objects(self) -> None:
        good, bad = [labels(A)] * 4, [labels()] * 4
        scores = [
            evaluate_sequence(good, good, "ytvos", name="known"),
            evaluate_sequence(good, good, "ytvos", name="known too"),
            evaluate_sequence(bad, good, "ytvos", name="new"),
        ]
        total = summarise(scores, is_unseen=lambda name, _: name == "new")
        assert total.j_and_f == 0.5
        assert [(group.name, group.num_objects, group.j.mean) for group in total.groups] == [
            ("seen", 2, 1.0), ("unseen", 1, 0.0)
        ]  # fmt: skip
        assert total.notes == ()

    def test_without_knowing_it_is_the_plain_mean_and_says_so(self) -> None:
        good = [labels(A)] * 4
        scores = [evaluate_sequence(good, good, "lvos", frame_numbers=range(0, 20, 5))]
        assert "nothing says which are unseen" in summarise(scores).notes[0]
        assert "all of them are seen" in summarise(scores, is_unseen=lambda *_: False).notes[0]
        davis = evaluate_sequence(good, good, "davis")
        assert summarise([davis], is_unseen=lambda *_: True).notes == ()


def test_masks_by_object_are_checked() -> None:
    with pytest.raises(ShapeError, match="the true mask of frame 0 has none"):
        evaluate_sequence([{}], [{}], "sav")
    with pytest.raises(ShapeError, match="of one size"):
        evaluate_sequence([masks(A)], [{1: np.zeros((3, 4), bool), 2: np.zeros((3, 5), bool)}], "sav")
    with pytest.raises(MaskscopeError, match="object 1, is float64"):
        evaluate_sequence([masks(A)], [{1: np.zeros((3, 4))}], "sav")
