from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dataset_folders import labels, mose, mose_valid, numbers, pair, save_frames, save_masks, square

from maskscope.data.mose import MoseDataset
from maskscope.errors import DatasetError


def test_objects_leave_and_return(tmp_path: Path) -> None:
    sequence = MoseDataset(mose(tmp_path))["002b4dce"]
    assert sequence.num_frames == len(sequence.annotated_frames) == 7
    assert sequence.first_frames == {1: 0, 2: 0}
    assert sequence.fps is None
    assert not sequence.object_masks(2)[2].any()
    assert sequence.object_masks(4)[2].sum() == 9
    assert not sequence.prompts_only


def test_late_objects_are_found_in_the_masks(tmp_path: Path) -> None:
    save_frames(tmp_path / "JPEGImages/clip", numbers(3))
    save_masks(tmp_path / "Annotations/clip", {"00000": labels(_1=square(0)), "00001": pair(1), "00002": pair(2)})
    assert MoseDataset(tmp_path)["clip"].first_frames == {1: 0, 2: 1}


def test_the_validation_split_has_first_masks(tmp_path: Path) -> None:
    sequence = MoseDataset(mose_valid(tmp_path))["0a1b2c3d"]
    assert sequence.annotated_frames == (0,)
    assert sequence.object_ids == (1, 2)
    assert sequence.prompts_only
    np.testing.assert_array_equal(sequence.masks(0), pair(0))
    assert sequence.masks(3) is None


def test_a_gap_in_the_training_split_is_damage(tmp_path: Path) -> None:
    (mose(tmp_path) / "Annotations/002b4dce/00003.png").unlink()
    with pytest.raises(DatasetError, match=r"7 frames and 6 masks, expected one each \(without a mask: 00003\)"):
        MoseDataset(tmp_path)["002b4dce"]


def test_masks_without_an_object(tmp_path: Path) -> None:
    save_masks(mose_valid(tmp_path) / "Annotations/0a1b2c3d", {"00000": labels()})
    with pytest.raises(DatasetError, match="no mask that shows an object"):
        _ = MoseDataset(tmp_path)["0a1b2c3d"].object_ids
