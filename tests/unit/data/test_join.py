"""Parts of a video become one, cut and timed as told, without decoding."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from maskscope.data.join import VideoPart, join_videos
from maskscope.data.overlay import OverlayWriter
from maskscope.errors import VideoError


def level(index: int) -> int:
    return 20 + 8 * index


def write_part(path: Path, indices: range, size: tuple[int, int] = (48, 64)) -> Path:
    """Plain frames whose grey tells their number."""
    with OverlayWriter(path, 10, *size) as writer:
        for index in indices:
            writer.write(np.full((*size, 3), level(index), np.uint8))
    return path


def shown(path: Path) -> list[tuple[int, float]]:
    """Number and time of each frame."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [(round((frame.to_ndarray(format="rgb24").mean() - 20) / 8), float(frame.time or 0)) for frame in frames]


def test_parts_follow_each_other_and_surplus_frames_are_cut(tmp_path: Path) -> None:
    parts = [
        VideoPart(write_part(tmp_path / "whole.mp4", range(12)), 7, 0.0),  # five frames were lost by a crash
        VideoPart(write_part(tmp_path / "b.mp4", range(7, 9)), 2, 0.7),
        VideoPart(write_part(tmp_path / "c.mp4", range(9, 14)), 5, 1.4),  # the video pauses before it
    ]
    join_videos(parts, tmp_path / "whole.mp4")
    numbers, times = zip(*shown(tmp_path / "whole.mp4"), strict=True)
    assert numbers == tuple(range(14))
    expected = [i / 10 for i in range(9)] + [1.4 + i / 10 for i in range(5)]
    assert times == pytest.approx(expected, abs=1e-4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.mp4", "c.mp4", "whole.mp4"]


def test_a_part_without_its_end_is_enough(tmp_path: Path) -> None:
    first = write_part(tmp_path / "a.mp4", range(10))
    with OverlayWriter(tmp_path / "killed.mp4", 10, 48, 64) as writer:
        for index in range(10, 15):
            writer.write(np.full((48, 64, 3), level(index), np.uint8))
        (tmp_path / "b.mp4").write_bytes((tmp_path / "killed.mp4").read_bytes())  # before it is closed
    join_videos([VideoPart(first, 10, 0.0), VideoPart(tmp_path / "b.mp4", 4, 1.0)], tmp_path / "whole.mp4")
    assert [number for number, _ in shown(tmp_path / "whole.mp4")] == list(range(14))


def test_parts_of_other_sizes_are_refused(tmp_path: Path) -> None:
    one = write_part(tmp_path / "a.mp4", range(3))
    other = write_part(tmp_path / "b.mp4", range(3), size=(64, 64))
    with pytest.raises(VideoError, match="encoded otherwise"):
        join_videos([VideoPart(one, 3, 0.0), VideoPart(other, 3, 0.3)], tmp_path / "whole.mp4")
    assert not (tmp_path / "whole.mp4").exists()


def test_a_part_that_is_too_short_is_refused(tmp_path: Path) -> None:
    one = write_part(tmp_path / "a.mp4", range(3))
    before = one.read_bytes()
    with pytest.raises(VideoError, match="holds 3 frames, expected 4"):
        join_videos([VideoPart(one, 4, 0.0)], one)
    assert one.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
