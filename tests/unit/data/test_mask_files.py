from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from maskscope.data.mask_files import read_mask
from maskscope.errors import PromptError
from maskscope.palette import davis_palette


def save(path: Path, values: object, mode: str | None = None, palette: object = None) -> Path:
    image = Image.fromarray(np.asarray(values))
    if palette is not None:
        image.putpalette(np.asarray(palette, np.uint8).tobytes())
    (image.convert(mode) if mode else image).save(path)
    return path


def u8(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.uint8)


@pytest.mark.parametrize(
    ("stored", "ids"),
    [
        (u8([0, 255], [255, 0]), [[0, 1], [1, 0]]),
        (u8([0, 0]), [[0, 0]]),
        (u8([255, 255]), [[1, 1]]),
        (u8([0, 1, 5]), [[0, 1, 5]]),
        (u8([0, 2, 255]), [[0, 2, 0]]),
        (u8([0, 38, 75]), [[0, 38, 75]]),
        (np.arange(41, dtype=np.uint8)[None], [list(range(41))]),
        (np.array([[0, 65535]], np.uint16), [[0, 1]]),
        (np.array([[0, 300]], np.uint16), [[0, 300]]),
        (np.array([[False, True]]), [[0, 1]]),
    ],
)
def test_grey_masks(tmp_path: Path, stored: np.ndarray, ids: list[list[int]]) -> None:
    labels = read_mask(save(tmp_path / "mask.png", stored))
    assert labels.tolist() == ids
    assert labels.dtype == (np.int32 if max(map(max, ids)) > 255 else np.uint8)


def test_grey_stored_as_colour(tmp_path: Path) -> None:
    assert read_mask(save(tmp_path / "mask.png", u8([0, 255]), "RGB")).tolist() == [[0, 1]]
    assert read_mask(save(tmp_path / "ids.png", u8([0, 1, 2]), "RGB")).tolist() == [[0, 1, 2]]
    assert read_mask(save(tmp_path / "alpha.png", u8([0, 255]), "RGBA")).tolist() == [[0, 1]]
    assert read_mask(save(tmp_path / "la.png", u8([0, 255]), "LA")).tolist() == [[0, 1]]


def test_indexed_masks_give_their_indices(tmp_path: Path) -> None:
    ids = u8([0, 1, 9, 255])
    assert read_mask(save(tmp_path / "davis.png", ids, None, davis_palette())).tolist() == [[0, 1, 9, 0]]
    other = np.random.default_rng(0).integers(0, 256, (256, 3))
    assert read_mask(save(tmp_path / "other.png", ids, None, other)).tolist() == [[0, 1, 9, 0]]
    ramp = np.repeat(np.arange(256)[:, None], 3, axis=1)
    assert read_mask(save(tmp_path / "ramp.png", u8([0, 255]), None, ramp)).tolist() == [[0, 1]]


def test_colours_of_the_davis_palette_become_ids(tmp_path: Path) -> None:
    ids = u8([0, 1, 2, 7], [22, 38, 200, 0])
    assert read_mask(save(tmp_path / "mask.png", davis_palette()[ids])).tolist() == ids.tolist()


def test_pictures_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    with pytest.raises(PromptError, match=r"not a mask: it has \d+ colours, among them .* not of the DAVIS palette"):
        read_mask(save(tmp_path / "photo.png", noise))
    with pytest.raises(PromptError, match=r"not a mask: it has \d+ grey levels .*threshold it"):
        read_mask(save(tmp_path / "grey.png", noise[..., 0]))
    with pytest.raises(PromptError, match="not a mask"):
        read_mask(save(tmp_path / "indexed.png", noise[..., 0], None, rng.integers(0, 256, (256, 3))))
    with pytest.raises(PromptError, match="is a JPEG, which blurs the edges of masks; save it as PNG"):
        read_mask(save(tmp_path / "mask.jpg", np.full((8, 8), 255, np.uint8)))
    with pytest.raises(PromptError, match="floating point"):
        read_mask(save(tmp_path / "mask.tif", np.zeros((4, 4), np.float32)))


def test_soft_edges_are_refused(tmp_path: Path) -> None:
    big = Image.new("L", (160, 160))
    ImageDraw.Draw(big).ellipse((20, 20, 130, 120), fill=255)
    big.resize((40, 40), Image.Resampling.BOX).save(tmp_path / "soft.png")
    with pytest.raises(PromptError, match="soft edges"):
        read_mask(tmp_path / "soft.png")


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "junk.png").write_bytes(b"junk")
    with pytest.raises(PromptError, match=r"cannot read mask .*junk\.png \(cannot identify"):
        read_mask(tmp_path / "junk.png")
    with pytest.raises(PromptError, match=r"none\.png \(no such file\)"):
        read_mask(tmp_path / "none.png")


def test_davis_annotations_are_one_object(shared: Path) -> None:
    folder = sorted((shared / "davis2016" / "Annotations" / "480p").iterdir())[0]
    labels = read_mask(sorted(folder.iterdir())[0])
    assert labels.shape == (480, 854)
    assert np.unique(labels).tolist() == [0, 1]
