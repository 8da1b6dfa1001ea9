"""Comparisons of policies, from cells and records whose answer is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from maskscope.evaluate.statistics import Bootstrap
from maskscope.records import Record, write_records
from maskscope.report.policy_rows import Cell, compare_policies, read_cells
from maskscope.report.policy_text import policy_table, time_table
from maskscope.report.policy_time import compare_times, read_moments

QUICK = Bootstrap(resamples=300)


def cell(policy: str, clip: str, score: float, severity: int = 3, family: str = "occlusion", **more: float) -> Cell:
    return Cell("m", policy, family, severity, clip, 1, {"j_and_f": score, **more})


def test_a_gain_is_over_the_same_objects_only() -> None:
    cells = [
        cell("stock", "a", 0.5), cell("stock", "b", 0.1), cell("stock", "c", 0.9),
        cell("gated", "a", 0.6), cell("gated", "b", 0.3), cell("gated", "d", 0.0),
    ]  # fmt: skip
    stock, gated = compare_policies(cells, bootstrap=QUICK)
    assert (stock.policy, stock.clips) == ("stock", 3)
    assert stock.gain is not None
    assert (stock.gain.gain, stock.gain.low) == (0.0, None)
    assert gated.gain is not None
    assert (gated.clips, gated.gain.objects) == (2, 2)
    assert (gated.gain.value, gated.gain.control, gated.gain.gain) == pytest.approx((0.45, 0.3, 0.15))
    assert gated.gain.low == pytest.approx(0.1)
    assert gated.gain.high == pytest.approx(0.2)


def test_pairing_tells_a_small_gain_that_all_clips_share() -> None:
    scores = [0.1, 0.3, 0.5, 0.7, 0.9]
    cells = [cell("stock", str(n), score) for n, score in enumerate(scores)]
    cells += [cell("gated", str(n), score + 0.02) for n, score in enumerate(scores)]
    gain = compare_policies(cells, bootstrap=QUICK)[1].gain
    assert gain is not None
    assert gain.low == pytest.approx(0.02)
    assert gain.high == pytest.approx(0.02)


def test_bands_hold_severities_and_conditions_keep_their_order() -> None:
    cells = [
        cell(policy, clip, score, severity, family)
        for family, severity in (("speed", 1), ("occlusion", 5), ("occlusion", 4), ("occlusion", 1), ("", 0))
        for policy, score in (("zoo", 0.5), ("stock", 0.4))
        for clip in "ab"
    ]
    rows = compare_policies(cells, lambda severity: "hard" if severity > 3 else "mild", bootstrap=QUICK)
    assert [(row.family, row.band, row.policy) for row in rows[::2]] == [
        ("", "0", "stock"), ("occlusion", "hard", "stock"), ("occlusion", "mild", "stock"), ("speed", "mild", "stock"),
    ]  # fmt: skip
    assert rows[3].gain is not None
    assert rows[3].gain.objects == 4, "both severities of both clips"
    some = compare_policies(cells, clips={"a"}, bootstrap=QUICK)
    assert {row.clips for row in some} == {1}


def test_costs_are_of_clips_and_compared_on_the_same() -> None:
    cells = [
        Cell("m", policy, "", 0, clip, None, {"fps": fps, "memory_mb": memory, "remembered_mb": memory / 100})
        for policy, clip, fps, memory in (
            ("stock", "a", 10, 100), ("stock", "b", 40, 100), ("slow", "a", 5, 120), ("slow", "b", 30, 110),
            ("slow", "c", 1, 300),
        )
    ]  # fmt: skip
    _, slow = compare_policies(cells, bootstrap=QUICK)
    assert (slow.fps, slow.fps_ratio) == (5, 0.625)
    assert (slow.memory_mb, slow.remembered_mb) == (300, 3)
    assert slow.gain is None


def test_without_the_stock_policy_there_is_nothing_to_gain() -> None:
    (row,) = compare_policies([cell("gated", "a", 0.6)], bootstrap=QUICK)
    assert (row.clips, row.measures) == (0, {})


def record(**row: object) -> Record:
    return Record(**({"run": "r", "clip": "a", "model": "m", "policy": "stock", "object": 1} | row))  # type: ignore[arg-type]


def test_cells_come_from_rows_of_whole_clips_averaged_over_seeds(tmp_path: Path) -> None:
    rows = [
        record(metric="j_and_f", value=0.5, seed=0, severity=2, family="speed"),
        record(metric="j_and_f", value=0.7, seed=1, severity=2, family="speed"),
        record(metric="j", value=0.1, frame=3, severity=2, family="speed"),
        record(metric="reappearance", value=0.25),
        record(metric="j_and_f", value=0.8),
        record(metric="j_and_f_adaptive", value=0.75),
        record(metric="fps", value=20.0, object=None),
    ]
    write_records(rows, tmp_path / "one.parquet")
    found = {(each.family, each.object): each.values for each in read_cells([tmp_path / "one.parquet"])}
    assert found == {
        ("", None): {"fps": 20.0},
        ("", 1): {"j_and_f": 0.75, "reappearance": 0.25},
        ("speed", 1): {"j_and_f": pytest.approx(0.6)},
    }


def test_speeds_are_compared_within_a_study(tmp_path: Path) -> None:
    """The same job timed in two studies, of which the second lacks the other policy: its machine was half as fast."""
    both = [
        record(metric="fps", value=value, policy=policy, object=None, run=policy)
        for policy, value in (("stock", 20.0), ("gated", 10.0))
    ]
    scores = [record(metric="j_and_f", value=0.5, policy=policy) for policy in ("stock", "gated")]
    write_records(both + scores, tmp_path / "short.parquet")
    late = [record(metric="fps", value=10.0, object=None, run="stock"), record(metric="j_and_f", value=0.5, policy="x")]
    write_records(late, tmp_path / "long.parquet")
    rows = compare_policies(read_cells(sorted(tmp_path.glob("*.parquet"))), bootstrap=QUICK)
    assert {row.policy: row.fps_ratio for row in rows}["gated"] == 0.5


def test_files_of_single_jobs_are_one_study_by_their_folder(tmp_path: Path) -> None:
    for folder, speeds in (("a", (20.0, 10.0)), ("b", (8.0, 6.0))):
        (tmp_path / folder).mkdir()
        for policy, value in zip(("stock", "gated"), speeds, strict=True):
            row = record(metric="fps", value=value, policy=policy, object=None)
            write_records([row], tmp_path / folder / f"{policy}.parquet")
    rows = compare_policies(read_cells(sorted(tmp_path.rglob("*.parquet"))), bootstrap=QUICK)
    assert {row.policy: row.fps_ratio for row in rows}["gated"] == pytest.approx((0.5 + 0.75) / 2)


def long_rows(policy: str, fails_from: int) -> list[Record]:
    """Six hundred frames since the prompt on frame 10; seen but on every tenth, where a lost tracker hallucinates."""
    place = {"run": policy, "policy": policy, "family": "long", "severity": 3}
    rows = [record(**place, metric="prompt_px", frame=10, value=99.0)]
    for since in range(1, 600):
        lost, absent = since >= fails_from, since % 10 == 0
        j = (not lost) if absent else 0.2 if lost else 0.8
        state = ("hallucination" if lost else "absence") if absent else "drift" if lost else "hit"
        at = {**place, "frame": 10 + since}
        rows += [record(**at, metric=metric, value=float(j)) for metric in ("j", "f")]
        rows.append(record(**at, metric="outcome", state=state))
    return rows


def test_time_is_counted_from_the_prompt(tmp_path: Path) -> None:
    for policy, fails_from in (("stock", 300), ("gated", 450)):
        write_records(long_rows(policy, fails_from), tmp_path / f"{policy}.parquet")
    moments = read_moments(sorted(tmp_path.glob("*.parquet")))
    assert {(m.policy, m.start_frames, m.clip, m.object, m.severity) for m in moments} == {
        (policy, start, "a", 1, 3) for policy in ("stock", "gated") for start in (0, 300)
    }
    rows = {(row.policy, row.start_frames): row for row in compare_times(moments, QUICK)}
    assert rows["stock", 0].score == pytest.approx(0.8), "frames without the object do not count"
    assert (rows["stock", 0].hallucination, rows["stock", 0].gain) == (0.0, None)
    assert rows["stock", 300].score == pytest.approx(0.2)
    assert rows["stock", 300].hallucination == 1.0
    assert rows["gated", 300].score == pytest.approx(0.5)
    assert rows["gated", 300].gain == pytest.approx(0.3)
    assert rows["gated", 300].hallucination == 0.5
    assert rows["gated", 300].low is None, "of one clip there is no interval"
    text = time_table(list(rows.values()))
    assert "   300     1   0.200 (1.00)   0.500 (0.50)" in text
    alone = [replace(m, clip="b") for m in moments if m.policy == "stock"]
    assert compare_times([*moments, *alone], QUICK) == list(rows.values()), "only what every policy has counts"


def test_the_table_for_the_terminal() -> None:
    cells = [cell("stock", "a", 0.5, miss=0.25), cell("gated", "a", 0.75, miss=0.125)]
    cells.append(Cell("m", "gated", "occlusion", 3, "a", None, {"fps": 12.5, "remembered_mb": 3.25}))
    lines = policy_table(compare_policies(cells, bootstrap=QUICK)).splitlines()
    assert lines[2] == "occlusion, severity 3 (model m)"
    assert lines[5].split() == ["stock", "1", "0.500", *"-" * 2, "0.250", *"-" * 7]
    assert lines[6].split()[:5] == ["gated", "1", "0.750", "+0.250", "-"], "one clip has no interval"
    assert lines[6].split()[-3:] == ["12.5", "-", "3.2"]
