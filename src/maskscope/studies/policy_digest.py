"""Records of a comparison of policies, small enough to be kept: whole clips, and long ones by stretches of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from maskscope.errors import RecordError
from maskscope.records import COLUMNS, Record, read_facts, read_records, write_records
from maskscope.report.policy_rows import CONTROL, COSTS, SCORES, SHARES, query
from maskscope.report.policy_time import BIN_FRAMES, HALLUCINATED, LONG, SEEN, read_moments

KEPT: Final = (*SCORES, "j_and_f_adaptive", *SHARES, "returns", *COSTS)
"""Metrics of whole clips that a digest keeps."""

_WHOLE: Final = f"""
    select {", ".join(f'"{name}"' for name in COLUMNS)} from read_parquet($files)
    where frame is null and metric in (select unnest($metrics))
    order by clip, family, severity, seed, policy, object nulls first, metric
"""


def write_digest(
    files: Iterable[Path | str], out: Path | str, facts: Mapping[str, Any] | None = None, *, keep: bool = False
) -> int:
    """Write what tables of policies need of a study, without rows of single frames.

    Args:
        files: of records, as a stress study writes them.
        out: Parquet file.
        facts: kept beside the rows, such as those in the study's `stress.json`.
        keep: of a digest that is there already, what these files do not have stays; its facts stay, too, and get this
            study's command under "also". Where both have a place, speeds stay of the study that the stock policy is
            of: a speed is compared with none of another day.

    Returns:
        How many rows.

    Raises:
        RecordError: a file is missing, damaged, or of another version; the digest to keep is of another model, or
            was made at another precision.
        OutputError: the digest cannot be written.
        SettingError: DuckDB or PyArrow is not installed.
    """
    paths = [str(file) for file in files]
    for path in paths:
        read_facts(path)
    rows = [Record(**row) for row in query(_WHOLE, {"files": paths, "metrics": list(KEPT)})]
    trackers = {row.clip: row.model for row in rows}
    for moment in read_moments(paths, BIN_FRAMES):
        place: dict[str, Any] = {
            "run": "digest",
            "clip": moment.clip,
            "model": trackers.get(moment.clip, ""),
            "policy": moment.policy,
            "family": LONG,
            "severity": moment.severity,
            "object": moment.object,
            "frame": moment.start_frames,
        }
        for metric, value in ((SEEN, moment.score), (HALLUCINATED, moment.hallucination)):
            if value is not None:
                rows.append(Record(metric=metric, value=value, **place))
    if keep and Path(out).exists():
        rows, facts = _with_those_before(rows, facts or {}, Path(out))
    write_records(rows, out, facts)
    return len(rows)


def _with_those_before(rows: list[Record], facts: Mapping[str, Any], out: Path) -> tuple[list[Record], dict[str, Any]]:
    """Rows of jobs that are not among the new ones first, then these."""
    before = read_facts(out)
    models = [each.get("request", {}).get("model") for each in (before, facts)]
    if models[0] != models[1]:
        raise RecordError(f"{out} is of the model {models[0]}, these are of {models[1]}", "write another digest")
    new = {_job(row) for row in rows}
    kept = [row for row in read_records(out) if _job(row) not in new]
    old = {_place(row) for row in kept}
    stock = {_place(row) for row in rows if row.policy == CONTROL}
    kept = [row for row in kept if row.metric != "fps" or _place(row) not in stock]
    rows = [row for row in rows if row.metric != "fps" or _place(row) not in old - stock]
    also = [*before.get("also", []), *([facts["command"]] if facts.get("command") else [])]
    return [*kept, *rows], {**before, "also": [each for n, each in enumerate(also) if each not in also[:n]]}


def _job(row: Record) -> tuple[Any, ...]:
    return row.policy, *_place(row)


def _place(row: Record) -> tuple[Any, ...]:
    return row.clip, row.model, row.family, row.severity, row.seed
