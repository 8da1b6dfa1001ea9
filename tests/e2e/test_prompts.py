"""`maskscope prompts` on a small data set and a clip: what it leaves, going on, stopping short, and bad input."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import davis_folder
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from maskscope.cli.main import app
from maskscope.model.checkpoints import save_checkpoint
from maskscope.records import read_facts, read_records
from random_models import random_model, small_config

FRAMES = 5
SMALL = ("--jitter", "20", "--every", "2", "--rounds", "2")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of 64 x 96 and a model without training."""
    folder = tmp_path_factory.mktemp("prompts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(davis_folder, "SIZE", (64, 96))
        davis_folder.write_davis(folder / "data", frames=FRAMES)
    save_checkpoint(random_model(small_config(image_size=(64, 64))), folder / "small.safetensors")
    return folder


def invoke(place: Path, *words: str) -> Result:
    model = ("--model", str(place / "small.safetensors"), "--precision", "float32", "--device", "cpu")
    return CliRunner().invoke(app, ["prompts", *words, *model])


@pytest.fixture(scope="module")
def whole(place: Path) -> Path:
    """All parts of the study, on one clip."""
    result = invoke(place, str(place / "data"), "--sequences", "dog", "--out", str(place / "whole"), *SMALL)
    assert result.exit_code == 0, result.output
    assert "8 jobs, 8 of them computed now" in result.output
    return place / "whole"


def test_it_leaves_records_a_summary_and_a_page(whole: Path) -> None:
    assert sorted(path.name for path in whole.iterdir()) == [
        "jobs", "prompts.html", "prompts.json", "records.parquet", "summary.json",
    ]  # fmt: skip
    rows = read_records(whole / "records.parquet")
    parts = {row.family for row in rows if row.family}
    assert parts == {
        f"prompt/{part}" for part in ("kind", "density", "jitter", "wrong", "offline", "online", "noc", "inside")
    }
    frames = {row.frame for row in rows if row.family == "prompt/kind" and row.metric == "j" and row.transform == "box"}
    assert frames == set(range(FRAMES))
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["truth"] == "annotated"
    assert summary["advice"]["sentence"].endswith(".")
    assert {row["name"] for row in summary["rows"] if row["axis"] == "density"} == {
        f"{kind}, every 2 frames" for kind in ("3 clicks", "box", "mask")
    }


def test_seconds_are_those_of_the_time_model(whole: Path) -> None:
    seconds = {
        (row.family, row.transform): row.value
        for row in read_records(whole / "records.parquet")
        if row.metric == "human_seconds" and not row.severity
    }
    assert seconds["prompt/kind", "box"] == pytest.approx(7.0)
    assert seconds["prompt/kind", "1 click"] == pytest.approx(2.5)
    assert seconds["prompt/density", "mask, every 2 frames"] == pytest.approx(3 * 37.8)  # frames 0, 2 and 4
    assert seconds["prompt/offline", "2 frames"] == pytest.approx((30 * FRAMES / 300 + 1 + 4.5) * 2)


def test_the_mask_of_the_first_frame_is_adopted_and_the_wrong_ones_are_not_the_object(whole: Path) -> None:
    first = {
        (row.family, row.transform): row.value
        for row in read_records(whole / "records.parquet")
        if row.metric == "j" and row.frame == 0 and not row.severity
    }
    assert first["prompt/kind", "mask"] > 0.8
    assert first["prompt/wrong", "mask of a neighbour"] < 0.1


def test_the_page_says_what_the_summary_says_and_needs_no_network(whole: Path) -> None:
    page = (whole / "prompts.html").read_text()
    sentence = json.loads((whole / "summary.json").read_text())["advice"]["sentence"]
    assert sentence.split(":")[0].replace("&", "&amp;") in page
    assert "src=" not in page.split("<script>")[0]
    for anchor in ("kinds", "density", "time", "clicks", "jitter", "wrong", "inside", "rules"):
        assert f'id="{anchor}"' in page
    assert str(whole) not in page


def test_the_same_command_computes_nothing_again_and_a_larger_grid_only_what_is_new(
    whole: Path, place: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole, tmp_path / "out")
    words = (str(place / "data"), "--sequences", "dog", "--out", str(tmp_path / "out"))
    assert "8 jobs, 0 of them computed now" in invoke(place, *words, *SMALL).output
    more = invoke(place, *words, "--jitter", "20,50", "--every", "2", "--rounds", "2", "--parts", "kind,jitter")
    assert "2 jobs, 1 of them computed now" in more.output


def test_a_clip_without_masks_is_compared_with_the_models_own_run(place: Path, tmp_path: Path) -> None:
    clip = place / "data" / "JPEGImages" / "480p" / "dog"
    mask = place / "data" / "Annotations" / "480p" / "dog" / "00000.png"
    words = (str(clip), "--mask", str(mask), "--out", str(tmp_path / "out"), "--parts", "kind")
    result = invoke(place, *words)
    assert result.exit_code == 0, result.output
    assert "(Compared with the model's own run, not with true masks.)" in result.output
    assert read_facts(tmp_path / "out" / "records.parquet")["truth"] == "own run"
    rows = read_records(tmp_path / "out" / "records.parquet")
    agreement = [r.value for r in rows if r.metric == "j" and r.transform == "mask" and (r.frame or 0) > 0]
    assert agreement == pytest.approx([1.0] * (FRAMES - 1), abs=0.02)  # it is compared with itself


def empty_masks(folder: Path) -> None:
    for path in folder.glob("*.png"):
        Image.fromarray(np.zeros((64, 96), np.uint8)).save(path)


def one_frame(folder: Path) -> None:
    for path in sorted(folder.glob("*"))[1:]:
        path.unlink()


def one_pixel(folder: Path) -> None:
    for path in folder.glob("*.png"):
        labels = np.zeros((64, 96), np.uint8)
        labels[10, 10] = 1
        Image.fromarray(labels).save(path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (empty_masks, "show no object on frame 0"),
        (one_frame, "no frame after frame 0"),
        (one_pixel, "is nothing at the model's input of 64 x 64"),
    ],
)
def test_a_clip_that_cannot_be_used_is_one_line(
    spoil: Callable[[Path], None], said: str, place: Path, tmp_path: Path
) -> None:
    clip, masks = tmp_path / "clip", tmp_path / "masks"
    shutil.copytree(place / "data" / "JPEGImages" / "480p" / "dog", clip)
    shutil.copytree(place / "data" / "Annotations" / "480p" / "dog", masks)
    spoil(masks)
    if spoil is one_frame:
        spoil(clip)
    result = invoke(place, str(clip), "--masks", str(masks), "--out", str(tmp_path / "out"))
    assert result.exit_code == 2, result.output
    assert said in result.output
    assert result.output.startswith("error: ")
    assert len(result.output.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "has no masks, which this study compares with; give --masks DIR"),
        (("--parts", "colour"), "there is no part 'colour'"),
        (("--jitter", "150"), "a jitter of 150 % is out of range"),
        (("--every", "often"), "is no list of whole numbers"),
        (("--seeds", "-1"), "there is no seed -1; give whole numbers from 0"),
    ],
)
def test_bad_words_are_one_line(words: tuple[str, ...], said: str, place: Path, tmp_path: Path) -> None:
    clip = place / "data" / "JPEGImages" / "480p" / "dog"
    result = invoke(place, str(clip), "--out", str(tmp_path / "out"), *words)
    assert result.exit_code == 2
    assert said in result.output
    assert not (tmp_path / "out" / "jobs").exists()
