"""What each part of the model hands to the next: frozen, typed, all shapes stated here.

Legend: b objects, f frames, c channels of the model (256 as released), h x w the stride-16 grid (64 x 64 as released),
m candidate masks, n tokens, k memory channels (64 as released).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """Position `image_embedding`: what the image encoder makes of a frame, before any memory.

    Attributes:
        embedding_bchw: (f, c, h, w) at stride 16.
        fine_bchw: (f, c/8, 4h, 4w) at stride 4, already projected for the mask decoder.
        middle_bchw: (f, c/4, 2h, 2w) at stride 8, likewise.
    """

    embedding_bchw: Tensor
    fine_bchw: Tensor
    middle_bchw: Tensor

    def expand(self, num_objects: int) -> ImageFeatures:
        """The same frame for `num_objects` objects, as views (no copy)."""
        return ImageFeatures(
            *(x.expand(num_objects, -1, -1, -1) for x in (self.embedding_bchw, self.fine_bchw, self.middle_bchw))
        )


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """An encoded prompt.

    Attributes:
        sparse_bnc: (b, n, c) points, box corners and one padding token.
        dense_bchw: (b, c, h, w) the mask prompt, or the no-mask embedding.
    """

    sparse_bnc: Tensor
    dense_bchw: Tensor


@dataclass(frozen=True, slots=True)
class ConditionedFeatures:
    """Position `memory_conditioned`: the embedding after memory attention (or plus the no-memory embedding).

    Attributes:
        embedding_bchw: (b, c, h, w).
        image: the unconditioned features, whose finer levels the mask decoder still needs; batch b.
    """

    embedding_bchw: Tensor
    image: ImageFeatures


@dataclass(frozen=True, slots=True)
class DecodedMasks:
    """Positions `prompt_attended` and (before projection) `object_pointer`: all that the mask decoder says.

    Attributes:
        mask_logits_bmhw: (b, m, 4h, 4w) candidates; -1024 everywhere where the object is judged absent.
        predicted_iou_bm: (b, m) in 0..1.
        object_score_logits_b: (b,) above 0 means visible.
        output_tokens_bmc: (b, m, c) the token of each candidate (one shared token when m is 1).
        attended_bchw: (b, c, h, w) image tokens after the two-way attention.
        upscaled_bchw: (b, c/8, 4h, 4w) the embedding the masks are read from.
    """

    mask_logits_bmhw: Tensor
    predicted_iou_bm: Tensor
    object_score_logits_b: Tensor
    output_tokens_bmc: Tensor
    attended_bchw: Tensor
    upscaled_bchw: Tensor


@dataclass(frozen=True, slots=True)
class MemoryTokens:
    """Selected memories laid out for memory attention.

    Attributes:
        values_bnk: (b, n, k) content; spatial tokens first, pointer tokens last.
        positions_bnk: (b, n, k) what is added to content to make keys.
        num_pointer_tokens: how many of the last tokens have no place in the picture (no rotary position).
        appearance_bna: (b, n, a) appearance keys, zero for pointers; None for a model without them.
        kept_bs: (b, s) int64, which of the tokens of whole frames the s spatial ones are: number n is cell n modulo
            h * w, row by row, of frame n // (h * w); None where frames are read whole.
    """

    values_bnk: Tensor
    positions_bnk: Tensor
    num_pointer_tokens: int
    appearance_bna: Tensor | None = None
    kept_bs: Tensor | None = None
