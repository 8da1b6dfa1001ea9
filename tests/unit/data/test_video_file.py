from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from video_clips import HEIGHT, WIDTH, level, make_clip, picture, shown

from maskscope.data.packet_index import PacketIndex
from maskscope.data.video import open_video
from maskscope.data.video_file import VideoFile
from maskscope.errors import VideoError


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4")


def test_every_frame_comes_once_in_order_with_its_time(clip: Path) -> None:
    video = open_video(clip)
    frames = list(video)
    assert (video.num_frames, video.height, video.width, video.fps) == (30, HEIGHT, WIDTH, 10.0)
    assert [frame.index for frame in frames] == [shown(frame.rgb) for frame in frames] == list(range(30))
    assert [frame.time_s for frame in frames] == pytest.approx([i / 10 for i in range(30)])
    assert frames[0].rgb.shape == (HEIGHT, WIDTH, 3)
    assert frames[0].rgb.dtype == np.uint8
    assert np.abs(frames[9].rgb[5, 5].astype(int) - (255, 0, 0)).max() <= 4
    assert [frame.index for frame in video] == list(range(30)), "iterating starts over"


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"bf": "3", "b-adapt": "0"}),
        ("a.mp4", "libx264", {"x264-params": "open-gop=1:bframes=3:b-adapt=0"}),
        ("a.mkv", "libx265", {"x265-params": "open-gop=1:bframes=3:log-level=none"}),
        ("a.ts", "libx264", {}),
        ("a.mov", "mpeg4", {"bf": "2"}),
        ("a.avi", "mpeg4", {}),
        ("a.avi", "mjpeg", {}),
        ("a.webm", "libvpx", {"auto-alt-ref": "1", "lag-in-frames": "10"}),
        ("a.webm", "libvpx-vp9", {"auto-alt-ref": "1", "lag-in-frames": "10"}),
        ("a.mpg", "mpeg2video", {"bf": "2"}),
        ("a.h264", "libx264", {}),
    ],
)
def test_random_access_and_backwards_agree_with_iterating(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    rate = {} if codec.startswith("libx") else {"b": "8M", "qmin": "1", "qmax": "3"}  # levels must tell frames apart
    path = make_clip(tmp_path / name, codec=codec, pix_fmt=pix_fmt, options=options | rate)
    video = open_video(path)
    frames = list(video)
    assert video.num_frames == 30
    assert [shown(frame.rgb) for frame in frames] == list(range(30))
    for index in (0, 1, 7, 8, 9, 15, 16, 28, 29):
        again = video.frame(index)
        assert again.index == index
        assert again.time_s == frames[index].time_s
        np.testing.assert_array_equal(again.rgb, frames[index].rgb)
    backwards = list(video.frames(3, 21, reverse=True))
    assert [frame.index for frame in backwards] == list(range(20, 2, -1))
    for frame in backwards:
        np.testing.assert_array_equal(frame.rgb, frames[frame.index].rgb)
    assert [frame.index for frame in video.frames(13, 17)] == [13, 14, 15, 16]


def test_reading_backwards_holds_a_bounded_number_of_frames(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maskscope.data.video_file.REVERSE_BUFFER_BYTES", 0)
    asked: list[tuple[int, int | None]] = []
    numbered = VideoFile._numbered

    def spy(self: VideoFile, start: int, stop: int | None) -> object:
        asked.append((start, stop))
        return numbered(self, start, stop)

    monkeypatch.setattr(VideoFile, "_numbered", spy)
    assert [shown(frame.rgb) for frame in open_video(clip).frames(reverse=True)] == list(range(29, -1, -1))
    assert asked == [(22, 30), (14, 22), (6, 14), (0, 6)]


def test_range_ends_as_slices_do(clip: Path) -> None:
    video = open_video(clip)
    assert [frame.index for frame in video.frames(28, 99)] == [28, 29]
    assert list(video.frames(5, 5)) == []
    assert list(video.frames(5, 2, reverse=True)) == []


@pytest.mark.parametrize("index", [30, -1, 1000])
def test_a_number_past_the_end_is_refused(clip: Path, index: int) -> None:
    with pytest.raises(VideoError, match=rf"no frame {index}: it has 30 frames; give a number from 0 to 29"):
        open_video(clip).frame(index)
    with pytest.raises(VideoError, match="has 30 frames"):
        open_video(clip).frames(index)


def test_variable_rate_keeps_the_time_stamps(tmp_path: Path) -> None:
    ticks = [5, 6, 9, 10, 20, 21]  # the first frame is the start of time
    video = open_video(make_clip(tmp_path / "vfr.mp4", frames=6, ticks=ticks))
    assert [frame.time_s for frame in video] == pytest.approx([0, 0.1, 0.4, 0.5, 1.5, 1.6])
    assert video.frame(4).time_s == pytest.approx(1.5)
    assert video.num_frames == 6


@pytest.mark.parametrize(
    ("rotation", "flip", "turned"),
    [
        (90, False, lambda rgb: np.rot90(rgb)),
        (-90, False, lambda rgb: np.rot90(rgb, -1)),
        (180, False, lambda rgb: np.rot90(rgb, 2)),
        (0, True, lambda rgb: rgb[:, ::-1]),
    ],
)
def test_phone_videos_come_upright(tmp_path: Path, rotation: int, flip: bool, turned: object) -> None:
    video = open_video(make_clip(tmp_path / "phone.mp4", rotation=rotation, flip=flip, frames=3))
    expected = turned(picture(1))  # type: ignore[operator]
    frame = video.frame(1)
    assert (video.height, video.width) == frame.rgb.shape[:2] == expected.shape[:2]
    for y, x in ((4, 4), (4, -4), (-4, 4), (-4, -4)):
        assert np.abs(frame.rgb[y, x].astype(int) - expected[y, x]).max() <= 4


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "size"),
    [
        ("libx264", "yuv420p10le", (HEIGHT, WIDTH)),
        ("libx265", "yuv420p10le", (HEIGHT, WIDTH)),
        ("ffv1", "yuv420p", (47, 65)),
        ("ffv1", "yuva420p", (HEIGHT, WIDTH)),
        ("ffv1", "bgra", (HEIGHT, WIDTH)),
        ("ffv1", "yuv444p16le", (HEIGHT, WIDTH)),
        ("libx264", "yuv444p", (47, 65)),
    ],
)
def test_pixel_formats_become_rgb(tmp_path: Path, codec: str, pix_fmt: str, size: tuple[int, int]) -> None:
    video = open_video(make_clip(tmp_path / "clip.mkv", codec=codec, pix_fmt=pix_fmt, size=size, frames=4))
    rgb = video.frame(3).rgb
    assert rgb.shape == (*size, 3)
    assert np.abs(rgb[4, 4].astype(int) - (255, 0, 0)).max() <= 5
    assert np.abs(rgb[-4:, -4:].astype(int) - level(3)).max() <= 3


@pytest.mark.parametrize("pix_fmt", ["gray", "gray16le", "gray10le"])
def test_grey_becomes_three_equal_channels(tmp_path: Path, pix_fmt: str) -> None:
    video = open_video(make_clip(tmp_path / "grey.mkv", codec="ffv1", pix_fmt=pix_fmt, frames=3))
    rgb = video.frame(2).rgb
    assert np.ptp(rgb, axis=2).max() == 0
    assert np.abs(rgb[-4:, -4:].astype(int) - level(2)).max() <= 2


@pytest.mark.parametrize(("space", "matrix"), [("bt709", 1), ("bt601", 5)])
@pytest.mark.parametrize("colour_range", [1, 2])
def test_colours_follow_the_tags(tmp_path: Path, space: str, matrix: int, colour_range: int) -> None:
    tags = {"colorspace": matrix, "color_range": colour_range}
    rgb = open_video(make_clip(tmp_path / "clip.mp4", frames=2, tags=tags)).frame(1).rgb
    assert np.abs(rgb[4, 4].astype(int) - (255, 0, 0)).max() <= 5, (space, colour_range)
    assert np.abs(rgb[-4:, -4:].astype(int) - level(1)).max() <= 2


def test_a_moov_less_file_says_so(clip: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])  # the index comes last
    with pytest.raises(VideoError, match=r"'moov'.*cut off.*fetch it again"):
        open_video(cut)


def test_a_file_cut_in_the_middle_gives_what_is_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = make_clip(tmp_path / "whole.mp4", container_options={"movflags": "faststart"}, options={"bf": "0"})
    data = whole.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: int(len(data) * 0.9)])
    video = open_video(cut)
    with caplog.at_level(logging.WARNING):
        frames = list(video)
    assert 0 < len(frames) < 30
    assert video.num_frames == len(frames)
    assert [shown(frame.rgb) for frame in frames] == list(range(len(frames)))
    assert f"cut.mp4 is cut off: {len(frames)} frames came of the 30" in caplog.text
    assert shown(video.frame(len(frames) - 1).rgb) == len(frames) - 1


def test_a_cut_matroska_file_is_noticed_without_a_frame_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = make_clip(tmp_path / "whole.mkv", codec="mjpeg", pix_fmt="yuvj420p").read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: len(data) // 2])
    video = open_video(cut)
    frames = list(video)
    assert 5 < len(frames) == video.num_frames < 25
    assert f"cut.mkv is cut off: {len(frames)} frames came" in caplog.text


def test_a_whole_file_warns_of_nothing(clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    list(open_video(clip))
    list(open_video(clip).frames(reverse=True))
    assert caplog.text == ""


def test_damaged_frames_are_left_out_and_keep_their_numbers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = make_clip(tmp_path / "clip.mov", codec="png", pix_fmt="rgb24", frames=12)
    data = bytearray(path.read_bytes())
    starts = [at for at in range(len(data)) if data[at : at + 8] == b"\x89PNG\r\n\x1a\n"]
    assert len(starts) == 12
    data[starts[9] : starts[9] + 8] = bytes(8)
    path.write_bytes(data)
    video = open_video(path)
    frames = list(video)
    assert [frame.index for frame in frames] == [shown(frame.rgb) for frame in frames] == [*range(9), 10, 11]
    assert "11 of 12 frames came" in caplog.text
    assert shown(video.frame(10).rgb) == 10
    with pytest.raises(VideoError, match=r"frame 9 of clip.mov is damaged"):
        video.frame(9)


def test_a_change_of_size_is_an_error_that_names_the_frame(tmp_path: Path) -> None:
    first = make_clip(tmp_path / "1.ts", codec="mpeg4", frames=12, options={"b": "8M", "qmax": "3"})
    second = make_clip(tmp_path / "2.ts", codec="mpeg4", frames=5, size=(32, 32))
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    frames = iter(open_video(both))
    assert [shown(next(frames).rgb) for _ in range(11)] == list(range(11))
    with pytest.raises(VideoError, match=r"changes from 64x48 to 32x32 pixels at frame 1[12]"):
        list(frames)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("these are only words\n" * 50)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    sound = make_clip(tmp_path / "sound.mp4", audio_only=True)
    with pytest.raises(VideoError, match=r"not a video that FFmpeg can read .*expected a video file such as MP4"):
        open_video(text)
    with pytest.raises(VideoError, match="is empty"):
        open_video(empty)
    with pytest.raises(VideoError, match=r"no such file: .*nowhere.mp4; check the path"):
        open_video(tmp_path / "nowhere.mp4")
    with pytest.raises(VideoError, match="has no video in it, only audio"):
        open_video(sound)
    with pytest.raises(VideoError, match="the path of the video is empty"):
        open_video("")


def test_a_colon_in_a_name_is_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_clip(tmp_path / "plain.mp4", frames=2).rename(tmp_path / "take:2.mp4")
    monkeypatch.chdir(tmp_path)
    assert open_video("take:2.mp4").num_frames == 2


def test_index_finds_frames_and_key_frames() -> None:
    index = PacketIndex(np.array([0, 10, 20, 40]), np.array([0, 2]), np.array([-5, 15]))
    assert [index.number_of(pts) for pts in (0, 40, 30, 99, None)] == [0, 3, None, None, None]
    assert index.key_at_or_before(1) == (0, -5)
    assert index.key_at_or_before(2) == index.key_at_or_before(3) == (20, 15)
