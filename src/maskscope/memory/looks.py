"""What an object looks like to the image encoder: its embedding averaged over a mask, and how alike two of these are.

The embedding knows nothing of memory, so it is a second opinion on what memory led the decoder to. It is a weak one
between objects of one kind and a strong one between an object and what is no object; see docs/policies/composite.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from maskscope.memory.bank import FrameMemory

LOOK: Final = "look"  # note: the object's look on this frame, (c,) float32 of unit length


def looks(embedding_chw: Tensor, mask_logits_mhw: Tensor) -> Tensor:
    """Average of the embedding inside of each mask: (c, h, w) and (m, any, any) -> (m, c) of unit length, on the CPU.

    An empty mask gives zeros, which are like nothing.
    """
    _, height, width = embedding_chw.shape
    inside = F.adaptive_avg_pool2d((mask_logits_mhw > 0).float()[None], (height, width))[0]
    sums = torch.einsum("mhw,chw->mc", inside, embedding_chw.float())
    return F.normalize(sums, dim=1).cpu()


def likeness(looks_mc: Tensor, memories: Iterable[FrameMemory]) -> Tensor:
    """Largest cosine with the looks of remembered frames, -1..1: (m, c) -> (m,); 1 where none is remembered."""
    known = [memory.notes[LOOK] for memory in memories if LOOK in memory.notes]
    if not known:
        return torch.ones(len(looks_mc))
    return (looks_mc @ torch.stack(known).T).amax(1)
