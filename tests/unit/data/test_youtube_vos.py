from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dataset_folders import (
    labels,
    numbers,
    pair,
    save_frames,
    save_masks,
    square,
    with_objects,
    youtube_train,
    youtube_valid,
)

from maskscope.data.youtube_vos import YoutubeVosDataset
from maskscope.errors import DatasetError

VIDEO = "3245e049fb"


def test_late_objects_of_the_training_split(tmp_path: Path) -> None:
    sequence = YoutubeVosDataset(youtube_train(tmp_path))[VIDEO]
    assert sequence.num_frames == 5
    assert sequence.size == (12, 20)
    assert sequence.fps == 6.0
    assert sequence.object_ids == (1, 2)
    assert sequence.first_frames == {1: 0, 2: 2}
    assert sequence.annotated_frames == (0, 1, 2, 3, 4)
    assert not sequence.prompts_only
    np.testing.assert_array_equal(sequence.masks(3), pair(3))
    assert abs(int(sequence.frame(3)[0, 0, 0]) - 70) <= 2
    early = sequence.object_masks(1)
    np.testing.assert_array_equal(early[1], square(1))
    assert not early[2].any()  # the mask says that it is not there yet


def test_validation_masks_only_show_what_comes(tmp_path: Path) -> None:
    sequence = YoutubeVosDataset(youtube_valid(tmp_path))[VIDEO]
    assert sequence.annotated_frames == (0, 2)
    assert sequence.first_frames == {1: 0, 2: 2}
    assert sequence.prompts_only
    assert sequence.masks(1) is None
    assert sequence.object_masks(1) == {}
    assert list(sequence.object_masks(2)) == [2]  # nothing is said of object 1


def test_without_metadata_masks_say_it(tmp_path: Path) -> None:
    youtube_valid(tmp_path)
    (tmp_path / "meta.json").unlink()
    dataset = YoutubeVosDataset(tmp_path)
    assert dataset[VIDEO].first_frames == {1: 0, 2: 2}
    assert dataset[VIDEO].prompts_only
    assert [str(problem.kind) for problem in dataset.check_layout() if problem.harmless] == ["metadata"]


def test_all_frames_come_from_another_folder(tmp_path: Path) -> None:
    youtube_valid(tmp_path / "valid")
    save_frames(tmp_path / "all" / VIDEO, numbers(21))
    sequence = YoutubeVosDataset(tmp_path / "valid", frames=tmp_path / "all")[VIDEO]
    assert sequence.num_frames == 21
    assert sequence.fps == 30.0
    assert sequence.annotated_frames == (0, 10)
    assert sequence.first_frames == {1: 0, 2: 10}


def test_metadata_of_another_split(tmp_path: Path) -> None:
    youtube_train(tmp_path)
    with_objects(tmp_path / "meta.json", {VIDEO: {1: ["00003"]}, "elsewhere": {1: ["00000"]}})
    dataset = YoutubeVosDataset(tmp_path)
    with pytest.raises(DatasetError, match=r"meta\.json lists object 1 of 3245e049fb on frames .* not there: 00003"):
        dataset[VIDEO]
    with pytest.raises(DatasetError, match="elsewhere holds no image"):
        dataset["elsewhere"]


def test_masks_of_no_frame(tmp_path: Path) -> None:
    youtube_train(tmp_path)
    save_masks(tmp_path / "Annotations" / VIDEO, {"00004": labels(_1=square(0))})
    with pytest.raises(DatasetError, match="masks of frames that are not there: 00004"):
        YoutubeVosDataset(tmp_path)[VIDEO]


def test_objects_without_frames(tmp_path: Path) -> None:
    (youtube_train(tmp_path) / "meta.json").write_text('{"videos": {"a": {"objects": {"1": {}}}}}', encoding="utf-8")
    with pytest.raises(DatasetError, match="lists an object without its frames"):
        YoutubeVosDataset(tmp_path)
