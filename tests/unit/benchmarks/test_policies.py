"""What the comparison of policies asks for, and its page without computing anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import policies
from maskscope.records import Record, write_records


def asked(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["policies.py", *words])
    policies.main()


def test_the_control_is_always_there_and_settings_stay_together() -> None:
    assert policies.with_stock("gated:a=1,b=2,paths") == ("stock", "gated:a=1,b=2", "paths")
    assert policies.with_stock("paths,stock") == ("paths", "stock")


def test_its_commands_are_what_it_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found: list[policies.Study] = []
    monkeypatch.setattr(policies, "count", lambda given: found.extend(policies.studies(given)))
    asked(
        monkeypatch, "--list", "--data", "DATA", "--severities", "3,5", "--policies", "gated",
        "--long-policies", "paths", "--long-clips", "1", "--drawn", "5", "--clips", "dog,cow",
        "--drawn-clips", "drawn-02", "--precision", "bfloat16",
    )  # fmt: skip
    short, long, drawn = (" ".join(study.command(Path("out"))) for study in found)
    assert short == (
        "maskscope stress DATA --out out --policies stock,gated --families occlusion,interjection/cut,speed,lookalike "
        "--severities 3,5 --model compact --sequences dog,cow --precision bfloat16"
    )
    assert long == (
        "maskscope stress DATA --out out --policies stock,paths --severities 4 --model compact --long 3000 "
        "--sequences dog,cow --limit 1 --precision bfloat16"
    )
    assert drawn == (
        "maskscope stress drawn:5 --out out --policies stock,paths --severities 4 --model compact --long 3000 "
        "--sequences drawn-02 --precision bfloat16"
    )


def test_the_page_comes_from_digests_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        Record(run="r", clip=clip, model="m", policy=policy, object=1, metric="j_and_f", value=value)
        for clip in "abcd"
        for policy, value in (("stock", 0.5), ("gated", 0.6))
    ]
    write_records(rows, tmp_path / "short.parquet")
    words = (
        "--page",
        "--records",
        str(tmp_path),
        "--write",
        str(tmp_path / "which.md"),
        "--advice",
        str(tmp_path / "a.json"),
    )
    asked(monkeypatch, *words)
    assert "| clean clips | - | 4 | gated | +10.0 [+10.0, +10.0] |" in (tmp_path / "which.md").read_text()
    assert "wrote" in capsys.readouterr().out
    (tmp_path / "short.parquet").unlink()
    with pytest.raises(SystemExit) as left:
        asked(monkeypatch, *words)
    assert left.value.code == 2
    assert "no policy is compared with stock" in capsys.readouterr().err


def test_it_wants_a_data_set(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        asked(monkeypatch, "--list")
    assert "name a data set with --data" in capsys.readouterr().err
