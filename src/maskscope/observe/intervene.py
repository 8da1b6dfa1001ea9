"""The only code that may change an activation: a stand-in for the model, with the output of some arrows replaced.

A tracker asks the model for one arrow of the figure after the other. Standing between the two, this class can put
another activation where one came out, and everything behind it follows by itself; neither knows of it. Positions are
those of `maskscope.stages`, in the order of the figure:

    image_embedding      what `encode_image` gives, `ImageFeatures`: the embedding *and* the finer levels, which the
                         mask decoder reads past memory attention
    memory_conditioned   what `condition_on_memory` gives, (b, c, h, w); the finer levels beside it stay
    prompt_attended      what `decode_candidates` gives, `DecodedMasks`
    object_pointer       what `point_to` gives, (b, c)
    memory_features      what `encode_memory` gives, (b, k + a, h, w)

Two more places are no positions, but ablations need them: the memories as they are read, and the finer levels as the
mask decoder reads them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from maskscope.errors import SettingError, ShapeError
from maskscope.model import SAM2
from maskscope.model.mask_decoder import silence_absent
from maskscope.model.outputs import ConditionedFeatures, DecodedMasks, ImageFeatures, MemoryTokens, PromptTokens
from maskscope.stages import STAGES, Stage

Replacement = Callable[[int, Any], Any]
"""`(frame_index, output) -> output`: what a position shall give instead; the same object leaves it as it is."""


@dataclass(frozen=True, slots=True, eq=False)
class MemoryReads:
    """What is about to be read from memory, before it is laid out as tokens.

    Attributes:
        spatial_bskhw: (b, s, k + a, h, w) spatial memories.
        prompted_bs: for each object and memory, whether it is of a prompted frame.
        pointers_bpc: (b, p, c) object pointers.
    """

    spatial_bskhw: Tensor
    prompted_bs: tuple[tuple[bool, ...], ...]
    pointers_bpc: Tensor


class Intervened:
    """Stands in for a model, and replaces what some of its arrows give.

    Everything else is the model's own. It is told which frame is at hand by setting `frame_index` before each step of
    the tracker; stand-ins may stand in for one another, and the outermost tells those inside.

    A mask that the user gave is the user's word: on such a frame its pointer passes through `object_pointer`, but
    nothing is replaced at `prompt_attended`.

    Args:
        model: the model, or another stand-in.
        replacements: by position. At `prompt_attended` a replacement may also return the attended tokens alone,
            (b, c, h, w): the upscaled embedding and the masks are then computed from them, see `masks_from`.
        reads: what is read from memory.
        fine: `ImageFeatures` of which the mask decoder reads the finer levels.

    Raises:
        SettingError: a position that does not exist.

    Example:
        >>> louder = Intervened(model, {"object_pointer": lambda frame, pointer: 2 * pointer})
        >>> tracker = Tracker(louder.as_model)
        >>> for louder.frame_index, frame in enumerate(frames):
        ...     result = tracker.step(frame, prompts.get(louder.frame_index, ()))
    """

    def __init__(
        self,
        model: SAM2,
        replacements: Mapping[Stage, Replacement] | None = None,
        *,
        reads: Replacement | None = None,
        fine: Replacement | None = None,
    ) -> None:
        unknown = [stage for stage in replacements or {} if stage not in STAGES]
        if unknown:
            raise SettingError(f"there is no position {unknown[0]!r}", f"positions: {', '.join(STAGES)}")
        self._model = model
        self._replacements = dict(replacements or {})
        self._reads, self._fine = reads, fine
        self._frame_index = -1
        self.fired: Counter[tuple[str, int]] = Counter()
        """How often something was put in place: (position, frame) -> calls. `reads` and `fine` count under their names.

        A replacement that gave back what it got does not count, so an intervention that reached nothing is noticed.
        """

    @property
    def frame_index(self) -> int:
        """The frame at hand, as the replacements are told."""
        return self._frame_index

    @frame_index.setter
    def frame_index(self, frame_index: int) -> None:
        self._frame_index = frame_index
        if isinstance(self._model, Intervened):
            self._model.frame_index = frame_index

    @property
    def as_model(self) -> SAM2:
        """This, for those who ask for a model by its type."""
        return cast(SAM2, self)

    def __getattr__(self, name: str) -> Any:
        if name == "_model":  # not yet there, as while unpickling
            raise AttributeError(name)
        return getattr(self._model, name)

    # -- the arrows -----------------------------------------------------------------------------------------------

    def encode_image(self, images_fchw: Tensor) -> ImageFeatures:
        """As `SAM2.encode_image`."""
        image = self._model.encode_image(images_fchw)
        return cast(ImageFeatures, self._replaced("image_embedding", image))

    def condition_on_memory(self, image: ImageFeatures, memory: MemoryTokens | None) -> ConditionedFeatures:
        """As `SAM2.condition_on_memory`."""
        conditioned = self._model.condition_on_memory(image, memory)
        embedding = self._replaced("memory_conditioned", conditioned.embedding_bchw)
        return replace(conditioned, embedding_bchw=embedding)

    def decode_candidates(
        self, conditioned: ConditionedFeatures, prompt: PromptTokens, multimask: bool
    ) -> DecodedMasks:
        """As `SAM2.decode_candidates`."""
        if self._fine is not None:
            conditioned = replace(conditioned, image=self._put("fine", self._fine, conditioned.image))
        decoded = self._model.decode_candidates(conditioned, prompt, multimask)
        replacement = self._replacements.get("prompt_attended")
        if replacement is None:
            return decoded

        def whole(frame_index: int, output: DecodedMasks) -> DecodedMasks:
            given = replacement(frame_index, output)
            return masks_from(self.as_model, output, given, conditioned.image) if isinstance(given, Tensor) else given

        return cast(DecodedMasks, self._put("prompt_attended", whole, decoded))

    def decode_masks(self, conditioned: ConditionedFeatures, prompt: PromptTokens, multimask: bool) -> DecodedMasks:
        """As `SAM2.decode_masks`."""
        raw = self.decode_candidates(conditioned, prompt, multimask)
        return replace(raw, mask_logits_bmhw=silence_absent(raw.mask_logits_bmhw, raw.object_score_logits_b))

    def point_to(self, token_bc: Tensor, object_score_logits_b: Tensor) -> Tensor:
        """As `SAM2.point_to`."""
        return cast(Tensor, self._replaced("object_pointer", self._model.point_to(token_bc, object_score_logits_b)))

    def adopt_mask(self, image: ImageFeatures, mask_b1hw: Tensor) -> tuple[DecodedMasks, Tensor]:
        """As `SAM2.adopt_mask`."""
        decoded, pointer = self._model.adopt_mask(image, mask_b1hw)
        return decoded, self._replaced("object_pointer", pointer)

    def encode_memory(
        self, image: ImageFeatures, mask_logits_b1hw: Tensor, object_score_logits_b: Tensor, binarize: bool
    ) -> Tensor:
        """As `SAM2.encode_memory`."""
        features = self._model.encode_memory(image, mask_logits_b1hw, object_score_logits_b, binarize)
        return cast(Tensor, self._replaced("memory_features", features))

    def lay_out_memory(
        self, spatial_bskhw: Tensor, slots_bs: Sequence[Sequence[int]], pointers_bpc: Tensor, *rest: Any, **more: Any
    ) -> MemoryTokens:
        """As `SAM2.lay_out_memory`; what is read may be replaced, how it is laid out is the model's own."""
        if self._reads is not None:
            prompted_slot = self._model.config.memory.num_frames - 1
            prompted = tuple(tuple(slot == prompted_slot for slot in slots) for slots in slots_bs)
            reads = self._put("reads", self._reads, MemoryReads(spatial_bskhw, prompted, pointers_bpc))
            spatial_bskhw, pointers_bpc = reads.spatial_bskhw, reads.pointers_bpc
        return self._model.lay_out_memory(spatial_bskhw, slots_bs, pointers_bpc, *rest, **more)

    # -- putting in place -----------------------------------------------------------------------------------------

    def _replaced(self, stage: Stage, output: Any) -> Any:
        replacement = self._replacements.get(stage)
        return output if replacement is None else self._put(stage, replacement, output)

    def _put(self, where: str, replacement: Replacement, output: Any) -> Any:
        given = replacement(self._frame_index, output)
        if given is output:
            return output
        difference = _difference(output, given)
        if difference:
            raise ShapeError(
                f"the replacement of {where} on frame {self._frame_index} {difference}",
                "an activation is replaced by one of the same form",
            )
        self.fired[where, self._frame_index] += 1
        return given


def _difference(output: Any, given: Any) -> str:
    """What keeps one activation from standing for another; empty where nothing does."""
    if type(output) is not type(given):
        return f"is a {type(given).__name__}, expected a {type(output).__name__}"
    if isinstance(output, Tensor):
        if output.shape != given.shape:
            return f"has shape {tuple(given.shape)}, expected {tuple(output.shape)}"
        if output.dtype != given.dtype or output.device != given.device:
            return f"is {given.dtype} on {given.device}, expected {output.dtype} on {output.device}"
    elif is_dataclass(output):
        for part in fields(output):
            difference = _difference(getattr(output, part.name), getattr(given, part.name))
            if difference:
                return f"({part.name}) {difference}"
    return ""


def masks_from(model: SAM2, decoded: DecodedMasks, attended_bchw: Tensor, image: ImageFeatures) -> DecodedMasks:
    """What the mask decoder would have read from other attended tokens: upscaled embedding and masks.

    Output tokens, scores and predicted IoU are the decoder's own, as they left it beside the attended tokens. The
    masks are the single one where there is one (a fallback to another candidate is not repeated), else the candidates.

    Args:
        model: whose decoder it is.
        decoded: as decoded, batch b.
        attended_bchw: (b, c, h, w) in place of `decoded.attended_bchw`.
        image: whose finer levels the decoder reads; batch b or 1.

    Returns:
        The same where `attended_bchw` is `decoded.attended_bchw`, to the last bit.
    """
    decoder = model.mask_decoder
    up1, norm, gelu, up2, _ = decoder.output_upscaling
    upscaled = decoder.refine_middle(gelu(norm(up1(attended_bchw) + image.middle_bchw)))
    upscaled = decoder.refine_fine(gelu(up2(upscaled) + image.fine_bchw))
    tokens, heads = decoded.output_tokens_bmc, decoder.output_hypernetworks_mlps
    count = tokens.shape[1]
    first = 0 if count == 1 else len(heads) - count  # the single mask is the first, candidates are the last
    weights = upscaled.new_zeros(len(tokens), len(heads), upscaled.shape[1])  # a product of the same size, same bits
    for i in range(count):
        weights[:, first + i] = heads[first + i](tokens[:, i])
    masks = torch.einsum("bmc,bchw->bmhw", weights, upscaled)[:, first : first + count]
    return replace(decoded, mask_logits_bmhw=masks, attended_bchw=attended_bchw, upscaled_bchw=upscaled)
