from __future__ import annotations

import errno
from pathlib import Path

import av
import numpy as np
import pytest

from maskscope.data.overlay import OverlayWriter, draw_overlay, object_colour
from maskscope.data.video import open_video
from maskscope.errors import OutputError, ShapeError

GREY = np.full((120, 160, 3), 100, np.uint8)


def square(top: int, left: int, side: int) -> np.ndarray:
    mask = np.zeros((1, 120, 160), bool)
    mask[0, top : top + side, left : left + side] = True
    return mask


def test_inside_is_tinted_outside_is_untouched_and_the_edge_is_drawn() -> None:
    drawn = draw_overlay(GREY, square(60, 40, 40), [1], alpha=0.5)
    assert drawn[80, 60].tolist() == [114, 50, 50], "half of grey 100, half of palette entry 1 (128, 0, 0)"
    assert drawn[60, 60].tolist() == drawn[80, 40].tolist() == drawn[99, 79].tolist() == [128, 0, 0]
    assert drawn[59, 60].tolist() == [255, 255, 255]
    outside = np.ones((120, 160), bool)
    outside[40:103, 37:83] = False  # the square, its rim, and the label on top of it
    np.testing.assert_array_equal(drawn[outside], GREY[outside])
    assert (GREY == 100).all(), "the picture handed in stays as it was"


def test_label_shows_the_id_in_the_colour_of_the_object_and_stays_inside() -> None:
    plain = draw_overlay(GREY, square(60, 40, 40), [2])
    scored = draw_overlay(GREY, square(60, 40, 40), [2], scores=[0.93])
    plate = (plain == (0, 128, 0)).all(axis=2)[40:58]
    wide_plate = (scored == (0, 128, 0)).all(axis=2)[40:58]
    assert plate.sum() > 40
    assert wide_plate.sum() > 2 * plate.sum(), "the score takes room"
    corner = draw_overlay(GREY, square(0, 120, 40), [2], scores=[0.93])
    assert (corner == (0, 128, 0)).all(axis=2)[:14, 120:160].any()


def test_later_objects_lie_on_top_and_empty_masks_draw_nothing() -> None:
    both = np.concatenate([square(60, 40, 40), square(60, 40, 40), np.zeros((1, 120, 160), bool)])
    drawn = draw_overlay(GREY, both, [1, 2, 3], alpha=1.0)
    assert drawn[80, 60].tolist() == [0, 128, 0]
    np.testing.assert_array_equal(draw_overlay(GREY, both[2:], [3]), GREY)
    np.testing.assert_array_equal(draw_overlay(GREY, both[:0], []), GREY)


def test_ids_above_the_palette_get_a_colour_that_is_not_background() -> None:
    assert object_colour(256) == object_colour(1) == (128, 0, 0)
    assert object_colour(255) == (224, 224, 192)


def test_masks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"expected 2 masks of 160x120 pixels, got shape \(1, 120, 160\)"):
        draw_overlay(GREY, square(0, 0, 5), [1, 2])
    with pytest.raises(ShapeError, match="expected 1 scores, got 2"):
        draw_overlay(GREY, square(0, 0, 5), [1], scores=[0.1, 0.2])


def picture(index: int, height: int, width: int) -> np.ndarray:
    rgb = np.full((height, width, 3), 20 + 7 * index, np.uint8)
    rgb[: height // 2, : width // 2] = (255, 0, 0)
    rgb[: height // 2, width // 2 :] = (0, 0, 255)
    return rgb


@pytest.mark.parametrize("size", [(48, 64), (47, 65)])
def test_what_is_written_reads_back_padded_to_even(tmp_path: Path, size: tuple[int, int]) -> None:
    with OverlayWriter(tmp_path / "out" / "a.mp4", 24, *size) as writer:
        for index in range(30):
            writer.write(picture(index, *size))
    video = open_video(tmp_path / "out" / "a.mp4")
    frames = list(video)
    assert (video.height, video.width) == (48, 64 if size[1] == 64 else 66)
    assert video.fps == pytest.approx(24)
    assert [round((frame.rgb[40, 40].mean() - 20) / 7) for frame in frames] == list(range(30))
    assert [frame.time_s for frame in frames] == pytest.approx([i / 24 for i in range(30)], abs=1e-4)
    assert np.abs(frames[9].rgb[8, 8].astype(int) - (255, 0, 0)).max() <= 6
    assert np.abs(frames[9].rgb[8, -1].astype(int) - (0, 0, 255)).max() <= 6


def test_given_times_are_kept(tmp_path: Path) -> None:
    with OverlayWriter(tmp_path / "a.mp4", 10, 48, 64) as writer:
        for index, time_s in enumerate([0.0, 0.1, 0.5, 2.0]):
            writer.write(picture(index, 48, 64), time_s)
    assert [frame.time_s for frame in open_video(tmp_path / "a.mp4")] == pytest.approx([0, 0.1, 0.5, 2.0], abs=1e-4)


def test_a_file_left_in_the_middle_plays(tmp_path: Path) -> None:
    writer = OverlayWriter(tmp_path / "a.mp4", 24, 48, 64)
    for index in range(20):
        writer.write(picture(index, 48, 64))
    killed = tmp_path / "killed.mp4"
    killed.write_bytes((tmp_path / "a.mp4").read_bytes())
    writer.close()
    frames = list(open_video(killed))
    assert [round((frame.rgb[40, 40].mean() - 20) / 7) for frame in frames] == list(range(19)), "all but the newest"
    assert open_video(tmp_path / "a.mp4").num_frames == 20


@pytest.mark.parametrize("encoder", ["libopenh264", "mpeg4"])
def test_other_encoders_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: str) -> None:
    if encoder not in av.codecs_available:
        pytest.skip(f"this build of FFmpeg has no {encoder}")
    monkeypatch.setattr("maskscope.data.overlay.ENCODERS", ("none", encoder))
    with OverlayWriter(tmp_path / "a.mp4", 24, 96, 128) as writer:
        for index in range(5):
            writer.write(picture(index, 96, 128))
    frames = list(open_video(tmp_path / "a.mp4"))
    assert len(frames) == 5
    assert np.abs(frames[4].rgb[80, 100].astype(int) - 48).max() <= 6


def test_no_encoder_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maskscope.data.overlay.ENCODERS", ("none",))
    with pytest.raises(OutputError, match="has none of the encoders none"):
        OverlayWriter(tmp_path / "a.mp4", 24, 96, 128)


def write_all(writer: OverlayWriter, pictures: list[np.ndarray]) -> None:
    for rgb in pictures:
        writer.write(rgb)


def test_a_full_disk_is_said_in_one_line() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, which this system lacks")
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    writer = OverlayWriter("/dev/full", 24, 480, 640, overwrite=True)
    with pytest.raises(OutputError, match="disk full while writing /dev/full; what was written before is readable"):
        write_all(writer, [noise] * 5)
    writer.close()


def test_wrong_frames_and_existing_files_are_refused(tmp_path: Path) -> None:
    with OverlayWriter(tmp_path / "a.mp4", 24, 48, 64) as writer:
        writer.write(picture(0, 48, 64))
        with pytest.raises(ShapeError, match=r"expected frames \(48, 64, 3\) uint8, got \(64, 48, 3\) uint8"):
            writer.write(picture(0, 64, 48))
    before = (tmp_path / "a.mp4").read_bytes()
    with pytest.raises(OutputError, match=r"a\.mp4 exists already"):
        OverlayWriter(tmp_path / "a.mp4", 24, 48, 64)
    assert (tmp_path / "a.mp4").read_bytes() == before
    OverlayWriter(tmp_path / "a.mp4", 24, 48, 64, overwrite=True).close()
    with pytest.raises(OutputError, match="above 0, got 0"):
        OverlayWriter(tmp_path / "b.mp4", 0, 48, 64)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*a\.mp4") as caught:
        OverlayWriter(tmp_path / "file" / "a.mp4", 24, 48, 64)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno in (errno.ENOTDIR, errno.EEXIST)
