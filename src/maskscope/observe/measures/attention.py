"""Where the object's image tokens look in memory, and where the mask decoder's tokens look in the picture.

    mass         M_g = mean over object queries q of sum over keys k in g of softmax(q k^T / sqrt(d))
    enrichment   M_g / (keys in g / all keys)
    entropy      mean over q of H(weights of q) / ln(all keys)

Groups of keys are the memories by slot (prompted frames, recent 1 being the frame before, ... , pointers), each divided
into cells of the object, of the background, and others (on the outline, or of a frame without truth). Attention is not
explanation: mass on the object's memory says that it is read, not that the mask depends on it; `patching` tells that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskscope.model import SAM2
from maskscope.model.memory_attention import MemoryAttentionLayer
from maskscope.observe.grid import Regions
from maskscope.observe.measures.attention_weights import (
    Mass,
    attention_mass,
    memory_queries_keys,
    one_object,
    projected,
)
from maskscope.observe.measures.known_memories import KnownMemories
from maskscope.observe.measures.passages import (
    DecoderPassage,
    DecoderPassages,
    Listener,
    MemoryPassage,
    MemoryPassages,
    first_rows,
)
from maskscope.observe.probe import Truth, Valid
from maskscope.observe.reading import Reading
from maskscope.stages import Stage
from maskscope.tracking.observer import Observation

POINTERS: Final = "pointers"
PROMPTED: Final = "prompted"
_REGIONS: Final = ("object", "background", "other")


def slot_name(slot: int, num_frames: int) -> str:
    """Of a temporal slot of a memory of `num_frames` frames: "recent_1" is the frame before, the last "prompted"."""
    return PROMPTED if slot == num_frames - 1 else f"recent_{slot + 1}"


@dataclass(frozen=True, slots=True)
class KeyGroups:
    """Keys by slot and region.

    Attributes:
        names: (slot, region) of each group; pointers have no region.
        group_m: (m,) int64 index into `names`.
    """

    names: tuple[tuple[str, str], ...]
    group_m: Tensor


def group_memory(
    slots: Sequence[str],
    regions: Sequence[Regions | None],
    cells: int,
    num_pointer_tokens: int,
    kept_s: Tensor | None = None,
) -> KeyGroups:
    """Divide the keys of one object's memory.

    Args:
        slots: name of each spatial memory, in the order of its tokens.
        regions: the object on each memory's frame; None where it is not known.
        cells: of each memory.
        num_pointer_tokens: that follow the spatial ones.
        kept_s: which of the spatial tokens are read; None: all.
    """
    names: dict[tuple[str, str], int] = {}
    groups = []
    for slot, known in zip(slots, regions, strict=True):
        index = [names.setdefault((slot, region), len(names)) for region in _REGIONS]
        labels = np.full(cells, index[2])
        if known is not None:
            labels[known.object.ravel()], labels[known.background.ravel()] = index[0], index[1]
        groups.append(torch.from_numpy(labels))
    if kept_s is not None:
        groups = [torch.cat(groups)[kept_s.cpu()]]
    if num_pointer_tokens:
        groups.append(torch.full((num_pointer_tokens,), names.setdefault((POINTERS, ""), len(names))))
    return KeyGroups(tuple(names), torch.cat(groups))


def group_picture(regions: Regions) -> KeyGroups:
    """Divide the cells of a frame."""
    labels = np.full(regions.object.size, 2)
    labels[regions.object.ravel()], labels[regions.background.ravel()] = 0, 1
    return KeyGroups(tuple(("", region) for region in _REGIONS), torch.from_numpy(labels))


def spread(cells: NDArray[np.bool_], at_most: int) -> Tensor:
    """Row-major indices of some of the cells that are True, evenly spread: (n,) int64."""
    index = np.flatnonzero(cells)
    if len(index) > at_most:
        index = index[np.linspace(0, len(index) - 1, at_most).round().astype(int)]
    return torch.from_numpy(index)


def gaze(mass: Mass, groups: KeyGroups, prefix: str) -> Iterator[tuple[str, float]]:
    """Metrics and values: entropy; mass and enrichment by slot, by region, and by slot and region."""
    yield f"{prefix}_entropy", float(mass.entropy_n.mean())
    slots = dict.fromkeys(slot for slot, _ in groups.names)
    wanted = [(slot, region) for slot in slots if slot for region in ("", *_REGIONS[:2])]
    wanted += [("", region) for region in _REGIONS[:2]]
    means, shares = mass.mean_g.tolist(), mass.share_g.tolist()
    for slot, region in wanted:
        chosen = [
            i
            for i, (s, r) in enumerate(groups.names)
            if (not slot or s == slot) and (not region or r == region) and shares[i] > 0
        ]
        if not chosen:
            continue
        name = ".".join(filter(None, (slot, region)))
        total, share = sum(means[i] for i in chosen), sum(shares[i] for i in chosen)
        yield f"{prefix}_mass.{name}", total
        yield f"{prefix}_enrichment.{name}", total / share


class MemoryGaze(Listener):
    """Where the object's image tokens look in memory, in each layer of memory attention.

    Metrics, with the tap `memory_attention.L.cross`: `attention_entropy`, and `attention_mass.G` and
    `attention_enrichment.G` for G each of `prompted` (with what a policy reads as if it were), `recent_1` ...,
    `pointers`; each spatial slot followed by `.object` or `.background`; and `object`, `background` over all slots.
    Where the object has no cell on this frame, its state is given as `attention_enrichment.object`.

    Args:
        model: whose memory attention is heard.
        truth: masks of every frame, also of those before the one at hand.
        every: only each so many frames.
        valid: where there is truth.
        max_queries: cells of the object that are asked, evenly spread over it.
    """

    def __init__(
        self, model: SAM2, truth: Truth, every: int = 1, valid: Valid | None = None, max_queries: int = 64
    ) -> None:
        super().__init__(model, truth, every, valid)
        self.max_queries = max_queries
        self.known = KnownMemories()

    def _listens_to(self) -> Sequence[MemoryPassages]:
        self._memory = MemoryPassages(self.model)
        return (self._memory,)

    def _hear(self, observation: Observation) -> None:
        if observation.stage == "memory_features":
            self.known.written(observation)
        if observation.stage != "memory_conditioned":
            return
        passage, frame = self._memory.led_to(observation), observation.frame_index
        if passage is None:
            return
        for object_id, row in first_rows(observation.object_ids).items():
            frames = self.known.recognise(object_id, frame, passage.slots_bs[row], passage.prints_bsn[row])
            regions = self.regions(frame, object_id, passage.grid) if self.due(frame) else None
            if regions is None:
                continue
            if not regions.object.any():
                where = Where("memory_conditioned", frame, object_id)
                self.readings.append(where.reading("attention_enrichment.object", "", regions.state))
            else:
                self.readings += self._of_object(passage, row, regions, frames, frame, object_id)

    def _of_object(
        self,
        passage: MemoryPassage,
        row: int,
        regions: Regions,
        frames: Sequence[int | None],
        frame: int,
        object_id: int,
    ) -> Iterator[Reading]:
        slots = [slot_name(slot, self.model.config.memory.num_frames) for slot in passage.slots_bs[row]]
        known = [None if t is None else self.regions(t, object_id, passage.grid) for t in frames]
        memory = passage.memory
        kept = None if memory.kept_bs is None else memory.kept_bs[row]
        groups = group_memory(slots, known, regions.object.size, memory.num_pointer_tokens, kept)
        asked = spread(regions.object, self.max_queries)
        where = Where("memory_conditioned", frame, object_id)
        for tap, q_hnd, k_hmd in layers_of(self.model, passage, row):
            mass = attention_mass(q_hnd[:, asked.to(q_hnd.device)], k_hmd, groups.group_m, len(groups.names))
            for metric, value in gaze(mass, groups, "attention"):
                yield where.reading(metric, tap, value)


class TokenGaze(Listener):
    """Where the mask decoder's tokens look in the picture.

    Metrics, with the taps `mask_decoder.L` and `mask_decoder.final` and T each of `object_score_token`, `iou_token` and
    `mask_tokens` (mean over them): `T_entropy`, `T_mass.object`, `T_mass.background` and the two `T_enrichment`.
    Where the object has no cell on this frame, its state is given as `mask_tokens_enrichment.object`.
    """

    def _listens_to(self) -> Sequence[DecoderPassages]:
        self._decoder = DecoderPassages(self.model)
        return (self._decoder,)

    def _hear(self, observation: Observation) -> None:
        if observation.stage != "prompt_attended":
            return
        passage, frame = self._decoder.led_to(observation), observation.frame_index
        if passage is None or not self.due(frame):
            return
        h, w = observation.output.shape[-2:]
        for object_id, row in first_rows(observation.object_ids).items():
            regions = self.regions(frame, object_id, (h, w))
            if regions is None:
                continue
            where = Where("prompt_attended", frame, object_id)
            if not regions.object.any():
                self.readings.append(where.reading("mask_tokens_enrichment.object", "", regions.state))
            else:
                self.readings += self._of_object(passage, row, regions, where)

    def _of_object(self, passage: DecoderPassage, row: int, regions: Regions, where: Where) -> Iterator[Reading]:
        groups = group_picture(regions)
        num_masks = len(self.model.mask_decoder.mask_tokens.weight)
        tokens = {"object_score_token": slice(0, 1), "iou_token": slice(1, 2), "mask_tokens": slice(2, 2 + num_masks)}
        own = slice(row, row + 1)
        for read in passage.reads:
            q, k = projected(read.attention, read.queries_bnc[own, : 2 + num_masks], read.keys_bmc[own])
            mass = attention_mass(q[0], k[0], groups.group_m, len(groups.names))
            for name, chosen in tokens.items():
                of_token = Mass(mass.of_queries_ng[chosen], mass.entropy_n[chosen], mass.share_g)
                for metric, value in gaze(of_token, groups, name):
                    yield where.reading(metric, read.tap, value)


def layers_of(model: SAM2, passage: MemoryPassage, row: int) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Tap, queries (heads, n, d) and keys (heads, m, d) of one object in each layer of memory attention."""
    for index in range(len(passage.queries)):
        q, k = layer_queries_keys(model, passage, index, row)
        yield f"memory_attention.{index}.cross", q[0], k[0]


def layer_queries_keys(model: SAM2, passage: MemoryPassage, index: int, row: int) -> tuple[Tensor, Tensor]:
    """All queries and keys of one object in one layer, (1, heads, n, d) and (1, heads, m, d)."""
    layer = model.memory_attention.layers[index]
    assert isinstance(layer, MemoryAttentionLayer)
    looks = passage.appearance_bna
    if looks is not None and len(looks) > 1:
        looks = looks[row : row + 1]
    queries = passage.queries[index][row : row + 1]
    memory = one_object(passage.memory, row)
    return memory_queries_keys(layer.cross_attn_image, queries, memory, passage.grid, looks)


@dataclass(frozen=True, slots=True)
class Where:
    """What readings of one object on one frame have in common."""

    stage: Stage
    frame: int
    object_id: int

    def reading(self, metric: str, tap: str, said: float | str) -> Reading:
        """A value, or a state."""
        value, state = (None, said) if isinstance(said, str) else (said, None)
        return Reading(
            metric=metric,
            value=value,
            state=state,
            stage=self.stage,
            tap=tap,
            frame=self.frame,
            object=self.object_id,
        )
