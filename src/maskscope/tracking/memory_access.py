"""From selections to tokens: what several objects read of their banks, as one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from maskscope.memory.bank import MemoryBank
from maskscope.memory.policy import PointerRead, Selection, SpatialRead
from maskscope.model import SAM2
from maskscope.model.outputs import MemoryTokens
from maskscope.tracking.salience import count_of, salient

Layout = tuple[tuple[float, ...], int, int]


def layout_of(selection: Selection) -> Layout:
    """Objects of equal layout can be read as one batch: the memories' shares, pointers, and the pointers' scale."""
    return tuple(read.share for read in selection.spatial), len(selection.pointers), selection.max_pointers


def read_memories(model: SAM2, banks: Sequence[MemoryBank], selections: Sequence[Selection]) -> MemoryTokens | None:
    """Tokens of b objects of one layout; None when they read nothing."""
    shares, num_pointers, max_pointers = layout_of(selections[0])
    num_spatial = len(shares)
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
    tokens = model.lay_out_memory(
        torch.stack(spatial).to(device, dtype),
        [[read.slot for read in selection.spatial] for selection in selections],
        torch.stack(pointers).reshape(shape) if pointers else torch.zeros(shape, device=device, dtype=dtype),
        torch.tensor(distances, device=device, dtype=dtype).reshape(shape[:2]),
        max_pointers,
    )
    height, width = spatial[0].shape[-2:]
    weighted = _weighted(tokens, selections, height * width)
    return weighted if all(share == 1 for share in shares) else _thinned(weighted, banks, selections, (height, width))


def _weighted(tokens: MemoryTokens, selections: Sequence[Selection], cells: int) -> MemoryTokens:
    """Keys, which are content plus position, multiplied by the reads' weights; content itself stays."""
    reads: list[tuple[SpatialRead | PointerRead, ...]] = [(*s.spatial, *s.pointers) for s in selections]
    if all(read.weight == 1 for of_object in reads for read in of_object):
        return tokens
    num_spatial, num_pointers = len(selections[0].spatial), len(selections[0].pointers)
    pieces = tokens.num_pointer_tokens // max(num_pointers, 1)
    lengths = torch.tensor([cells] * num_spatial + [pieces] * num_pointers)
    weights = torch.tensor([[read.weight for read in of_object] for of_object in reads])
    values, positions = tokens.values_bnk, tokens.positions_bnk
    scale = weights.repeat_interleave(lengths, dim=1)[..., None].to(values.device, values.dtype)
    return replace(tokens, positions_bnk=scale * (values + positions) - values)


def _thinned(
    tokens: MemoryTokens, banks: Sequence[MemoryBank], selections: Sequence[Selection], grid: tuple[int, int]
) -> MemoryTokens:
    """Only the salient tokens of memories that are read in part, in the order they had."""
    kept = torch.stack([_kept(bank, selection, grid) for bank, selection in zip(banks, selections, strict=True)])
    kept = kept.to(tokens.values_bnk.device)
    placed = tokens.values_bnk.shape[1] - tokens.num_pointer_tokens
    pointers = torch.arange(placed, tokens.values_bnk.shape[1], device=kept.device).expand(len(kept), -1)
    taken = torch.cat((kept, pointers), dim=1)[..., None]
    looks = tokens.appearance_bna
    return MemoryTokens(
        tokens.values_bnk.take_along_dim(taken, dim=1),
        tokens.positions_bnk.take_along_dim(taken, dim=1),
        tokens.num_pointer_tokens,
        None if looks is None else looks.take_along_dim(taken, dim=1),
        kept,
    )


def _kept(bank: MemoryBank, selection: Selection, grid: tuple[int, int]) -> Tensor:
    """Which spatial tokens of one object's whole memories are read, (n,)."""
    cells = grid[0] * grid[1]
    parts: list[Tensor] = []
    for number, read in enumerate(selection.spatial):
        found = torch.arange(cells)
        if read.share < 1:
            memory = bank.get(read.frame_index)
            mask = None if memory is None else memory.mask_logits_hw
            assert mask is not None, "a mask is kept as long as its memory"
            found = salient(mask[None], grid, count_of(read.share, cells))[0].cpu()
        parts.append(found + number * cells)
    return torch.cat(parts)
