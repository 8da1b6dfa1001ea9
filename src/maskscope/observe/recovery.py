"""What a patch brings back: the share of J and of the logit margin, frame by frame and over a clip.

    share = (patched - receiver) / (donor - receiver)

1: as good as the donor's run; 0: as without the patch; below 0: worse; above 1: better than the donor's. It is stated
on frames where the two runs differ enough for a share to mean something, and over a clip as the ratio of the sums over
those frames, which no single frame of small difference can blow up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from maskscope.errors import ShapeError
from maskscope.observe.patching import PatchStep
from maskscope.observe.probe import Truth
from maskscope.observe.reading import Reading
from maskscope.stages import Stage
from maskscope.tracking.results import FrameResult

LOGIT_LIMIT: Final = 32.0
"""Logits beyond it say nothing more; an object judged absent has -1024 everywhere."""
LEAST_GAP: Final = {"j": 0.1, "margin": 1.0}
"""Donor's and receiver's scores must differ by as much for a share of it to mean something."""

ABSENCE, FALSE_ALARM = "absence", "false alarm"
NOTHING_TO_BRING_BACK = "nothing to bring back"

Direction = Literal["repair", "break"]
"""repair: the donor is the clean run, the receiver the disturbed one; break: the other way round."""


@dataclass(frozen=True, slots=True)
class FrameScore:
    """One object's mask on one frame against the truth.

    Attributes:
        j: intersection over union, 0..1; None where truth does not show the object.
        margin: mean logit on the object less mean logit beside it, each clamped to +-32; None where one of them is
            empty.
        state: "absence" or "false alarm" where truth does not show the object; None where it does.
    """

    j: float | None
    margin: float | None
    state: str | None = None

    @property
    def success(self) -> float:
        """J, or 1 for an absence that was seen and 0 for a false alarm."""
        return self.j if self.j is not None else float(self.state == ABSENCE)


def score(
    result: FrameResult, object_id: int, truth_hw: NDArray[np.bool_], left_out_hw: NDArray[np.bool_] | None = None
) -> FrameScore:
    """Of a tracked frame, at the video's size.

    Args:
        result: of the tracker.
        object_id: one of its objects.
        truth_hw: (H, W) bool.
        left_out_hw: (H, W) bool, pixels that count for nothing; none of the truth's.

    Raises:
        ShapeError: the truth has another size than the video.
    """
    if truth_hw.shape != result.video_size:
        raise ShapeError(f"the truth is {truth_hw.shape}, the video {result.video_size}; they are of one size")
    logits = result.mask_logits_nhw[result.object_ids.index(object_id)]
    truth = torch.from_numpy(np.ascontiguousarray(truth_hw)).to(logits.device)
    predicted = logits > 0
    if not truth.any():
        return FrameScore(None, None, FALSE_ALARM if predicted.any() else ABSENCE)
    beside = ~truth
    if left_out_hw is not None:
        beside &= ~torch.from_numpy(np.ascontiguousarray(left_out_hw)).to(logits.device)
    j = float((predicted & truth).sum() / ((predicted & beside) | truth).sum())
    limited = logits.clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
    return FrameScore(j, float(limited[truth].mean() - limited[beside].mean()) if beside.any() else None)


@dataclass(slots=True)
class _Sums:
    """Over frames that can show a difference."""

    brought: float = 0.0
    gap: float = 0.0


@dataclass
class Recovery:
    """Turns steps of `patch_positions` into readings, one frame after the other.

    Metrics, in either direction: `clean_j`, `disturbed_j` and `clean_margin`, `disturbed_margin` of the two runs;
    where truth does not show the object, the J is a state, "absence" or "false alarm". At each patched position

    - repair: `patched_j`, `patched_margin`, and the shares that come back, `recovered_j`, `recovered_margin`;
    - break: `spoilt_j`, `spoilt_margin`, and the shares of the loss that the position carries over, `carried_j`,
      `carried_margin`.

    Where a position could not be patched, its share is the state "cannot be aligned: " with the reason.

    Where the receiver's picture hides a part of the object that the donor's shows, as behind an occluder, the donor's
    activations show it still. What they bring back is therefore judged where the receiver shows the object: patched
    scores, shares, and the donor's score (unless pixels moved) leave the hidden pixels out. `disturbed_j` counts them,
    as it says what is lost; `disturbed_shown_j`, on such frames only, is the same without them.

    Attributes:
        object_id: whose masks are scored.
        receiver_truth: masks on the receiver's frames.
        donor_truth: on the donor's; the receiver's where both show the same.
        direction: see above.
        receiver_hidden: pixels of the receiver's frames where the object is hidden from it; none by default.
    """

    object_id: int
    receiver_truth: Truth
    donor_truth: Truth | None = None
    direction: Direction = "repair"
    receiver_hidden: Truth | None = None
    _sums: dict[tuple[Stage, str], _Sums] = field(default_factory=lambda: defaultdict(_Sums), repr=False)
    _refused: dict[Stage, str] = field(default_factory=dict, repr=False)

    def add(self, step: PatchStep) -> list[Reading]:
        """Readings of one frame; none where truth knows nothing of it."""
        truth = self._mask(self.receiver_truth, step.frame_index)
        if truth is None:
            return []
        hidden = self._hidden(step.frame_index, truth)
        own = score(step.receiver, self.object_id, truth)
        other = self._donor(step, truth, hidden)
        names = ("disturbed", "clean") if self.direction == "repair" else ("clean", "disturbed")
        readings = self._scores(step.frame_index, names[0], own)
        readings += [] if other is None else self._scores(step.frame_index, names[1], other)
        if hidden is not None:
            own = score(step.receiver, self.object_id, truth, hidden)
            readings += self._scores(step.frame_index, f"{names[0]}_shown", own)
        for stage, result in step.patched.items():
            patched = score(result, self.object_id, truth, hidden)
            name = "patched" if self.direction == "repair" else "spoilt"
            readings += self._scores(step.frame_index, name, patched, stage)
            readings += self._shares(step, stage, patched, own, other)
        return readings

    def summary(self) -> list[Reading]:
        """The shares over all frames so far, for each position."""
        readings = []
        for (stage, metric), sums in self._sums.items():
            if sums.gap:
                value = sums.brought / sums.gap
                readings.append(Reading(metric=metric, value=value, stage=stage, object=self.object_id))
            else:
                reason = self._refused.get(stage)
                state = f"cannot be aligned: {reason}" if reason else NOTHING_TO_BRING_BACK
                readings.append(Reading(metric=metric, state=state, stage=stage, object=self.object_id))
        return readings

    def _mask(self, truth: Truth, frame_index: int) -> NDArray[np.bool_] | None:
        masks = truth(frame_index)
        return None if masks is None else masks.get(self.object_id)

    def _hidden(self, frame_index: int, truth_hw: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
        """Pixels to leave out; None without any, and where nothing of the object is shown that could be judged."""
        if self.receiver_hidden is None or not truth_hw.any():
            return None
        hidden = self._mask(self.receiver_hidden, frame_index)
        hidden = None if hidden is None else hidden & ~truth_hw
        return hidden if hidden is not None and hidden.any() else None

    def _donor(
        self, step: PatchStep, truth_hw: NDArray[np.bool_], hidden_hw: NDArray[np.bool_] | None
    ) -> FrameScore | None:
        if step.donor is None or step.counterpart.frame is None:
            return None
        if hidden_hw is not None and step.counterpart.to_other is None:
            return score(step.donor, self.object_id, truth_hw, hidden_hw)
        truth = self._mask(self.donor_truth or self.receiver_truth, step.counterpart.frame)
        return None if truth is None else score(step.donor, self.object_id, truth)

    def _scores(self, frame: int, name: str, scored: FrameScore, stage: Stage | None = None) -> list[Reading]:
        say = partial(Reading, stage=stage, frame=frame, object=self.object_id)
        readings = [say(metric=f"{name}_j", value=scored.j, state=scored.state)]
        if scored.margin is not None:
            readings.append(say(metric=f"{name}_margin", value=scored.margin))
        return readings

    def _shares(
        self, step: PatchStep, stage: Stage, patched: FrameScore, own: FrameScore, other: FrameScore | None
    ) -> Sequence[Reading]:
        verb = "recovered" if self.direction == "repair" else "carried"
        metrics = {f"{verb}_{what}": what for what in LEAST_GAP}
        sums = {metric: self._sums[stage, metric] for metric in metrics}
        say = partial(Reading, stage=stage, frame=step.frame_index, object=self.object_id)
        if stage in step.refused:
            self._refused[stage] = step.refused[stage]
            state = f"cannot be aligned: {step.refused[stage]}"
            return [say(metric=metric, state=state) for metric in metrics]
        readings = []
        for metric, what in metrics.items():
            of_all = [_number(each, what) for each in (patched, own, other)]
            if None in of_all:
                continue
            now, before, wanted = (value for value in of_all if value is not None)
            if abs(wanted - before) < LEAST_GAP[what]:
                continue
            sign = 1 if wanted > before else -1
            sums[metric].brought += sign * (now - before)
            sums[metric].gap += sign * (wanted - before)
            readings.append(say(metric=metric, value=(now - before) / (wanted - before)))
        return readings


def _number(scored: FrameScore | None, what: str) -> float | None:
    if scored is None:
        return None
    return scored.success if what == "j" else scored.margin
