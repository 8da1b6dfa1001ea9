"""`maskscope diagnose --dataset` by the command: what it says, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from maskscope.cli.main import app
from maskscope.model.checkpoints import save_checkpoint
from planted import SIDE, tiny_model
from random_models import moving_square, square_mask

FRAMES = 3


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One clip in the layout of DAVIS, and a model without training."""
    folder = tmp_path_factory.mktemp("dataset")
    images, masks = (folder / "data" / part / "480p" / "dog" for part in ("JPEGImages", "Annotations"))
    for each in (images, masks):
        each.mkdir(parents=True)
    for t, frame in enumerate(moving_square(FRAMES, SIDE, SIDE)):
        Image.fromarray(frame).save(images / f"{t:05d}.jpg")
        Image.fromarray(square_mask(t, SIDE, SIDE).astype(np.uint8)).save(masks / f"{t:05d}.png")
    save_checkpoint(tiny_model(), folder / "small.safetensors")
    return folder


def run(place: Path, *words: str) -> Result:
    model = ("--model", str(place / "small.safetensors"), "--precision", "float32", "--device", "cpu")
    return CliRunner().invoke(app, ["diagnose", *words, *model])


def test_a_data_set_ends_in_a_table_and_a_page(place: Path, tmp_path: Path) -> None:
    words = ("--dataset", str(place / "data"), "--out", str(tmp_path / "out"), "--families", "illumination")
    result = run(place, *words, "--severity", "1,5", "--no-intervention")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert any(line.startswith("as filmed") for line in lines)
    assert any(line.startswith("illumination (severity 5)") for line in lines)
    assert f"look at {tmp_path / 'out' / 'report.html'}" in result.output
    page = (tmp_path / "out" / "report.html").read_bytes()
    (tmp_path / "out" / "report.html").unlink()
    again = CliRunner().invoke(app, ["report", str(tmp_path / "out")])
    assert again.exit_code == 0, again.output
    assert (tmp_path / "out" / "report.html").read_bytes() == page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no clip is named"),
        (("--dataset", "DATA", "--severity", "6"), "no list of severities"),
        (("--dataset", "DATA", "--severity", "1;3"), "no list of severities"),
        (("--dataset", "DATA", "--point", "16,16"), "takes the masks of each clip"),
        (("--dataset", "DATA", "--overwrite"), "computed again"),
        (("--dataset", "DATA", "--families", "ilumination"), "ilumination"),
        (("--dataset", "DATA", "--sequence", "cat"), "cat"),
        (("DATA", "--limit", "2"), "--dataset"),
    ],
)
def test_one_line_for_a_mistake(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(place, *(str(place / "data") if word == "DATA" else word for word in words))
    assert result.exit_code == 2, result.output
    assert said in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
