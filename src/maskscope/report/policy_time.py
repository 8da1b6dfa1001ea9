"""Scores of long clips against time since the prompt, from records: does a memory wear out?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from maskscope.evaluate.statistics import Bootstrap, difference_interval
from maskscope.records import read_facts
from maskscope.report.policy_rows import CONTROL, query, rounded

LONG: Final = "long"
BIN_FRAMES: Final = 300

SEEN: Final = "since_j_and_f"
HALLUCINATED: Final = "since_hallucination"
"""Metrics of a digest; their frame is the first of a bin, counted from the prompt."""

_MOMENTS: Final = f"""
    with wanted as (
        select run, policy, severity, clip, object, frame, metric, value, state from read_parquet($files)
        where family = '{LONG}' and object is not null and frame is not null
    ), given as (
        select run, object, max(frame) as first from wanted where metric = 'prompt_px' group by all
    ), frames as (
        select run, policy, severity, clip, object, frame, any_value(state) filter (metric = 'outcome') as outcome,
            (max(value) filter (metric = 'j')
             + coalesce(max(value) filter (metric = 'f_adaptive'), max(value) filter (metric = 'f'))) / 2 as score
        from wanted where metric in ('j', 'f', 'f_adaptive', 'outcome') group by all
    ), counted as (
        select policy, severity, clip, object, (frame - first) // $width * $width as start,
            avg(score) filter (outcome in ('hit', 'miss', 'drift')) as score,
            avg((outcome = 'hallucination')::int) filter (outcome in ('absence', 'hallucination')) as hallucination
        from frames join given using (run, object) group by all
    ), kept as (
        select policy, severity, clip, object, frame as start,
            avg(value) filter (metric = '{SEEN}') as score,
            avg(value) filter (metric = '{HALLUCINATED}') as hallucination
        from wanted where metric in ('{SEEN}', '{HALLUCINATED}') group by all
    )
    select * from counted union all select * from kept order by all
"""


@dataclass(frozen=True)
class Moment:
    """One object of a long clip over one stretch of time.

    Attributes:
        policy: of memory.
        severity: of the absences.
        clip: its name.
        object: its number.
        start_frames: first frame of the stretch, counted from the one that gave the object.
        score: mean of J and F over the frames that show the object; None where none does.
        hallucination: share of the others on which something was found; None where there is none.
    """

    policy: str
    severity: int
    clip: str
    object: int
    start_frames: int
    score: float | None
    hallucination: float | None


@dataclass(frozen=True)
class TimeRow:
    """One policy over one stretch of time, means over objects.

    Attributes:
        policy: of memory.
        start_frames: first frame of the stretch, counted from the prompt.
        clips: how many.
        score: mean of J and F over frames that show the object.
        hallucination: share of the other frames on which something was found.
        gain: score less the stock policy's of the same objects; None for the stock one, or without it.
        low: lower end of its interval of 95 % over clips; None of a single clip.
        high: upper end.
    """

    policy: str
    start_frames: int
    clips: int
    score: float | None
    hallucination: float | None
    gain: float | None = None
    low: float | None = None
    high: float | None = None


def read_moments(files: Iterable[Path | str], bin_frames: int = BIN_FRAMES) -> list[Moment]:
    """Stretches of the long clips in records of a stress study, or in a digest, whose stretches are what they are.

    Raises:
        RecordError: a file is missing, damaged, or of another version.
        SettingError: DuckDB is not installed.
    """
    paths = [str(path) for path in files]
    for path in paths:
        read_facts(path)
    found = query(_MOMENTS, {"files": paths, "width": bin_frames})
    return [
        Moment(
            policy=row["policy"],
            severity=row["severity"],
            clip=row["clip"],
            object=row["object"],
            start_frames=row["start"],
            score=rounded(row["score"]),
            hallucination=rounded(row["hallucination"]),
        )
        for row in found
    ]


def compare_times(moments: Sequence[Moment], bootstrap: Bootstrap | None = None) -> list[TimeRow]:
    """A row for each stretch and policy, the stock one first; severities are averaged as further objects.

    Only what every policy has counts, so that rows can be read beside each other.

    Args:
        moments: from `read_moments`.
        bootstrap: how intervals are made; by default BCa at 95 %, 10,000 draws, seed 0.
    """
    rows = []
    tried = len({m.policy for m in moments})
    by = Counter((m.start_frames, m.clip, m.object, m.severity) for m in moments)
    moments = [m for m in moments if by[m.start_frames, m.clip, m.object, m.severity] == tried]
    scores = {(m.policy, m.start_frames, m.clip, m.object, m.severity): m.score for m in moments}
    policies = sorted({m.policy for m in moments}, key=lambda name: (name != CONTROL, name))
    for start in sorted({m.start_frames for m in moments}):
        for policy in policies:
            mine = [m for m in moments if (m.policy, m.start_frames) == (policy, start)]
            if not mine:
                continue
            pairs: dict[str, list[tuple[float, float]]] = {}
            for m in mine:
                theirs = scores.get((CONTROL, start, m.clip, m.object, m.severity))
                if policy != CONTROL and m.score is not None and theirs is not None:
                    pairs.setdefault(m.clip, []).append((m.score, theirs))
            ends: tuple[float, ...] = ()
            if pairs:
                ours, stock = ([[pair[side] for pair in values] for values in pairs.values()] for side in (0, 1))
                found = difference_interval(ours, stock, bootstrap)
                ends = (found.estimate, found.low, found.high)[: 3 if len(pairs) > 1 else 1]
            seen, halluc = _mean([m.score for m in mine]), _mean([m.hallucination for m in mine])
            rows.append(TimeRow(policy, start, len({m.clip for m in mine}), seen, halluc, *ends))
    return rows


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
