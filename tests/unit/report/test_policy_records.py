"""Sections of the policies' page from records of benchmarks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maskscope.errors import RecordError
from maskscope.report.policy_records import benchmark_facts, memory_text, thinning_text


def test_memory_against_frames() -> None:
    weights = [
        {"frames": frames, "remembered_mb": mb, "known_frames": known, "resident_mb": 300.4}
        for frames, mb, known in ((100, 0.25, 17), (2000, 0.5, 22))
    ]
    facts = {
        "command": "python benchmarks/policy_memory.py", "model": "compact", "image_size": [128, 224],
        "policies": {"stock": weights},
    }  # fmt: skip
    text = memory_text(facts)
    assert "| policy | 100 | 2000 | frames known |\n|---|---|---|---|\n| stock | 0.25 (300) | 0.50 (300) | 22 |" in text
    assert "input of 128 x 224" in text


def test_thinning_against_share() -> None:
    points = [
        {"share": share, "j_and_f": score, "fps": fps, "times_as_fast": times,
         "difference": {"estimate": score - 0.8, "low": score - 0.9, "high": score - 0.7}}
        for share, score, fps, times in ((1.0, 0.8, 6.0, 1.0), (0.5, 0.79, 7.5, 1.25))
    ]  # fmt: skip
    facts = {
        "command": "python benchmarks/thinning.py --dataset ../elsewhere/davis", "model": "compact", "policy": "stock",
        "clips": ["dog", "cows"], "device": "cpu", "threads": 2, "precision": "float32", "points": points,
    }  # fmt: skip
    text = thinning_text(facts)
    assert "python benchmarks/thinning.py --dataset DIR\n" in text
    assert "| 1 | 80.0 |  | 6.0 | 1.000 |\n| 0.5 | 79.0 | -1.00 [-11.00, +9.00] | 7.5 | 1.250 |" in text
    assert "2 clips" in text


def test_without_a_record_there_is_no_section(tmp_path: Path) -> None:
    assert memory_text(benchmark_facts(tmp_path / "none.json")) == thinning_text({}) == ""


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_one_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(text)
    with pytest.raises(RecordError, match="make it again"):
        benchmark_facts(tmp_path / "one.json")


def test_a_record_is_read(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps({"points": []}))
    assert benchmark_facts(tmp_path / "one.json") == {"points": []}
