from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from dataset_folders import sav, save_mask, square

from maskscope.data.sav import SavDataset
from maskscope.errors import DatasetError

VIDEO = "sav_000262"


def test_every_fourth_frame_has_masks_that_overlap(tmp_path: Path) -> None:
    sequence = SavDataset(sav(tmp_path))[VIDEO]
    assert sequence.num_frames == len(sequence) == 9
    assert sequence.size == (12, 20)
    assert sequence.fps == 24.0
    assert sequence.annotated_frames == (0, 4, 8)
    assert sequence.object_ids == (1, 2)
    assert sequence.object_folders == {1: "000", 2: "001"}
    assert sequence.first_frames == {1: 0, 2: 4}  # its mask on frame 0 is empty
    assert sequence.masks(3) is None
    assert sequence.object_masks(3) == {}
    both = sequence.object_masks(4)
    np.testing.assert_array_equal(both[1], square(1, side=6))
    np.testing.assert_array_equal(both[2], square(1, side=2))
    assert not sequence.object_masks(0)[2].any()


def test_in_a_label_map_the_smaller_object_is_on_top(tmp_path: Path) -> None:
    merged = SavDataset(sav(tmp_path))[VIDEO].masks(4)
    assert merged is not None
    assert merged.dtype == np.uint8
    assert merged[2, 1] == merged[3, 2] == 2  # the hand
    assert merged[2, 3] == merged[7, 6] == 1  # the person around it
    assert merged[1, 1] == merged[8, 6] == 0


def test_an_object_without_a_mask_on_a_frame_is_left_out(tmp_path: Path) -> None:
    (sav(tmp_path) / "Annotations_6fps" / VIDEO / "001/00008.png").unlink()
    sequence = SavDataset(tmp_path)[VIDEO]
    assert list(sequence.object_masks(8)) == [1]


def test_an_object_that_is_never_seen_is_left_out_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_mask(sav(tmp_path) / "Annotations_6fps" / VIDEO / "002/00000.png", square(0) * 0)
    with caplog.at_level(logging.WARNING, logger="maskscope"):
        assert SavDataset(tmp_path)[VIDEO].object_ids == (1, 2)
    assert "object 002 has no mask that shows it" in caplog.text


def test_the_list_of_videos_counts(tmp_path: Path) -> None:
    (sav(tmp_path) / "sav_val.txt").write_text("sav_000001\nsav_000262\n", encoding="utf-8")
    dataset = SavDataset(tmp_path)
    assert dataset.sequences == ["sav_000001", "sav_000262"]
    with pytest.raises(DatasetError, match="sav_000001 holds no image"):
        dataset["sav_000001"]
    assert [str(problem.kind) for problem in dataset.check_layout()] == ["missing sequence"]


def test_damage(tmp_path: Path) -> None:
    masks = sav(tmp_path) / "Annotations_6fps" / VIDEO
    save_mask(masks / "001/00004.png", np.zeros((6, 10)))
    with pytest.raises(DatasetError, match=r"00004\.png is 10x6, the first frame of sav_000262 is 20x12"):
        SavDataset(tmp_path)[VIDEO].masks(4)
    save_mask(masks / "001/00040.png", square(0))
    with pytest.raises(DatasetError, match="object 001 of sav_000262 has masks of frames that are not there: 00040"):
        SavDataset(tmp_path)[VIDEO]
    (masks / "person").mkdir()
    with pytest.raises(DatasetError, match="folders of objects that are not numbers: person"):
        SavDataset(tmp_path)[VIDEO]
    with pytest.raises(DatasetError, match="has no folders JPEGImages_24fps and Annotations_6fps"):
        SavDataset(tmp_path / "nowhere")
