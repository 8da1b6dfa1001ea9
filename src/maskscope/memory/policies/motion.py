"""Motion-aware memory: a candidate that lies where the object was heading is preferred, and only good frames are read.

Motion is off after a cut: a box's path is in coordinates of the picture, and with another camera the prediction would
favour whatever happens to stand where the object stood. It begins anew with the first mask found there, and counts
again after as many stable frames as at the start. The reading of good frames, which brings most of the gain, stays on.

Source: SAMURAI, Yang et al., arXiv 2411.11922 (state of centre, width and height as in the paper; rules and numbers as
in the published code). Ours: state beside each frame instead of on the model, so that several objects, both directions
and late starts work; an absent object ends the motion; gaps in the numbering are predicted across; motion off at cuts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import torch
from torch import Tensor

from maskscope.memory.bank import FrameMemory, MemoryBank
from maskscope.memory.box_motion import BoxMotion, box_iou, mask_box
from maskscope.memory.policy import Candidates, Moment, Outcome, PointerRead
from maskscope.memory.ranked import RankedPolicy, past
from maskscope.memory.scene import Cells, Rule, SceneSettings, SceneWatch
from maskscope.memory.settings import PolicyKind, check_range
from maskscope.model.config import MemoryConfig

MOTION: Final = "motion"  # note: the filter after this frame, see `BoxMotion.to_tensor`
STABLE: Final = "stable"  # note: (1,) frames in a row that updated it
SCORES: Final = "scores"  # note: (2,) the model's object score; IoU of predicted and chosen box (NaN: none predicted)


@dataclass(frozen=True)
class MotionSettings(SceneSettings):
    """When motion counts, how much, and which frames are good enough to be read.

    Attributes:
        weight: of the motion score against the predicted IoU when a mask is chosen, 0..1.
        stable_frames: frames in a row that must have updated the filter before motion counts.
        stable_iou: predicted IoU below which a frame does not update the filter and the count starts over, 0..1.
        min_object_score: logit above which the object is taken for visible; the reference of SAM 2 has 0.
        read_iou: predicted IoU above which a frame is read, 0..1.
        read_object_score: object score logit above which a frame is read.
        read_motion: IoU of predicted and chosen box above which a frame is read, where there was a prediction, 0..1.
        max_gap: frames in which the filter may run on without being updated where numbers are left out (live streams).
        off_at_cuts: forget the motion where the scene changes; see `SceneSettings` for how that is told.
    """

    rule: Rule = "fixed"
    cells: Cells = "median"
    weight: float = 0.15
    stable_frames: int = 15
    stable_iou: float = 0.3
    min_object_score: float = -1.0
    read_iou: float = 0.5
    read_object_score: float = 0.0
    read_motion: float = 0.0
    max_gap: int = 5
    off_at_cuts: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("weight", "stable_iou", "read_iou", "read_motion"):
            check_range(self, name, 0, 1)
        check_range(self, "stable_frames", 1)
        check_range(self, "max_gap", 1)


@dataclass(frozen=True, slots=True)
class _Motion:
    """The filter as it stands before the frame at hand."""

    filter: BoxMotion
    stable: int


class MotionPolicy(RankedPolicy):
    """Chooses masks by motion, and reads frames that scored well."""

    def __init__(self, config: MemoryConfig, settings: MotionSettings | None = None) -> None:
        super().__init__(config)
        self.settings = settings or MotionSettings()
        self.watch = SceneWatch(self.settings) if self.settings.off_at_cuts else None

    def choose_mask(self, candidates: Candidates, bank: MemoryBank, moment: Moment) -> int:
        """Highest weighted sum of predicted IoU and overlap with the predicted box, once motion is stable."""
        best = super().choose_mask(candidates, bank, moment)
        motion = None if candidates.prompted else self._motion(candidates.embedding_chw, bank, moment)
        if motion is None or motion.stable < self.settings.stable_frames:
            return best
        weight = self.settings.weight
        scores = [
            weight * box_iou(motion.filter.box, mask_box(mask)) + (1 - weight) * iou
            for mask, iou in zip(candidates.mask_logits_mhw, candidates.predicted_iou_m, strict=True)
        ]
        return max(range(len(scores)), key=scores.__getitem__)

    def believe(self, candidates: Candidates, chosen: int, bank: MemoryBank, moment: Moment) -> bool:
        """A little doubt is allowed."""
        return candidates.object_score_logit > self.settings.min_object_score

    def note(self, outcome: Outcome, bank: MemoryBank, moment: Moment) -> Mapping[str, Tensor]:
        """The filter after this frame, and how good the frame is."""
        notes = self.watch.note(outcome, bank, moment) if self.watch else {}
        box = mask_box(outcome.mask_logits_hw) if outcome.visible else None
        spoken = outcome.candidates.prompted
        motion = None if spoken else self._motion(outcome.candidates.embedding_chw, bank, moment)
        overlap = float("nan") if motion is None else box_iou(motion.filter.box, box)
        notes[SCORES] = torch.tensor([outcome.candidates.object_score_logit, overlap], dtype=torch.float64)
        good = spoken or outcome.summary.predicted_iou > self.settings.stable_iou
        if box is None:
            return notes
        if motion is None:
            begun = BoxMotion.seen_once(box)
            return notes | {MOTION: begun.to_tensor(), STABLE: torch.tensor([1])}
        if good:  # else the filter is dropped, and begins anew with the next mask
            notes |= {MOTION: motion.filter.updated(box).to_tensor(), STABLE: torch.tensor([motion.stable + 1])}
        return notes

    def latest(self, bank: MemoryBank, frames: Sequence[int], moment: Moment, count: int) -> list[int]:
        """The previous frame always, before it those that scored well."""
        good = (t for t in frames[1:] if self._good(bank.get(t)))
        return [*frames[:1], *islice(good, max(count - 1, 0))][:count]

    def pointed(self, bank: MemoryBank, frames: Sequence[int], moment: Moment, limit: int) -> list[PointerRead]:
        """Of the frames just before, as SAM 2 has it."""
        reads = [PointerRead(t, abs(moment.frame_index - t)) for t in frames[: limit - 1]]
        return [read for read in reads if read.distance < limit]

    def remembered(self, bank: MemoryBank, frames: Sequence[int]) -> Iterable[int]:
        """Pointers, the window, and the latest filter."""
        return islice(frames, max(self.config.max_pointers, self.settings.window))

    def _good(self, memory: FrameMemory | None) -> bool:
        if memory is None:
            return False
        if memory.summary.prompted or SCORES not in memory.notes:
            return True
        score, overlap = memory.notes[SCORES].tolist()
        settings = self.settings
        return (
            memory.summary.predicted_iou > settings.read_iou
            and score > settings.read_object_score
            and not overlap <= settings.read_motion  # NaN: there was no prediction
        )

    def _motion(self, embedding_chw: Tensor, bank: MemoryBank, moment: Moment) -> _Motion | None:
        """Run on from the frame before to the one at hand; None where nothing is known or the camera has cut."""
        frames = past(bank, moment)
        memory = bank.get(frames[0]) if frames else None
        if memory is None or MOTION not in memory.notes:
            return None
        gap = abs(moment.frame_index - memory.summary.frame_index)
        if gap > self.settings.max_gap:
            return None
        if self.watch and self.watch.judge(embedding_chw, bank, moment).changed:
            return None
        found = BoxMotion.from_tensor(memory.notes[MOTION])
        for _ in range(gap):
            found = found.predicted()
        return _Motion(found, int(memory.notes[STABLE]))


MOTION_AWARE = PolicyKind(
    "motion",
    "chooses the mask that lies where a Kalman filter expects it, and reads only frames that scored well",
    "SAMURAI: Yang et al. 2024, arXiv 2411.11922",
    MotionPolicy,
    MotionSettings,
)
