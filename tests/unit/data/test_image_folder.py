from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskscope.data.picture import IMAGE_SUFFIXES
from maskscope.data.video import open_video
from maskscope.errors import VideoError


def save(path: Path, value: int = 0, size: tuple[int, int] = (6, 8)) -> Path:
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(path)
    return path


def test_images_come_in_natural_order_with_times(tmp_path: Path) -> None:
    for value, name in enumerate(["1.png", "2.PNG", "10.bmp", "a2.tif", "a11.png"]):
        save(tmp_path / name, value)
    (tmp_path / ".hidden.png").write_bytes(b"junk")
    (tmp_path / "notes.txt").write_text("no image")
    video = open_video(tmp_path, image_fps=4)
    assert [frame.rgb[0, 0].tolist() for frame in video] == [[value] * 3 for value in range(5)]
    assert [frame.time_s for frame in video] == [0, 0.25, 0.5, 0.75, 1.0]
    assert (video.num_frames, video.height, video.width, video.fps) == (5, 6, 8, 4)
    assert [frame.index for frame in video.frames(1, 4, reverse=True)] == [3, 2, 1]
    assert video.frame(4).rgb[0, 0, 0] == 4
    with pytest.raises(VideoError, match="no frame 5: it has 5 frames"):
        video.frame(5)


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_each_kind_of_image_is_read(tmp_path: Path, suffix: str) -> None:
    video = open_video(save(tmp_path / f"one{suffix}", 77))
    assert np.abs(video.frame(0).rgb.astype(int) - 77).max() <= 1
    assert video.num_frames == 1


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("L", 90, (90, 90, 90)),
        ("1", 1, (255, 255, 255)),
        ("RGBA", (10, 20, 30, 0), (10, 20, 30)),
        ("LA", (50, 128), (50, 50, 50)),
        ("P", 2, (0, 128, 0)),
        ("I;16", 65535, (255, 255, 255)),
        ("I;16", 257 * 100 + 128, (100, 100, 100)),
        ("I;16", 257 * 100 + 129, (101, 101, 101)),
    ],
)
def test_modes_become_rgb(tmp_path: Path, mode: str, value: object, expected: tuple[int, int, int]) -> None:
    image = Image.new(mode, (8, 6), value)  # type: ignore[arg-type]
    if mode == "P":
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    image.save(tmp_path / "image.png")
    rgb = open_video(tmp_path).frame(0).rgb
    assert rgb.shape == (6, 8, 3)
    assert rgb.dtype == np.uint8
    assert tuple(rgb[3, 3]) == expected


@pytest.mark.parametrize(("orientation", "turns"), [(3, 2), (6, -1), (8, 1)])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, turns: int) -> None:
    stored = np.zeros((6, 8, 3), np.uint8)
    stored[:2, :3] = 200
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "image.png", exif=exif)
    video = open_video(tmp_path)
    np.testing.assert_array_equal(video.frame(0).rgb, np.rot90(stored, turns))
    assert (video.height, video.width) == np.rot90(stored, turns).shape[:2]


def test_another_size_names_the_file_and_both_sizes(tmp_path: Path) -> None:
    save(tmp_path / "0.png")
    save(tmp_path / "1.png")
    save(tmp_path / "2.png", size=(5, 8))
    save(tmp_path / "3.png", size=(4, 8))
    with pytest.raises(VideoError, match=r"2\.png is 8x5 pixels but 0\.png is 8x6"):
        open_video(tmp_path)


def test_what_is_no_folder_of_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"no images in folder .*expected files ending in \.bmp"):
        open_video(tmp_path)
    save(tmp_path / "a.png")
    save(tmp_path / "a.bmp")
    with pytest.raises(VideoError, match=r"both a\.bmp and a\.png"):
        open_video(tmp_path)
    (tmp_path / "a.bmp").write_bytes(b"")
    (tmp_path / "a.bmp").rename(tmp_path / "b.jpg")
    with pytest.raises(VideoError, match=r"b\.jpg as an image \(it is empty\)"):
        open_video(tmp_path)
    with pytest.raises(VideoError, match="no such image"):
        open_video(tmp_path / "none.png")
    with pytest.raises(VideoError, match="above 0, got 0"):
        open_video(tmp_path, image_fps=0)


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for name in ("0.png", "1.png"):
        Image.fromarray(noise).save(tmp_path / name)
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:5000])
    video = open_video(tmp_path)
    np.testing.assert_array_equal(video.frame(0).rgb, noise)
    with pytest.raises(VideoError, match=r"cannot read .*1\.png as an image"):
        list(video)


def test_floating_point_images_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "depth.tif")
    with pytest.raises(VideoError, match=r"depth\.tif holds floating point numbers"):
        open_video(tmp_path)
