"""The table of a stress study, from its records alone: what is left of the score, and how the rest is lost."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from maskscope.errors import MaskscopeError
from maskscope.evaluate.robustness import Robustness, Scores, robustness
from maskscope.evaluate.statistics import Bootstrap, Interval
from maskscope.extras import load_extra
from maskscope.records import read_facts

log = logging.getLogger(__name__)

CLEAN: Final = ""
"""The family of clips as they are."""

ORDER: Final = ("occlusion", "illumination", "speed", "viewpoint", "interjection", "corruption")
"""Of families in tables and figures; others follow by name."""

_OBJECTS: Final = """
    with kept as (
        select * from read_parquet($files) where object is not null
    ), frames as (
        select model, policy, protocol, family, severity, seed, clip, object, frame,
            max(value) filter (metric = 'j') as j,
            coalesce(max(value) filter (metric = 'f_adaptive'), max(value) filter (metric = 'f')) as f,
            any_value(state) filter (metric = 'outcome') as outcome
        from kept where frame is not null and metric in ('j', 'f', 'f_adaptive', 'outcome')
        group by all
    ), runs as (
        select model, policy, protocol, family, severity, seed, clip, object,
            (avg(j) + avg(f)) / 2 as score,
            avg((j + f) / 2) filter (outcome in ('hit', 'miss', 'drift')) as visible_score,
            avg((outcome = 'miss')::int) as miss,
            avg((outcome = 'drift')::int) as drift,
            avg((outcome = 'hallucination')::int) as hallucination
        from frames group by all
    )
    select model, policy, protocol, family, severity, clip, object, avg(score) as score,
        avg(visible_score) as visible_score, avg(miss) as miss, avg(drift) as drift,
        avg(hallucination) as hallucination
    from runs group by all order by all
"""
"""Each object under each condition, averaged over seeds."""

_STRENGTHS: Final = """
    select model, policy, family, severity, avg(value) as strength
    from read_parquet($files) where metric = 'strength' group by all
"""


@dataclass(frozen=True)
class StressRow:
    """One family at one severity, or over all of them; fractions in 0..1; None where there is nothing to measure.

    Intervals hold 95 % and come from drawing clips, the same ones clean and transformed.

    Attributes:
        model: name of the weights.
        policy: of its memory.
        protocol: rules of evaluation.
        family: of transformations; empty for clips as they are.
        severity: 0 for clips as they are; None for the mean over severities.
        objects: that have all scores, clean and at every severity, and count in `score`, `retention` and `drop`.
        clips: theirs.
        score: mean of J and F, of adaptive F where the protocol has it.
        score_low: lower end of its interval.
        score_high: upper end.
        retention: score over the clean score of the same objects.
        retention_low: lower end.
        retention_high: upper end.
        drop: clean score less score.
        drop_low: lower end.
        drop_high: upper end.
        visible_score: mean of J and F over the frames that show the object.
        visible_retention: the same over that of clean clips.
        miss: share of the frames that count on which the object is there and nothing was predicted.
        drift: share on which the prediction was elsewhere.
        hallucination: share on which the object is not there and something was predicted.
        strength: realised strength, mean over all frames, in the family's unit.
        breaking: in the row over all severities the first one with a retention below 0.8; None where none has.
    """

    model: str
    policy: str
    protocol: str
    family: str
    severity: int | None
    objects: int
    clips: int
    score: float | None = None
    score_low: float | None = None
    score_high: float | None = None
    retention: float | None = None
    retention_low: float | None = None
    retention_high: float | None = None
    drop: float | None = None
    drop_low: float | None = None
    drop_high: float | None = None
    visible_score: float | None = None
    visible_retention: float | None = None
    miss: float | None = None
    drift: float | None = None
    hallucination: float | None = None
    strength: float | None = None
    breaking: int | None = None


def stress_rows(files: Iterable[Path | str], bootstrap: Bootstrap | None = None) -> list[StressRow]:
    """The table: for each model, policy and protocol the clean row, then each family by severity and over all.

    Args:
        files: of records, as a stress study writes them.
        bootstrap: how intervals are made; by default BCa at 95 %, 10,000 draws, seed 0.

    Raises:
        RecordError: a file is missing, damaged, or of another version.
        SettingError: DuckDB is not installed.
    """
    paths = [str(path) for path in files]
    for path in paths:
        read_facts(path)
    objects, strengths = _query(_OBJECTS, paths), _query(_STRENGTHS, paths)
    realised = {(s["model"], s["policy"], s["family"], s["severity"]): s["strength"] for s in strengths}
    rows: list[StressRow] = []
    for tracker in dict.fromkeys((each["model"], each["policy"], each["protocol"]) for each in objects):
        mine = [each for each in objects if (each["model"], each["policy"], each["protocol"]) == tracker]
        cells: dict[str, dict[int, list[dict[str, Any]]]] = {}
        for each in mine:
            cells.setdefault(each["family"], {}).setdefault(each["severity"], []).append(each)
        clean = cells.pop(CLEAN, {}).get(0, [])
        rows.append(_clean_row(tracker, clean))
        for family, by_severity in sorted(cells.items(), key=lambda item: family_rank(item[0])):
            for row in _family_rows(tracker, family, clean, by_severity, bootstrap):
                strength = realised.get((*tracker[:2], family, row.severity))
                rows.append(row if strength is None else _with(row, strength=strength))
    return rows


def family_rank(family: str) -> tuple[int, str]:
    """For sorting."""
    kind = family.partition("/")[0]
    return ORDER.index(kind) if kind in ORDER else len(ORDER), family


def _query(text: str, paths: Sequence[str]) -> list[dict[str, Any]]:
    duckdb = load_extra("duckdb", "tables", "tables of results")
    with duckdb.connect() as connection:
        cursor = connection.execute(text, {"files": list(paths)})
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _clean_row(tracker: tuple[str, str, str], clean: Sequence[dict[str, Any]]) -> StressRow:
    clips = {each["clip"] for each in clean}
    row = StressRow(*tracker, CLEAN, 0, len(clean), len(clips), score=_mean(clean, "score"))
    return _with(row, visible_score=_mean(clean, "visible_score"), **_failures(clean))


def _family_rows(
    tracker: tuple[str, str, str],
    family: str,
    clean: Sequence[dict[str, Any]],
    by_severity: dict[int, list[dict[str, Any]]],
    bootstrap: Bootstrap | None,
) -> list[StressRow]:
    """A row for each severity, and the one over all."""
    found = _compare(clean, by_severity, "score", bootstrap)
    visible = _compare(clean, by_severity, "visible_score", bootstrap)
    rows = []
    for severity, cell in sorted(by_severity.items()):
        row = StressRow(*tracker, family, severity, len(cell), len({each["clip"] for each in cell}))
        row = _with(row, score=_mean(cell, "score"), visible_score=_mean(cell, "visible_score"), **_failures(cell))
        if found is not None:
            place = found.severities.index(severity)
            row = _with(row, objects=found.num_objects, clips=found.num_clips)
            row = _with(row, **_ends("score", found.score[place]), **_ends("retention", found.retention[place]))
            row = _with(row, **_ends("drop", found.drop[place]))
        if visible is not None:
            place = visible.severities.index(severity)
            row = _with(
                row,
                visible_score=visible.score[place].estimate,
                visible_retention=visible.retention[place].estimate,
            )
        rows.append(row)
    failures = {name: _average([getattr(row, name) for row in rows]) for name in ("miss", "drift", "hallucination")}
    total = _with(StressRow(*tracker, family, None, 0, 0), **failures)
    if found is not None:
        total = _with(total, objects=found.num_objects, clips=found.num_clips, breaking=found.breaking.estimate)
        total = _with(total, **_ends("score", found.mean_score), **_ends("retention", found.mean_retention))
        total = _with(total, **_ends("drop", found.mean_drop))
    if visible is not None:
        total = _with(
            total,
            visible_score=visible.mean_score.estimate,
            visible_retention=visible.mean_retention.estimate,
        )
    return [*rows, total]


def _compare(
    clean: Sequence[dict[str, Any]],
    by_severity: dict[int, list[dict[str, Any]]],
    measure: str,
    bootstrap: Bootstrap | None,
) -> Robustness | None:
    """None where nothing can be compared, such as before the clean clips are done."""
    harder = {severity: _scores(cell, measure) for severity, cell in by_severity.items()}
    first = _scores(clean, measure)
    if measure != "score":  # who is left out has been said of the score
        kept = set(first).intersection(*harder.values())
        first, harder = _only(first, kept), {severity: _only(cell, kept) for severity, cell in harder.items()}
    try:
        return robustness(first, harder, bootstrap)
    except MaskscopeError as error:
        log.info("%s", error)
        return None


def _scores(cell: Sequence[dict[str, Any]], measure: str) -> Scores:
    return {(each["clip"], each["object"]): each[measure] for each in cell if each[measure] is not None}


def _only(scores: Scores, kept: set[tuple[str, int]]) -> Scores:
    return {key: score for key, score in scores.items() if key in kept}


def _failures(cell: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    return {name: _mean(cell, name) for name in ("miss", "drift", "hallucination")}


def _ends(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _mean(cell: Sequence[dict[str, Any]], name: str) -> float | None:
    return _average([each[name] for each in cell])


def _average(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _with(row: StressRow, **changes: Any) -> StressRow:
    return replace(row, **changes)
