"""The object pointer decoded into space: what it makes the next frame look at, and what it would cut out of others.

    influence      I(p) = sum over pointer tokens k of softmax(q_p k^T / sqrt(d)), for every image token p
    stored token   logits = <hyper-network(token of frame s), upscaled embedding of frame t>

The first is the attention that image tokens pay to pointers, in each layer of memory attention. The second takes the
output token that the pointer of an earlier frame was made of, as the mask decoder would use it, to another frame: where
that still finds the object, the token alone carries what the object is, and not only where it was.

Source: the idea of decoding the pointer into a spatio-temporal picture is Bromley et al., arXiv 2503.00042; both
definitions are ours.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from maskscope.errors import SettingError
from maskscope.model import SAM2
from maskscope.model.layers.mlp import MLP
from maskscope.model.mask_decoder import MaskDecoder
from maskscope.observe.grid import Regions
from maskscope.observe.measures.attention import Where, layers_of
from maskscope.observe.measures.attention_weights import attention_mass
from maskscope.observe.measures.overlap import area_matched_iou, chance_iou, grid_iou
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
from maskscope.tracking.observer import Observation

NO_POINTERS: Final = "no pointers are read"
_IOU: Final = "pointer_influence_iou"
MapSink = Callable[[int, int, str, NDArray[np.float32]], None]
"""Is handed frame, object, tap and an influence map (h, w), 0..1."""


def pointer_influence(q_hnd: Tensor, k_hmd: Tensor, num_pointer_tokens: int) -> Tensor:
    """Share of each query's attention that falls on the last keys, which are the pointers': (n,) 0..1.

    Args:
        q_hnd: (heads, n, d) queries of all image tokens.
        k_hmd: (heads, m, d) all keys.
        num_pointer_tokens: of the m.
    """
    group = torch.zeros(k_hmd.shape[1], dtype=torch.int64)
    group[len(group) - num_pointer_tokens :] = 1
    return attention_mass(q_hnd, k_hmd, group, 2).of_queries_ng[:, 1]


class PointerInfluence(Listener):
    """Maps of what the pointers make the frame look at, and how well these maps fit the object.

    Metrics, with the tap `memory_attention.L.cross`: `pointer_influence_mass`, mean over the frame, 0..1;
    `pointer_influence_ratio`, mean on the object over mean on the background, 1 for no preference;
    `pointer_influence_iou` of the object with as many of the map's highest cells as it has, 0..1, beside
    `pointer_influence_chance`, which a map without preference has. A state takes their place where the object has no
    cell, or no pointer is read.

    All image tokens are asked, so a frame costs about as much as its memory attention: not every frame by default.

    Args:
        model: whose memory attention is heard.
        truth: frame index -> masks of the objects.
        every: only each so many frames.
        valid: where there is truth.
        sink: is handed every map.
    """

    def __init__(
        self, model: SAM2, truth: Truth, every: int = 5, valid: Valid | None = None, sink: MapSink | None = None
    ) -> None:
        super().__init__(model, truth, every, valid)
        self.sink = sink

    def _listens_to(self) -> Sequence[MemoryPassages]:
        self._memory = MemoryPassages(self.model)
        return (self._memory,)

    def _hear(self, observation: Observation) -> None:
        if observation.stage != "memory_conditioned":
            return
        passage = self._memory.led_to(observation)
        if passage is not None and self.due(observation.frame_index):
            for object_id, row in first_rows(observation.object_ids).items():
                self.readings += self._of_object(passage, row, observation.frame_index, object_id)

    def _of_object(self, passage: MemoryPassage, row: int, frame: int, object_id: int) -> Iterator[Reading]:
        where = Where("memory_conditioned", frame, object_id)
        pointers = passage.memory.num_pointer_tokens
        if not pointers:
            yield where.reading(_IOU, "", NO_POINTERS)
            return
        regions = self.regions(frame, object_id, passage.grid)
        if regions is not None and not regions.object.any():
            yield where.reading(_IOU, "", regions.state)
        for tap, q_hnd, k_hmd in layers_of(self.model, passage, row):
            influence = pointer_influence(q_hnd, k_hmd, pointers).reshape(passage.grid).cpu().numpy()
            if self.sink is not None:
                self.sink(frame, object_id, tap, influence)
            if regions is not None and regions.object.any():
                for metric, value in fit(influence, regions):
                    yield where.reading(f"pointer_influence_{metric}", tap, value)


def fit(influence_hw: NDArray[np.float32], regions: Regions) -> Iterator[tuple[str, float]]:
    """Metrics of a map, without their common beginning; the ratio only where there is background."""
    yield "mass", float(influence_hw.mean())
    yield "iou", area_matched_iou(influence_hw, regions)
    yield "chance", chance_iou(regions)
    background = float(influence_hw[regions.background].mean()) if regions.background.any() else 0.0
    if background > 0:
        yield "ratio", float(influence_hw[regions.object].mean()) / background


def token_mask_logits(decoder: MaskDecoder, token_c: Tensor, head: int, upscaled_chw: Tensor) -> Tensor:
    """The mask an output token cuts out of an upscaled embedding, as the decoder itself does it: (4h, 4w) logits.

    Args:
        decoder: whose hyper-networks are used.
        token_c: (c,) output token.
        head: which hyper-network: 0 for the single mask, 1 + m for candidate m of several.
        upscaled_chw: (c / 8, 4h, 4w) of any frame.
    """
    mlp = decoder.output_hypernetworks_mlps[head]
    assert isinstance(mlp, MLP)
    return torch.einsum("c,chw->hw", mlp(token_c[None])[0], upscaled_chw)


@dataclass(slots=True, eq=False)
class _Tokens:
    """Of one object: its first token and the latest ones, each with its head."""

    first: tuple[Tensor, int] | None = None
    latest: deque[tuple[int, Tensor, int]] = field(default_factory=deque)  # frame, token, head


class StoredTokens(Listener):
    """Output tokens of earlier frames, applied to the frame at hand.

    Metrics, at `object_pointer`: `stored_token_iou.first`, of the object's first frame (where it was prompted);
    `stored_token_iou.lag_N`, of N frames before; and `stored_token_iou.own`, the frame's own token, which is what the
    decoder made of it. 0..1, at the resolution of the mask logits, and whatever the object score says; the embedding
    is that of the frame at hand, which memory has conditioned. Where truth does not show the object, all are its state.

    Args:
        model: whose mask decoder is heard.
        truth: frame index -> masks of the objects.
        every: only each so many frames are measured; tokens are stored on all.
        valid: where there is truth.
        lags: frames, each 1 or more.

    Raises:
        SettingError: a lag below 1.
    """

    def __init__(
        self,
        model: SAM2,
        truth: Truth,
        every: int = 1,
        valid: Valid | None = None,
        lags: Sequence[int] = (1, 5, 20),
    ) -> None:
        super().__init__(model, truth, every, valid)
        if any(lag < 1 for lag in lags):
            raise SettingError(f"a lag is {min(lags)} frames, expected 1 or more", "for example lags=(1, 5, 20)")
        self.lags = tuple(lags)
        self._stored: dict[int, _Tokens] = {}
        self._decoded: dict[int, tuple[DecoderPassage, int]] = {}  # of the frame at hand: passage and row
        self._pointed: Tensor | None = None

    def __enter__(self) -> Self:
        super().__enter__()
        assert self._hooks is not None
        self._hooks.callback(self.model.object_pointer.register_forward_pre_hook(self._point).remove)
        return self

    def _point(self, _: nn.Module, args: tuple[Any, ...]) -> None:
        self._pointed = args[0]  # the tokens that were chosen

    def _listens_to(self) -> Sequence[DecoderPassages]:
        self._decoder = DecoderPassages(self.model)
        return (self._decoder,)

    def _hear(self, observation: Observation) -> None:
        ids, frame = observation.object_ids, observation.frame_index
        if observation.stage == "prompt_attended":
            passage = self._decoder.led_to(observation)
            if passage is not None:
                self._decoded |= {object_id: (passage, row) for object_id, row in first_rows(ids).items()}
        elif observation.stage == "object_pointer":
            tokens, self._pointed = self._pointed, None
            for object_id, row in first_rows(ids).items():
                decoded = self._decoded.pop(object_id, None)
                if tokens is not None and len(tokens) == len(ids) and decoded is not None:
                    self._take(frame, object_id, tokens[row].clone(), *decoded)

    def _forget(self) -> None:
        super()._forget()
        self._decoded.clear()
        self._pointed = None

    def _take(self, frame: int, object_id: int, token: Tensor, passage: DecoderPassage, row: int) -> None:
        """Apply what is stored, then store."""
        assert passage.decoded is not None
        candidates = passage.decoded.output_tokens_bmc[row]
        head = int((candidates - token).abs().sum(1).argmin()) + 1 if passage.multimask else 0
        stored = self._stored.setdefault(object_id, _Tokens())
        if self.due(frame):
            upscaled = passage.decoded.upscaled_bchw[row]
            applied = {"own": (token, head), **self._earlier(stored, frame)}
            self.readings += self._apply(applied, upscaled, frame, object_id)
        stored.first = stored.first or (token, head)
        stored.latest.append((frame, token, head))
        while len(stored.latest) > max(self.lags, default=0):
            stored.latest.popleft()

    def _earlier(self, stored: _Tokens, frame: int) -> dict[str, tuple[Tensor, int]]:
        """Tokens of earlier frames by name."""
        found = {} if stored.first is None else {"first": stored.first}
        by_frame = {t: (token, head) for t, token, head in stored.latest}
        for lag in self.lags:
            if frame - lag in by_frame:
                found[f"lag_{lag}"] = by_frame[frame - lag]
        return found

    def _apply(
        self, tokens: dict[str, tuple[Tensor, int]], upscaled_chw: Tensor, frame: int, object_id: int
    ) -> Iterator[Reading]:
        h, w = upscaled_chw.shape[-2:]
        regions = self.regions(frame, object_id, (h, w))
        if regions is None:
            return
        for name, (token, head) in tokens.items():
            value, state = None, str(regions.state)
            if regions.object.any():
                logits = token_mask_logits(self.model.mask_decoder, token, head, upscaled_chw)
                value, state = grid_iou((logits > 0).cpu().numpy(), regions), ""
            yield Reading(
                metric=f"stored_token_iou.{name}",
                value=value,
                state=state or None,
                stage="object_pointer",
                frame=frame,
                object=object_id,
            )
