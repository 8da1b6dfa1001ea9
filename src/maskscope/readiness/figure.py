"""A number of a readiness run: its value, unit and interval, and which rows of the records it follows from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from maskscope.errors import RecordError

Bound = Literal["exact", "at least", "at most"]

UNITS: Final = (
    "share", "ratio", "cosine", "logit", "px", "px2", "tokens", "frames", "seconds", "frames/s", "stops", "intervals",
    "sizes/frame", "luma", "levels", "quality", "count", "cost/h", "minutes/h", "per 1000", "1/h", "1/min",
)  # fmt: skip
"""`px2` area in pixels; `intervals` exposure in frame intervals; `sizes/frame` motion in object sizes a frame; `luma`
0..1; `levels` of 255; `cost/h` in the user's own currency; `quality` of JPEG, 1..100."""

STATES: Final = (
    "no true masks were given", "true masks were given", "the way back met no object", "no frame shows the object",
    "no frame is without the object", "labelling was not measured on this clip",
    "labels did not help in the labelling study",
    "nothing harder than the present level can be tried", "too few pixels, or no contrast",
    "no level leaves enough room", "the object is not seen beside anything else",
    "no moment shows the object long enough to hide it",
)  # fmt: skip
"""Why a figure of a run can be without a value; a catalogue of wording has a sentence for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number that a reader may see.

    Attributes:
        name: unique in a result, such as "frame_rate.limit".
        value: finite; None where it could not be measured.
        unit: one of `UNITS`; fractions are shares in 0..1, never percent.
        low, high: ends of the 95 % interval; None where there is none.
        bound: "at least" where the true value lies at or above (nothing tried was hard enough), "at most" likewise.
        metric: of the records that it follows from.
        state: why there is no value, see `STATES`; empty where there is one.

    Raises:
        RecordError: a number that is not finite, an unknown unit, or neither or both of value and state.
    """

    name: str
    value: float | None
    unit: str
    low: float | None = None
    high: float | None = None
    bound: Bound = "exact"
    metric: str = ""
    state: str = ""

    def __post_init__(self) -> None:
        if any(each is not None and not math.isfinite(each) for each in (self.value, self.low, self.high)):
            raise RecordError(f"the figure {self.name} is {self.value} [{self.low}, {self.high}], expected finite ones")
        if self.unit not in UNITS:
            raise RecordError(f"the figure {self.name} has the unit {self.unit!r}, expected one of {', '.join(UNITS)}")
        if (self.value is None) != bool(self.state):
            raise RecordError(f"the figure {self.name} has either a value or a state, got {self.value}, {self.state!r}")
