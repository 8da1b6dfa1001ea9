"""Records by what they measure, and the conditions that they were measured under."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from maskscope.records import Record
from maskscope.stages import STAGES, Stage


@dataclass(frozen=True, slots=True, order=True)
class Condition:
    """A family of transformations at one severity; family "" is the clip as it is."""

    family: str
    severity: int
    says_severity: bool = field(default=True, compare=False)  # false where all have the same

    @property
    def is_clean(self) -> bool:
        """Nothing was done to the clip."""
        return not self.family

    def __str__(self) -> str:
        if self.is_clean:
            return "as filmed"
        return f"{self.family} (severity {self.severity})" if self.says_severity else self.family


CLEAN = Condition("", 0)


@dataclass(frozen=True, slots=True)
class Place:
    """A position, or a tap inside it."""

    stage: Stage
    tap: str = ""


class Rows:
    """Records, found by metric, condition and place.

    Args:
        records: in any order, but of the taps of a stage, which keep the order of their first rows.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._by_metric: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            self._by_metric[record.metric].append(record)
        self._indexed: dict[str, dict[tuple[Condition, Place | None], list[Record]]] = {}

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """The clip as it is first, then families in the order of the records, mild ones first."""
        found = dict.fromkeys(condition_of(row) for rows in self._by_metric.values() for row in rows)
        families = list(dict.fromkeys(each.family for each in found))
        one_severity = len({each.severity for each in found if not each.is_clean}) == 1
        ordered = sorted(found, key=lambda c: (not c.is_clean, families.index(c.family), c.severity))
        return tuple(replace(each, says_severity=not one_severity) for each in ordered)

    def known(self, condition: Condition) -> Condition:
        """The equal one among `conditions`, which goes by its name on this page; itself if there is none."""
        return next((each for each in self.conditions if each == condition), condition)

    @property
    def disturbed(self) -> tuple[Condition, ...]:
        """Conditions but the clip as it is."""
        return tuple(each for each in self.conditions if not each.is_clean)

    def metrics(self, prefix: str) -> tuple[str, ...]:
        """Names that begin so."""
        return tuple(name for name in self._by_metric if name.startswith(prefix))

    def of(self, metric: str, condition: Condition | None = None) -> list[Record]:
        """All rows of a metric, at whatever place."""
        rows = self._by_metric.get(metric, [])
        return rows if condition is None else [row for row in rows if condition_of(row) == condition]

    def at(self, metric: str, condition: Condition, place: Place | None) -> list[Record]:
        """Rows of a metric under a condition at a place; None for those that belong to no stage."""
        if metric not in self._indexed:
            index = self._indexed[metric] = defaultdict(list)
            for row in self._by_metric.get(metric, []):
                index[condition_of(row), place_of(row)].append(row)
        return self._indexed[metric].get((condition, place), [])

    def places(self, metric: str, taps: bool) -> tuple[Place, ...]:
        """Where a metric has values, in the order that a frame passes; with taps, or the positions alone.

        A position comes after the taps inside it.
        """
        found = dict.fromkeys(place_of(row) for row in self._by_metric.get(metric, []) if row.value is not None)
        known = [place for place in found if place is not None and (taps or not place.tap)]
        return tuple(sorted(known, key=lambda place: (STAGES.index(place.stage), not place.tap)))


def condition_of(row: Record) -> Condition:
    """Under which a row was measured."""
    return Condition(row.family, row.severity if row.family else 0)


def place_of(row: Record) -> Place | None:
    """Where a row was measured."""
    return None if row.stage is None else Place(row.stage, row.tap)


def of_frames(rows: Iterable[Record]) -> Iterator[Record]:
    """Those that measure a single frame."""
    return (row for row in rows if row.frame is not None)
