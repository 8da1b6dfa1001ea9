"""Data sets that are not as they should be, through `transform`, `stress`, `evaluate` and `data check`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import davis_folder
import numpy as np
import pytest
from davis_folder import write_davis, write_labels
from PIL import Image
from typer.testing import CliRunner, Result

from maskscope.cli.main import app
from maskscope.data.davis import DavisDataset
from maskscope.model.checkpoints import save_checkpoint
from random_models import random_model

FRAMES, SIZE = 4, (96, 128)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_checkpoint(random_model(), path)
    return path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `data`: the sequences cow and dog, four frames each."""
    monkeypatch.setattr(davis_folder, "SIZE", SIZE)
    write_davis(tmp_path / "data", frames=FRAMES)
    return tmp_path


@pytest.fixture
def run(place: Path, weights: Path) -> Callable[..., Result]:
    """One of the commands on `data`."""

    def call(command: str, *more: object) -> Result:
        words: list[object] = {
            "transform": ["transform", place / "data", "--out", place / "transformed"],
            "stress": ["stress", place / "data", "--out", place / "stressed", "--model", weights, "--device", "cpu"],
            "check": ["data", "check", place / "data"],
            "evaluate": ["evaluate", place / "mine", "--ground-truth", place / "data", "--jobs", "1"],
        }[command]
        if command == "stress":
            words = [*words, "--precision", "float32"]
        return CliRunner().invoke(app, [str(word) for word in (*words, *more)])

    return call


def mask(place: Path, sequence: str, index: int) -> Path:
    return place / "data/Annotations/480p" / sequence / f"{index:05d}.png"


def labels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def one_line(result: Result, code: int = 2) -> str:
    assert result.exit_code == code, f"{result.exit_code}: {result.output} {result.exception!r}"
    lines = result.stderr.strip().splitlines()
    assert "Traceback" not in result.output
    (line,) = [each for each in lines if each.startswith("error: ")]
    return line


class TestMasksThatDoNotMatchFrames:
    def test_one_is_missing(self, place: Path, run: Callable[..., Result]) -> None:
        mask(place, "cow", 2).unlink()
        found = run("check")
        assert found.exit_code == 1
        assert "frame without mask" in found.stdout
        says = "cow has 4 frames and 3 masks, expected one each (without a partner: 00002)"
        result = run("transform", "--family", "illumination:1")
        assert says in one_line(result)
        assert not (place / "transformed").exists(), "a damaged data set is refused before any work"
        assert run("transform", "--family", "illumination:1", "--sequences", "dog").exit_code == 0
        assert says in one_line(run("stress", "--families", "illumination", "--severities", "1"))

    def test_one_is_of_another_size(self, place: Path, run: Callable[..., Result]) -> None:
        write_labels(mask(place, "cow", 2), labels(mask(place, "cow", 2))[::2, ::2])
        found = run("check")
        assert found.exit_code == 1
        assert "the mask is 64x48, frames are 128x96" in found.stdout
        assert "00002.png is 64x48, the first frame of cow is 128x96" in one_line(
            run("transform", "--family", "illumination:1")
        )
        result = run("stress", "--families", "illumination", "--severities", "1")
        assert result.exit_code == 1
        assert "failed: cow, clean: " in result.stderr
        assert "00002.png is 64x48" in result.stderr
        assert "2 of 4 jobs failed" in result.stderr


def test_ids_that_jump(place: Path, run: Callable[..., Result]) -> None:
    for index in range(FRAMES):
        shown = labels(mask(place, "dog", index))
        write_labels(mask(place, "dog", index), np.where(shown == 2, 7, shown).astype(np.uint8))
    found = run("check")
    assert found.exit_code == 1
    assert "objects are 1, 7: 2, 3, 4, 5, 6 left out" in found.stdout
    assert run("transform", "--family", "illumination:1").exit_code == 0
    written = DavisDataset(place / "transformed")["dog"]
    assert [set(np.unique(written.masks(t))) for t in range(FRAMES)] == [{0, 1, 7}] * FRAMES
    shutil.copytree(place / "data/Annotations/480p", place / "mine")
    result = run("evaluate", "--sequences", "dog", "--json", place / "out.json")
    assert result.exit_code == 0, result.output
    objects = json.loads((place / "out.json").read_text(encoding="utf-8"))["objects"]
    assert [(row["object"], row["j"]) for row in objects] == [(1, 1.0), (7, 1.0)]
    result = run("stress", "--families", "illumination", "--severities", "1", "--sequences", "dog")
    assert result.exit_code == 0, result.output
    rows = json.loads((place / "stressed/summary.json").read_text(encoding="utf-8"))["rows"]
    assert {row["objects"] for row in rows} == {2}


class TestClipsOfOneFrame:
    @pytest.fixture(autouse=True)
    def short(self, place: Path) -> None:
        for part in ("JPEGImages", "Annotations"):
            for path in (place / "data" / part / "480p/cow").glob("0000[1-9]*"):
                path.unlink()

    def test_transform(self, place: Path, run: Callable[..., Result]) -> None:
        for family in ("occlusion", "illumination", "speed", "viewpoint", "interjection", "corruption"):
            line = one_line(run("transform", "--family", f"{family}:3", "--sequences", "cow"))
            assert "cow has 1 frame" in line, line
            assert not (place / "transformed").exists()
        assert run("transform", "--family", "speed:0", "--sequences", "cow").exit_code == 0

    def test_stress_says_so_and_goes_on(self, place: Path, run: Callable[..., Result]) -> None:
        result = run("stress", "--families", "illumination", "--severities", "1")
        assert result.exit_code == 1
        assert "failed: cow, illumination:1: cow has 1 frame" in result.stderr
        rows = json.loads((place / "stressed/summary.json").read_text(encoding="utf-8"))["rows"]
        assert [(row["family"], row["clips"]) for row in rows if row["severity"]] == [("illumination", 1)]

    def test_evaluate_says_which_protocol_counts_it(self, place: Path, run: Callable[..., Result]) -> None:
        shutil.copytree(place / "data/Annotations/480p", place / "mine")
        line = one_line(run("evaluate"))
        assert "of the sequence's 1 frames none is left; use protocol all-frames" in line
        assert run("evaluate", "--protocol", "all-frames").exit_code == 0


class TestTargetAbsentFromTheFirstFrame:
    @pytest.fixture(autouse=True)
    def late(self, place: Path) -> None:
        write_labels(mask(place, "cow", 0), np.zeros(SIZE, np.uint8))

    def test_transform(self, place: Path, run: Callable[..., Result]) -> None:
        line = one_line(run("transform", "--family", "occlusion:3"))
        assert "cow shows no object on its first frame" in line
        assert "the others are in" in line
        assert DavisDataset(place / "transformed").sequences == ["dog"]

    def test_families_without_a_target_do_not_mind(self, place: Path, run: Callable[..., Result]) -> None:
        result = run("transform", "--family", "illumination:2", "--sequences", "cow")
        assert result.exit_code == 0, result.output

    def test_stress(self, place: Path, run: Callable[..., Result]) -> None:
        """DAVIS gives objects on the first mask; where they may come late, they are given when they come."""
        grid = ("stress", "--families", "illumination", "--severities", "1", "--sequences", "cow")
        result = run(*grid)
        assert result.exit_code == 1
        assert "cow/00000.png holds no object, expected one or more on the first mask" in result.stderr
        for part in ("JPEGImages", "Annotations"):
            (place / "data" / part / "480p/cow").rename(place / "data" / part / "cow")
            shutil.rmtree(place / "data" / part / "480p")
        result = run(*grid)
        assert result.exit_code == 0, result.output
        rows = json.loads((place / "stressed/summary.json").read_text(encoding="utf-8"))["rows"]
        assert {row["objects"] for row in rows} == {2}

    def test_evaluate(self, place: Path, run: Callable[..., Result]) -> None:
        shutil.copytree(place / "data/Annotations/480p", place / "mine")
        line = one_line(run("evaluate", "--sequences", "cow"))
        assert "no object to score: no first true mask holds a label" in line
        assert run("evaluate", "--sequences", "cow", "--protocol", "sav").exit_code == 0


class TestTargetTooLargeToBeHidden:
    @pytest.fixture(autouse=True)
    def large(self, place: Path) -> None:
        for index in range(FRAMES):
            shown = np.zeros(SIZE, np.uint8)
            shown[2:-2, 2:-2] = 1
            write_labels(mask(place, "cow", index), shown)

    def test_transform(self, place: Path, run: Callable[..., Result]) -> None:
        line = one_line(run("transform", "--family", "occlusion/pass:5"))
        assert "cow covers 93% of the picture, too large to hide 100% of it; the others are in" in line
        assert DavisDataset(place / "transformed").sequences == ["dog"]

    def test_stress_goes_on_without_it(self, place: Path, run: Callable[..., Result]) -> None:
        result = run("stress", "--families", "occlusion/pass", "--severities", "5")
        assert result.exit_code == 1
        assert "failed: cow, occlusion/pass:5: the target of cow covers 93% of the picture" in result.stderr
        assert "1 of 4 jobs failed" in result.stderr


class TestHalfWrittenResults:
    def test_of_a_grid(self, place: Path, run: Callable[..., Result]) -> None:
        grid = ("stress", "--families", "illumination", "--severities", "1", "--sequences", "dog")
        assert run(*grid).exit_code == 0
        before = {path.name: path.read_bytes() for path in (place / "stressed").iterdir() if path.is_file()}
        for path in (place / "stressed").rglob("*"):
            if path.is_file():
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        result = run(*grid)
        assert result.exit_code == 0, result.output
        assert "2 jobs, 2 of them computed now" in result.stdout
        rows = [
            json.loads(text)["rows"]
            for text in (before["summary.json"], (place / "stressed/summary.json").read_bytes())
        ]
        assert rows[0] == rows[1]

    def test_of_transformed_data(self, place: Path, run: Callable[..., Result]) -> None:
        words = ("transform", "--family", "illumination:1")
        assert run(*words).exit_code == 0
        manifest = place / "transformed/manifest.json"
        manifest.write_bytes(manifest.read_bytes()[:100])
        line = one_line(run(*words))
        assert "manifest.json" in line
        assert "that no run of this command has written; name another folder with --out" in line
        assert manifest.stat().st_size == 100, "what cannot be told to be ours is left alone"
