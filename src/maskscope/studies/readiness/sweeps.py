"""The clip made worse along each axis, down to where it is lost: coarse first, then by bisection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from maskscope.model import SAM2
from maskscope.readiness.blocks import BLOCK_FRAMES
from maskscope.readiness.budget import Budget
from maskscope.readiness.conditions import Axis, degraded, label
from maskscope.readiness.figure import Bound, Figure
from maskscope.readiness.limits import CurvePoint, limit_of
from maskscope.readiness.parts import Sentence, Sweep, SweepPoint
from maskscope.readiness.room import advise
from maskscope.studies.readiness.clean import CleanRun
from maskscope.studies.readiness.passes import PassResult, PassStore, follow, mask_prompts
from maskscope.tracking.prompts import Prompt

CLEAN: Final = "clean windows"
_METRIC: Final = "j"


@dataclass(frozen=True, eq=False)
class Level:
    """One level that was tried, with what it came to in each window."""

    level: float
    passes: tuple[PassResult, ...]
    transform: str


@dataclass(frozen=True, eq=False)
class SweepWork:
    """What sweeps need.

    Attributes:
        model: that tracks.
        policy: of memory.
        clean: the clip as it is.
        prompts: on its first frame.
        fps: frames a second.
        keep: retention.
        budget: how much may be tried.
        store: of passes.
    """

    model: SAM2
    policy: str
    clean: CleanRun
    prompts: Sequence[Prompt]
    fps: float
    keep: float
    budget: Budget
    store: PassStore

    def sweep(self, axis: Axis) -> tuple[Sweep, tuple[Level, ...]]:
        """Try the hardest level; if the object is lost there, bisect.

        Raises:
            Stopped: the user asked to stop; finished passes are kept.
        """
        source = self.clean.source
        present, hardest = axis.levels(source.size[1], self.fps, source.num_frames)
        levels = [Level(present, self._clean(axis), "")]
        if hardest is not None:
            mild, hard = present, hardest
            levels.append(self._level(axis, present, hard))
            for _ in range(self.budget.bisections if self._retention(levels[-1], levels[0], axis) < self.keep else 0):
                middle = axis.middle(mild, hard, present)
                if middle is None:
                    break
                levels.append(self._level(axis, present, middle))
                if self._retention(levels[-1], levels[0], axis) < self.keep:
                    hard = middle
                else:
                    mild = middle
        levels.sort(key=lambda each: abs(each.level - present))
        return self._sweep(axis, levels), tuple(levels)

    def retention_at(self, axis: Axis, level: float) -> float:
        """Retention at one level, whatever a sweep would try; 1 at the present level.

        Raises:
            Stopped: the user asked to stop; finished passes are kept.
        """
        source = self.clean.source
        present, _ = axis.levels(source.size[1], self.fps, source.num_frames)
        if level == present:
            return 1.0
        return self._retention(self._level(axis, present, level), Level(present, self._clean(axis), ""), axis)

    def _level(self, axis: Axis, present: float, level: float) -> Level:
        name, clip = label(axis, level), degraded(axis, self.clean.source, present, level)
        if axis.name == "frame_rate":
            moments = [clip.plan.sources(t)[0] for t in range(clip.num_frames)]  # type: ignore[attr-defined]
            found = self._pass(name, clip, range(clip.num_frames), lambda t: moments[t])
            return Level(level, (found,), name)
        windows = self.budget.windows(clip.num_frames)
        parts = [self._pass(f"{name} {k}", clip, window, lambda t: t) for k, window in enumerate(windows)]
        return Level(level, tuple(parts), name)

    def _clean(self, axis: Axis) -> tuple[PassResult, ...]:
        """The clip as it is, in the same windows: the first is a part of the clean run, as it has its prompt."""
        if axis.name == "frame_rate":
            return (self.clean.result,)
        parts = []
        for k, window in enumerate(self.budget.windows(self.clean.source.num_frames)):
            if window.start:
                parts.append(self._pass(f"{CLEAN} {k}", self.clean.source, window, lambda t: t))
            else:
                seen = tuple(each for each in self.clean.result.seen if each.frame in window)
                parts.append(PassResult(seen, self.clean.result.picture))
        return tuple(parts)

    def _pass(self, name: str, clip: object, window: range, moment: Callable[[int], int]) -> PassResult:
        def make(done: Callable[[], None]) -> PassResult:
            first = self.clean.source.at(window.start)
            prompts = list(self.prompts) if not window.start else mask_prompts(self.model, first, self.clean.objects)
            if not prompts:
                return PassResult(())
            found = follow(self.model, self.policy, clip, window, prompts, self.clean.objects, done)  # type: ignore[arg-type]
            return found.at_moments(moment)

        return self.store.get(f"{self.policy} {name}", make)

    # -- figures ------------------------------------------------------------------------------------------------------

    def _points(self, levels: Sequence[Level], axis: Axis) -> list[CurvePoint]:
        """Sums of J of each block of the clip, at each level and of the clean run on the same frames."""
        clean = {(each.object, each.moment): each.j for part in levels[0].passes for each in part.seen if each.visible}
        blocks = self.clean.source.num_frames // BLOCK_FRAMES + 1
        points = []
        for level in levels:
            sums = np.zeros((blocks, 3))
            for part in level.passes:
                for each in part.seen:
                    if each.moment is not None and (each.object, each.moment) in clean:
                        sums[each.moment // BLOCK_FRAMES] += (each.j, clean[each.object, each.moment], 1)
            points.append(CurvePoint(level.level, sums))
        known = np.any([point.blocks_b3[:, 2] > 0 for point in points], axis=0)
        return [CurvePoint(point.level, point.blocks_b3[known]) for point in points]

    def _retention(self, level: Level, clean: Level, axis: Axis) -> float:
        return self._points([clean, level], axis)[1].retention

    def _sweep(self, axis: Axis, levels: Sequence[Level]) -> Sweep:
        points = self._points(levels, axis)
        present, name = levels[0].level, axis.name
        limit = limit_of(points, self.keep, axis.logarithmic)
        shown = []
        for index, (level, point) in enumerate(zip(levels, points, strict=True)):
            ends_j, ends_kept = limit.js[index] or (None, None), limit.retentions[index] or (None, None)
            shown.append(
                SweepPoint(
                    level=level.level, motion=_motion(level), transform=level.transform,
                    j=Figure(name=f"{name}.{index}.j", value=point.j, unit="share", low=ends_j[0], high=ends_j[1],
                             metric=_METRIC),
                    retention=Figure(name=f"{name}.{index}.retention", value=point.retention, unit="share",
                                     low=ends_kept[0], high=ends_kept[1], metric=_METRIC),
                )
            )  # fmt: skip
        spare_unit = "ratio" if axis.logarithmic else "stops"
        if len(levels) < 2:
            state = "nothing harder than the present level can be tried"
            found = Figure(name=f"{name}.limit", value=None, unit=axis.unit, metric=_METRIC, state=state)
            spare = Figure(name=f"{name}.spare", value=None, unit=spare_unit, metric=_METRIC, state=state)
            sentence = Sentence(key=f"{name}.untried", values={})
        else:
            bound: Bound = "exact" if limit.level is not None else "at most" if axis.harder == "lower" else "at least"
            at = levels[-1].level if limit.level is None else limit.level
            found = Figure(
                name=f"{name}.limit", value=at, unit=axis.unit, low=limit.low, high=limit.high, bound=bound,
                metric=_METRIC,
            )  # fmt: skip
            spare = Figure(
                name=f"{name}.spare", value=axis.spare(present, at), unit=spare_unit, metric=_METRIC,
                bound="exact" if limit.level is not None else "at least",
            )  # fmt: skip
            sentence = self._sentence(axis, levels, shown, limit.level)
        sweep = Sweep(
            axis=name, unit=axis.unit, harder=axis.harder, logarithmic=axis.logarithmic, present=present,
            keep=self.keep, points=tuple(shown), limit=found, spare=spare, sentence=sentence,
        )  # fmt: skip
        return advise(sweep)

    def _sentence(
        self, axis: Axis, levels: Sequence[Level], points: Sequence[SweepPoint], limit: float | None
    ) -> Sentence:
        if limit is None:
            return Sentence(key=f"{axis.name}.holds", values={"tried": levels[-1].level})
        lost = next(point for point in points if (point.retention.value or 0.0) < self.keep)
        values = {"limit": limit, "lost_at": lost.level, "lost_retention": lost.retention.value or 0.0}
        if lost.motion is not None:
            values["motion_at_lost"] = lost.motion
        return Sentence(key=f"{axis.name}.limit", values=values)


def _motion(level: Level) -> float | None:
    known = [part.motion for part in level.passes if part.motion is not None]
    return float(np.mean(known)) if known else None
