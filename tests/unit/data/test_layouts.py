from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from dataset_folders import (
    MAKERS,
    davis,
    lvos,
    mose,
    numbers,
    sav,
    save_frames,
    save_masks,
    square,
    youtube_train,
    youtube_valid,
)

from maskscope.data.dataset import AnnotatedSequence, Dataset
from maskscope.data.layouts import LAYOUTS, open_dataset, recognise
from maskscope.errors import DatasetError


@pytest.mark.parametrize("kind", MAKERS)
def test_a_layout_is_recognised_by_its_files(kind: str, tmp_path: Path) -> None:
    layout, make, names = MAKERS[kind]
    dataset = open_dataset(make(tmp_path))
    assert dataset.layout == layout == recognise(tmp_path).layout
    assert list(dataset.sequences) == [sequence.name for sequence in dataset] == names
    assert len(dataset) == len(names)
    assert isinstance(dataset, Dataset)
    assert all(isinstance(sequence, AnnotatedSequence) for sequence in dataset)
    assert dataset.check_layout() == []


def test_every_layout_has_a_maker_here() -> None:
    assert {layout for layout, *_ in MAKERS.values()} == set(LAYOUTS)


@pytest.mark.parametrize(
    ("make", "because"),
    [
        (davis, "sequences lie in JPEGImages/480p, frames have masks throughout"),
        (youtube_train, "meta.json lists the frames of objects"),
        (lvos, "val_meta.json gives objects a frame_range"),
        (sav, "it has JPEGImages_24fps and Annotations_6fps"),
        (mose, "videos lie in JPEGImages, frames have masks throughout"),
    ],
)
def test_it_says_by_what(
    make: Callable[[Path], Path], because: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="maskscope"):
        open_dataset(make(tmp_path))
    assert recognise(tmp_path).because == because
    assert because in caplog.text


def test_what_is_left_without_metadata(tmp_path: Path) -> None:
    youtube_valid(tmp_path)
    (tmp_path / "meta.json").unlink()
    found = recognise(tmp_path)
    assert (found.layout, found.because) == (
        "youtube-vos",
        "videos lie in JPEGImages, 3245e049fb has masks on some frames",
    )


def test_image_sets_make_it_davis(tmp_path: Path) -> None:
    mose(tmp_path)
    (tmp_path / "ImageSets").mkdir()
    assert recognise(tmp_path).layout == "davis"


def test_a_folder_for_each_object_is_sa_v_under_plain_names_too(tmp_path: Path) -> None:
    sav(tmp_path)
    (tmp_path / "JPEGImages_24fps").rename(tmp_path / "JPEGImages")
    (tmp_path / "Annotations_6fps").rename(tmp_path / "Annotations")
    assert open_dataset(tmp_path)["sav_000262"].object_ids == (1, 2)


def test_a_video_file_with_its_mask_beside(tmp_path: Path) -> None:
    MAKERS["video"][1](tmp_path)
    assert list(open_dataset(tmp_path / "clip.mp4").sequences) == ["clip"]


def test_a_layout_can_be_told(tmp_path: Path) -> None:
    assert open_dataset(youtube_train(tmp_path), layout="mose").layout == "mose"
    with pytest.raises(DatasetError, match="no layout 'coco'; the known ones: davis, davis-test, youtube-vos"):
        open_dataset(tmp_path, layout="coco")


def remove_masks(root: Path) -> None:
    shutil.rmtree(davis(root) / "Annotations")


def leave_splits(root: Path) -> None:
    mose(root / "train")
    mose(root / "valid")


def leave_text(root: Path) -> None:
    (root / "notes.txt").write_text("nothing", encoding="utf-8")


def break_metadata(root: Path) -> None:
    (youtube_train(root) / "meta.json").write_text('{"videos": ["dog"]}', encoding="utf-8")


def cut_metadata(root: Path) -> None:
    (lvos(root) / "val_meta.json").write_text('{"videos": {', encoding="utf-8")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (remove_masks, "has JPEGImages but no folder Annotations"),
        (leave_splits, "holds several data sets or splits: train, valid; give one of them"),
        (leave_text, r"not a data set that is known here; in it: notes\.txt; expected JPEGImages with Annotations"),
        (break_metadata, r"meta\.json does not list objects of videos"),
        (cut_metadata, r"val_meta\.json does not list objects of videos \(JSONDecodeError"),
        (lambda root: root.rmdir(), "no such folder"),
        (lambda root: save_frames(root, ["clip"]), "is not a data set that is known here"),
    ],
)
def test_anything_else_is_one_precise_line(prepare: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    prepare(root)
    with pytest.raises(DatasetError, match=message) as caught:
        open_dataset(root)
    assert "\n" not in str(caught.value)


def test_a_file_without_a_mask(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"without a mask of its name beside it; put clip\.png there"):
        open_dataset(tmp_path / "clip.mp4")


@pytest.mark.parametrize("kind", MAKERS)
def test_an_unknown_sequence_shows_near_names(kind: str, tmp_path: Path) -> None:
    _, make, names = MAKERS[kind]
    with pytest.raises(DatasetError, match=rf"no sequence '{names[0]}x'; there are: {names[0]}"):
        open_dataset(make(tmp_path))[f"{names[0]}x"]


def test_davis_masks_decide_between_the_two_davis(tmp_path: Path) -> None:
    """One sequence without later masks among whole ones is damage, not another layout."""
    davis(tmp_path)
    save_frames(tmp_path / "JPEGImages/480p/short", numbers(4))
    save_masks(tmp_path / "Annotations/480p/short", {"00000": square(1) * 1})
    assert recognise(tmp_path).layout == "davis"
