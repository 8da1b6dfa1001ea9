"""`maskscope train` on a data set made here: it ends with weights that load, and refuses bad data in one line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from maskscope.cli.main import app
from maskscope.model import SAM2
from maskscope.model.checkpoints import load_model, save_checkpoint
from tiny_training import TINY
from training_data import make_root, picture, save


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_root(tmp_path_factory.mktemp("root"))


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Two steps from weights of a tiny model."""
    torch.manual_seed(0)
    save_checkpoint(SAM2(TINY), tmp_path / "start.safetensors")
    path = tmp_path / "tiny.toml"
    path.write_text(
        "initial = 'start.safetensors'\nfrozen_stages = 0\ncheckpoint_minutes = 0\n"
        "[[cycles]]\n[[cycles.phases]]\nsteps = 2\nclips = 1\nframes = 2\nsize_hw = [64, 96]\n"
    )
    return path


def first_line(folder: Path) -> dict[str, float]:
    line: dict[str, float] = json.loads((folder / "log.jsonl").read_text().splitlines()[0])
    return line


def test_one_process_or_two_train_the_same_and_leave_weights(root: Path, recipe: Path, tmp_path: Path) -> None:
    arguments = ["train", str(root), "--recipe", str(recipe), "--cache", str(tmp_path / "cache"), "--device", "cpu"]
    for count in ("1", "2"):
        result = CliRunner().invoke(app, [*arguments, "--processes", count, "--out", str(tmp_path / count)])
        assert result.exit_code == 0, result.output
        assert f"2 steps; the weights are {tmp_path / count / 'weights.safetensors'}" in result.stdout
    model = load_model(tmp_path / "2" / "weights.safetensors", device="cpu")
    assert model.config == TINY
    alone, together = first_line(tmp_path / "1"), first_line(tmp_path / "2")
    assert together["step"] == alone["step"] == 2
    assert together["total"] == pytest.approx(alone["total"], rel=0.02)
    assert together["lr"] == alone["lr"]


def missing_mask(clip: Path) -> None:
    (clip / "masks" / "00003.png").unlink()


def empty_masks(clip: Path) -> None:
    for path in (clip / "masks").iterdir():
        save(path, np.zeros((64, 96), np.uint8))


def other_number(clip: Path) -> None:
    for t in range(4, 8):
        save(clip / "masks" / f"{t:05d}.png", 2 * picture(10 + 3 * t, 20)[1])


def two_sizes(clip: Path) -> None:
    for part, content in zip(("frames", "masks"), picture(10, 20), strict=True):
        save(clip / part / "00002.png", content[:32])


def one_frame(clip: Path) -> None:
    for t in range(1, 8):
        for part in ("frames", "masks"):
            (clip / part / f"{t:05d}.png").unlink()


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (missing_mask, "a mask for every frame, got 8 and 7 (without a partner: 00003)"),
        (empty_masks, "all masks of"),
        (other_number, "is called 2 from frame 4 on; give an object one number throughout"),
        (two_sizes, "is 96x32, its first frame is 96x64"),
        (one_frame, "has 1 labelled frame, expected 2 or more"),
        (lambda clip: shutil.rmtree(clip.parents[2]), "no such folder"),
    ],
    ids=["missing mask", "empty masks", "ids change", "two sizes", "one frame", "no folder"],
)
def test_bad_data_is_one_line(tmp_path: Path, recipe: Path, spoil: Callable[[Path], None], problem: str) -> None:
    clip = tmp_path / "root" / "video" / "own" / "square"
    for t in range(8):
        image, mask = picture(10 + 3 * t, 20)
        save(clip / "frames" / f"{t:05d}.png", image)
        save(clip / "masks" / f"{t:05d}.png", mask)
    spoil(clip)
    arguments = [str(tmp_path / "root"), "--recipe", str(recipe), "--processes", "1", "--device", "cpu"]
    folders = ["--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["train", *arguments, *folders])
    assert result.exit_code == 2, result.output
    [line] = [line for line in result.stderr.splitlines() if line]
    assert line.startswith("error: ")
    assert problem in line
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_under_torchrun_bad_data_is_one_line_of_the_process_that_leads(recipe: Path, tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    two_sizes(root / "video" / "own" / "square")
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--redirects", "3", "--log-dir", "logs"]
    arguments = ["train", str(root), "--recipe", str(recipe), "--device", "cpu", "--out", "out", "--cache", "cache"]
    done = subprocess.run(
        [sys.executable, *launcher, "-m", "maskscope.cli.main", *arguments],
        cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 1, "as torchrun tells that processes failed"
    told = {path.parent.name: path.read_text() for path in (tmp_path / "logs").rglob("stderr.log")}
    assert told.keys() == {"0", "1"}
    [line] = told["0"].splitlines()
    assert line.startswith("error: frame 2 of ")
    assert line.endswith("is 96x32, its first frame is 96x64; give frames and masks of a clip one size")
    assert told["1"] == ""
    assert done.stderr.count("exitcode  : 2 ") == 2, done.stderr
    assert not (tmp_path / "out").exists()


def test_a_device_that_is_not_there_is_one_line(root: Path, recipe: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["train", str(root), "--recipe", str(recipe), "--device", "nonsense", "--out", str(tmp_path / "out")]
    )
    assert result.exit_code == 2
    assert result.stderr.startswith("error: the device 'nonsense' is not available (Expected one of cpu, cuda")
    assert not (tmp_path / "out").exists()
