"""From selections to tokens: what several objects read of their banks, as one batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from maskscope.memory.bank import MemoryBank
from maskscope.memory.policy import Selection
from maskscope.model import SAM2
from maskscope.model.outputs import MemoryTokens

Layout = tuple[int, int, int]


def layout_of(selection: Selection) -> Layout:
    """Objects of equal layout can be read as one batch: numbers of memories and pointers, and the pointers' scale."""
    return len(selection.spatial), len(selection.pointers), selection.max_pointers


def read_memories(model: SAM2, banks: Sequence[MemoryBank], selections: Sequence[Selection]) -> MemoryTokens | None:
    """Tokens of b objects of one layout; None when they read nothing."""
    num_spatial, num_pointers, max_pointers = layout_of(selections[0])
    if not num_spatial:
        return None
    spatial, pointers = [], []
    for bank, selection in zip(banks, selections, strict=True):
        memories = [bank.prompted.get(read.frame_index) or bank.tracked[read.frame_index] for read in selection.spatial]
        features = [memory.features_khw for memory in memories if memory.features_khw is not None]
        assert len(features) == num_spatial, "a policy selected features that were forgotten"
        spatial.append(torch.stack(features))
        pointed = [bank.prompted.get(read.frame_index) or bank.tracked[read.frame_index] for read in selection.pointers]
        pointers += [memory.pointer_c for memory in pointed]
    dtype, device = model.fine_dtype, model.device
    shape = (len(banks), num_pointers, model.config.dim)
    distances = [[read.distance for read in selection.pointers] for selection in selections]
    return model.lay_out_memory(
        torch.stack(spatial).to(device, dtype),
        [[read.slot for read in selection.spatial] for selection in selections],
        torch.stack(pointers).reshape(shape) if pointers else torch.zeros(shape, device=device, dtype=dtype),
        torch.tensor(distances, device=device, dtype=dtype).reshape(shape[:2]),
        max_pointers,
    )
