"""A part of the evidence: what was found, its figures, or why there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from maskscope.report.page.charts import Chart
from maskscope.report.page.diagnosis import Diagnosis
from maskscope.report.page.rows import Condition, Rows


@dataclass(frozen=True)
class Evidence:
    """What sections are made from.

    Attributes:
        diagnosis: as read.
    """

    diagnosis: Diagnosis

    @cached_property
    def rows(self) -> Rows:
        """The records, to be found by what they measure."""
        return Rows(self.diagnosis.records)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The clip as it is and all that was done to it."""
        return self.rows.conditions

    def index(self, condition: Condition) -> int:
        """Its number, by which it has its colour in all figures: 0 is the clip as it is."""
        disturbed = self.rows.disturbed
        return 0 if condition.is_clean else disturbed.index(condition) + 1


@dataclass(frozen=True, slots=True)
class Section:
    """Of the page.

    Attributes:
        anchor: its name in addresses.
        heading: what it is about, in a few words.
        question: that it answers.
        parts: figures, and pieces of HTML, in order; none if `missing`.
        missing: a sentence that says why there is nothing to show; empty where there is.
    """

    anchor: str
    heading: str
    question: str
    parts: Sequence[Chart | str] = field(default=())
    missing: str = ""
