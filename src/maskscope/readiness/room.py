"""Room that an installation should have to a measured limit: one table for what is advised and when rules speak.

On second halves of clips the plain limit of the first half held less than half of the time, with this room four times
in five (docs/readiness/honesty.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from maskscope.readiness.figure import Figure
from maskscope.readiness.parts import Harder, Sentence, Sweep

SPARE_RATIO, SPARE_STOPS, SPARE_SWING = 1.25, 1.0, 0.5
"""Room that an installation should have to a limit: days differ by more than that in light, focus and pace."""

SPARE_EXPOSURE: Final = 2.0**SPARE_STOPS
"""Room of the shutter: a stop of light is a factor of two of exposure. The first level that can be tried is three times
the present exposure; a lack of `SPARE_RATIO` would be seen only where nothing at all is kept at it."""

ROOM: Final[Mapping[str, float]] = {
    "resolution": SPARE_RATIO, "frame_rate": SPARE_RATIO, "light_down": SPARE_STOPS, "light_up": SPARE_STOPS,
    "shutter": SPARE_EXPOSURE, "compression": SPARE_RATIO, "flicker": SPARE_SWING,
}  # fmt: skip
"""By axis: a factor where levels differ by factors, else a difference."""

NO_LEVEL: Final = "no level leaves enough room"
_AS_FILMED: Final = ("shutter", "compression", "flicker")  # nothing is known of a level better than the present one


def level_with_room(axis: str, harder: Harder, logarithmic: bool, limit: float) -> float:
    """The level that is as far from a limit as `ROOM` asks; it may lie beyond the present one.

    Args:
        axis: one of `maskscope.readiness.parts.AXES`.
        harder: which levels are.
        logarithmic: levels differ by factors.
        limit: a level.
    """
    room, lower = ROOM[axis], harder == "lower"
    if logarithmic:
        return limit * room if lower else limit / room
    return limit + room if lower else limit - room


def advise(sweep: Sweep) -> Sweep:
    """The sweep with the level that is advised, and the sentence that advises it.

    Args:
        sweep: whose sentence is yet one of AXIS.limit, AXIS.holds and AXIS.untried.
    """
    name, limit = f"{sweep.axis}.advised", sweep.limit
    if limit.value is None:
        unknown = Figure(name=name, value=None, unit=sweep.unit, metric=limit.metric, state=limit.state)
        return replace(sweep, advised=unknown)
    level = level_with_room(sweep.axis, sweep.harder, sweep.logarithmic, limit.value)
    tight = sweep.spare.value is not None and sweep.spare.value < ROOM[sweep.axis]
    if tight and sweep.axis in _AS_FILMED:
        advised = Figure(name=name, value=None, unit=sweep.unit, metric=limit.metric, state=NO_LEVEL)
    else:
        advised = Figure(name=name, value=level, unit=sweep.unit, bound=limit.bound, metric=limit.metric)
    kinds = ("tight", "room") if limit.bound == "exact" else ("near", "ample")
    more = {} if advised.value is None else {"advised": advised.value}
    sentence = Sentence(key=f"{sweep.axis}.{kinds[not tight]}", values={**more, **sweep.sentence.values})
    return replace(sweep, advised=advised, sentence=sentence)
