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

import torch
from torch import Tensor

from maskscope.memory.anchors import ANCHOR, AnchorSettings, newest_anchors, tells_apart
from maskscope.memory.bank import MemoryBank
from maskscope.memory.policy import Moment, Outcome, PointerRead
from maskscope.memory.ranked import RankedPolicy
from maskscope.memory.settings import PolicyKind, check_range
from maskscope.model.config import MemoryConfig


@dataclass(frozen=True)
class DistractorSettings(AnchorSettings):
    """What is read as recent, and what as an anchor.

    Attributes:
        stride: frames between recent memories, the previous frame aside.
    """

    stride: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "stride", 1)


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
        anchor = not outcome.candidates.prompted and tells_apart(self.settings, outcome, bank, moment)
        return {ANCHOR: torch.zeros(0)} if anchor else {}

    def anchors(self, bank: MemoryBank, frames: Sequence[int], moment: Moment) -> list[int]:
        """The newest ones."""
        return newest_anchors(self.settings, bank, frames, moment)

    def latest(self, bank: MemoryBank, frames: Sequence[int], moment: Moment, count: int) -> list[int]:
        """The newest frame, before it the first of each five."""
        return [*frames[:1], *self._first_of_each_stride(frames[1:], moment)][:count]

    def _first_of_each_stride(self, frames: Sequence[int], moment: Moment) -> list[int]:
        """Frames are counted in tracking direction; of each stretch the first that is in memory, newest first."""
        first: dict[int, int] = {}
        for t in frames:  # newest first, so the last to come is the first of its stretch
            first[t * moment.step // self.settings.stride] = t
        return list(first.values())

    def pointed(self, bank: MemoryBank, frames: Sequence[int], moment: Moment, limit: int) -> list[PointerRead]:
        """Of the frames just before in which the object was seen, at their true distance."""
        reads = [PointerRead(t, abs(moment.frame_index - t)) for t in frames[: limit - 1]]
        return [read for read in reads if read.distance < limit]

    def remembered(self, bank: MemoryBank, frames: Sequence[int]) -> Iterable[int]:
        """Pointers, and areas."""
        return islice(frames, max(self.config.max_pointers, self.settings.area_frames))


DISTRACTOR = PolicyKind(
    "distractor",
    "reads only frames where the object was seen, and keeps anchors from moments when a look-alike was told apart",
    "DAM4SAM: Videnovic et al. 2025, arXiv 2411.17576",
    DistractorPolicy,
    DistractorSettings,
)
