"""Each kind of problem is put into a clean data set and found there, and nothing else is."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dataset_folders import (
    MAKERS,
    davis,
    davis_test,
    encoded,
    labels,
    lvos,
    mose,
    mose_valid,
    numbers,
    pair,
    sav,
    sav_train,
    save_frames,
    save_mask,
    save_masklets,
    save_masks,
    save_video,
    square,
    video,
    with_objects,
    youtube_train,
    youtube_valid,
)
from PIL import Image

from maskscope.data.check import check_dataset, in_threads
from maskscope.data.layouts import open_dataset
from maskscope.data.problems import Problem
from maskscope.palette import davis_palette

Harm = Callable[[Path], None]


def findings(root: Path, layout: str | None = None) -> list[Problem]:
    return [problem for found in check_dataset(open_dataset(root, layout), threads=2) for problem in found]


@pytest.mark.parametrize("kind", MAKERS)
def test_clean_data_sets_have_no_problem(kind: str, tmp_path: Path) -> None:
    assert [problem for problem in findings(MAKERS[kind][1](tmp_path)) if not problem.harmless] == []


PAIR_FRAMES, PAIR_MASKS = Path("JPEGImages/480p/pair"), Path("Annotations/480p/pair")


def lose_frame(root: Path) -> None:
    (root / PAIR_FRAMES / "00002.jpg").unlink()


def leave_gap(root: Path) -> None:
    lose_frame(root)
    (root / PAIR_MASKS / "00002.png").unlink()


def lose_mask(root: Path) -> None:
    (root / PAIR_MASKS / "00002.png").unlink()


def lose_masks(root: Path) -> None:
    shutil.rmtree(root / PAIR_MASKS)
    (root / PAIR_MASKS).mkdir()


def lose_frames(root: Path) -> None:
    shutil.rmtree(root / PAIR_FRAMES)
    (root / PAIR_FRAMES).mkdir()


def double_frame(root: Path) -> None:
    Image.new("RGB", (20, 12)).save(root / PAIR_FRAMES / "00002.png")


def shrink_frame(root: Path) -> None:
    save_frames(root / PAIR_FRAMES, ["00000"], size=(6, 10))


def shrink_mask(root: Path) -> None:
    save_mask(root / PAIR_MASKS / "00002.png", pair(0)[::2, ::2])


def colour_mask(root: Path) -> None:
    path = root / PAIR_MASKS / "00002.png"
    Image.open(path).convert("RGB").save(path)


def grey_as_colours(root: Path) -> None:
    Image.fromarray(np.repeat(pair(2)[:, :, None], 3, axis=2)).save(root / PAIR_MASKS / "00002.png")


def mix_modes(root: Path) -> None:
    save_mask(root / PAIR_MASKS / "00002.png", pair(2), indexed=False)


def mix_values(root: Path) -> None:
    save_mask(root / "Annotations/480p/alone/00002.png", square(2), indexed=False)


def one_colour(root: Path) -> None:
    picture = Image.fromarray(pair(2))
    palette = davis_palette().copy()
    palette[2] = palette[1]
    picture.putpalette(palette.tobytes())
    picture.save(root / PAIR_MASKS / "00002.png")


def jump(root: Path) -> None:
    for index, stem in enumerate(numbers(4)):
        save_mask(root / PAIR_MASKS / f"{stem}.png", np.where(pair(index) == 2, 4, pair(index)))


def come_late(root: Path) -> None:
    for index, stem in enumerate(numbers(4)[2:], start=2):
        save_mask(root / PAIR_MASKS / f"{stem}.png", labels(_1=square(index), _3=square(15)))


def empty_first(root: Path) -> None:
    save_mask(root / PAIR_MASKS / "00000.png", labels())


def damage_frame(root: Path) -> None:
    (root / PAIR_FRAMES / "00002.jpg").write_bytes(b"no picture")


def cut_frame(root: Path) -> None:
    path = root / PAIR_FRAMES / "00002.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (12, 20, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, quality=95)
    path.write_bytes(path.read_bytes()[:-200])


def damage_mask(root: Path) -> None:
    (root / PAIR_MASKS / "00002.png").write_bytes(b"")


def stray_mask(root: Path) -> None:
    Image.new("L", (20, 12)).save(root / PAIR_MASKS / "00002.jpg")


def lose_folder_of_frames(root: Path) -> None:
    shutil.rmtree(root / PAIR_FRAMES)


def lose_folder_of_masks(root: Path) -> None:
    shutil.rmtree(root / PAIR_MASKS)


@pytest.mark.parametrize(
    ("harm", "expected", "detail"),
    [
        (lose_frame, [("pair", "missing frame", "00003"), ("pair", "missing frame", "00002")], "steps of 1"),
        (leave_gap, [("pair", "missing frame", "00003")], "after 00001 comes 00003, frames are numbered in steps of 1"),
        (lose_mask, [("pair", "frame without mask", "00002")], "expected a mask of this name"),
        (lose_masks, [("pair", "no masks", None)], "expected PNGs in"),
        (lose_folder_of_masks, [("pair", "no masks", None)], "expected PNGs in"),
        (lose_frames, [("pair", "no frames", None)], "expected images in"),
        (lose_folder_of_frames, [("pair", "sequence outside the list", None)], "it has masks and no frames, but"),
        (double_frame, [("pair", "two files for a frame", "00002")], "2 images have one name"),
        (shrink_frame, [("pair", "frame size changes", "00000")], "10x6, most frames are 20x12"),
        (shrink_mask, [("pair", "mask size differs", "00002")], "the mask is 10x6, frames are 20x12"),
        (colour_mask, [("pair", "no label map", "00002")], "RGB picture in colours"),
        (grey_as_colours, [("pair", "no label map", "00002")], "stored as RGB"),
        (mix_modes, [("pair", "no label map", None)], "3 of mode P, 1 of mode L"),
        (mix_values, [("alone", "no label map", "00002")], "black and white, this one holds 1"),
        (one_colour, [("pair", "palette", "00002")], "same colour"),
        (jump, [("pair", "ids jump", None)], "objects are 1, 4: 2, 3 left out"),
        (come_late, [("pair", "id outside the list", "00002")], "object 3 is not on the first mask, which holds 1, 2"),
        (empty_first, [("pair", "empty mask", "00000")], "shows no object"),
        (damage_frame, [("pair", "unreadable file", "00002")], "cannot read .*00002.jpg as an image"),
        (cut_frame, [("pair", "unreadable file", "00002")], "cannot read .*00002.jpg to its end"),
        (damage_mask, [("pair", "unreadable file", "00002")], "cannot read .*00002.png as an image"),
        (stray_mask, [("pair", "stray file", "00002")], "00002.jpg lies among the masks"),
    ],
)
def test_each_problem_of_davis_is_found(
    harm: Harm, expected: list[tuple[str, str, str | None]], detail: str, tmp_path: Path
) -> None:
    harm(davis(tmp_path))
    found = findings(tmp_path, "davis")
    assert [(problem.sequence, str(problem.kind), problem.frame) for problem in found] == expected
    assert not any(problem.harmless for problem in found)
    assert any(re.search(detail, problem.detail) for problem in found)
    assert all("\n" not in problem.detail for problem in found)


def test_an_object_out_of_sight_is_no_problem(tmp_path: Path) -> None:
    save_mask(davis(tmp_path) / PAIR_MASKS / "00002.png", labels())
    assert [(str(problem.kind), problem.frame, problem.harmless) for problem in findings(tmp_path)] == [
        ("empty mask", "00002", True)
    ]


def test_an_empty_prompt_is_one(tmp_path: Path) -> None:
    save_masks(davis_test(tmp_path) / "Annotations/480p/one", {"00000": labels()})
    assert [(str(problem.kind), problem.harmless) for problem in findings(tmp_path)] == [("empty mask", False)]


def kinds(root: Path) -> list[tuple[str | None, str, str | None]]:
    return [(p.sequence, str(p.kind), p.frame) for p in findings(root) if not p.harmless]


def test_listed_objects(tmp_path: Path) -> None:
    stems = numbers(5, step=5)
    name = "3245e049fb"
    youtube_train(tmp_path)
    with_objects(tmp_path / "meta.json", {name: {1: stems, 3: stems}})
    assert kinds(tmp_path) == [
        (name, "id outside the list", "00010"),
        (name, "object never shown", None),
    ]
    with_objects(tmp_path / "meta.json", {name: {1: stems, 2: stems[1:]}})
    assert kinds(tmp_path) == [(name, "first appearance differs", "00010")]
    with_objects(tmp_path / "meta.json", {name: {1: stems, 2: [*stems[2:], "00025"]}})
    assert kinds(tmp_path) == [(name, "missing frame", "00025")]
    with_objects(tmp_path / "meta.json", {name: {1: stems, 2: stems[2:]}, "gone": {1: stems}})
    assert kinds(tmp_path)[0] == ("gone", "missing sequence", None)


def test_masks_that_a_listed_frame_lacks(tmp_path: Path) -> None:
    (youtube_train(tmp_path) / "Annotations/3245e049fb/00015.png").unlink()
    assert kinds(tmp_path) == [("3245e049fb", "frame without mask", "00015")]


def test_a_prompt_that_is_missing(tmp_path: Path) -> None:
    (youtube_valid(tmp_path) / "Annotations/3245e049fb/00010.png").unlink()
    assert kinds(tmp_path) == [
        ("3245e049fb", "frame without mask", "00010"),
        ("3245e049fb", "object never shown", None),
    ]


def test_gaps_are_told_where_numbers_go_in_fives(tmp_path: Path) -> None:
    lvos(tmp_path)
    for folder, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
        (tmp_path / folder / f"0tCWPOrc/00000021.{suffix}").unlink()
    found = findings(tmp_path)
    assert [(str(problem.kind), problem.frame) for problem in found] == [("missing frame", "00000026")]
    assert "after 00000016 comes 00000026, frames are numbered in steps of 5" in found[0].detail


def test_late_objects_are_allowed_where_the_benchmark_has_them(tmp_path: Path) -> None:
    mose(tmp_path)
    save_mask(tmp_path / "Annotations/002b4dce/00004.png", labels(_1=square(4), _2=square(15), _3=square(10, side=2)))
    assert kinds(tmp_path) == []


def test_an_extra_mask_is_no_frame(tmp_path: Path) -> None:
    save_masks(mose_valid(tmp_path) / "Annotations/0a1b2c3d", {"00009": pair(0)})
    assert kinds(tmp_path) == [("0a1b2c3d", "missing frame", "00009")]


SAV = Path("Annotations_6fps/sav_000262")


def lose_object_mask(root: Path) -> None:
    (root / SAV / "001/00004.png").unlink()


def fill_object_mask(root: Path) -> None:
    save_mask(root / SAV / "000/00004.png", pair(0))


def empty_object(root: Path) -> None:
    for stem in numbers(3, step=4):
        save_mask(root / SAV / "001" / f"{stem}.png", labels())


def skip_object(root: Path) -> None:
    (root / SAV / "001").rename(root / SAV / "003")


def name_object(root: Path) -> None:
    shutil.copytree(root / SAV / "001", root / SAV / "hand")


def lose_all(root: Path) -> None:
    shutil.rmtree(root / SAV)


def shift_mask(root: Path) -> None:
    (root / SAV / "001/00008.png").rename(root / SAV / "001/00040.png")


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (lose_object_mask, [("frame without mask", "00004")]),
        (fill_object_mask, [("no label map", "00004")]),
        (empty_object, [("object never shown", None)]),
        (skip_object, [("ids jump", None)]),
        (name_object, [("ids jump", None)]),
        (lose_all, [("no masks", None)]),
        (shift_mask, [("missing frame", "00040"), ("frame without mask", "00008")]),
    ],
)
def test_each_problem_of_sa_v_is_found(harm: Harm, expected: list[tuple[str, str | None]], tmp_path: Path) -> None:
    harm(sav(tmp_path))
    assert [(kind, frame) for _, kind, frame in kinds(tmp_path)] == expected


def rows(count: int) -> list[list[dict[str, object] | None]]:
    return [[encoded(square(i))] for i in range(count)]


MASKLETS, MP4 = Path("sav_000/sav_000001_manual.json"), Path("sav_000/sav_000001.mp4")


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (lambda root: save_masklets(root / MASKLETS, rows(4)), [("missing frame", None)]),
        (lambda root: save_masklets(root / MASKLETS, rows(2)), [("frame without mask", "8")]),
        (
            lambda root: save_masklets(root / MASKLETS, [[encoded(square(0) & False)]] * 3),
            [("object never shown", None)],
        ),
        (lambda root: (root / MASKLETS).write_text("{"), [("unreadable file", None)]),
        (lambda root: (root / MP4).write_bytes(b"x"), [("unreadable file", None)]),
        (lambda root: (root / MP4).unlink(), [("no frames", None)]),
        (lambda root: save_video(root / "sav_000/sav_000002.mp4", 2), [("no masks", None)]),
    ],
)
def test_each_problem_of_sa_v_train_is_found(
    harm: Harm, expected: list[tuple[str, str | None]], tmp_path: Path
) -> None:
    harm(sav_train(tmp_path))
    assert [(kind, frame) for _, kind, frame in kinds(tmp_path)] == expected


def test_run_lengths_that_are_none(tmp_path: Path) -> None:
    too_long = encoded(np.zeros((24, 40), dtype=bool))["counts"]
    damaged = [*rows(1), [{"size": [12, 20], "counts": too_long}], [{"size": [6, 10], "counts": "l1"}]]
    save_masklets(sav_train(tmp_path) / MASKLETS, damaged)
    assert kinds(tmp_path) == [
        ("sav_000001", "unreadable file", "4"),
        ("sav_000001", "mask size differs", "8"),
    ]


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (lambda root: (root / "clip.png").write_bytes(b"x"), ("unreadable file", "0")),
        (lambda root: save_mask(root / "clip.png", pair(0)[::2, ::2]), ("mask size differs", "0")),
        (lambda root: save_mask(root / "clip.png", labels()), ("empty mask", "0")),
        (lambda root: Image.effect_noise((20, 12), 90).save(root / "clip.png"), ("no label map", "0")),
        (lambda root: (root / "clip.mp4").write_bytes(b"x"), ("unreadable file", None)),
        (lambda root: (root / "stills.png").unlink(), ("no masks", None)),
    ],
)
def test_each_problem_of_a_video_with_a_mask_is_found(
    harm: Harm, expected: tuple[str, str | None], tmp_path: Path
) -> None:
    harm(video(tmp_path))
    assert [(kind, frame) for _, kind, frame in kinds(tmp_path)] == [expected]


def test_an_error_stops_the_other_threads() -> None:
    done: list[str] = []

    def work(name: str) -> None:
        done.append(name)
        if name == "a":
            raise ValueError(name)

    with pytest.raises(ValueError, match="a"):
        list(in_threads(work, ["a", *map(str, range(500))], threads=1))
    assert len(done) < 500


@pytest.mark.parametrize("count", [0, 1])
def test_davis_sequences_of_the_reference_data_are_clean(shared: Path, count: int) -> None:
    """Two of them read to the end; the others are alike."""
    dataset = open_dataset(shared / "davis2016")
    assert dataset.layout == "davis"
    assert len(dataset) == 10
    assert dataset.check_layout() == []
    assert dataset.check(["car-shadow", "libby"][count]) == []
