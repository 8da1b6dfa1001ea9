from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from dataset_folders import encoded, sav_train, save_masklets, square

from maskscope.data.sav_train import SavTrainDataset
from maskscope.errors import DatasetError

VIDEO = "sav_000001"


def test_masks_of_every_fourth_frame_come_from_the_json(tmp_path: Path) -> None:
    sequence = SavTrainDataset(sav_train(tmp_path))[VIDEO]
    assert sequence.num_frames == len(sequence) == 9
    assert sequence.size == (12, 20)
    assert sequence.fps == 24.0
    assert sequence.annotated_frames == (0, 4, 8)
    assert sequence.first_frames == {1: 0, 2: 4}
    np.testing.assert_array_equal(sequence.object_masks(8)[2], square(2, side=2))
    merged = sequence.masks(8)
    assert merged is not None
    assert (merged[2, 2], merged[7, 7], merged[0, 0]) == (2, 1, 0)
    assert sequence.masks(1) is None
    assert abs(int(sequence.frame(8)[6, 6, 1]) - 120) <= 2
    assert abs(int(sequence.frame(2)[6, 6, 1]) - 60) <= 2


def test_it_travels_to_other_processes_without_its_open_video(tmp_path: Path) -> None:
    sequence = SavTrainDataset(sav_train(tmp_path))[VIDEO]
    sequence.frame(3)
    again = pickle.loads(pickle.dumps(sequence))
    assert again == sequence
    np.testing.assert_array_equal(again.frame(3), sequence.frame(3))


def test_automatic_masks_are_asked_for(tmp_path: Path) -> None:
    sav_train(tmp_path)
    with pytest.raises(DatasetError, match=r"expected sav_000001\.mp4 with sav_000001_auto\.json"):
        SavTrainDataset(tmp_path, annotations="auto")
    save_masklets(tmp_path / f"sav_000/{VIDEO}_auto.json", [[encoded(square(i))] for i in range(3)])
    assert SavTrainDataset(tmp_path, annotations="auto")[VIDEO].object_ids == (1,)
    assert SavTrainDataset(tmp_path)[VIDEO].object_ids == (1, 2)


def test_what_nobody_drew_is_not_known(tmp_path: Path) -> None:
    path = sav_train(tmp_path) / f"sav_000/{VIDEO}_manual.json"
    save_masklets(path, [[encoded(square(0)), None], [encoded(square(1)), encoded(square(2))], [None, None]])
    sequence = SavTrainDataset(tmp_path)[VIDEO]
    assert list(sequence.object_masks(0)) == [1]
    assert sequence.masks(8) is None
    assert sequence.first_frames == {1: 0, 2: 4}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a file of masklets"),
        ("[]", "is not a file of masklets"),
        ('{"masklet": []}', "has no masks a frame"),
        ('{"masklet": [[null], [null, null]]}', r"has \[1, 2\] masks a frame"),
        ('{"masklet": [[{"size": [6, 10], "counts": "l1"}]]}', "holds a mask of 10x6, the video is 20x12"),
        ('{"masklet": [[{"size": [12, 20]}]]}', "holds a mask that is no RLE"),
        ('{"masklet": [[null], [null], [null], [null]]}', r"masks up to frame 12, sav_000001\.mp4 has 9 frames"),
        ('{"masklet": [[null], [null]]}', "no mask that shows an object"),
    ],
)
def test_damaged_masks(text: str, message: str, tmp_path: Path) -> None:
    (sav_train(tmp_path) / f"sav_000/{VIDEO}_manual.json").write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=message):
        _ = SavTrainDataset(tmp_path)[VIDEO].object_ids


def test_masks_without_a_video(tmp_path: Path) -> None:
    (sav_train(tmp_path) / f"sav_000/{VIDEO}.mp4").unlink()
    with pytest.raises(DatasetError, match=r"has no video beside it, expected sav_000001\.mp4"):
        SavTrainDataset(tmp_path)[VIDEO]
