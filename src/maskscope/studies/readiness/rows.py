"""Rows of records from a readiness run: every frame of every pass, every measure, every figure.

    j                     of each frame and object that truth shows; state "absent" where it does not
    object_score_logit    of each frame and object
    source_frame          frame of the clip that a frame of a pass shows; state "none" where it is hidden or foreign
    MEASURE.PLACE         of the picture: on frames of the clip as it is, and medians of each condition
    forward_backward_j    of each frame, where the run's own masks stand for truth
    lookalike.own, .other cosines with the object's first look: its own, and the best elsewhere
    episode               frames that a track lasted without a new prompt, state "lost" or "followed"
    occlusion_found       frames of occlusion, state "found" or "lost"; the frame is the one it began on
    figure.NAME           what the result says
    interval.low.NAME, interval.high.NAME   ends of that figure's interval

`transform` is readiness/AXIS:LEVEL for sweeps, readiness/play, readiness/cover:FRAME and readiness/foreign:FRAME.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from maskscope.readiness.conditions import NAME
from maskscope.readiness.result import ReadinessResult
from maskscope.records import Record
from maskscope.studies.own_masks import FORWARD_BACKWARD
from maskscope.studies.readiness.clean import CleanRun
from maskscope.studies.readiness.passes import PassResult
from maskscope.studies.rows_of_runs import MakeRecord


def rows_of_pass(name: str, found: PassResult, record: MakeRecord) -> Iterator[Record]:
    """Of one pass; its name is "POLICY CONDITION", or "POLICY CONDITION WINDOW" for one window of several."""
    policy, _, condition = name.partition(" ")
    make = partial(_made, record, policy, _transform(condition))
    for each in found.seen:
        there: dict[str, Any] = {"value": each.j} if each.visible else {"state": "absent"}
        yield make(metric="j", frame=each.frame, object=each.object, **there)
        yield make(metric="object_score_logit", frame=each.frame, object=each.object, value=each.score)
        shown: dict[str, Any] = {"state": "none"} if each.moment is None else {"value": float(each.moment)}
        yield make(metric="source_frame", frame=each.frame, object=each.object, **shown)
    for measure, value in found.picture.items():
        yield make(metric=measure, value=value)
    for frames, lost, begin in found.facts.get("episodes", ()):
        yield make(metric="episode", frame=begin, value=float(frames), state="lost" if lost else "followed")
    for trial in found.facts.get("trials", ()):
        state = "found" if trial["found"] else "lost"
        yield make(metric="occlusion_found", frame=trial["frame"], value=float(trial["length_frames"]), state=state)


def rows_of_clean(clean: CleanRun, policy: str, record: MakeRecord) -> Iterator[Record]:
    """Of the clip as it is."""
    make = partial(_made, record, policy, "")
    yield from rows_of_pass(f"{policy} clean", clean.result, record)
    for frame, measures in clean.measures.items():
        for name, value in measures.items():
            yield make(metric=name, frame=frame, value=value)
    for frame, (own, other) in clean.lookalikes.items():
        yield make(metric="lookalike.own", frame=frame, value=own)
        yield make(metric="lookalike.other", frame=frame, value=other)
    for frame, number, value in clean.backward:
        yield make(metric=FORWARD_BACKWARD, frame=frame, object=number, value=value)
    for frame in clean.view.course.cuts():
        yield make(metric="cuts.frame", frame=frame, state="cut")


def rows_of_figures(result: ReadinessResult, record: MakeRecord) -> Iterator[Record]:
    """Of what the result says."""
    for name, figure in result.figures().items():
        said: dict[str, Any] = {"state": figure.state} if figure.value is None else {"value": figure.value}
        if figure.value is not None and figure.bound != "exact":
            said["state"] = figure.bound
        yield record(metric=f"figure.{name}", **said)
        for end, value in (("low", figure.low), ("high", figure.high)):
            if value is not None:
                yield record(metric=f"interval.{end}.{name}", value=value)


def _transform(condition: str) -> str:
    if condition.startswith("clean"):
        return ""
    kind, *rest = condition.split(" ")
    if kind.startswith(NAME):
        return kind
    return f"{NAME}/{kind}:{rest[0]}" if rest else f"{NAME}/{kind}"


def _made(record: MakeRecord, policy: str, transform: str, **columns: Any) -> Record:
    return replace(record(**columns), policy=policy, transform=transform, family=transform.partition(":")[0])
