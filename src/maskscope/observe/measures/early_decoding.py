"""At which layer of memory attention the object can be decoded: the frozen mask decoder, applied before the end.

    J(tap) = IoU of the truth with the mask that the model's own decoder makes of the features after `tap`

for the embedding without any memory (as the model has it on a first frame without prompt), and after each layer of
memory attention, through its last normalisation; the last layer is what the tracker itself decodes. All else (prompt,
high-resolution levels, choice of the candidate by predicted IoU) stays as it was.

Source: the "logit lens" (nostalgebraist, 2020), here without its usual excuse: SAM 2 with no memory *is* a decoder of
unconditioned features. Between layers the decoder reads features it was not trained on, so a low J may also mean that
the object is there in another basis; separation along the taps is to be read beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from maskscope.model import SAM2
from maskscope.model.mask_decoder import MaskDecoder
from maskscope.model.outputs import DecodedMasks, ImageFeatures, PromptTokens
from maskscope.observe.measures.overlap import grid_iou
from maskscope.observe.measures.passages import (
    DecoderPassage,
    DecoderPassages,
    Listener,
    MemoryPassage,
    MemoryPassages,
    first_rows,
)
from maskscope.observe.reading import Reading
from maskscope.stages import Stage
from maskscope.tracking.observer import Observation

J, SCORE = "early_j", "early_object_score_logit"
Tap = tuple[Stage, str]
Parts = TypeVar("Parts", ImageFeatures, PromptTokens)
WITHOUT_MEMORY: Final[Tap] = ("image_embedding", "")


def twin_decoder(model: SAM2) -> MaskDecoder:
    """Another mask decoder of the same weights, which it shares; what listens to the model's own does not hear it."""
    with torch.device("meta"):
        twin = MaskDecoder(model.config)
    twin.load_state_dict(model.mask_decoder.state_dict(), assign=True)
    return twin.requires_grad_(False).eval()


def early_features(model: SAM2, image: ImageFeatures, outputs_bnc: Sequence[Tensor]) -> list[tuple[Tap, Tensor]]:
    """What can be decoded, in the order a frame passes it: (b, c, h, w) each.

    Args:
        model: whose last normalisation is applied, and whose embedding of no memory.
        image: of the frame, batch b or 1.
        outputs_bnc: for each layer of memory attention (b, n, c), the image tokens after it.
    """
    norm = model.memory_attention.norm
    found = [(WITHOUT_MEMORY, model.condition_on_memory(image, None).embedding_bchw)]
    for index, tokens in enumerate(outputs_bnc):
        tokens = F.layer_norm(tokens, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
        features = tokens.transpose(1, 2).unflatten(2, image.embedding_bchw.shape[-2:])
        found.append((("memory_conditioned", f"memory_attention.{index}.mlp"), features.to(model.fine_dtype)))
    return found


class EarlyDecoding(Listener):
    """J and object score at each tap of memory attention, on the frames that are tracked from memory.

    Metrics: `early_j`, 0..1, at the resolution of the mask logits, whatever the object score says; and
    `early_object_score_logit`, above 0 for visible. Stage `image_embedding` without a tap is the embedding without
    memory; stage `memory_conditioned` has the taps `memory_attention.L.mlp`. Where truth does not show the object,
    `early_j` is its state.

    Each tap costs one pass of the mask decoder.
    """

    def _listens_to(self) -> Sequence[MemoryPassages | DecoderPassages]:
        self._memory, self._decoder = MemoryPassages(self.model), DecoderPassages(self.model)
        self._twin: MaskDecoder | None = None
        self._conditioned: dict[tuple[int, ...], MemoryPassage] = {}
        return self._memory, self._decoder

    def _hear(self, observation: Observation) -> None:
        ids, frame = observation.object_ids, observation.frame_index
        if observation.stage == "memory_conditioned":
            passage = self._memory.led_to(observation)
            if passage is not None and self.due(frame):
                self._conditioned[ids] = passage
        elif observation.stage == "prompt_attended":
            decoding, conditioned = self._decoder.led_to(observation), self._conditioned.pop(ids, None)
            if decoding is not None and conditioned is not None:
                for object_id, row in first_rows(ids).items():
                    self.readings += self._of_object(decoding, conditioned, frame, object_id, row)

    def _forget(self) -> None:
        super()._forget()
        self._conditioned.clear()

    def _of_object(
        self, decoding: DecoderPassage, conditioned: MemoryPassage, frame: int, object_id: int, row: int
    ) -> Iterator[Reading]:
        image, prompt = _rows_of(decoding.image, row), _rows_of(decoding.prompt, row)
        outputs = [tokens[row : row + 1] for tokens in conditioned.outputs]
        for (stage, tap), features in early_features(self.model, image, outputs):
            decoded = self._decode(features, image, prompt, decoding.multimask)
            best = int(decoded.predicted_iou_bm[0].argmax())
            predicted = (decoded.mask_logits_bmhw[0, best] > 0).cpu().numpy()
            regions = self.regions(frame, object_id, predicted.shape)
            if regions is None:
                return
            value = grid_iou(predicted, regions) if regions.object.any() else None
            state = None if value is not None else regions.state
            score = float(decoded.object_score_logits_b[0])
            for metric, number, said in ((J, value, state), (SCORE, score, None)):
                yield Reading(
                    metric=metric, value=number, state=said, stage=stage, tap=tap, frame=frame, object=object_id
                )

    def _decode(self, features: Tensor, image: ImageFeatures, prompt: PromptTokens, multimask: bool) -> DecodedMasks:
        if self._twin is None:
            self._twin = twin_decoder(self.model)
        position = self.model.prompt_encoder.image_position(features.shape[-2], features.shape[-1])
        decoded: DecodedMasks = self._twin(features, image, prompt, position, multimask)
        return decoded


def _rows_of(given: Parts, row: int) -> Parts:
    """One object of a batch; features that all share as they are."""
    parts = [getattr(given, name) for name in given.__dataclass_fields__]
    return type(given)(*(part if len(part) == 1 else part[row : row + 1] for part in parts))
