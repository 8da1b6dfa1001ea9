"""One object's memory: a bounded store of frames, prompted and tracked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor


@dataclass(frozen=True, slots=True)
class FrameSummary:
    """What a policy may know of a frame: scores and metadata, never parameters.

    Attributes:
        frame_index: position in the video.
        prompted: the user said something here (the paper's conditioning frame).
        object_score_logit: above 0 is visible; where the policy overruled the model, `DECIDED_LOGIT` or its negative.
        predicted_iou: of the chosen mask, 0..1.
        area_fraction: pixels of the chosen mask over pixels of the frame, 0..1.
    """

    frame_index: int
    prompted: bool
    object_score_logit: float
    predicted_iou: float
    area_fraction: float


@dataclass(frozen=True, slots=True)
class FrameMemory:
    """A remembered frame.

    Attributes:
        summary: scores and metadata.
        pointer_c: (c,) object pointer.
        features_khw: (k, h, w) spatial memory; None once only the pointer can still be read.
        mask_logits_hw: (4h, 4w) chosen mask, which a correction on this frame starts from; None once released.
        notes: what the policy wants to know of this frame later, by names of its own; small tensors, on the CPU. They
            are saved with the session and forgotten with the frame: a policy that keeps its state here has no other.
    """

    summary: FrameSummary
    pointer_c: Tensor
    features_khw: Tensor | None
    mask_logits_hw: Tensor | None
    notes: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Eviction:
    """Frames whose spatial features, and frames that as a whole, nothing will read again."""

    features: Collection[int] = ()
    frames: Collection[int] = ()


@dataclass(slots=True)
class MemoryBank:
    """Frames by index. A frame is either prompted or tracked; prompting a tracked frame moves it."""

    prompted: dict[int, FrameMemory] = field(default_factory=dict)
    tracked: dict[int, FrameMemory] = field(default_factory=dict)

    def write(self, memory: FrameMemory) -> None:
        """Store a frame, replacing what was known of it."""
        index = memory.summary.frame_index
        if memory.summary.prompted:
            self.tracked.pop(index, None)
            self.prompted[index] = memory
        else:
            self.tracked[index] = memory

    def get(self, frame_index: int) -> FrameMemory | None:
        """The frame, prompted or tracked."""
        return self.prompted.get(frame_index) or self.tracked.get(frame_index)

    def copy(self) -> MemoryBank:
        """Another bank of the same frames, whose tensors are shared."""
        return MemoryBank(dict(self.prompted), dict(self.tracked))

    def forget(self, frame_index: int) -> None:
        """Drop a tracked frame, if it is there: what an earlier pass wrote and this one refuses."""
        self.tracked.pop(frame_index, None)

    def apply(self, eviction: Eviction) -> None:
        """Drop tracked frames, or their features; prompted frames are the user's and stay."""
        for index in eviction.frames:
            self.tracked.pop(index, None)
        for index in eviction.features:
            if index in self.tracked:
                self.tracked[index] = replace(self.tracked[index], features_khw=None, mask_logits_hw=None)

    def __iter__(self) -> Iterator[FrameMemory]:
        """Prompted frames, then tracked ones, each in the order they were written."""
        yield from self.prompted.values()
        yield from self.tracked.values()

    def __len__(self) -> int:
        return len(self.prompted) + len(self.tracked)


def held_bytes(banks: Iterable[MemoryBank]) -> int:
    """Bytes of every tensor that these remember; what several of them share counts once."""
    tensors = (
        t for bank in banks for m in bank for t in (m.pointer_c, m.features_khw, m.mask_logits_hw, *m.notes.values())
    )
    storages = [tensor.untyped_storage() for tensor in tensors if tensor is not None]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
