"""SAM 2: the parts, and one pure method per arrow of the paper's figure.

Source: Ravi et al., arXiv 2408.00714, figure 3; facebookresearch/sam2 (commit 2b90b9f) for what the figure leaves open.
The model has weights and no state: no frame index, no memory. Who remembers is `maskscope.memory`, who loops is
`maskscope.tracking`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from maskscope.errors import ShapeError
from maskscope.model.appearance_key import AppearanceKey
from maskscope.model.config import SAM2Config
from maskscope.model.image_encoder import ImageEncoder
from maskscope.model.mask_decoder import MaskDecoder, silence_absent, upsample_logits
from maskscope.model.memory_attention import MemoryAttention
from maskscope.model.memory_encoder import MemoryEncoder
from maskscope.model.memory_tokens import MemoryLayout
from maskscope.model.object_pointer import ObjectPointer
from maskscope.model.outputs import ConditionedFeatures, DecodedMasks, ImageFeatures, MemoryTokens, PromptTokens
from maskscope.model.prompt_encoder import NOT_A_POINT, PromptEncoder

ADOPTED_SCALE, ADOPTED_BIAS = 20.0, -10.0  # a given mask as logits: +10 inside, -10 outside


class SAM2(nn.Module):
    """The whole model. Shapes follow the legend of `maskscope.model.outputs`."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.config = config
        self.image_encoder = ImageEncoder(config)
        self.memory_attention = MemoryAttention(config)
        self.memory_tokens = MemoryLayout(config)
        self.prompt_encoder = PromptEncoder(config)
        self.mask_decoder = MaskDecoder(config)
        self.object_pointer = ObjectPointer(config)
        self.memory_encoder = MemoryEncoder(config)
        self.appearance_key = AppearanceKey(config) if config.memory.appearance_dim else None

    # -- precision ------------------------------------------------------------------------------------------------

    def set_precision(self, dtype: torch.dtype) -> SAM2:
        """Run the heavy parts in `dtype`; prompts, positions in time, masks and scores stay in float32 or better."""
        fine = torch.promote_types(dtype, torch.float32)
        self.to(fine)
        for part in (self.image_encoder, self.memory_attention, self.memory_encoder):
            part.to(dtype)
        return self

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.object_pointer.no_object_pointer.device

    @property
    def fine_dtype(self) -> torch.dtype:
        """Of masks, scores and pointers."""
        return self.object_pointer.no_object_pointer.dtype

    @property
    def heavy_dtype(self) -> torch.dtype:
        """Of image encoder, memory attention and memory encoder."""
        return self.memory_attention.norm.weight.dtype

    # -- the arrows -----------------------------------------------------------------------------------------------

    def encode_image(self, images_fchw: Tensor) -> ImageFeatures:
        """Pixels to features: position `image_embedding`.

        Args:
            images_fchw: (f, 3, H, W) with ImageNet mean and deviation removed, H and W multiples of 32.

        Raises:
            ShapeError: other sides or channels.
        """
        _, channels, height, width = images_fchw.shape
        if channels != 3 or height % 32 or width % 32:
            raise ShapeError(
                f"the image tensor is {tuple(images_fchw.shape)}, expected (f, 3, H, W) with H and W multiples of 32"
            )
        fine, middle, embedding = self.image_encoder(images_fchw.to(self.heavy_dtype))
        fine, middle = self.mask_decoder.project_fine(fine.to(self.fine_dtype), middle.to(self.fine_dtype))
        return ImageFeatures(embedding.to(self.fine_dtype), fine, middle)

    def encode_prompts(
        self,
        points_bnxy_px: Tensor | None,
        labels_bn: Tensor | None,
        mask_logits_b1hw: Tensor | None,
        *,
        batch: int,
        image_size: tuple[int, int] | None = None,
    ) -> PromptTokens:
        """Points, box corners and previous masks to tokens; all None is the empty prompt of a tracked frame.

        Args:
            points_bnxy_px: (b, n, 2) in pixels of the model's input.
            labels_bn: (b, n), see `maskscope.model.prompt_encoder`.
            mask_logits_b1hw: (b, 1, any, any) logits.
            batch: b.
            image_size: of the model's input, when it is not the configuration's.
        """
        if points_bnxy_px is None or labels_bn is None:
            points_bnxy_px = torch.zeros(batch, 1, 2, device=self.device, dtype=self.fine_dtype)
            labels_bn = torch.full((batch, 1), NOT_A_POINT, device=self.device)
        out: PromptTokens = self.prompt_encoder(
            points_bnxy_px, labels_bn, mask_logits_b1hw, image_size or self.config.image_size
        )
        return out

    def condition_on_memory(self, image: ImageFeatures, memory: MemoryTokens | None) -> ConditionedFeatures:
        """Features that know the object's past: position `memory_conditioned`. Without memory, a learned embedding."""
        if memory is None:
            blank = self.memory_tokens.no_memory_embedding.reshape(1, -1, 1, 1)
            return ConditionedFeatures(image.embedding_bchw + blank, image)
        dtype = self.heavy_dtype
        looks = None if memory.appearance_bna is None else memory.appearance_bna.to(dtype)
        tokens = MemoryTokens(
            memory.values_bnk.to(dtype),
            memory.positions_bnk.to(dtype),
            memory.num_pointer_tokens,
            looks,
            memory.kept_bs,
        )
        look = None if self.appearance_key is None else self.appearance_key(image.embedding_bchw).to(dtype)
        conditioned = self.memory_attention(image.embedding_bchw.to(dtype), tokens, look)
        return ConditionedFeatures(conditioned.to(self.fine_dtype), image)

    def decode_masks(self, conditioned: ConditionedFeatures, prompt: PromptTokens, multimask: bool) -> DecodedMasks:
        """Masks, scores and tokens: position `prompt_attended`. Objects judged absent have every logit at -1024."""
        raw = self.decode_candidates(conditioned, prompt, multimask)
        return DecodedMasks(
            silence_absent(raw.mask_logits_bmhw, raw.object_score_logits_b),
            raw.predicted_iou_bm,
            raw.object_score_logits_b,
            raw.output_tokens_bmc,
            raw.attended_bchw,
            raw.upscaled_bchw,
        )

    def decode_candidates(
        self, conditioned: ConditionedFeatures, prompt: PromptTokens, multimask: bool
    ) -> DecodedMasks:
        """The same without silencing: what training and single images use."""
        h, w = conditioned.embedding_bchw.shape[-2:]
        out: DecodedMasks = self.mask_decoder(
            conditioned.embedding_bchw, conditioned.image, prompt, self.prompt_encoder.image_position(h, w), multimask
        )
        return out

    def point_to(self, token_bc: Tensor, object_score_logits_b: Tensor) -> Tensor:
        """Output token to pointer (b, c): position `object_pointer`."""
        out: Tensor = self.object_pointer(token_bc, object_score_logits_b)
        return out

    def adopt_mask(self, image: ImageFeatures, mask_b1hw: Tensor) -> tuple[DecodedMasks, Tensor]:
        """A prompted mask is its own output; only its pointer goes through the decoder.

        Args:
            image: features with batch b (unconditioned, as the reference has it).
            mask_b1hw: (b, 1, H, W) of 0 and 1 at the size of the model's input.

        Returns:
            The mask as decoded output (one candidate, predicted IoU 1, object score +-10), and the pointer (b, c).
        """
        mask = mask_b1hw.to(self.fine_dtype)
        height, width = mask.shape[-2:]
        prompt = self.encode_prompts(
            None, None, self.prompt_encoder.mask_downsample(mask), batch=len(mask), image_size=(height, width)
        )
        decoded = self.decode_candidates(ConditionedFeatures(image.embedding_bchw, image), prompt, multimask=False)
        visible = mask.flatten(1).amax(1) > 0
        pointer = self.point_to(decoded.output_tokens_bmc[:, 0], decoded.object_score_logits_b)
        pointer = self.object_pointer.gate(pointer, visible[:, None].to(pointer.dtype))
        logits = mask * ADOPTED_SCALE + ADOPTED_BIAS
        quarter = F.interpolate(
            logits, size=(height // 4, width // 4), mode="bilinear", align_corners=False, antialias=True
        )
        adopted = DecodedMasks(
            mask_logits_bmhw=quarter,
            predicted_iou_bm=torch.ones_like(decoded.predicted_iou_bm),
            object_score_logits_b=visible.to(mask.dtype) * ADOPTED_SCALE + ADOPTED_BIAS,
            output_tokens_bmc=decoded.output_tokens_bmc,
            attended_bchw=decoded.attended_bchw,
            upscaled_bchw=decoded.upscaled_bchw,
        )
        return adopted, pointer

    def encode_memory(
        self, image: ImageFeatures, mask_logits_b1hw: Tensor, object_score_logits_b: Tensor, binarize: bool
    ) -> Tensor:
        """What memory keeps of a frame: position `memory_features`, (b, k, h, w), and its look.

        Args:
            image: unconditioned features, batch b or 1.
            mask_logits_b1hw: (b, 1, any, any) logits of the chosen mask, brought to full input size here.
            object_score_logits_b: (b,).
            binarize: threshold instead of sigmoid, as for prompted frames.

        Returns:
            (b, k + a, h, w): the last a channels are the appearance key, of models that have one.
        """
        h, w = image.embedding_bchw.shape[-2:]
        logits = upsample_logits(mask_logits_b1hw, (16 * h, 16 * w))
        mask = (logits > 0).to(logits.dtype) if binarize else logits.sigmoid()
        mask = mask * self.config.memory.mask_scale + self.config.memory.mask_bias
        features = self.memory_encoder(image.embedding_bchw.to(self.heavy_dtype), mask.to(self.heavy_dtype))
        out: Tensor = self.object_pointer.mark_absent(features.to(self.fine_dtype), object_score_logits_b)
        if self.appearance_key is None:
            return out
        look = self.appearance_key(image.embedding_bchw).expand(len(out), -1, -1, -1)
        return torch.cat((out, look), dim=1)

    def lay_out_memory(
        self,
        spatial_bskhw: Tensor,
        slots_bs: Sequence[Sequence[int]],
        pointers_bpc: Tensor,
        distances_bp: Tensor,
        max_pointers: int | None = None,
    ) -> MemoryTokens:
        """Selected memories as tokens; see `maskscope.model.memory_tokens.MemoryLayout`."""
        out: MemoryTokens = self.memory_tokens(
            spatial_bskhw, slots_bs, pointers_bpc, distances_bp, max_pointers or self.config.memory.max_pointers
        )
        return out
