"""Questions, answers and tables of the findings, and what the sentences have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from maskscope.evaluate.statistics import Interval
from maskscope.report.findings_shape import LEAST_CLIPS, Findings
from maskscope.report.page.names import count, percent, with_ends
from maskscope.report.page.rows import Place
from maskscope.report.page.sections.separation import label_of
from maskscope.stages import Stage

T = TypeVar("T")

NOT_DETERMINED: Final = "not determined"
MOST_NAMED: Final = 3  # clips or conditions in one sentence
ON: Final = {"object": "on the object", "background": "on the background"}


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text.

    Attributes:
        title: what it shows, as a sentence without its stop.
        header: names of the columns.
        rows: as many cells each.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One question and its answer.

    Attributes:
        name: of the part, in marks and addresses.
        heading: the question.
        answer: one sentence.
        evidence: sentences that follow.
        against: counter-examples, a sentence each.
        tables: behind them.
        figure: name of the figure that goes with it; empty without one.
    """

    name: str
    heading: str
    answer: str
    evidence: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    tables: tuple[Table, ...] = field(default=())
    figure: str = ""


def too_few(found: Findings) -> str:
    """The answer where clips do not suffice for one."""
    return (
        f"Cannot be told from {count(len(found.clips), 'clip')}: an interval over clips needs {LEAST_CLIPS}. "
        "The figures below describe these clips only."
    )


def short(stage: Stage) -> str:
    """A position in words."""
    return stage.replace("_", " ")


def tap_name(place: str) -> str:
    """ "memory_conditioned/memory_attention.0.cross", or the tap's name alone, in words."""
    return label_of(Place("memory_conditioned", place.rpartition("/")[2]))


def range_of(step: Mapping[str, Any]) -> str:
    """How far the place of an onset is known, in words."""
    if step.get("earliest") == step.get("latest"):
        return "there"
    return f"from {tap_name(step['earliest'])} to {tap_name(step['latest'])}"


def cell(interval: Interval | None, digits: int = 2) -> str:
    """Of a table."""
    return "-" if interval is None else with_ends(interval, digits)


def negative(interval: Interval) -> Interval:
    """A fall of a rise."""
    return Interval(-interval.estimate, -interval.high, -interval.low)


def first(several: Sequence[T]) -> Sequence[T]:
    """Those that are named in a sentence; `more` says how many are not."""
    return several[:MOST_NAMED]


def more(several: Sequence[object]) -> str:
    """The end of a list of which `first` was named."""
    left = len(several) - MOST_NAMED
    return f" and {left} more" if left > 0 else ""


def shares(share: Interval) -> str:
    """ "31 % (20 % to 44 %)"; without ends where they say nothing."""
    if share.low == share.high:
        return percent(share.estimate)
    return f"{percent(share.estimate)} ({percent(share.low)} to {percent(share.high)})"
