from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from dataset_folders import pair, save_mask, square, video
from PIL import Image

from maskscope.data.video_with_mask import VideosWithMasks, VideoWithMask
from maskscope.errors import DatasetError


def test_a_video_and_one_mask(tmp_path: Path) -> None:
    sequence = VideosWithMasks(video(tmp_path))["clip"]
    assert sequence.num_frames == len(sequence) == 5
    assert sequence.size == (12, 20)
    assert sequence.fps == 24.0
    assert sequence.annotated_frames == (0,)
    assert sequence.first_frames == {1: 0, 2: 0}
    assert sequence.prompts_only
    np.testing.assert_array_equal(sequence.masks(0), pair(0))
    assert sequence.masks(1) is None
    np.testing.assert_array_equal(sequence.object_masks(0)[1], square(0))
    assert sequence.object_masks(4) == {}
    assert abs(int(sequence.frame(4)[6, 6, 1]) - 80) <= 2
    assert pickle.loads(pickle.dumps(sequence)) == sequence


def test_a_folder_of_images_and_a_black_and_white_mask(tmp_path: Path) -> None:
    sequence = VideosWithMasks(video(tmp_path))["stills"]
    assert sequence.num_frames == 3
    assert sequence.object_ids == (1,)


def test_the_mask_may_belong_to_a_later_frame(tmp_path: Path) -> None:
    video(tmp_path)
    sequence = VideoWithMask("clip", tmp_path / "clip.mp4", tmp_path / "clip.png", mask_frame=3)
    assert sequence.first_frames == {1: 3, 2: 3}
    assert sequence.masks(0) is None
    assert sequence.masks(3) is not None
    with pytest.raises(DatasetError, match=r"belongs to frame 5, clip\.mp4 has 5 frames"):
        VideoWithMask("clip", tmp_path / "clip.mp4", tmp_path / "clip.png", mask_frame=5).masks(5)


def test_masks_that_do_not_fit(tmp_path: Path) -> None:
    video(tmp_path)
    sequences = VideosWithMasks(tmp_path)
    save_mask(tmp_path / "clip.png", np.zeros((6, 10)))
    with pytest.raises(DatasetError, match=r"clip\.png is 10x6, clip\.mp4 is 20x12; bring the mask"):
        sequences["clip"].masks(0)
    save_mask(tmp_path / "clip.png", np.zeros((12, 20)))
    with pytest.raises(DatasetError, match="holds no object"):
        _ = sequences["clip"].object_ids
    Image.fromarray(square(0).astype(np.uint16) * 300).save(tmp_path / "clip.png")
    with pytest.raises(DatasetError, match="holds object 300, expected 1 to 254"):
        sequences["clip"].masks(0)
    (tmp_path / "clip.png").write_bytes(b"no png")
    with pytest.raises(DatasetError, match=r"cannot read mask .*clip\.png"):
        sequences["clip"].masks(0)


def test_videos_without_masks(tmp_path: Path) -> None:
    (video(tmp_path) / "clip.png").unlink()
    dataset = VideosWithMasks(tmp_path)
    assert dataset.sequences == ["stills"]
    assert [(problem.sequence, str(problem.kind)) for problem in dataset.check_layout()] == [("clip", "no masks")]
    with pytest.raises(DatasetError, match="holds no video with a mask of its name beside it"):
        VideosWithMasks(tmp_path / "stills")
