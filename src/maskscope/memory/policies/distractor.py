"""Memory against look-alikes: recent frames with a stride, and anchors kept from moments in which one was told apart.

Recent appearance: the previous frame and every fifth before it, only where the object was seen. Anchors: up to three
frames in which the decoder's other candidates held something else beside the object and the chosen one was sure; they
are read like prompted frames, whatever their age.

Source: DAM4SAM, Videnovic, Lukezic, Kristan, CVPR 2025, arXiv 2411.17576, written from the paper. Ours: prompted frames
are always read and do not count as anchors; rules hold in both directions and with frames left out; what the area is
compared with are the frames in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskscope.memory.bank import MemoryBank
from maskscope.memory.box_motion import box_iou, mask_box
from maskscope.memory.policy import Moment, Outcome, PointerRead
from maskscope.memory.ranked import RankedPolicy, past
from maskscope.memory.settings import PolicyKind, check_range
from maskscope.model.config import MemoryConfig

ANCHOR: Final = "anchor"  # note, empty: the frame may be read as an anchor


@dataclass(frozen=True)
class DistractorSettings:
    """What is read, and the five tests of an anchor.

    Attributes:
        stride: frames between recent memories, the previous frame aside.
        anchors: read at once, in place of as many recent memories.
        min_iou: test 1, predicted IoU above this, 0..1.
        area_change: test 2, area over the median of recent areas differs from 1 by at most this, 0..1.
        area_frames: how many areas the median is of, this frame's included; test 3 is that there is an area.
        area_reach: frames; areas farther back do not count.
        spacing: test 4, more frames than this since the last anchor.
        max_overlap: test 5, IoU of the object's box and the box of object and look-alike is at most this, 0..1.
    """

    stride: int = 5
    anchors: int = 3
    min_iou: float = 0.8
    area_change: float = 0.2
    area_frames: int = 10
    area_reach: int = 300
    spacing: int = 5
    max_overlap: float = 0.7

    def __post_init__(self) -> None:
        for name in ("min_iou", "area_change", "max_overlap"):
            check_range(self, name, 0, 1)
        for name in ("stride", "area_frames", "area_reach", "spacing"):
            check_range(self, name, 1)
        check_range(self, "anchors", 0, 5)


class DistractorPolicy(RankedPolicy):
    """Writes frames in which the object is seen; some of them become anchors."""

    def __init__(self, config: MemoryConfig, settings: DistractorSettings | None = None) -> None:
        super().__init__(config)
        self.settings = settings or DistractorSettings()

    def admit(self, outcome: Outcome, bank: MemoryBank, moment: Moment) -> bool:
        """The object is seen, and its mask is not empty."""
        return outcome.visible and outcome.summary.area_fraction > 0

    def note(self, outcome: Outcome, bank: MemoryBank, moment: Moment) -> Mapping[str, Tensor]:
        """Whether the frame may be an anchor; prompted ones are read anyway."""
        anchor = not outcome.candidates.prompted and self.tells_apart(outcome, bank, moment)
        return {ANCHOR: torch.zeros(0)} if anchor else {}

    def tells_apart(self, outcome: Outcome, bank: MemoryBank, moment: Moment) -> bool:
        """The five tests."""
        settings, area = self.settings, outcome.summary.area_fraction
        if outcome.summary.predicted_iou <= settings.min_iou or area == 0:
            return False
        frames = past(bank, moment)
        last = next((t for t in frames if _is_anchor(bank, t)), None)
        if last is not None and abs(moment.frame_index - last) <= settings.spacing:
            return False
        near = (t for t in frames if abs(moment.frame_index - t) <= settings.area_reach)
        known = [m.summary.area_fraction for t in near if (m := bank.get(t)) is not None]
        areas = [area, *islice((a for a in known if a > 0), settings.area_frames - 1)]
        if abs(area / median(areas) - 1) > settings.area_change:
            return False
        return lookalike_overlap(outcome.candidates.mask_logits_mhw, outcome.chosen) <= settings.max_overlap

    def anchors(self, bank: MemoryBank, frames: Sequence[int], moment: Moment) -> list[int]:
        """The newest ones; the previous frame is read as a recent one anyway."""
        previous = moment.frame_index - moment.step
        return list(islice((t for t in frames if t != previous and _is_anchor(bank, t)), self.settings.anchors))

    def latest(self, bank: MemoryBank, frames: Sequence[int], moment: Moment, count: int) -> list[int]:
        """The newest frame, before it the first of each five."""
        return [*frames[:1], *self._first_of_each_stride(frames[1:], moment)][:count]

    def _first_of_each_stride(self, frames: Sequence[int], moment: Moment) -> list[int]:
        """Frames are counted in tracking direction; of each stretch the first that is in memory, newest first."""
        first: dict[int, int] = {}
        for t in frames:  # newest first, so the last to come is the first of its stretch
            first[t * moment.step // self.settings.stride] = t
        return list(first.values())

    def pointed(self, frames: Sequence[int], moment: Moment, limit: int) -> list[PointerRead]:
        """Of the frames just before in which the object was seen, at their true distance."""
        reads = [PointerRead(t, abs(moment.frame_index - t)) for t in frames[: limit - 1]]
        return [read for read in reads if read.distance < limit]

    def remembered(self, bank: MemoryBank, frames: Sequence[int]) -> Iterable[int]:
        """Pointers, and areas."""
        return islice(frames, max(self.config.max_pointers, self.settings.area_frames))


def lookalike_overlap(mask_logits_mhw: Tensor, chosen: int) -> float:
    """How much of the picture the other candidates add: least IoU of the chosen mask's box with the box of both, 0..1.

    Of each other candidate (m, h, w) only the largest connected part outside of the chosen mask counts.
    """
    masks: NDArray[np.bool_] = (mask_logits_mhw > 0).cpu().numpy()
    own, least = masks[chosen], 1.0
    for index, other in enumerate(masks):
        if index == chosen:
            continue
        count, labels, statistics, _ = cv2.connectedComponentsWithStats((other & ~own).astype(np.uint8), connectivity=8)
        if count < 2:  # nothing but the outside
            continue
        largest = 1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())
        both = own | (labels == largest)
        least = min(least, box_iou(_box(own), _box(both)))
    return least


def _box(mask: NDArray[np.bool_]) -> tuple[float, float, float, float] | None:
    return mask_box(torch.from_numpy(mask).float())


def _is_anchor(bank: MemoryBank, frame_index: int) -> bool:
    memory = bank.get(frame_index)
    return memory is not None and ANCHOR in memory.notes


DISTRACTOR = PolicyKind(
    "distractor",
    "reads only frames where the object was seen, and keeps anchors from moments when a look-alike was told apart",
    "DAM4SAM: Videnovic et al. 2025, arXiv 2411.17576",
    DistractorPolicy,
    DistractorSettings,
)
