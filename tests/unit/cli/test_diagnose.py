"""What the words of `maskscope diagnose` ask for, and what it says when it was stopped; nothing is computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from maskscope.cli import diagnose as verb
from maskscope.cli.main import app
from maskscope.studies import diagnose as study
from maskscope.studies.diagnose import DiagnoseOptions, DiagnoseSummary
from maskscope.studies.diagnose_dataset import DatasetOptions


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[DiagnoseOptions | DatasetOptions]:
    """The options that the studies were called with."""
    calls: list[DiagnoseOptions | DatasetOptions] = []

    def one(clip: object, prompts: object, out: Path, options: DiagnoseOptions, **_: Any) -> DiagnoseSummary:
        calls.append(options)
        return DiagnoseSummary(Path(out), None, options.seed != 9, True, (), ())  # seed 9 plays a stopped run

    def many(dataset: Path, out: Path | None, options: DatasetOptions, jobs: int) -> None:
        calls.append(options)

    monkeypatch.setattr(study, "diagnose_clip", one)
    monkeypatch.setattr(verb, "diagnose_all", many)
    return calls


def run(tmp_path: Path, *words: str) -> Result:
    frames = tmp_path / "frames"
    frames.mkdir()
    for t in range(2):
        Image.fromarray(np.full((32, 32, 3), 90, np.uint8)).save(frames / f"{t:05d}.png")
    where = () if "--dataset" in words else (str(frames), "--point", "16,16", "--out", str(tmp_path / "out"))
    return CliRunner().invoke(app, ["diagnose", *where, *words])


@pytest.mark.parametrize(
    ("words", "intervene", "reverse", "ablate"),
    [
        ((), True, False, True),
        (("--reverse",), True, True, True),
        (("--no-ablation",), True, False, False),
        (("--reverse", "--no-ablation"), True, True, False),
        (("--no-intervention",), False, False, True),
    ],
)
@pytest.mark.parametrize("dataset", [False, True])
def test_flags_reach_the_study(
    tmp_path: Path,
    asked: list[DiagnoseOptions | DatasetOptions],
    words: tuple[str, ...],
    intervene: bool,
    reverse: bool,
    ablate: bool,
    dataset: bool,
) -> None:
    result = run(tmp_path, *words, *(("--dataset", str(tmp_path)) if dataset else ()))
    assert result.exit_code == 0, result.output
    (options,) = asked
    assert (options.intervene, options.reverse, options.ablate) == (intervene, reverse, ablate)
    assert isinstance(options, DatasetOptions if dataset else DiagnoseOptions)


def test_a_reversed_patch_without_patching_is_refused(
    tmp_path: Path, asked: list[DiagnoseOptions | DatasetOptions]
) -> None:
    result = run(tmp_path, "--reverse", "--no-intervention")
    assert result.exit_code == 2
    assert "--reverse is an intervention" in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert not asked


def test_a_stopped_run_says_how_to_go_on(tmp_path: Path, asked: list[DiagnoseOptions | DatasetOptions]) -> None:
    result = run(tmp_path, "--seed", "9")
    assert result.exit_code != 0
    assert "run the same command to go on" in result.output
    assert len(asked) == 1
    assert "the same command goes on from there" in " ".join(verb.HELP.split())
