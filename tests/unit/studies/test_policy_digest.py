"""A digest says the same as the records it was made from."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskscope.errors import RecordError
from maskscope.evaluate.statistics import Bootstrap
from maskscope.records import Record, read_facts, read_records, write_records
from maskscope.report.policy_rows import compare_policies, read_cells
from maskscope.report.policy_time import compare_times, read_moments
from maskscope.studies.policy_digest import write_digest

QUICK = Bootstrap(resamples=100)


def rows(policy: str, score: float) -> list[Record]:
    """A long clip of 700 frames in which the object is away on every seventh, and its whole-clip rows."""
    place = {"run": policy, "clip": "a", "model": "m", "policy": policy, "family": "long", "severity": 4}
    found = [Record(**place, object=1, metric=metric, value=score) for metric in ("j_and_f", "reappearance")]  # type: ignore[arg-type]
    found += [Record(**place, metric="fps", value=20 * score), Record(**place, object=1, metric="j_recall", value=1.0)]  # type: ignore[arg-type]
    found.append(Record(**place, object=1, frame=0, metric="prompt_px", value=50.0))  # type: ignore[arg-type]
    for t in range(1, 700):
        at = {**place, "object": 1, "frame": t}
        away = t % 7 == 0
        state = ("hallucination" if t % 2 else "absence") if away else "hit"
        found += [Record(**at, metric=metric, value=score * 300 / (300 + t)) for metric in ("j", "f")]  # type: ignore[arg-type]
        found.append(Record(**at, metric="outcome", state=state))  # type: ignore[arg-type]
    return found


def test_the_tables_are_the_same_and_the_file_is_small(tmp_path: Path) -> None:
    files = []
    for policy, score in (("stock", 0.5), ("gated", 0.6)):
        files.append(tmp_path / f"{policy}.parquet")
        write_records(rows(policy, score), files[-1])
    digest = tmp_path / "kept" / "digest.parquet"
    count = write_digest(files, digest, {"command": ["maskscope"]})
    kept = read_records(digest)
    assert len(kept) == count == 2 * (3 + 2 * 3), "three numbers of the clip, two of each of three stretches"
    assert read_facts(digest)["command"] == ["maskscope"]
    assert {row.metric for row in kept if row.frame is None} == {"j_and_f", "reappearance", "fps"}
    assert read_moments([digest]) == read_moments(files)
    assert compare_times(read_moments([digest]), QUICK) == compare_times(read_moments(files), QUICK)
    assert compare_policies(read_cells([digest]), bootstrap=QUICK) == compare_policies(
        read_cells(files), bootstrap=QUICK
    )


def test_what_another_study_left_out_can_be_added(tmp_path: Path) -> None:
    """The stock policy was computed again, gated is new; paths stays from before."""
    digest = tmp_path / "digest.parquet"
    facts = {"command": ["first"], "request": {"model": {"sha256": "ab", "precision": "float32"}}}
    files = [tmp_path / f"{name}.parquet" for name in ("stock", "paths", "again", "gated")]
    tried = (("stock", 0.5), ("paths", 0.4), ("stock", 0.3), ("gated", 0.6))
    for file, (policy, score) in zip(files, tried, strict=True):
        write_records(rows(policy, score), file)
    write_digest(files[:2], digest, facts)
    for _ in range(2):  # twice is once
        write_digest(files[2:], digest, {**facts, "command": ["second"]}, keep=True)
    scores = {cell.policy: cell.values["j_and_f"] for cell in read_cells([digest]) if cell.object}
    assert scores == {"stock": 0.3, "paths": 0.4, "gated": 0.6}
    speeds = {cell.policy: cell.values["fps"] for cell in read_cells([digest]) if "fps" in cell.values}
    assert speeds == {"stock": 6, "gated": 12}, "that of paths was measured beside the stock policy of another run"
    assert len(read_moments([digest])) == 3 * 3
    assert (read_facts(digest)["command"], read_facts(digest)["also"]) == (["first"], [["second"]])
    other = {"command": ["third"], "request": {"model": {"sha256": "ab", "precision": "bfloat16"}}}
    with pytest.raises(RecordError, match=r"is of the model .*float32.*, these are of .*bfloat16.*"):
        write_digest(files[2:], digest, other, keep=True)
    write_digest(files[2:], digest, facts)
    assert {cell.policy for cell in read_cells([digest])} == {"stock", "gated"}, "without being told it starts anew"


def test_a_speed_is_compared_with_none_of_another_run(tmp_path: Path) -> None:
    digest, facts = tmp_path / "digest.parquet", {"request": {"model": "m"}}
    files = [tmp_path / f"{policy}.parquet" for policy in ("stock", "gated")]
    for file in files:
        write_records(rows(file.stem, 0.5), file)
        write_digest([file], digest, facts, keep=True)
    assert {cell.policy for cell in read_cells([digest]) if "fps" in cell.values} == {"stock"}
    assert {cell.policy for cell in read_cells([digest]) if "j_and_f" in cell.values} == {"stock", "gated"}
