from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from dataset_folders import MAKERS, davis, davis_test, mose_valid, pair, sav, youtube_valid

from maskscope.data.dataset import AnnotatedFrames, AnnotatedSequence
from maskscope.data.davis import DavisDataset, DavisTestDataset
from maskscope.data.layouts import open_dataset
from maskscope.errors import DatasetError
from maskscope.transforms.base import LabelledSequence


@pytest.mark.parametrize("kind", MAKERS)
def test_what_sequences_say_of_themselves_agrees(kind: str, tmp_path: Path) -> None:
    for sequence in open_dataset(MAKERS[kind][1](tmp_path)):
        assert len(sequence.frame(0).shape) == 3
        assert sequence.frame(sequence.num_frames - 1).shape == (*sequence.size, 3)
        assert tuple(sequence.first_frames) == sequence.object_ids == tuple(sorted(sequence.object_ids))
        assert set(sequence.first_frames.values()) <= set(sequence.annotated_frames)
        for index in range(sequence.num_frames):
            labels, objects = sequence.masks(index), sequence.object_masks(index)
            assert (labels is not None) == (index in sequence.annotated_frames) == bool(objects)
            if labels is not None:
                assert labels.shape == sequence.size
                assert labels.dtype == np.uint8
                np.testing.assert_array_equal(np.logical_or.reduce(list(objects.values())), labels > 0)
        for object_id, first in sequence.first_frames.items():
            assert sequence.object_masks(first)[object_id].any()


@pytest.mark.parametrize("kind", MAKERS)
def test_sequences_travel_to_other_processes(kind: str, tmp_path: Path) -> None:
    sequence = next(iter(open_dataset(MAKERS[kind][1](tmp_path))))
    assert sequence.object_ids == pickle.loads(pickle.dumps(sequence)).object_ids


def test_davis_sequences_keep_their_rules(tmp_path: Path) -> None:
    sequence = DavisDataset(davis(tmp_path))["pair"]
    assert isinstance(sequence, AnnotatedSequence)
    assert isinstance(sequence, LabelledSequence)
    assert sequence.first_frames == {1: 0, 2: 0}
    assert sequence.annotated_frames == (0, 1, 2, 3)
    assert sequence.fps == 24.0
    assert not sequence.prompts_only


def test_davis_test_dev_has_first_masks_only(tmp_path: Path) -> None:
    sequence = DavisTestDataset(davis_test(tmp_path))["one"]
    assert sequence.num_frames == 4
    assert sequence.annotated_frames == (0,)
    assert sequence.object_ids == (1, 2)
    np.testing.assert_array_equal(sequence.masks(0), pair(0))
    assert sequence.masks(1) is None
    assert sequence.prompts_only
    assert DavisTestDataset(tmp_path, single_object=True)["one"].object_ids == (1,)
    with pytest.raises(DatasetError, match="4 frames and 1 masks, expected one each"):
        DavisDataset(tmp_path)["one"]
    (tmp_path / "Annotations/480p/one/00000.png").unlink()
    with pytest.raises(DatasetError, match="the first mask of one is missing"):
        DavisTestDataset(tmp_path)["one"]


def test_annotated_frames_are_a_clip_of_their_own(tmp_path: Path) -> None:
    whole = open_dataset(sav(tmp_path))["sav_000262"]
    clip = AnnotatedFrames(whole)
    assert isinstance(clip, LabelledSequence)
    assert isinstance(clip, AnnotatedSequence)
    assert (clip.name, clip.num_frames, clip.size, clip.fps) == ("sav_000262", 3, (12, 20), 6.0)
    assert clip.source_frames == (0, 4, 8)
    assert list(clip.annotated_frames) == [0, 1, 2]
    assert clip.first_frames == {1: 0, 2: 1}
    np.testing.assert_array_equal(clip.frame(1), whole.frame(4))
    np.testing.assert_array_equal(clip.masks(2), whole.masks(8))


@pytest.mark.parametrize(("make", "count"), [(youtube_valid, "2 of its 5"), (mose_valid, "1 of its 4")])
def test_prompts_are_no_truth(make: object, count: str, tmp_path: Path) -> None:
    assert callable(make)
    with pytest.raises(DatasetError, match=f"has masks on {count} frames, only where objects are given"):
        AnnotatedFrames(next(iter(open_dataset(make(tmp_path)))))
