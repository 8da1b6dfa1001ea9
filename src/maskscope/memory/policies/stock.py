"""SAM 2 exactly: the best predicted IoU, every frame written, prompted frames and the latest six read.

Source: facebookresearch/sam2 (commit 2b90b9f) `sam2_base.py`, `_prepare_memory_conditioned_features`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from torch import Tensor

from maskscope.memory.bank import Eviction, FrameMemory, MemoryBank
from maskscope.memory.policy import Candidates, Moment, Outcome, PointerRead, Selection, SpatialRead
from maskscope.memory.settings import PolicyKind
from maskscope.model.config import MemoryConfig


def closest_prompted(prompted: Iterable[int], frame_index: int, limit: int) -> list[int]:
    """Prompted frames to read when at most `limit` may be (-1: all): one on each side first, then the nearest."""
    frames = list(prompted)
    if limit == -1 or len(frames) <= limit:
        return frames
    before = max((t for t in frames if t < frame_index), default=None)
    after = min((t for t in frames if t >= frame_index), default=None)
    chosen = [t for t in (before, after) if t is not None]
    rest = sorted((t for t in frames if t not in chosen), key=lambda t: abs(t - frame_index))
    return (chosen + rest)[:limit]


class StockPolicy:
    """The reference's memory, and the control of every comparison."""

    def __init__(self, config: MemoryConfig, settings: object = None) -> None:
        self.config = config

    def choose_mask(self, candidates: Candidates, bank: MemoryBank, moment: Moment) -> int:
        """Highest predicted IoU."""
        return max(range(len(candidates.predicted_iou_m)), key=candidates.predicted_iou_m.__getitem__)

    def believe(self, candidates: Candidates, chosen: int, bank: MemoryBank, moment: Moment) -> bool:
        """What the model says."""
        return candidates.object_score_logit > 0

    def admit(self, outcome: Outcome, bank: MemoryBank, moment: Moment) -> bool:
        """Every frame: there is no test of quality, occluded and wrong frames are read like any other."""
        return True

    def note(self, outcome: Outcome, bank: MemoryBank, moment: Moment) -> Mapping[str, Tensor]:
        """Nothing."""
        return {}

    def recent(self, moment: Moment) -> list[tuple[int, int]]:
        """(frame, slot) of the frames before this one in tracking order, oldest first."""
        stride, step = self.config.temporal_stride, moment.step
        place = moment.frame_index * step  # time runs forward in this coordinate
        frames = [((place - 2) // stride - (age - 2)) * stride for age in range(self.config.num_frames - 1, 1, -1)]
        return [(t * step, slot) for t, slot in zip([*frames, place - 1], self._slots(), strict=True)]

    def _slots(self) -> range:
        return range(self.config.num_frames - 2, -1, -1)

    def select(self, bank: MemoryBank, moment: Moment) -> Selection:
        """All prompted frames, then six recent ones; pointers of prompted frames and of the last fifteen."""
        now, step = moment.frame_index, moment.step
        chosen = closest_prompted(bank.prompted, now, self.config.max_prompted)

        def readable(t: int) -> FrameMemory | None:
            return bank.tracked.get(t) or (None if t in chosen else bank.prompted.get(t))

        spatial = [SpatialRead(t, self.config.num_frames - 1) for t in chosen]
        for t, slot in self.recent(moment):
            memory = readable(t)
            if memory is not None and memory.features_khw is not None:
                spatial.append(SpatialRead(t, slot))

        limit = self.pointer_limit(moment)
        pointers = self.prompted_pointers(chosen, moment)
        for distance in range(1, limit):
            t = now - distance * step
            if t < 0 or (moment.num_frames is not None and t >= moment.num_frames):
                break
            if readable(t) is not None:
                pointers.append(PointerRead(t, distance))
        return Selection(tuple(spatial), tuple(pointers), limit)

    def pointer_limit(self, moment: Moment) -> int:
        """How many pointers are read at most, the prompted frames' aside, plus one; short videos have fewer."""
        limit = self.config.max_pointers
        return limit if moment.num_frames is None else min(limit, moment.num_frames)

    def prompted_pointers(self, frames: Iterable[int], moment: Moment) -> list[PointerRead]:
        """Pointers of frames that are read as prompted ones, with their true distance."""
        now, step = moment.frame_index, moment.step
        return [
            PointerRead(t, (now - t) * step if self.config.pointer_time_signed else abs(now - t))
            for t in frames
            if not self.config.pointers_from_past_only or (now - t) * step >= 0
        ]

    def evict(self, bank: MemoryBank, moment: Moment, pivots: Collection[int]) -> Eviction:
        """Lossless: features beyond the recent window, frames beyond the pointers' reach, on both sides of here."""
        near = self.config.num_frames * self.config.temporal_stride
        far = max(near, self.config.max_pointers)
        here = (moment.frame_index, *pivots)

        def beyond(reach: int) -> list[int]:
            return [t for t in bank.tracked if all(abs(t - pivot) >= reach for pivot in here)]

        return Eviction(features=beyond(near), frames=beyond(far))

    def state_dict(self) -> dict[str, Any]:
        """There is none."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to take up."""


STOCK = PolicyKind(
    "stock",
    "SAM 2 as released: best predicted IoU, every frame written, prompted frames and the latest six read",
    "Ravi et al. 2024, arXiv 2408.00714",
    StockPolicy,
)
