"""Measures of the picture against the range in which the model still works: what they are where it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final, Literal

import numpy as np

from maskscope.readiness.conditions import AXES
from maskscope.readiness.figure import Figure
from maskscope.readiness.parts import PictureMeasure, Place, Sweep
from maskscope.readiness.result import ReadinessResult
from maskscope.studies.readiness.clean import CleanRun, lookalike_margin
from maskscope.studies.readiness.sweeps import Level

Side = Literal["low", "high"]

UNIT: Final[Mapping[str, str]] = {
    "blur": "share", "dark_share": "share", "bright_share": "share", "luma": "luma", "noise": "levels",
    "flicker": "stops", "blockiness": "ratio", "size_px": "px2", "size_tokens": "tokens", "motion": "sizes/frame",
    "cuts": "count", "frozen": "share", "lookalike": "cosine",
}  # fmt: skip

MOVED_BY: Final[tuple[tuple[str, str, Side], ...]] = (
    ("resolution", "blur.object", "high"),
    ("shutter", "blur.object", "high"),
    ("resolution", "size_px.object", "low"),
    ("frame_rate", "motion.object", "high"),
    ("light_down", "luma.object", "low"),
    ("light_down", "dark_share.object", "high"),
    ("light_down", "noise.object", "high"),
    ("light_up", "luma.object", "high"),
    ("light_up", "bright_share.object", "high"),
    ("compression", "blockiness.object", "high"),
    ("flicker", "flicker.object", "high"),
)
"""Which sweep drives which measure to which end. A measure without a line has no range: nothing here moves it."""

_OVER_FRAMES: Final = ("blur", "dark_share", "bright_share", "luma", "noise", "blockiness")
_RESAMPLES: Final = 400


@dataclass(frozen=True)
class _End:
    axis: str
    figure: Figure


def picture_measures(
    clean: CleanRun, sweeps: Sequence[tuple[Sweep, tuple[Level, ...]]], reference: ReadinessResult | None = None
) -> tuple[PictureMeasure, ...]:
    """Every measure of the clip, with its range.

    Args:
        clean: the clip as it is.
        sweeps: of it, with their levels.
        reference: an earlier run whose ranges are taken where it has some, instead of this clip's own.
    """
    drawn = [
        *(_sampled(clean, f"{name}.{place}") for name in _OVER_FRAMES for place in ("object", "background")),
        *(_of_course(clean, f"flicker.{place}") for place in ("object", "background")),
        _sampled(clean, "size_px.object"),
        _sampled(clean, "size_tokens.object"),
        _motion(clean),
        *_events(clean),
        _lookalike(clean),
    ]
    found = tuple(_with_range(each, sweeps) for each in drawn)
    return found if reference is None else held_to(found, reference)


def held_to(measures: Sequence[PictureMeasure], reference: ReadinessResult) -> tuple[PictureMeasure, ...]:
    """Measures with the ranges that the sweeps of an earlier run found.

    A clip lies in its own ranges by construction. In those of a good day it may not.
    """
    known = {each.figure.name: each for each in reference.picture if each.safe_low or each.safe_high}
    return tuple(_held(each, known.get(each.figure.name), reference.clip.name) for each in measures)


def _held(measure: PictureMeasure, earlier: PictureMeasure | None, name: str) -> PictureMeasure:
    value = measure.figure.value
    if earlier is None or value is None:
        return measure
    low, high = earlier.safe_low, earlier.safe_high
    inside = not (low and low.value is not None and value < low.value)
    inside &= not (high and high.value is not None and value > high.value)
    return replace(measure, safe_low=low, safe_high=high, axis=earlier.axis, inside=inside, reference=name)


def _with_range(measure: PictureMeasure, sweeps: Sequence[tuple[Sweep, tuple[Level, ...]]]) -> PictureMeasure:
    name, value = measure.figure.name, measure.figure.value
    ends: dict[Side, _End] = {}
    axes: list[str] = []
    for axis, moved, side in MOVED_BY:
        for sweep, levels in sweeps if moved == name and value is not None else ():
            if sweep.axis != axis or sweep.limit.value is None:
                continue
            axes.append(axis)
            at = _at_limit(name, sweep, levels, value or 0.0)
            if at is None or (at >= (value or 0.0)) == (side == "low"):
                continue  # the measure does not tell this kind of harm
            now = ends.get(side)
            if now is None or (at < (now.figure.value or 0.0)) == (side == "high"):
                figure = Figure(name=f"{name}.{side}", value=at, unit=measure.figure.unit, metric=name)
                ends[side] = _End(axis, figure)
    if not axes:
        return measure
    low, high = ends.get("low"), ends.get("high")
    # By construction the clip lies inside: beyond the range is what a later picture can be.
    inside = all(
        end is None or (value or 0.0) * sign >= (end.figure.value or 0.0) * sign for end, sign in ((low, 1), (high, -1))
    )
    deciding = (high or low).axis if (high or low) else axes[0]  # type: ignore[union-attr]
    return PictureMeasure(
        measure=measure.measure, place=measure.place, figure=measure.figure, safe_low=low.figure if low else None,
        safe_high=high.figure if high else None, axis=deciding, inside=inside, frames=measure.frames,
        values=measure.values,
    )  # fmt: skip


def _at_limit(name: str, sweep: Sweep, levels: Sequence[Level], present: float) -> float | None:
    """What a measure is where retention passes the level that is kept; None where it never does."""
    limit = sweep.limit.value
    if limit is None or sweep.limit.bound != "exact":
        return None
    if name == "size_px.object":
        return present * (limit / sweep.present) ** 2
    axis = next(each for each in AXES if each.name == sweep.axis)
    known = [(level.level, value) for level in levels if (value := _of_level(name, level)) is not None]
    if len(known) < 2:
        return None

    def place(level: float) -> float:
        return float(np.log(level)) if axis.logarithmic else level

    known.sort(key=lambda pair: place(pair[0]))
    return float(np.interp(place(limit), [place(level) for level, _ in known], [value for _, value in known]))


def _of_level(name: str, level: Level) -> float | None:
    known = [part.picture[name] for part in level.passes if name in part.picture]
    return float(median(known)) if known else None


def _sampled(clean: CleanRun, name: str) -> PictureMeasure:
    pairs = [(frame, found[name]) for frame, found in clean.measures.items() if name in found]
    return _measure(name, pairs)


def _of_course(clean: CleanRun, name: str) -> PictureMeasure:
    value = clean.result.picture.get(name)
    return _measure(name, [] if value is None else [(0, value)], series=False)


def _motion(clean: CleanRun) -> PictureMeasure:
    return _measure("motion.object", [(t, way) for t, way in enumerate(clean.view.course.motion()) if way is not None])


def _events(clean: CleanRun) -> tuple[PictureMeasure, ...]:
    course = clean.view.course
    cuts = tuple(course.cuts())
    return (
        PictureMeasure(
            measure="cuts", place="frame", frames=cuts, values=(1.0,) * len(cuts),
            figure=Figure(name="cuts.frame", value=float(len(cuts)), unit="count", metric="cuts.frame"),
        ),
        PictureMeasure(
            measure="frozen", place="frame",
            figure=Figure(name="frozen.frame", value=course.frozen_share(), unit="share", metric="frozen.frame"),
        ),
    )  # fmt: skip


def _lookalike(clean: CleanRun) -> PictureMeasure:
    name, margin = "lookalike.background", lookalike_margin(clean.lookalikes)
    state = "" if margin is not None else "the object is not seen beside anything else"
    figure = Figure(name=name, value=margin, unit="cosine", metric=name, state=state)
    pairs = [(frame, own - other) for frame, (own, other) in clean.lookalikes.items() if frame]
    return PictureMeasure(
        measure="lookalike", place="background", figure=figure, frames=tuple(frame for frame, _ in pairs),
        values=tuple(value for _, value in pairs),
    )  # fmt: skip


def _measure(name: str, pairs: Sequence[tuple[int, float]], series: bool = True) -> PictureMeasure:
    """The median over frames, with its interval by drawing frames."""
    measure, _, where = name.partition(".")
    place: Place = "object" if where == "object" else "background"
    unit = UNIT[measure]
    if not pairs:
        figure = Figure(name=name, value=None, unit=unit, metric=name, state="too few pixels, or no contrast")
        return PictureMeasure(measure=measure, place=place, figure=figure)
    values = np.array([value for _, value in pairs])
    low = high = None
    if series and len(values) > 2:
        rng = np.random.default_rng(0)
        medians = np.median(rng.choice(values, (_RESAMPLES, len(values))), axis=1)
        low, high = (float(each) for each in np.quantile(medians, (0.025, 0.975)))
    figure = Figure(name=name, value=float(np.median(values)), unit=unit, low=low, high=high, metric=name)
    if not series:
        return PictureMeasure(measure=measure, place=place, figure=figure)
    return PictureMeasure(
        measure=measure, place=place, figure=figure, frames=tuple(frame for frame, _ in pairs),
        values=tuple(float(value) for value in values),
    )  # fmt: skip
