"""Which frames the memories are of that are being read."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from maskscope.tracking.observer import Observation

_PRINT_CELLS = 4  # on each side
_KNOWN_FRAMES = 64  # of each object
_SAME_MEMORY = 0.02  # largest relative difference of fingerprints


def fingerprint(features_bkhw: Tensor) -> Tensor:
    """Enough of spatial memories to know them again: some of their cells, (..., k, h, w) -> (..., n) float32."""
    h, w = features_bkhw.shape[-2:]
    some = features_bkhw[..., :: max(h // _PRINT_CELLS, 1), :: max(w // _PRINT_CELLS, 1)]
    return some.flatten(-3).to(torch.bfloat16).float()  # memories rest in a coarser type than they are made in


class KnownMemories:
    """Which frame a spatial memory is of, told from what was written: no policy is asked, none can answer otherwise."""

    def __init__(self) -> None:
        self._prints: dict[int, dict[int, list[Tensor]]] = {}  # object -> frame -> of its pathways

    def written(self, observation: Observation) -> None:
        """Take `memory_features` of a frame; a frame that is written again is another memory."""
        prints = fingerprint(observation.output).cpu()
        for object_id in dict.fromkeys(observation.object_ids):
            own = [p for i, p in zip(observation.object_ids, prints, strict=True) if i == object_id]
            frames = self._prints.setdefault(object_id, {})
            frames.pop(observation.frame_index, None)
            frames[observation.frame_index] = own
            while len(frames) > _KNOWN_FRAMES:
                del frames[next(iter(frames))]

    def recognise(self, object_id: int, frame: int, slots: Sequence[int], prints_sn: Tensor) -> list[int | None]:
        """The frame of each spatial memory an object reads; None of one that was not seen being written.

        Of equal memories (a picture that stands still) the one its slot speaks for.

        Args:
            object_id: who reads.
            frame: the one at hand.
            slots: temporal slot of each memory.
            prints_sn: `fingerprint` of each.
        """
        frames = self._prints.get(object_id, {})
        written = [(t, own) for t, prints in frames.items() for own in prints if own.shape == prints_sn.shape[1:]]
        if not written:
            return [None] * len(slots)
        prints_pn = torch.stack([own for _, own in written])
        # (memories, prints), each difference in units of the print; differences of numbers that are equal are 0 exactly
        off_sp = (prints_sn.cpu()[:, None] - prints_pn).norm(dim=2) / prints_pn.norm(dim=1).clamp(min=1e-6)
        found: list[int | None] = []
        for slot, off_p in zip(slots, off_sp.tolist(), strict=True):
            least = min(off_p)
            alike = [t for (t, _), value in zip(written, off_p, strict=True) if value <= least + 1e-6]
            known = least <= _SAME_MEMORY
            found.append(min(alike, key=lambda t: abs(abs(frame - t) - slot - 1)) if known else None)
        for t in found:
            if t is not None:
                frames[t] = frames.pop(t)  # what is read stays known the longest
        return found
