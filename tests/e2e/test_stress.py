"""`maskscope stress` on a small data set: undisturbed, killed in the middle, by two at once, with a job that fails."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import davis_folder
import pytest
from typer.testing import CliRunner, Result

from maskscope.cli.main import app
from maskscope.cli.stress import split_policies
from maskscope.model.checkpoints import save_checkpoint
from maskscope.records import read_records
from maskscope.report.stress_table import stress_rows
from maskscope.studies.stress_measures import COSTS
from random_models import random_model

FRAMES = 6
GRID = ("--families", "illumination,speed", "--severities", "4")
JOBS = 2 * (1 + 2)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of 96 x 128 and a model without training."""
    folder = tmp_path_factory.mktemp("stress")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(davis_folder, "SIZE", (96, 128))
        davis_folder.write_davis(folder / "data", frames=FRAMES)
    save_checkpoint(random_model(), folder / "small.safetensors")
    return folder


def words(place: Path, out: Path, *more: str) -> list[str]:
    model = ("--model", str(place / "small.safetensors"), "--precision", "float32", "--device", "cpu")
    return ["stress", str(place / "data"), "--out", str(out), *model, *(more or GRID)]


@pytest.fixture
def run(place: Path, tmp_path: Path) -> Callable[..., Result]:
    """Run the command here."""
    return lambda *more: CliRunner().invoke(app, words(place, tmp_path / "out", *more))


def start(place: Path, out: Path) -> subprocess.Popen[bytes]:
    """Run the command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "maskscope.cli.main", *words(place, out)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def numbers(out: Path) -> list[tuple[object, ...]]:
    """All rows but for where and how they were computed; values apart, as processes agree on them only nearly."""
    rows = read_records(*sorted((out / "jobs").glob("*.parquet")))
    return [(r.clip, r.transform, r.object, r.frame, r.metric, r.state, r.value is None) for r in rows]


def values(out: Path) -> list[float]:
    """All values but times and memory, in the order of `numbers`."""
    rows = read_records(*sorted((out / "jobs").glob("*.parquet")))
    return [r.value for r in rows if r.value is not None and r.metric not in COSTS]


@pytest.fixture(scope="module")
def whole(place: Path) -> Path:
    """What a run that nothing disturbs leaves."""
    result = CliRunner().invoke(app, words(place, place / "whole", *GRID, "--figure"))
    assert result.exit_code == 0, result.output
    return place / "whole"


def test_it_leaves_records_a_table_and_a_figure(whole: Path, place: Path) -> None:
    assert sorted(path.name for path in whole.iterdir()) == [
        "jobs", "records.parquet", "stress.json", "stress.png", "summary.csv", "summary.json",
    ]  # fmt: skip
    assert len(list((whole / "jobs").iterdir())) == JOBS
    with (whole / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["family"], row["severity"]) for row in rows] == [
        ("", "0"),
        *((family, severity) for family in ("illumination", "speed") for severity in ("4", "")),
    ]
    assert all(int(row["clips"]) == 2 and 0 <= float(row["score"]) <= 1 for row in rows)
    assert all(float(row["retention_low"]) <= float(row["retention"]) for row in rows[1:])
    said = json.loads((whole / "summary.json").read_text())
    assert (said["failed"], said["left"], said["jobs"]) == ({}, 0, JOBS)
    assert said["request"]["model"]["name"] == "small"
    again = [asdict(row) for row in stress_rows([whole / "records.parquet"])]
    assert again == said["rows"], "the one file is enough to make the table anew"
    assert str(place) not in json.dumps(said["request"]), "where things lie decides nothing"


def test_the_same_again_computes_nothing_and_a_larger_grid_only_what_is_new(
    whole: Path, run: Callable[..., Result], tmp_path: Path
) -> None:
    shutil.copytree(whole / "jobs", tmp_path / "out" / "jobs")
    again = run()
    assert f"{JOBS} jobs, 0 of them computed now" in again.stdout
    assert "speed" in again.stdout
    larger = run("--families", "illumination", "--severities", "2,4", "--limit", "1")
    assert "3 jobs, 1 of them computed now" in larger.stdout, larger.output


def test_killed_in_the_middle_and_by_two_at_once_it_gives_the_same(whole: Path, place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = start(place, out)
    limit = time.monotonic() + 120
    while len(list((out / "jobs").glob("*.parquet"))) < 2 and first.poll() is None:
        assert time.monotonic() < limit
        time.sleep(0.02)
    first.kill()
    first.wait()
    done = len(list((out / "jobs").glob("*.parquet")))
    assert 2 <= done < JOBS
    half = next((out / "jobs").glob("*.parquet"))
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])

    second = start(place, out)
    third = CliRunner().invoke(app, words(place, out))
    assert (third.exit_code, second.wait()) == (0, 0), third.output
    assert sorted(path.suffix for path in (out / "jobs").iterdir()) == [".parquet"] * JOBS
    assert numbers(out) == numbers(whole)
    assert values(out) == pytest.approx(values(whole), abs=0.02)


def test_policies_are_compared_with_the_stock_one(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run("--families", "lookalike", "--severities", "5", "--policies", "stock,gated:warm_up=2", "--limit", "1")
    assert result.exit_code == 0, result.output
    assert "against stock: the same objects of the same clips" in result.stdout
    assert "lookalike, severity 5 (model small)" in result.stdout
    said = json.loads((tmp_path / "out" / "summary.json").read_text())["policies"]
    assert [(row["family"], row["policy"]) for row in said] == [
        (family, policy) for family in ("", "lookalike") for policy in ("stock", "gated:warm_up=2")
    ]
    assert all(row["fps"] > 0 and row["measures"]["j_and_f"]["objects"] == 2 for row in said)


def test_a_job_that_fails_is_listed_and_the_others_go_on(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run("--families", "illumination/aurora,speed", "--severities", "1")
    assert result.exit_code == 1
    assert "failed: cow, illumination/aurora:1: " in result.stderr
    assert "2 of 6 jobs failed; the same command tries them again" in result.stderr
    assert "Traceback" not in result.output
    said = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert list(said["failed"]) == ["cow, illumination/aurora:1", "dog, illumination/aurora:1"]
    assert [row["family"] for row in said["rows"]] == ["", "speed", "speed"]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (("--families", "rain"), "no family of transformations is called 'rain'"),
        (("--severities", "one"), "--severities one is no list of whole numbers; for example 1,3,5"),
        (("--severities", "9"), "severity 9"),
        (("--policies", "stork"), "no memory policy is called 'stork'"),
        (("--protocol", "davos"), "protocol 'davos' is unknown"),
    ],
)
def test_mistakes_are_one_line(run: Callable[..., Result], tmp_path: Path, more: tuple[str, ...], problem: str) -> None:
    result = run(*more)
    assert result.exit_code == 2
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert problem in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("texts", "policies"),
    [
        (["stock,gated"], ("stock", "gated")),
        (["stock,gated:a=1,b=2,motion"], ("stock", "gated:a=1,b=2", "motion")),
        (["gated:a=1", "gated:a=2"], ("gated:a=1", "gated:a=2")),
        ([], ()),
    ],
)
def test_policies_are_told_apart_from_their_settings(texts: list[str], policies: tuple[str, ...]) -> None:
    assert split_policies(texts) == policies
