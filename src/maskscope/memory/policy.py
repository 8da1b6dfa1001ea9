"""The four decisions of a memory policy. A policy belongs to one object of one session, never to the model."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from maskscope.memory.bank import Eviction, FrameSummary, MemoryBank


@dataclass(frozen=True, slots=True)
class Candidates:
    """The masks the decoder proposes for a tracked frame.

    Attributes:
        frame_index: position in the video.
        mask_logits_mhw: (m, 4h, 4w), on the model's device.
        predicted_iou_m: m values in 0..1.
        object_score_logit: above 0 is visible.
    """

    frame_index: int
    mask_logits_mhw: Tensor
    predicted_iou_m: tuple[float, ...]
    object_score_logit: float


@dataclass(frozen=True, slots=True)
class SpatialRead:
    """Read a frame's spatial memory with the temporal encoding of `slot` (0 previous frame ... last: prompted)."""

    frame_index: int
    slot: int


@dataclass(frozen=True, slots=True)
class PointerRead:
    """Read a frame's pointer as `distance` frames away."""

    frame_index: int
    distance: int


@dataclass(frozen=True, slots=True)
class Selection:
    """What memory attention reads for one object, in this order, and the scale of the pointers' time."""

    spatial: tuple[SpatialRead, ...]
    pointers: tuple[PointerRead, ...]
    max_pointers: int


@dataclass(frozen=True, slots=True)
class Moment:
    """Where the tracker is.

    Attributes:
        frame_index: the frame at hand.
        reverse: propagating backwards.
        num_frames: length of the video, None in a stream.
    """

    frame_index: int
    reverse: bool = False
    num_frames: int | None = None


class MemoryPolicy(Protocol):
    """How an object's memory is written, read and forgotten."""

    def choose_mask(self, candidates: Candidates) -> int:
        """Index of the candidate that becomes this frame's mask."""
        ...

    def admit(self, summary: FrameSummary, bank: MemoryBank) -> bool:
        """Whether a tracked frame is written to memory at all."""
        ...

    def select(self, bank: MemoryBank, moment: Moment) -> Selection:
        """What is read for the frame at hand. Only frames of the bank that still hold what is asked for."""
        ...

    def evict(self, bank: MemoryBank, moment: Moment, pivots: Collection[int]) -> Eviction:
        """What nothing will read again, after the frame at hand was written.

        `pivots` are frames from which another propagation may still start; their neighbourhood must survive.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """State as plain JSON values, for saving a session."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a saved state."""
        ...
