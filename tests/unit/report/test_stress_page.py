"""The page of a stress study says what its rows say, and nothing between its marks is typed by hand."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from maskscope.errors import RecordError
from maskscope.evaluate.statistics import Bootstrap
from maskscope.records import Record, read_facts, write_records
from maskscope.report.stress_page import stress_parts, with_parts, write_stress_page
from maskscope.report.stress_table import StressRow, stress_rows

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "stress.md"
COMMITTED = ROOT / "benchmarks" / "results" / "stress"
QUICK = Bootstrap(resamples=200)

FACTS = {
    "maskscope_version": "0.9",
    "command": ["maskscope", "stress", "DAVIS"],
    "request": {
        "dataset": "DAVIS",
        "model": {"name": "compact", "sha256": "0123456789abcdef", "precision": "float32"},
        "policies": ["stock"],
        "seeds": [0],
        "material": None,
    },
    "protocol": {"about": "all | frames"},
    "jobs": 6,
}


def row(family: str, severity: int | None, retention: float | None = None, **more: object) -> StressRow:
    ends = {} if retention is None else {"retention_low": retention - 0.05, "retention_high": retention + 0.05}
    told = {"score": 0.8, "retention": retention, "miss": 0.01, "drift": 0.02, "hallucination": 0.0, **ends, **more}
    made = StressRow("compact", "stock", "davis-stress", family, severity, objects=12, clips=10)
    return replace(made, **told)  # type: ignore[arg-type]


ROWS = [
    row("", 0),
    row("occlusion", 1, 0.9, strength=0.101, matched_retention=0.954),
    row("occlusion", 2, 0.7, drift=0.32, miss=0.11, hallucination=0.2),
    row("occlusion", None, 0.8, breaking=2),
    row("speed", 1, 0.85, drift=0.03),
    row("speed", 2, 0.97, miss=0.06, drift=0.02),
    row("speed", None, 0.91),
]


@pytest.fixture(scope="module")
def parts() -> dict[str, str]:
    return stress_parts(ROWS, FACTS, "images/stress.png")


def test_tables(parts: dict[str, str]) -> None:
    assert parts["retention"].splitlines() == [
        "| severity | 1 | 2 | mean |",
        "|---|---|---|---|",
        "| occlusion | 0.90 [0.85, 0.95] | 0.70 [0.65, 0.75] | 0.80 [0.75, 0.85] |",
        "| speed | 0.85 [0.80, 0.90] | 0.97 [0.92, 1.02] | 0.91 [0.86, 0.96] |",
    ]
    assert parts["failures"].startswith("Clean clips: 1.0 % / 2.0 % / 0.0 %.\n\n| severity | 1 | 2 | mean |")
    assert "| occlusion | 1.0 % / 2.0 % / 0.0 % | 11.0 % / 32.0 % / 20.0 % |" in parts["failures"]
    assert "| occlusion | 0.101: 0.95 | -: - |" in parts["moments"]
    assert parts["figure"].endswith("(images/stress.png)")


def test_the_setting_is_said(parts: dict[str, str]) -> None:
    assert "```\nmaskscope stress DIR\n```" in parts["setting"]
    assert "| data | DAVIS: 10 clips, 12 objects |" in parts["setting"]
    assert "| occluders and foreign footage | drawn |" in parts["setting"]
    assert "| frames that count | all / frames |" in parts["setting"], "a cell of a table holds no bar"


def test_findings_tell_the_order_and_where_it_does_not_hold(parts: dict[str, str]) -> None:
    lines = parts["findings"].splitlines()
    assert lines == [
        "- The clean clips score 0.80 (J&F, 12 objects).",
        "- From the most to the least harmful, by mean retention: occlusion 0.80 [0.75, 0.85], "
        "speed 0.91 [0.86, 0.96].",
        "- Retention falls below 0.8: occlusion at 2; never: speed.",
        "- occlusion: at severity 2 what grows most over the clean clips is drift, by 30.0 % of the frames.",
        "- speed: at severity 2 what grows most over the clean clips is miss, by 5.0 % of the frames.",
        "- Where a higher severity costs less than the one before, against the order that its name promises:",
        "  - speed from 1 to 2: 0.85 to 0.97, the intervals do not overlap",
    ]
    falls = stress_parts(ROWS[:4], FACTS, "x.png")["findings"]
    assert falls.endswith("- In every family retention falls from each severity to the next.")


def test_several_trackers_are_named() -> None:
    other = [replace(each, policy="gated") for each in ROWS]
    text = stress_parts([*ROWS, *other], FACTS, "x.png")["retention"]
    assert text.startswith("**compact, policy stock**\n\n| severity |")
    assert "**compact, policy gated**\n\n| severity |" in text


def test_nothing_to_say() -> None:
    with pytest.raises(RecordError, match="no result of a transformation"):
        stress_parts(ROWS[:1], FACTS, "x.png")


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("<!-- records: weather -->\n<!-- end -->", "the page wants 'weather' of the records"),
        ("<!-- records: retention -->\n", "one without its end"),
        ("prose", "no mark of records"),
    ],
)
def test_broken_pages(page: str, says: str, parts: dict[str, str]) -> None:
    with pytest.raises(RecordError, match=says):
        with_parts(page, parts)


def test_the_page_has_a_mark_for_every_part(parts: dict[str, str]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in parts:
        assert f"<!-- records: {name} -->" in text, name
    renewed = with_parts(text, parts)
    assert with_parts(renewed, parts) == renewed
    assert "Not measured yet" not in renewed


def test_a_page_and_its_figure_come_from_records_alone(tmp_path: Path) -> None:
    rows = []
    for family, severity, j in (("", 0, 0.8), ("speed", 1, 0.6), ("speed", 2, 0.4)):
        for clip in ("a", "b"):
            place = {"run": f"{family}{severity}{clip}", "clip": clip, "model": "m", "policy": "stock", "object": 1}
            place |= {"protocol": "davis-stress", "family": family, "severity": severity, "frame": 1}
            rows += [Record(**place, metric=metric, value=j) for metric in ("j", "f")]  # type: ignore[arg-type]
            rows.append(Record(**place, metric="outcome", state="hit"))  # type: ignore[arg-type]
    write_records(rows, tmp_path / "study/records.parquet", FACTS)
    page, figure = tmp_path / "docs/stress.md", tmp_path / "docs/images/stress.png"
    page.parent.mkdir()
    shutil.copy(PAGE, page)
    script = [sys.executable, str(ROOT / "benchmarks/stress_page.py"), "--write", str(page), "--records"]
    done = subprocess.run([*script, str(tmp_path / "study")], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    assert "| speed | 0.75 [0.75, 0.75] | 0.50 [0.50, 0.50] | 0.62 [0.62, 0.62] |" in text
    assert "](images/stress.png)" in text
    assert figure.stat().st_size > 10_000
    (tmp_path / "study/records.parquet").write_bytes(b"half")
    failed = subprocess.run([*script, str(tmp_path / "study")], check=False, capture_output=True, text=True)
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: ")
    assert "is no whole table of results" in failed.stderr
    assert page.read_text(encoding="utf-8") == text


@pytest.mark.skipif(not (COMMITTED / "records.parquet").exists(), reason="no record of a stress study is committed yet")
def test_the_committed_record_is_small_names_no_machine_and_is_what_the_page_says() -> None:
    files = [path for path in COMMITTED.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2_000_000
    assert {path.suffix for path in files} <= {".parquet", ".json", ".csv", ".png", ".svg"}
    facts = read_facts(COMMITTED / "records.parquet")
    texts = [path.read_text(encoding="utf-8") for path in files if path.suffix in (".json", ".csv")]
    for text in (*texts, str(facts)):
        assert not any(f"{mark}/{root}" in text for mark in "\"' " for root in ("work", "home", "root", "tmp", "mnt"))
    rows = stress_rows([COMMITTED / "records.parquet"])
    text = PAGE.read_text(encoding="utf-8")
    for name, part in stress_parts(rows, facts, "images/stress.png").items():
        assert part in text, f"{name}: run python benchmarks/stress_page.py"


def test_records_without_a_grid_change_no_page(tmp_path: Path) -> None:
    write_records([Record(run="r", clip="c", metric="j", value=0.5)], tmp_path / "records.parquet", FACTS)
    with pytest.raises(RecordError, match="no result of a transformation"):
        write_stress_page(tmp_path, PAGE, tmp_path / "figure.png", QUICK)
    assert not (tmp_path / "figure.png").exists()
