"""The object pointer in time: how much it stays the same, and whether it tells this object from others.

    cosine       of a frame's pointer with the object's first, and with the one before
    retrieval    of all other frames' pointers, of all objects, the nearest: is it of the same object?

A pointer is one vector without places. That it stays the same is what a tracker of one thing wants of it; that it does
not look like another object's is what memory needs it for. Neither says that memory attention makes use of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional as F

from maskscope.errors import ShapeError
from maskscope.observe.measures.ranking import auc
from maskscope.observe.probe import Sight
from maskscope.observe.reading import Reading

NO_DISTRACTOR = "no other object"
FIRST_FRAME = "the first pointer"
ABSENT = "absent"


def pointer_cosines(pointers_nc: Tensor) -> Tensor:
    """(n, c) pointers -> (n, n) cosines, -1..1; 1 is the same direction."""
    unit = F.normalize(pointers_nc.float(), dim=1)
    return unit @ unit.T


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How well a pointer finds its own object among others.

    Attributes:
        top1: share of pointers whose nearest, by cosine, is of the same object, 0..1.
        chance: what a random choice gives.
        auc: chance that a pointer of the same object is nearer than one of another, 0..1, 0.5 for no difference.
        queries: pointers that were asked.
    """

    top1: float
    chance: float
    auc: float
    queries: int


def pointer_retrieval(
    pointers_nc: Tensor, objects_n: ArrayLike, frames_n: ArrayLike, min_gap: int = 1
) -> Retrieval | None:
    """Look each pointer up among those of frames at least `min_gap` away.

    Args:
        pointers_nc: (n, c) of frames that show their object.
        objects_n: (n,) whose they are.
        frames_n: (n,) of which frame; the same frame of another clip needs another number.
        min_gap: frames. Neighbouring frames are much alike whatever the object.

    Returns:
        None unless a pointer has both its own object and another to be found.

    Raises:
        ShapeError: lists of different lengths, or a gap below one frame.
    """
    objects, frames = np.asarray(objects_n), np.asarray(frames_n)
    if not len(pointers_nc) == len(objects) == len(frames) or min_gap < 1:
        raise ShapeError(
            f"there are {len(pointers_nc)} pointers of {len(objects)} objects on {len(frames)} frames and a gap of "
            f"{min_gap}, expected as many of each and a gap of 1 or more"
        )
    if not len(objects):
        return None
    cosines = pointer_cosines(pointers_nc).cpu().numpy()
    allowed = np.abs(frames[:, None] - frames) >= min_gap
    same = objects[:, None] == objects
    asked = (allowed & same).any(1) & (allowed & ~same).any(1)
    if not asked.any():
        return None
    nearest = np.where(allowed, cosines, -np.inf).argmax(1)
    own, other = (allowed & same)[asked], (allowed & ~same)[asked]
    return Retrieval(
        top1=float(same[np.arange(len(objects)), nearest][asked].mean()),
        chance=float((own.sum(1) / (own.sum(1) + other.sum(1))).mean()),
        auc=float(np.mean([auc(row[a], row[b]) for row, a, b in zip(cosines[asked], own, other, strict=True)])),
        queries=int(asked.sum()),
    )


class PointerIdentity:
    """A measure for `maskscope.observe.probe.Probe`: pointers along a clip.

    Metrics of a frame: `pointer_cosine.first` and `pointer_cosine.previous`, the object's first pointer and the last
    one of a frame that shows it. Frames on which truth does not show the object are a state: where the model sees it
    too, their pointer is a learned constant. Keeps c numbers for each frame and object; see `readings`.

    Args:
        min_gap: frames, of `pointer_retrieval`.
        first: by object, pointers to compare with instead of this run's first ones, as another measure keeps them in
            its `first`: those of the clean run, for a transformed one.

    Attributes:
        first: by object, the pointers compared with.
    """

    def __init__(self, min_gap: int = 5, first: dict[int, Tensor] | None = None) -> None:
        self.min_gap = min_gap
        self.first = {} if first is None else first
        self._pointers: list[tuple[int, int, Tensor]] = []  # object, frame, (c,)
        self._previous: dict[int, Tensor] = {}

    def see(self, sight: Sight) -> Iterable[Reading]:
        """Pointers only."""
        if sight.stage != "object_pointer" or sight.tap or sight.object is None:
            return []
        names = ("pointer_cosine.first", "pointer_cosine.previous")
        if sight.mask_hw is not None and not sight.mask_hw.any():
            return [sight.reading(name, state=ABSENT) for name in names]
        pointer = sight.features.float().cpu().clone()
        self._pointers.append((sight.object, sight.frame, pointer))
        before = [kept.get(sight.object) for kept in (self.first, self._previous)]
        self.first.setdefault(sight.object, pointer)
        self._previous[sight.object] = pointer
        return [
            sight.reading(name, state=FIRST_FRAME)
            if earlier is None
            else sight.reading(name, float(F.cosine_similarity(pointer, earlier, dim=0)))
            for name, earlier in zip(names, before, strict=True)
        ]

    def readings(self) -> list[Reading]:
        """Over the clip: `pointer_retrieval.top1`, `.chance` and `.auc`; a state where there is one object alone."""
        found = self.retrieval()
        names = ("top1", "chance", "auc")
        values = [None] * 3 if found is None else [found.top1, found.chance, found.auc]
        state = NO_DISTRACTOR if found is None else None
        return [
            Reading(metric=f"pointer_retrieval.{name}", value=value, state=state, stage="object_pointer")
            for name, value in zip(names, values, strict=True)
        ]

    def retrieval(self) -> Retrieval | None:
        """Of all pointers seen; None where there is one object alone, or too few frames."""
        if not self._pointers:
            return None
        objects, frames, pointers = zip(*self._pointers, strict=True)
        return pointer_retrieval(torch.stack(pointers), objects, frames, self.min_gap)
