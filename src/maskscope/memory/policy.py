"""The decisions of a memory policy. A policy belongs to one object of one session, never to the model.

Order of events. A tracked frame: `select`, `choose_mask`, `believe`, `admit`, `note` if admitted, `evict`. A prompted
frame: `choose_mask` where clicks left several candidates, then `note` when it enters memory; it is never refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from maskscope.memory.bank import Eviction, FrameSummary, MemoryBank
from maskscope.model.config import MemoryConfig

DECIDED_LOGIT = 10.0  # object score where a policy overrules the model: as the reference has it for given masks


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The masks the decoder proposes for a frame. Tensors are views of what the model made, nothing is computed for it.

    Attributes:
        frame_index: position in the video.
        mask_logits_mhw: (m, 4h, 4w), on the model's device; as decoded, also where the model judges the object absent.
        predicted_iou_m: m values in 0..1.
        object_score_logit: the model's; above 0 is visible.
        embedding_chw: (c, h, w) image embedding of the whole frame, before any memory. A policy that wants to know it
            later keeps a reduction of it in its notes.
        prompted: they answer what the user said of this frame.
    """

    frame_index: int
    mask_logits_mhw: Tensor
    predicted_iou_m: tuple[float, ...]
    object_score_logit: float
    embedding_chw: Tensor
    prompted: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """A frame as it was decided.

    Attributes:
        summary: scores and metadata; the object score is above 0 where the object is believed to be there.
        candidates: what there was to choose from. Of a prompted frame they are as shown, all empty where the model
            judges the object absent.
        chosen: index of the chosen candidate.
    """

    summary: FrameSummary
    candidates: Candidates
    chosen: int

    @property
    def visible(self) -> bool:
        """The object is believed to be there."""
        return self.summary.object_score_logit > 0

    @property
    def mask_logits_hw(self) -> Tensor:
        """(4h, 4w) the chosen candidate as decoded."""
        return self.candidates.mask_logits_mhw[self.chosen]


@dataclass(frozen=True, slots=True)
class SpatialRead:
    """Read a frame's spatial memory with the temporal encoding of `slot` (0 previous frame ... last: prompted).

    Its keys are multiplied by `weight`; of its tokens `share` is read, above 0 and at most 1, the most salient ones.
    """

    frame_index: int
    slot: int
    weight: float = 1.0
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class PointerRead:
    """Read a frame's pointer as `distance` frames away; its keys are multiplied by `weight`."""

    frame_index: int
    distance: int
    weight: float = 1.0


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
        reverse: propagating backwards; False on a prompted frame, from which it may go both ways.
        num_frames: length of the video, None in a stream.
    """

    frame_index: int
    reverse: bool = False
    num_frames: int | None = None

    @property
    def step(self) -> int:
        """From one frame to the next: 1, or -1 backwards."""
        return -1 if self.reverse else 1


class MemoryPolicy(Protocol):
    """How an object's masks are chosen and its memory is written, read and forgotten.

    Decisions should follow from the bank and its notes alone: then sessions can be saved, passes repeated and
    directions changed without a thought. `maskscope.memory.policies.stock.StockPolicy` answers all of them and is the
    class to derive from.
    """

    def choose_mask(self, candidates: Candidates, bank: MemoryBank, moment: Moment) -> int:
        """Index of the candidate that becomes this frame's mask; asked where there are several."""
        ...

    def believe(self, candidates: Candidates, chosen: int, bank: MemoryBank, moment: Moment) -> bool:
        """Whether the object is there. If not, the frame's mask is empty and its pointer that of no object."""
        ...

    def admit(self, outcome: Outcome, bank: MemoryBank, moment: Moment) -> bool:
        """Whether a tracked frame is written to memory at all."""
        ...

    def note(self, outcome: Outcome, bank: MemoryBank, moment: Moment) -> Mapping[str, Tensor]:
        """What to remember of a frame that is about to be written, beside what the model reads."""
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
        """State beside the bank as plain JSON values, for saving a session."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a saved state."""
        ...


@dataclass(frozen=True, slots=True)
class Branch:
    """One account of a frame that goes on.

    Attributes:
        path: index of the pathway it continues.
        candidate: index of the mask.
        visible: the object is there.
    """

    path: int
    candidate: int
    visible: bool


@runtime_checkable
class Branching(Protocol):
    """A policy that keeps several memories of an object, one for each account it holds for possible."""

    def branch(self, candidates: Sequence[Candidates], banks: Sequence[MemoryBank], moment: Moment) -> Sequence[Branch]:
        """Which accounts go on, the best first; at least one. Asked instead of `choose_mask` and `believe`.

        Args:
            candidates: of each pathway.
            banks: the memory of each; a pathway that goes on twice gets a copy of its own.
            moment: of the frame at hand.
        """
        ...


PolicyFactory = Callable[[MemoryConfig], MemoryPolicy]
