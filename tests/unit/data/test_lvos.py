from __future__ import annotations

from pathlib import Path

import pytest
from dataset_folders import lvos, numbers

from maskscope.data.lvos import LvosDataset
from maskscope.errors import DatasetError

VIDEO = "0tCWPOrc"


def test_numbers_of_files_are_not_numbers_of_frames(tmp_path: Path) -> None:
    sequence = LvosDataset(lvos(tmp_path))[VIDEO]
    assert sequence.num_frames == 6
    assert sequence.fps == 6.0
    assert sequence.first_frames == {1: 0, 2: 2}  # files 00000001 and 00000011
    assert sequence.annotated_frames == (0, 1, 2, 3, 4, 5)
    assert not sequence.object_masks(1)[2].any()
    assert sequence.object_masks(2)[2].any()


def test_only_first_masks_as_in_the_test_split(tmp_path: Path) -> None:
    lvos(tmp_path)
    for stem in numbers(6, step=5, start=1, digits=8):
        if stem not in ("00000001", "00000011"):
            (tmp_path / "Annotations" / VIDEO / f"{stem}.png").unlink()
    dataset = LvosDataset(tmp_path)
    assert dataset[VIDEO].annotated_frames == (0, 2)
    assert dataset[VIDEO].prompts_only
    assert dataset.check(VIDEO) == []


def test_metadata_is_needed_and_understood(tmp_path: Path) -> None:
    lvos(tmp_path)
    meta = tmp_path / "val_meta.json"
    text = meta.read_text(encoding="utf-8")
    meta.write_text(text.replace('"start": "11"', '"start": "12"'), encoding="utf-8")
    with pytest.raises(DatasetError, match="lets object 2 of 0tCWPOrc begin on frame 12, which is not there"):
        LvosDataset(tmp_path)[VIDEO]
    meta.write_text(text.replace('"start": "11"', '"start": "soon"'), encoding="utf-8")
    with pytest.raises(DatasetError, match="lists an object of 0tCWPOrc without its frames"):
        LvosDataset(tmp_path)
    meta.unlink()
    with pytest.raises(DatasetError, match=r"has no meta\.json or <split>_meta\.json"):
        LvosDataset(tmp_path)
