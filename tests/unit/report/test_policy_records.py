"""Sections of the policies' page from records of benchmarks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maskscope.errors import RecordError
from maskscope.report.policy_records import benchmark_facts, memory_text, setting_text, thinning_text


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


def test_a_setting_against_none() -> None:
    rows = [
        {"family": "", "severity": "0", "clips": 2, "changed": [], "with": 0.5, "without": 0.5, "gain": 0.0,
         "low": None, "high": None},
        {"family": "speed", "severity": "5", "clips": 2, "changed": ["dog"], "with": 0.6, "without": 0.5, "gain": 0.1,
         "low": 0.0, "high": 0.2},
    ]  # fmt: skip
    facts = {
        "command": "python benchmarks/policy_setting.py RESULTS --of a --against a:b=off", "of": "a",
        "against": "a:b=off", "model": {"name": "m", "sha256": "0123456789abcdef", "precision": "float32"},
        "rows": rows,
    }  # fmt: skip
    text = setting_text(facts)
    assert "| clean clips | 0 | 2 | 0 | 50.0 | 50.0 | +0.0 |" in text
    assert text.endswith("| speed | 5 | 2 | 1 | 50.0 | 60.0 | +10.0 [+0.0, +20.0] |")
    assert "weights 0123456789ab..." in text


def test_without_a_record_there_is_no_section(tmp_path: Path) -> None:
    assert memory_text(benchmark_facts(tmp_path / "none.json")) == thinning_text({}) == setting_text({}) == ""


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_one_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(text)
    with pytest.raises(RecordError, match="make it again"):
        benchmark_facts(tmp_path / "one.json")


def test_a_record_is_read(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps({"points": []}))
    assert benchmark_facts(tmp_path / "one.json") == {"points": []}
