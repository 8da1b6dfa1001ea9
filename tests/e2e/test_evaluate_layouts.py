"""`maskscope evaluate` takes its truth from every layout of a data set, and refuses what is no truth."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dataset_folders import MAKERS, pair, save_mask, save_video
from typer.testing import CliRunner, Result

from maskscope.cli.main import app
from maskscope.data.layouts import open_dataset

SHIFTED = {4: 3 / 5, 3: 2 / 4, 6: 5 / 7, 2: 1 / 3}
"""Side of a square -> J with the same square a pixel lower."""

SCORED = {
    "davis": ("davis", {("alone", 1): 4, ("pair", 1): 4, ("pair", 2): 3}),
    "youtube-vos train": ("ytvos", {("3245e049fb", 1): 4, ("3245e049fb", 2): 3}),
    "mose train": ("all-frames", {("002b4dce", 1): 4, ("002b4dce", 2): 3}),
    "lvos": ("lvos", {("0tCWPOrc", 1): 4}),
    "sa-v": ("sav", {("sav_000262", 1): 6}),
    "sa-v train": ("sav", {("sav_000001", 1): 6}),
}
"""What it is -> protocol, and the side of each object's square that counts on some frame."""


def evaluate(predictions: Path, truth: Path, *words: object) -> Result:
    arguments = ["evaluate", predictions, "--ground-truth", truth, "--jobs", "1", *words]
    return CliRunner().invoke(app, [str(word) for word in arguments])


def predict(truth: Path, folder: Path, *, objects_apart: bool) -> Path:
    """The true masks a pixel lower, on all annotated frames."""
    for sequence in open_dataset(truth):
        for index in sequence.annotated_frames:
            name = f"{index:05d}.png"
            if paths := getattr(sequence, "frame_paths", None):
                name = f"{paths[index].stem}.png"
            lower = {key: np.roll(mask, 1, axis=0) for key, mask in sequence.object_masks(index).items()}
            if objects_apart:
                for key, mask in lower.items():
                    save_mask(folder / sequence.name / f"{key - 1:03d}" / name, mask * 255, indexed=False)
            else:
                labels = np.zeros(sequence.size, np.uint8)
                for key, mask in lower.items():
                    labels[mask] = key
                save_mask(folder / sequence.name / name, labels)
    return folder


@pytest.mark.parametrize("kind", SCORED)
def test_truth_is_read(kind: str, tmp_path: Path) -> None:
    protocol, sides = SCORED[kind]
    truth = MAKERS[kind][1](tmp_path / "true")
    mine = predict(truth, tmp_path / "mine", objects_apart=kind.startswith("sa-v"))
    result = evaluate(mine, truth, "--protocol", protocol, "--json", tmp_path / "out.json", "--per-frame")
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    found: dict[tuple[str, int], set[float]] = {}
    for row in document["frames"]:
        if row["outcome"] != "absent":
            found.setdefault((row["sequence"], row["object"]), set()).add(round(row["j"], 9))
    assert {key: round(SHIFTED[side], 9) for key, side in sides.items()} == {
        key: min(values) for key, values in found.items() if key in sides
    }


def test_only_annotated_frames_of_a_video_with_run_lengths_count(tmp_path: Path) -> None:
    truth = MAKERS["sa-v train"][1](tmp_path / "true")
    mine = predict(truth, tmp_path / "mine", objects_apart=True)
    save_mask(mine / "sav_000001/000/00005.png", pair(0) * 0)
    words = ("--protocol", "all-frames", "--json", tmp_path / "out.json", "--per-frame")
    result = evaluate(mine, truth, *words)
    assert "note: 1 predicted frames without true mask ignored" in result.stdout, result.output
    rows = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["frames"]
    assert [row["frame"] for row in rows if row["object"] == 1] == [0, 1, 2]  # of the true ones
    together = evaluate(mine, truth, "--protocol", "all-frames", "--jobs", "2")
    assert together.exit_code == 0, together.output


@pytest.mark.parametrize("kind", ["davis test-dev", "youtube-vos valid", "mose valid"])
def test_masks_of_first_frames_are_no_truth(kind: str, tmp_path: Path) -> None:
    truth = MAKERS[kind][1](tmp_path / "true")
    mine = predict(truth, tmp_path / "mine", objects_apart=False)
    result = evaluate(mine, truth, "--protocol", "all-frames")
    assert result.exit_code == 2
    (line,) = result.stderr.strip().splitlines()
    assert "only where objects are given, expected them on later frames too; use a split with public" in line
    assert open_dataset(truth).sequences[0] in line


def test_a_video_with_one_mask_is_no_truth(tmp_path: Path) -> None:
    save_video(tmp_path / "true/clip.mp4", 5)
    save_mask(tmp_path / "true/clip.png", pair(0))
    save_mask(tmp_path / "mine/clip/00000.png", pair(0))
    result = evaluate(tmp_path / "mine", tmp_path / "true")
    assert result.exit_code == 2
    (line,) = result.stderr.strip().splitlines()
    assert "has videos with one mask each, which say what to follow and nothing of later frames" in line


@pytest.mark.parametrize("inside", ["", "masks"])
def test_a_clip_by_itself_needs_no_folders_of_sequences(inside: str, tmp_path: Path) -> None:
    """As `maskscope track` leaves it, and a folder of masks drawn by hand."""
    for index in range(4):
        save_mask(tmp_path / "dog-tracked" / inside / f"{index:05d}.png", np.roll(pair(index), 1, axis=0))
        save_mask(tmp_path / "my masks" / f"{index:05d}.png", pair(index))
    result = evaluate(tmp_path / "dog-tracked", tmp_path / "my masks", "--json", tmp_path / "out.json")
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [row["j"] for row in document["objects"]] == pytest.approx([SHIFTED[4], SHIFTED[3]])
    assert [row["sequence"] for row in document["sequences"]] == ["my masks"]


@pytest.fixture
def halves(tmp_path: Path) -> Callable[[str], Path]:
    """A truth of SA-V train, damaged in a way."""

    def make(how: str) -> Path:
        truth = MAKERS["sa-v train"][1](tmp_path / "true")
        path = next(truth.rglob("*_manual.json"))
        text = path.read_text(encoding="utf-8")
        if how == "cut off":
            path.write_text(text[: len(text) // 2], encoding="utf-8")
        elif how == "longer":
            content = json.loads(text)
            content["masklet"] *= 2
            path.write_text(json.dumps(content), encoding="utf-8")
        return truth

    return make


@pytest.mark.parametrize(
    ("how", "says"), [("cut off", "is not a file of masklets"), ("longer", "has masks up to frame 20")]
)
def test_damaged_run_lengths_are_one_line(how: str, says: str, halves: Callable[[str], Path], tmp_path: Path) -> None:
    truth = halves(how)
    save_mask(tmp_path / "mine/sav_000001/00000.png", pair(0))
    result = evaluate(tmp_path / "mine", truth, "--protocol", "sav")
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.strip().splitlines()
    assert says in line
