from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskscope.data.davis import DavisDataset
from maskscope.errors import DatasetError
from maskscope.palette import davis_palette

HEIGHT, WIDTH = 12, 20


def write_sequence(
    root: Path, name: str, masks: list[np.ndarray], *, resolution: str = "480p", indexed: bool = True
) -> None:
    images, annotations = root / "JPEGImages" / resolution / name, root / "Annotations" / resolution / name
    images.mkdir(parents=True)
    annotations.mkdir(parents=True)
    for index, mask in enumerate(masks):
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), 40 + 20 * index, np.uint8)).save(images / f"{index:05d}.jpg")
        picture = Image.fromarray(mask.astype(np.uint8))
        if indexed:
            picture.putpalette(davis_palette().tobytes())
        picture.save(annotations / f"{index:05d}.png")


def two_objects(void: bool = False) -> np.ndarray:
    labels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    labels[2:5, 2:5], labels[2:5, 10:14] = 1, 3
    if void:
        labels[8:, :] = 255
    return labels


def one_object() -> np.ndarray:
    return (two_objects() > 0).astype(np.uint8) * 255


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_sequence(tmp_path, "pair", [two_objects(void=True), two_objects(), two_objects()])
    write_sequence(tmp_path, "alone", [one_object(), one_object() * 0], indexed=False)
    return tmp_path


def test_sequences_frames_and_sizes(root: Path) -> None:
    dataset = DavisDataset(root)
    assert dataset.sequences == ["alone", "pair"]
    assert [sequence.name for sequence in dataset] == ["alone", "pair"]
    sequence = dataset["pair"]
    assert sequence.num_frames == len(sequence) == len(dataset) + 1 == 3
    assert sequence.size == (HEIGHT, WIDTH)
    frame = sequence.frame(2)
    assert frame.shape == (HEIGHT, WIDTH, 3)
    assert frame.dtype == np.uint8
    assert abs(int(frame[6, 6, 1]) - 80) <= 2
    assert [path.name for path in sequence.frame_paths] == ["00000.jpg", "00001.jpg", "00002.jpg"]


def test_indexed_masks_keep_their_numbers_and_void(root: Path) -> None:
    sequence = DavisDataset(root)["pair"]
    np.testing.assert_array_equal(sequence.masks(0), two_objects(void=True))
    assert sequence.masks(0).dtype == np.uint8
    assert sequence.object_ids == (1, 3)


def test_black_and_white_masks_are_object_one(root: Path) -> None:
    sequence = DavisDataset(root)["alone"]
    np.testing.assert_array_equal(sequence.masks(0), one_object() // 255)
    assert sequence.object_ids == (1,)
    assert not sequence.masks(1).any()


def test_single_object_merges_all_but_void(root: Path) -> None:
    sequence = DavisDataset(root, single_object=True)["pair"]
    labels = sequence.masks(0)
    assert labels[3, 3] == labels[3, 11] == 1
    assert labels[9, 3] == 255
    assert labels[0, 0] == 0
    assert sequence.object_ids == (1,)


@pytest.mark.parametrize("mode", ["1", "RGB", "RGBA"])
def test_masks_saved_as_one_bit_or_as_grey_colours_are_read(root: Path, mode: str) -> None:
    for path in (root / "Annotations/480p/alone").iterdir():
        Image.open(path).convert(mode).save(path)
    np.testing.assert_array_equal(DavisDataset(root)["alone"].masks(0), one_object() // 255)


def test_resolution_folder_is_found(tmp_path: Path) -> None:
    write_sequence(tmp_path / "one", "clip", [one_object()], resolution="Full-Resolution")
    assert DavisDataset(tmp_path / "one")["clip"].num_frames == 1
    write_sequence(tmp_path / "none", "clip", [one_object()], resolution=".")
    (tmp_path / "none/JPEGImages/bare").mkdir()
    assert DavisDataset(tmp_path / "none").sequences == ["bare", "clip"]
    write_sequence(tmp_path / "one", "other", [one_object()], resolution="480p")
    assert DavisDataset(tmp_path / "one").sequences == ["other"]
    assert DavisDataset(tmp_path / "one", resolution="Full-Resolution").sequences == ["clip"]
    with pytest.raises(DatasetError, match="720p; there are: 480p, Full-Resolution"):
        DavisDataset(tmp_path / "one", resolution="720p")


def test_several_unusual_resolutions_must_be_told_apart(tmp_path: Path) -> None:
    for resolution in ("720p", "1080p"):
        write_sequence(tmp_path, "clip", [one_object()], resolution=resolution)
    with pytest.raises(DatasetError, match=r"several resolutions: 1080p, 720p; name one"):
        DavisDataset(tmp_path)


@pytest.mark.parametrize("text", ["pair\n\n", "/JPEGImages/480p/pair/00000.jpg /Annotations/480p/pair/00000.png\n"])
def test_a_split_lists_names_or_files(root: Path, text: str) -> None:
    (root / "ImageSets/2017").mkdir(parents=True)
    (root / "ImageSets/2017/val.txt").write_text(text, encoding="utf-8")
    assert DavisDataset(root, split="2017/val").sequences == ["pair"]
    with pytest.raises(DatasetError, match=r"train\.txt; lists lie under ImageSets"):
        DavisDataset(root, split="2017/train")


def test_hidden_files_are_left_out(root: Path) -> None:
    (root / "JPEGImages/480p/pair/._00000.jpg").write_bytes(b"x")
    (root / "JPEGImages/480p/.cache").mkdir()
    dataset = DavisDataset(root)
    assert dataset.sequences == ["alone", "pair"]
    assert dataset["pair"].num_frames == 3


def remove_first_mask(root: Path) -> None:
    (root / "Annotations/480p/pair/00000.png").unlink()


def remove_middle_mask(root: Path) -> None:
    (root / "Annotations/480p/pair/00001.png").unlink()


def remove_frames(root: Path) -> None:
    for path in (root / "JPEGImages/480p/pair").iterdir():
        path.unlink()


def remove_annotations(root: Path) -> None:
    (root / "Annotations/480p/pair").rename(root / "moved")


def shrink_mask(root: Path) -> None:
    Image.new("P", (10, 6)).save(root / "Annotations/480p/pair/00000.png")


def shrink_frame(root: Path) -> None:
    Image.new("RGB", (10, 6)).save(root / "JPEGImages/480p/pair/00001.jpg")


def damage_mask(root: Path) -> None:
    (root / "Annotations/480p/pair/00000.png").write_bytes(b"no png")


def colour_mask(root: Path) -> None:
    path = root / "Annotations/480p/pair/00000.png"
    Image.open(path).convert("RGB").save(path)


def empty_mask(root: Path) -> None:
    Image.new("P", (WIDTH, HEIGHT)).save(root / "Annotations/480p/pair/00000.png")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (remove_first_mask, r"first mask of pair is missing: .*00000\.png"),
        (remove_middle_mask, r"3 frames and 2 masks.*without a partner: 00001"),
        (remove_frames, "holds no image"),
        (remove_annotations, "pair has no annotations"),
        (shrink_mask, r"00000\.png is 10x6, the first frame of pair is 20x12"),
        (shrink_frame, r"00001\.jpg is 10x6"),
        (damage_mask, r"cannot read .*00000\.png"),
        (colour_mask, r"00000\.png is a RGB picture in colours"),
        (empty_mask, r"00000\.png holds no object"),
    ],
)
def test_a_damaged_sequence_names_the_file(root: Path, harm: Callable[[Path], None], message: str) -> None:
    harm(root)
    with pytest.raises(DatasetError, match=message):
        _ = DavisDataset(root)["pair"].frame(1), DavisDataset(root)["pair"].object_ids


def test_a_folder_of_another_layout_is_refused(tmp_path: Path, root: Path) -> None:
    with pytest.raises(DatasetError, match=r"no such folder: .*nowhere"):
        DavisDataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="has no folder JPEGImages"):
        DavisDataset(root / "Annotations")
    with pytest.raises(DatasetError, match="no sequence 'pai'; there are: pair"):
        DavisDataset(root)["pai"]
    (tmp_path / "bare" / "JPEGImages").mkdir(parents=True)
    with pytest.raises(DatasetError, match="has no folder Annotations"):
        DavisDataset(tmp_path / "bare")
    (tmp_path / "bare" / "Annotations").mkdir()
    with pytest.raises(DatasetError, match="holds no sequence"):
        DavisDataset(tmp_path / "bare")
