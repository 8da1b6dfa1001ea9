"""The table of a stress study, from its records alone: what is left of the score, and how the rest is lost."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
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

ORDER: Final = ("occlusion", "illumination", "speed", "viewpoint", "interjection", "lookalike", "corruption")
"""Of families in tables and figures; others follow by name."""

_DIGITS: Final = 9

_FRAMES: Final = """
    select run, model, policy, protocol, family, severity, seed, clip, object, frame,
        max(value) filter (metric = 'j') as j,
        coalesce(max(value) filter (metric = 'f_adaptive'), max(value) filter (metric = 'f')) as f,
        any_value(state) filter (metric = 'outcome') as outcome
    from read_parquet($files)
    where object is not null and frame is not null and metric in ('j', 'f', 'f_adaptive', 'outcome')
    group by all
"""

_OBJECTS: Final = f"""
    with frames as ({_FRAMES}), runs as (
        select model, policy, protocol, family, severity, seed, clip, object,
            (avg(j) + avg(f)) / 2 as score,
            avg((outcome = 'miss')::int) as miss,
            avg((outcome = 'drift')::int) as drift,
            avg((outcome = 'hallucination')::int) as hallucination
        from frames group by all
    )
    select model, policy, protocol, family, severity, clip, object, avg(score) as score,
        avg(miss) as miss, avg(drift) as drift, avg(hallucination) as hallucination
    from runs group by all order by all
"""
"""Each object under each condition, averaged over seeds."""

_MATCHED: Final = f"""
    with frames as ({_FRAMES}), moments as (
        select run, frame, round(value)::int as moment
        from read_parquet($files) where metric = 'source_time' and value is not null
    ), objects as (
        select f.model, f.policy, f.protocol, f.family, f.severity, f.clip, f.object,
            avg((f.j + f.f) / 2) as score, avg((c.j + c.f) / 2) as clean
        from frames f
        join moments m on m.run = f.run and m.frame = f.frame
        join frames c on c.family = '' and c.model = f.model and c.policy = f.policy and c.protocol = f.protocol
            and c.clip = f.clip and c.object = f.object and c.frame = m.moment
        where f.family <> '' and f.outcome in ('hit', 'miss', 'drift')
        group by all
    )
    select model, policy, protocol, family, severity, avg(score) as score, avg(clean) as clean
    from objects group by all
"""
"""The same moments of the source, where the transformed frame shows the object: transformed and clean."""

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
        matched_score: mean of J and F over the frames that show the object and a moment that counts in the clean clip.
        matched_retention: that over the clean score of the same moments: what frames left out, foreign frames and
            hidden objects do to the average is not in it.
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
    matched_score: float | None = None
    matched_retention: float | None = None
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
    objects, strengths, matched = (_query(text, paths) for text in (_OBJECTS, _STRENGTHS, _MATCHED))
    realised = {(s["model"], s["policy"], s["family"], s["severity"]): s["strength"] for s in strengths}
    pairs = {(m["model"], m["policy"], m["protocol"], m["family"], m["severity"]): m for m in matched}
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
                row = _with(row, strength=realised.get((*tracker[:2], family, row.severity)))
                rows.append(_with_matched(row, pairs.get((*tracker, family, row.severity))))
    return [_rounded(row) for row in rows]


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
    return _with(row, **_failures(clean))


def _family_rows(
    tracker: tuple[str, str, str],
    family: str,
    clean: Sequence[dict[str, Any]],
    by_severity: dict[int, list[dict[str, Any]]],
    bootstrap: Bootstrap | None,
) -> list[StressRow]:
    """A row for each severity, and the one over all."""
    found = _compare(clean, by_severity, bootstrap)
    rows = []
    for severity, cell in sorted(by_severity.items()):
        row = StressRow(*tracker, family, severity, len(cell), len({each["clip"] for each in cell}))
        row = _with(row, score=_mean(cell, "score"), **_failures(cell))
        if found is not None:
            place = found.severities.index(severity)
            row = _with(row, objects=found.num_objects, clips=found.num_clips)
            row = _with(row, **_ends("score", found.score[place]), **_ends("retention", found.retention[place]))
            row = _with(row, **_ends("drop", found.drop[place]))
        rows.append(row)
    failures = {name: _average([getattr(row, name) for row in rows]) for name in ("miss", "drift", "hallucination")}
    total = _with(StressRow(*tracker, family, None, 0, 0), **failures)
    if found is not None:
        total = _with(total, objects=found.num_objects, clips=found.num_clips, breaking=found.breaking.estimate)
        total = _with(total, **_ends("score", found.mean_score), **_ends("retention", found.mean_retention))
        total = _with(total, **_ends("drop", found.mean_drop))
    return [*rows, total]


def _compare(
    clean: Sequence[dict[str, Any]],
    by_severity: dict[int, list[dict[str, Any]]],
    bootstrap: Bootstrap | None,
) -> Robustness | None:
    """None where nothing can be compared, such as before the clean clips are done."""
    try:
        return robustness(
            _scores(clean), {severity: _scores(cell) for severity, cell in by_severity.items()}, bootstrap
        )
    except MaskscopeError as error:
        log.info("%s", error)
        return None


def _scores(cell: Sequence[dict[str, Any]]) -> Scores:
    return {(each["clip"], each["object"]): each["score"] for each in cell}


def _with_matched(row: StressRow, pair: dict[str, Any] | None) -> StressRow:
    if pair is None:
        return row
    retention = pair["score"] / pair["clean"] if pair["clean"] > 0 else None
    return _with(row, matched_score=pair["score"], matched_retention=retention)


def _rounded(row: StressRow) -> StressRow:
    """Without the last bits, which depend on the order in which several threads have added."""
    numbers = {name: round(value, _DIGITS) for name, value in asdict(row).items() if isinstance(value, float)}
    return _with(row, **numbers)


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
