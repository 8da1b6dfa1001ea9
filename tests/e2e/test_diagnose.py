"""`maskscope observe`, `diagnose` and `report` on a tiny clip, by the commands, and what they say of bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from maskscope.cli.main import app
from maskscope.model.checkpoints import save_checkpoint
from maskscope.records import read_records, write_records
from maskscope.report.page.diagnosis import Facts
from planted import SIDE, tiny_model
from random_models import moving_square, square_mask

FRAMES = 5


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of frames, one of masks, and a model without training."""
    folder = tmp_path_factory.mktemp("diagnose")
    for part in ("frames", "masks"):
        (folder / part).mkdir()
    for t, frame in enumerate(moving_square(FRAMES, SIDE, SIDE)):
        Image.fromarray(frame).save(folder / "frames" / f"{t:05d}.png")
        Image.fromarray(square_mask(t, SIDE, SIDE).astype(np.uint8)).save(folder / "masks" / f"{t:05d}.png")
    save_checkpoint(tiny_model(), folder / "small.safetensors")
    return folder


def run(verb: str, place: Path, out: Path, *more: str) -> Result:
    model = ("--model", str(place / "small.safetensors"), "--precision", "float32", "--device", "cpu")
    return CliRunner().invoke(app, [verb, str(place / "frames"), "--out", str(out), *model, *more])


@pytest.fixture(scope="module")
def diagnosed(place: Path) -> tuple[Path, Result]:
    """Of a box, without true masks."""
    out = place / "diagnosed"
    return out, run("diagnose", place, out, "--box", "16,16,32,32", "--families", "illumination", "--severity", "5")


def test_diagnose_leaves_a_page_records_and_pictures(diagnosed: tuple[Path, Result]) -> None:
    out, result = diagnosed
    assert result.exit_code == 0, result.output
    assert "no true masks given" in result.output
    assert "illumination 5" in result.output
    assert f"look at {out / 'report.html'}" in result.output
    rows = read_records(out / "records.parquet")
    assert {row.family for row in rows} == {"", "illumination"}
    assert {row.protocol for row in rows} == {"truth: clean run"}
    assert (out / "pictures" / "illumination-5.mp4").stat().st_size > 0
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<html" in page
    assert "illumination" in page


def test_the_page_can_be_made_again_without_a_model(diagnosed: tuple[Path, Result], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(diagnosed[0]), "--out", str(tmp_path / "again.html")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "again.html").stat().st_size > 0


def test_a_folder_with_results_needs_overwrite(place: Path, diagnosed: tuple[Path, Result]) -> None:
    result = run("diagnose", place, diagnosed[0], "--box", "16,16,32,32")
    assert result.exit_code == 2
    assert "--overwrite" in result.output


def test_observe_compares_with_given_masks(place: Path, tmp_path: Path) -> None:
    result = run("observe", place, tmp_path / "out", "--masks", str(place / "masks"), "--max-frames", "3")
    assert result.exit_code == 0, result.output
    assert "3 frames, J 0." in result.output
    assert "compared with the given masks" in result.output
    rows = read_records(tmp_path / "out" / "records.parquet")
    assert {row.protocol for row in rows} == {"truth: annotated"}
    assert len([row for row in rows if row.metric == "j"]) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--point"),
        (("--point", "16,16", "--frame", "4"), "no frame after frame 4"),
        (("--point", "16,16", "--families", "ilumination"), "illumination"),
        (("--sequence", "dog", "--point", "16,16"), "no sequences"),
    ],
)
def test_one_line_for_a_mistake(place: Path, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    result = run("diagnose", place, tmp_path / "out", *words)
    assert result.exit_code == 2, result.output
    assert said in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_report_refuses_unfinished_work_and_other_versions(diagnosed: tuple[Path, Result], tmp_path: Path) -> None:
    rows = read_records(diagnosed[0] / "records.parquet")
    write_records(rows[:5], tmp_path / "half" / "records.parquet", Facts(status="stopped").to_json())
    result = CliRunner().invoke(app, ["report", str(tmp_path / "half")])
    assert result.exit_code == 2
    assert "not finished" in result.output
    table = parquet.read_table(diagnosed[0] / "records.parquet")
    (tmp_path / "old").mkdir()
    old = table.replace_schema_metadata({**(table.schema.metadata or {}), b"maskscope.records": b"1"})
    parquet.write_table(old, tmp_path / "old" / "records.parquet")
    result = CliRunner().invoke(app, ["report", str(tmp_path / "old")])
    assert result.exit_code == 2
    assert "version 1" in result.output
