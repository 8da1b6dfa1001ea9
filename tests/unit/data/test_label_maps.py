from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskscope.data.davis import DavisDataset
from maskscope.data.label_maps import MaskPngWriter, label_map, object_labels, write_label_maps
from maskscope.data.mask_files import read_mask
from maskscope.errors import OutputError, ShapeError
from maskscope.palette import davis_palette

# Object 7 covers columns 0-2, object 3 columns 2-3 of a 1x5 picture: they overlap in column 2.
MASKS = np.array([[[1, 1, 1, 0, 0]], [[0, 0, 1, 1, 0]]], dtype=bool)


def test_without_logits_the_lowest_id_wins() -> None:
    assert label_map(MASKS, [7, 3]).tolist() == [[7, 7, 3, 3, 0]]
    assert label_map(MASKS, [3, 7]).tolist() == [[3, 3, 3, 7, 0]]
    assert label_map(MASKS, [3, 7]).dtype == np.uint8


@pytest.mark.parametrize(("first", "second", "winner"), [(2.0, 1.0, 7), (1.0, 2.0, 3), (1.0, 1.0, 3), (-3.0, -5.0, 7)])
def test_the_higher_logit_wins_and_a_tie_goes_to_the_lowest_id(first: float, second: float, winner: int) -> None:
    expected = [[7, 7, winner, 3, 0]]
    assert label_map(MASKS, [7, 3], np.array([first, second])).tolist() == expected
    pixels = np.stack([np.full((1, 5), first), np.full((1, 5), second)])
    assert label_map(MASKS, [7, 3], pixels).tolist() == expected


def test_logits_decide_pixel_by_pixel_and_only_inside_masks() -> None:
    masks = np.ones((2, 1, 3), bool)
    masks[1, 0, 2] = False
    logits = np.array([[[1.0, 5.0, 1.0]], [[2.0, 4.0, 9.0]]])
    assert label_map(masks, [1, 2], logits).tolist() == [[2, 1, 1]]


def test_ids_and_shapes_are_checked() -> None:
    with pytest.raises(OutputError, match=r"\[256, 1\] do not fit an indexed PNG, which holds 1 to 255.*RLE"):
        label_map(MASKS, [256, 1])
    with pytest.raises(OutputError, match="do not fit"):
        label_map(MASKS, [0, 1])
    with pytest.raises(OutputError, match="must differ"):
        label_map(MASKS, [1, 1])
    with pytest.raises(ShapeError, match="for 1 objects"):
        label_map(MASKS, [1])
    with pytest.raises(ShapeError, match="expected logits of shape"):
        label_map(MASKS, [1, 2], np.zeros((2, 5)))
    assert label_map(np.zeros((0, 2, 2), bool), []).tolist() == [[0, 0], [0, 0]]


def test_masks_are_indexed_png_in_the_davis_palette(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 2], [3, 254, 7]], np.uint8)
    with MaskPngWriter(tmp_path / "seq") as writer:
        assert writer.write(labels, 7) == tmp_path / "seq" / "00007.png"
        writer.write(labels, 8, stem="frame_8")
    assert sorted(path.name for path in (tmp_path / "seq").iterdir()) == ["00007.png", "frame_8.png"]
    with Image.open(tmp_path / "seq" / "00007.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.array(image), labels)
        np.testing.assert_array_equal(np.array(image.convert("RGB")), davis_palette()[labels])
    np.testing.assert_array_equal(read_mask(tmp_path / "seq" / "frame_8.png"), labels)


def test_a_failed_write_leaves_the_old_mask_and_no_rubbish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = MaskPngWriter(tmp_path, overwrite=True)
    path = writer.write(np.full((2, 2), 1, np.uint8), 0)

    def full(self: Image.Image, target: Path, **_: object) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OutputError, match=r"disk full while writing .*00000\.png; what was written before is readable"):
        writer.write(np.full((2, 2), 2, np.uint8), 0)
    assert list(tmp_path.iterdir()) == [path]
    assert read_mask(path).tolist() == [[1, 1], [1, 1]]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    writer = MaskPngWriter(tmp_path)
    with pytest.raises(OutputError, match="ids from 0 to 256, an indexed PNG holds 0 to 255"):
        writer.write(np.array([[0, 256]]), 0)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"must be \(H, W\), got shape \(1, 2, 2\)"):
        writer.write(np.zeros((1, 2, 2), np.uint8), 0)
    writer.write(np.array([[0, 255]]), 0)  # type: ignore[arg-type]
    with pytest.raises(OutputError, match=r"00000\.png exists already"):
        writer.write(np.zeros((2, 2), np.uint8), 0)


def test_a_sequence_of_label_maps_is_read_back_as_davis(tmp_path: Path) -> None:
    maps = [np.full((2, 3), value, np.uint8) for value in (1, 2, 255)]
    maps[0][0, 0] = 0
    folder = write_label_maps(tmp_path, "clip", iter(maps), stems=["a", "b", "c"])
    assert folder == tmp_path / "Annotations/480p/clip"
    images = tmp_path / "JPEGImages/480p/clip"
    images.mkdir(parents=True)
    for stem in "abc":
        Image.new("RGB", (3, 2)).save(images / f"{stem}.jpg")
    sequence = DavisDataset(tmp_path)["clip"]
    for index, labels in enumerate(maps):
        np.testing.assert_array_equal(sequence.masks(index), labels)
    with pytest.raises(OutputError, match="exists already"):
        write_label_maps(tmp_path, "clip", maps, stems=["a", "b", "c"])
    write_label_maps(tmp_path, "clip", maps[:1], overwrite=True, resolution=".")
    assert (tmp_path / "Annotations/clip/00000.png").is_file()
    with pytest.raises(ShapeError, match="more masks than names, which end after 1"):
        write_label_maps(tmp_path, "other", maps, stems=["a"])


def test_labels_of_objects() -> None:
    assert object_labels(np.array([[0, 3, 255], [3, 1, 254]], np.uint8)) == (1, 3, 254)
    assert object_labels(np.zeros((2, 2), np.uint8)) == ()
