"""What memory policies gain over the stock one, clip by clip, from the records of a stress study alone.

Every number compares the same objects of the same clips under the same transformation: what is hard about a clip
cancels, and a small gain that most clips share is told from a large one that one clip has. Intervals come from drawing
clips.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any, Final

from maskscope.evaluate.statistics import Bootstrap, difference_interval
from maskscope.extras import load_extra
from maskscope.records import read_facts
from maskscope.report.stress_table import family_rank

CONTROL: Final = "stock"

SCORES: Final = ("j_and_f", "disappearance", "reappearance")
"""Measures with intervals: mean of J and F over all frames; of J and adaptive F over clips of each kind."""

SHARES: Final = ("miss", "drift", "hallucination", "recovered", "latency_frames")
"""Measures without: of the frames that show the object, of those that do not, of returns; frames until recovery."""

COSTS: Final = ("fps", "memory_mb", "remembered_mb")
"""Of the tracker alone, of the whole process, and of every tensor in memory."""

CLEAN: Final = ""

_CELLS: Final = """
    with rows as (
        select *, count(distinct policy) over (partition by filename) > 1 as whole_study
        from read_parquet($files, filename = true)
        where frame is null and value is not null and metric in (select unnest($metrics))
    )
    select model, policy, protocol, family, severity, clip, object, metric, avg(value) as value,
        case when object is not null then '' when whole_study then filename else parse_dirpath(filename) end as session
    from rows group by all order by all
"""
"""Whole clips, averaged over seeds. Rows of cost have neither object nor protocol.

A session is what was measured together: a digest holds all of a study, another file one job of its folder's.
"""


@dataclass(frozen=True)
class Cell:
    """One object of one clip, under one condition, with one policy; a cell without object holds costs of the clip.

    Attributes:
        tracker: name of the weights.
        policy: of memory, as it was asked for.
        family: of transformations, empty for the clip as it is.
        severity: 0 for the clip as it is.
        clip: its name.
        object: its number; None for costs.
        values: by name of `SCORES`, `SHARES` or `COSTS`; what could not be measured is missing.
        session: of costs, the study they were measured in: a speed is compared with none of another day.
    """

    tracker: str
    policy: str
    family: str
    severity: int
    clip: str
    object: int | None
    values: dict[str, float] = field(default_factory=dict)
    session: str = ""


@dataclass(frozen=True)
class Paired:
    """One measure of a policy beside the stock one's, means over the objects that have both.

    Attributes:
        value: the policy's.
        control: the stock one's.
        objects: how many objects and conditions.
        clips: of how many clips.
        gain: value less control.
        low: lower end of its interval of 95 % over clips; None where none was made, as of a single clip.
        high: upper end.
    """

    value: float
    control: float
    objects: int
    clips: int
    gain: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class PolicyRow:
    """One policy under one condition.

    Attributes:
        tracker: name of the weights.
        policy: of memory.
        family: of transformations, empty for clips as they are.
        band: severities, such as "3" or "4-5"; "0" for clips as they are.
        clips: that have scores of both policies.
        measures: by name of `SCORES` and `SHARES`; what nothing was measured of is missing.
        fps: frames per second, median over clips.
        fps_ratio: over the stock one's on the same clips, median.
        memory_mb: highest of the process, over clips.
        remembered_mb: highest of all that is in memory, over clips.
    """

    tracker: str
    policy: str
    family: str
    band: str
    clips: int
    measures: dict[str, Paired]
    fps: float | None = None
    fps_ratio: float | None = None
    memory_mb: float | None = None
    remembered_mb: float | None = None

    @property
    def gain(self) -> Paired | None:
        """Of J&F."""
        return self.measures.get("j_and_f")


Band = Callable[[int], str]


def read_cells(files: Iterable[Path | str]) -> list[Cell]:
    """Cells of records as a stress study writes them, or of a digest of them.

    A protocol with adaptive F has its J&F with that.

    Raises:
        RecordError: a file is missing, damaged, or of another version.
        SettingError: DuckDB is not installed.
    """
    paths = [str(path) for path in files]
    for path in paths:
        read_facts(path)
    cells: dict[tuple[Any, ...], Cell] = {}
    metrics = [*SCORES, "j_and_f_adaptive", *SHARES, *COSTS]
    for row in query(_CELLS, {"files": paths, "metrics": metrics}):
        place = [row[name] for name in ("model", "policy", "family", "severity", "clip", "object")]
        cell = cells.setdefault((*place, row["session"]), replace(Cell(*place), session=row["session"]))
        cell.values[row["metric"]] = rounded(row["value"]) or 0.0
    for cell in cells.values():
        adaptive = cell.values.pop("j_and_f_adaptive", None)
        if adaptive is not None:
            cell.values["j_and_f"] = adaptive
    return list(cells.values())


def rounded(value: float | None) -> float | None:
    """Without the last bits, which depend on the order in which several threads have added."""
    return None if value is None else round(value, 9)


def query(text: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of a query over `files` of records, by names of columns; none of no file.

    Raises:
        SettingError: DuckDB is not installed.
    """
    if not parameters["files"]:
        return []
    duckdb = load_extra("duckdb", "tables", "tables of results")
    with duckdb.connect() as connection:
        cursor = connection.execute(text, parameters)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def compare_policies(
    cells: Sequence[Cell],
    band: Band = str,
    *,
    clips: Collection[str] | None = None,
    bootstrap: Bootstrap | None = None,
) -> list[PolicyRow]:
    """A row for each condition and policy, the stock one first; clean clips first, then families in their usual order.

    Where a band holds several severities, an object counts with each that both policies have.

    Args:
        cells: from `read_cells`.
        band: severity above 0 -> name of its band.
        clips: only these; None for all.
        bootstrap: how intervals are made; by default BCa at 95 %, 10,000 draws, seed 0.
    """
    groups: dict[tuple[str, str, str], dict[str, list[Cell]]] = {}
    for cell in cells:
        if clips is None or cell.clip in clips:
            where = (cell.tracker, cell.family, band(cell.severity) if cell.severity else "0")
            groups.setdefault(where, {}).setdefault(cell.policy, []).append(cell)
    rows: list[PolicyRow] = []
    for where in sorted(groups, key=lambda key: (key[0], key[1] != CLEAN, family_rank(key[1]), key[2])):
        of_policy = groups[where]
        control = of_policy.get(CONTROL, [])
        policies = sorted(of_policy, key=lambda name: (name != CONTROL, name))
        rows += [_row(where, policy, of_policy[policy], control, bootstrap) for policy in policies]
    return rows


def _row(
    where: tuple[str, str, str], policy: str, mine: list[Cell], control: list[Cell], bootstrap: Bootstrap | None
) -> PolicyRow:
    tracker, family, band = where
    measures = {}
    for name in (*SCORES, *SHARES):
        pairs = _pairs(name, mine, control)
        if pairs:
            measures[name] = _paired(pairs, None if policy == CONTROL or name in SHARES else bootstrap or Bootstrap())
    clips = measures["j_and_f"].clips if "j_and_f" in measures else 0
    row = PolicyRow(tracker, policy, family, band, clips, measures)
    ours = {name: [cell.values[name] for cell in mine if name in cell.values] for name in COSTS}
    if ours["fps"]:
        ratios = [a / b for values in _pairs("fps", mine, control).values() for a, b in values if b > 0]
        row = replace(row, fps=median(ours["fps"]), fps_ratio=median(ratios) if ratios else None)
    if ours["memory_mb"]:
        row = replace(row, memory_mb=max(ours["memory_mb"]))
    if ours["remembered_mb"]:
        row = replace(row, remembered_mb=max(ours["remembered_mb"]))
    return row


def _pairs(name: str, mine: list[Cell], control: list[Cell]) -> dict[str, list[tuple[float, float]]]:
    """Clip -> values of the policy and of the stock one, for each object and severity that has both."""

    def place(cell: Cell) -> tuple[str, int | None, int, str]:
        return cell.clip, cell.object, cell.severity, cell.session

    theirs = {place(cell): cell.values[name] for cell in control if name in cell.values}
    found: dict[str, list[tuple[float, float]]] = {}
    for cell in mine:
        key = place(cell)
        if name in cell.values and key in theirs:
            found.setdefault(cell.clip, []).append((cell.values[name], theirs[key]))
    return found


def _paired(pairs: dict[str, list[tuple[float, float]]], bootstrap: Bootstrap | None) -> Paired:
    everything = [pair for values in pairs.values() for pair in values]
    value, control = (sum(pair[side] for pair in everything) / len(everything) for side in (0, 1))
    found = Paired(value, control, len(everything), len(pairs), value - control)
    if bootstrap is None or len(pairs) == 1:
        return found
    ours, theirs = ([[pair[side] for pair in values] for values in pairs.values()] for side in (0, 1))
    ends = difference_interval(ours, theirs, bootstrap)
    return replace(found, low=ends.low, high=ends.high)
