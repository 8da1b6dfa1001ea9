"""What a diagnosis changes inside the model: patches where an object is lost, both ways, and ablations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from maskscope.data.synthetic import SyntheticConfig, synthesize_clip
from maskscope.evaluate.presence import Outcome
from maskscope.model import SAM2
from maskscope.observe.ablation import Pool, ablate
from maskscope.observe.blame import LOST_BY_BOTH, NOT_SHOWN, Blame, blame
from maskscope.observe.counterpart import NO_MOMENT, Counterpart
from maskscope.observe.losses import Loss
from maskscope.observe.patching import Side, patch_positions
from maskscope.observe.reading import Reading
from maskscope.observe.recovery import Recovery
from maskscope.records import Record
from maskscope.studies.observed_run import Scored
from maskscope.studies.rows_of_runs import losses
from maskscope.studies.side_by_side import LOST_J
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.session import SessionOptions
from maskscope.transforms.base import Clip, ClipFrame

OF_REVERSE: Final = ("spoilt_j", "spoilt_margin", "carried_j", "carried_margin")
"""Metrics of a reversed patch that are not those of the runs themselves."""

POOL_FRAMES: Final = 8
_POOL = SyntheticConfig(seed=7, num_frames=POOL_FRAMES, height_px=240, width_px=432, num_objects=1, occlusion="none")

Tick = Callable[[int, int], bool]
"""Told how many frames of how many are done; True stops."""


class Stopped(Exception):
    """It was asked for."""


@dataclass(frozen=True, eq=False)
class TrackedRun:
    """A run that is over, as its rows tell it.

    Attributes:
        object_ids: its objects.
        scored: each object on each frame, against the truth.
        readings: what was measured, but for calibration.
        moments: frame -> the clean run's frame of the same moment, where there is one.
    """

    object_ids: tuple[int, ...]
    scored: tuple[Scored, ...]
    readings: tuple[Reading, ...]
    moments: Mapping[int, int]

    @classmethod
    def of(cls, rows: Sequence[Record], moments: Mapping[int, int]) -> TrackedRun:
        """From the rows of one run, with its `j`, `outcome`, and readings."""
        outcomes = {(row.frame, row.object): row.state for row in rows if row.metric == "outcome"}
        scored = []
        for row in rows:
            state = outcomes.get((row.frame, row.object))
            if row.metric == "j" and row.frame is not None and row.object is not None and state is not None:
                scored.append(Scored(row.frame, row.object, row.value, Outcome[state]))
        ids = tuple(sorted({each.object for each in scored}))
        return cls(ids, tuple(scored), tuple(_reading(row) for row in rows), dict(moments))

    @property
    def j(self) -> float | None:
        """Mean over frames that show an object; None without any."""
        values = [each.j for each in self.scored if each.j is not None]
        return sum(values) / len(values) if values else None


def _reading(row: Record) -> Reading:
    return Reading(**{name: getattr(row, name) for name in Reading.__slots__})


@dataclass(eq=False)
class Shown:
    """A clip one frame at a time: each is drawn once for all who ask for it."""

    clip: Clip
    _last: tuple[int, ClipFrame] | None = None

    def _at(self, t: int) -> ClipFrame:
        if self._last is None or self._last[0] != t:
            self._last = t, self.clip.at(t)
        return self._last[1]

    def image(self, t: int) -> NDArray[np.uint8]:
        """(h, w, 3) uint8."""
        return self._at(t).image_hwc

    def truth_of(self, object_id: int) -> Callable[[int], dict[int, NDArray[np.bool_]]]:
        """Frame -> (h, w) bool of that object."""
        return lambda t: {object_id: self._at(t).visible_hw == object_id}

    def hidden_of(self, object_id: int) -> Callable[[int], dict[int, NDArray[np.bool_]]]:
        """Frame -> (h, w) bool, where that object is behind something that the transformation added."""

        def hidden(t: int) -> dict[int, NDArray[np.bool_]]:
            frame = self._at(t)
            return {object_id: (frame.amodal_hw == object_id) & (frame.visible_hw != object_id)}

        return hidden

    def counterpart(self, t: int) -> Counterpart:
        """The source's frame of the same moment."""
        frame = self._at(t)
        return Counterpart.of(frame.source_time, frame.to_source)


@dataclass(frozen=True, eq=False)
class Intervention:
    """Exchanges activations between the clean run and a transformed one.

    Attributes:
        model: that tracks.
        policy: of memory.
        source: the clean clip.
        clip: the transformed one.
        prompts: on the first frame of either: clean, transformed.
        clean: the run through the clean clip.
        disturbed: the run through the other.
        tick: called after each frame.
    """

    model: SAM2
    policy: str
    source: Clip
    clip: Clip
    prompts: tuple[Sequence[Prompt], Sequence[Prompt]]
    clean: TrackedRun
    disturbed: TrackedRun
    tick: Tick

    def go(self, reverse: bool) -> tuple[list[Reading], list[Blame]]:
        """Patch every object that was lost, as far as it was lost, and blame each loss.

        Args:
            reverse: put the disturbed activations into the clean run, too.

        Raises:
            Stopped: by `tick`.
        """
        readings: list[Reading] = []
        blames: list[Blame] = []
        found = losses(self.disturbed)
        for object_id in sorted({loss.object for loss in found}):
            mine = [loss for loss in found if loss.object == object_id]
            if not any(self._held(loss) for loss in mine):  # nothing to bring back: that would be passes in vain
                blames += nobody(mine, self.disturbed.moments)
                continue
            until = max(loss.last for loss in mine) + 1
            patched = list(self._repair(object_id, until))
            blames += blame(self.clean.readings, self.disturbed.readings, patched, counterparts=self.disturbed.moments)
            readings += patched
            if reverse:
                readings += self._break(object_id, until)
        return readings, blames

    def _held(self, loss: Loss) -> bool:
        """Whether the clean run does better on a lost frame."""
        clean = {one.frame: one.success for one in self.clean.scored if one.object == loss.object}
        moments = self.disturbed.moments
        return any(t in moments and clean.get(moments[t], 0.0) >= LOST_J for t in loss.frames)

    def _sides(self, object_id: int, clean_frames: int, disturbed_frames: int) -> tuple[Side, Side, Shown, Shown]:
        clean, disturbed = Shown(self.source), Shown(self.clip)
        ours, theirs = (_of(prompts, object_id) for prompts in self.prompts)
        return (
            Side(self.model, clean.image, clean_frames, ours),
            Side(self.model, disturbed.image, disturbed_frames, theirs),
            clean,
            disturbed,
        )

    def _repair(self, object_id: int, until: int) -> Iterator[Reading]:
        donor, receiver, clean, disturbed = self._sides(object_id, self.source.num_frames, until)
        recovery = Recovery(
            object_id,
            disturbed.truth_of(object_id),
            clean.truth_of(object_id),
            receiver_hidden=disturbed.hidden_of(object_id),
        )
        options = SessionOptions(num_frames=self.clip.num_frames)
        for step in patch_positions(
            donor, receiver, counterparts=disturbed.counterpart, policy=self.policy, options=options
        ):
            yield from recovery.add(step)
            self._tell(step.frame_index + 1, until)
        yield from recovery.summary()

    def _break(self, object_id: int, until: int) -> Iterator[Reading]:
        """The reverse, on the clean clip's frames."""
        reached = [moment for t, moment in self.disturbed.moments.items() if t < until]
        clean_until = max(reached, default=-1) + 1
        receiver, donor, clean, disturbed = self._sides(object_id, clean_until, until)
        recovery = Recovery(object_id, clean.truth_of(object_id), disturbed.truth_of(object_id), direction="break")
        back = {moment: t for t, moment in sorted(self.disturbed.moments.items(), reverse=True) if t < until}
        options = SessionOptions(num_frames=self.source.num_frames)
        maps = Shown(self.clip)  # of its own: the donor's frames are not asked for in the same order

        def counterpart(t: int) -> Counterpart:
            if t not in back:
                return Counterpart(None, reason=NO_MOMENT)
            return the_other_way(back[t], maps.counterpart(back[t]))

        for step in patch_positions(donor, receiver, counterparts=counterpart, policy=self.policy, options=options):
            yield from (reading for reading in recovery.add(step) if reading.metric in OF_REVERSE)
            self._tell(step.frame_index + 1, clean_until)
        yield from recovery.summary()

    def _tell(self, done: int, total: int) -> None:
        if self.tick(done, total):
            raise Stopped


def the_other_way(frame: int, counterpart: Counterpart) -> Counterpart:
    """Of the clean frame that `counterpart` names, seen from it: frame `frame` of the transformed clip."""
    matrix = counterpart.to_other
    return Counterpart(frame, None if matrix is None else np.linalg.inv(matrix).astype(np.float64))


def nobody(found: Sequence[Loss], moments: Mapping[int, int] | None = None) -> list[Blame]:
    """Blames of losses that the clean run has as well, or whose frames it does not show.

    Args:
        found: the losses.
        moments: frame -> the clean run's frame of the same moment, where there is one; None of the clean run itself.
    """
    shown = [moments is None or any(t in moments for t in loss.frames) for loss in found]
    return [
        Blame(loss, None, 0.0, LOST_BY_BOTH if there else NOT_SHOWN, "", ())
        for loss, there in zip(found, shown, strict=True)
    ]


def ablations(model: SAM2, policy: str, source: Clip, prompts: Sequence[Prompt], tick: Tick) -> Iterator[Reading]:
    """What each object of a clip needs of memory and of the finer levels, see `maskscope.observe.ablation`.

    What is read instead comes from a clip that is drawn, the same every time: it has nothing to do with any user's.

    Raises:
        Stopped: by `tick`.
    """
    drawn = synthesize_clip(_POOL)
    other = {0: [Prompt(1, mask=drawn.visible_masks[0] == 1)]}
    pool = Pool.of(Side(model, drawn.frames.__getitem__, POOL_FRAMES, other), num_frames=POOL_FRAMES, policy=policy)
    options = SessionOptions(num_frames=source.num_frames)
    for object_id in sorted({prompt.object_id for prompt in prompts}):
        shown = Shown(source)
        side = Side(model, shown.image, source.num_frames, _of(prompts, object_id))
        for reading in ablate(side, pool, shown.truth_of(object_id), policy=policy, options=options):
            if reading.metric == "intact_j" and reading.frame is not None and tick(reading.frame + 1, side.num_frames):
                raise Stopped
            yield reading


def _of(prompts: Sequence[Prompt], object_id: int) -> dict[int, list[Prompt]]:
    return {0: [prompt for prompt in prompts if prompt.object_id == object_id]}
