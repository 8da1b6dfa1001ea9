"""`maskscope data`: tables, files and exit codes, on data sets made here."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from dataset_folders import MAKERS, davis, mose, sav, save_frames, save_mask, square, youtube_valid
from typer.testing import CliRunner

from maskscope.cli.main import app


def data(*words: object) -> Result:
    return CliRunner().invoke(app, ["data", *map(str, words)])


@pytest.mark.parametrize("kind", MAKERS)
def test_a_clean_data_set_exits_with_0(kind: str, tmp_path: Path) -> None:
    layout, make, names = MAKERS[kind]
    result = data("check", make(tmp_path))
    assert result.exit_code == 0, result.output
    assert f"nothing is wrong, {len(names)} checked" in result.stdout
    assert f"layout {layout}: " in result.stderr


def test_problems_are_a_table_and_exit_with_1(tmp_path: Path) -> None:
    davis(tmp_path / "set")
    masks = tmp_path / "set/Annotations/480p"
    for stem in ("00001", "00002"):
        (masks / f"pair/{stem}.png").unlink()
    save_mask(masks / "alone/00003.png", square(3)[::2, ::2] * 255, indexed=False)
    result = data("check", tmp_path / "set", "--json", tmp_path / "found.json")
    assert result.exit_code == 1
    header, *rows = result.stdout.splitlines()[:3]
    assert header.split() == ["sequence", "problem", "count", "frames", "detail"]
    assert rows[0].split("  ")[0] == "alone"
    assert "mask size differs" in rows[0]
    assert "the mask is 10x6, frames are 20x12" in rows[0]
    assert "frame without mask" in rows[1]
    assert "00001, 00002" in rows[1]
    assert "3 problems in 2 sequences, 2 checked" in result.stdout
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["layout"] == "davis"
    assert [problem["frame"] for problem in found["problems"]] == ["00003", "00001", "00002"]
    assert found["harmless"] == []
    assert str(tmp_path) not in json.dumps(found["layout"])
    each = data("check", tmp_path / "set", "--every").stdout
    assert each.count("frame without mask") == 2


def test_objects_out_of_sight_are_told_but_fine(tmp_path: Path) -> None:
    davis(tmp_path)
    save_mask(tmp_path / "Annotations/480p/pair/00002.png", square(0) * 0)
    result = data("check", tmp_path)
    assert result.exit_code == 0
    assert "nothing is wrong, 2 checked; may be meant so: empty mask (1)" in result.stdout


@pytest.mark.parametrize("command", ["check", "summary"])
def test_what_is_no_data_set_is_one_line_and_exits_with_2(command: str, tmp_path: Path) -> None:
    save_frames(tmp_path / "JPEGImages/clip", ["00000"])
    for words, message in (
        ((tmp_path,), "has JPEGImages but no folder Annotations"),
        ((tmp_path / "nowhere",), "no such folder"),
        ((tmp_path, "--layout", "coco"), "there is no layout 'coco'"),
        ((tmp_path, "--layout", "sa-v"), "has no folders JPEGImages_24fps and Annotations_6fps"),
    ):
        result = data(command, *words)
        assert result.exit_code == 2
        assert message in result.stderr
        assert result.stderr.strip().startswith("error: ")
        assert len(result.stderr.strip().splitlines()) == 1
        assert result.stdout == ""


def test_a_summary_is_a_table_and_files(tmp_path: Path) -> None:
    mose(tmp_path / "set")
    files = ("--json", tmp_path / "out/summary.json", "--csv", tmp_path / "out/summary.csv")
    result = data("summary", tmp_path / "set", *files)
    assert result.exit_code == 0, result.output
    header, row = result.stdout.splitlines()[:2]
    told = dict(zip(header.replace("side px", "side_px").split(), row.split(), strict=True))
    assert told == {
        "sequence": "002b4dce",
        "frames": "7",
        "masks": "7",
        "size": "20x12",
        "fps": "-",
        "objects": "2",
        "area": "5.21%",  # between 16 and 9 of 240 pixels
        "side_px": "4",
        "motion": "0.125",
        "max": "0.250",
        "absences": "2",
        "longest": "2",
    }
    assert "1 sequence, 7 frames, 2 objects" in result.stdout
    content = json.loads((tmp_path / "out/summary.json").read_text(encoding="utf-8"))
    assert content["layout"] == "mose"
    assert [thing["absences"] for thing in content["sequences"][0]["objects"]] == [0, 2]
    with (tmp_path / "out/summary.csv").open(encoding="utf-8", newline="") as file:
        (line,) = csv.DictReader(file)
    assert (line["name"], line["objects"], line["fps"], line["motion_max"]) == ("002b4dce", "2", "", "0.25")


def test_prompts_leave_dashes(tmp_path: Path) -> None:
    row = data("summary", youtube_valid(tmp_path)).stdout.splitlines()[1].split()
    assert row[-4:] == ["-", "-", "-", "-"]


def test_files_are_not_overwritten_unasked(tmp_path: Path) -> None:
    sav(tmp_path / "set")
    (tmp_path / "summary.csv").write_text("mine", encoding="utf-8")
    result = data("summary", tmp_path / "set", "--csv", tmp_path / "summary.csv")
    assert result.exit_code == 2
    assert "exists already" in result.stderr
    assert (tmp_path / "summary.csv").read_text(encoding="utf-8") == "mine"
    assert data("summary", tmp_path / "set", "--csv", tmp_path / "summary.csv", "--overwrite").exit_code == 0
    assert (tmp_path / "summary.csv").read_text(encoding="utf-8").startswith("name,frames")


def test_a_summary_of_damaged_files_says_which(tmp_path: Path) -> None:
    shutil.rmtree(davis(tmp_path) / "Annotations/480p/pair")
    result = data("summary", tmp_path, "--layout", "davis")
    assert result.exit_code == 2
    assert "pair has no annotations" in result.stderr


def test_reference_sequences(shared: Path, tmp_path: Path) -> None:
    """Two of the shorter ones, by links."""
    for part in ("JPEGImages", "Annotations"):
        (tmp_path / part / "480p").mkdir(parents=True)
        for name in ("car-shadow", "libby"):
            (tmp_path / part / "480p" / name).symlink_to(shared / "davis2016" / part / "480p" / name)
    result = data("summary", tmp_path)
    assert result.exit_code == 0, result.output
    assert "2 sequences, 89 frames, 2 objects" in result.stdout
    assert result.stdout.splitlines()[1].split()[:6] == ["car-shadow", "40", "40", "854x480", "24", "1"]
