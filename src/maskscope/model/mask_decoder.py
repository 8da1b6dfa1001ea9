"""Output tokens and image tokens look at each other, then tokens become masks, scores and pointers.

Source: Kirillov et al., arXiv 2304.02643, appendix A "lightweight mask decoder"; Ravi et al., arXiv 2408.00714,
section 4 (object score, high-resolution skips); facebookresearch/sam2 `sam/mask_decoder.py`, `sam/transformer.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from maskscope.model.config import MaskDecoderConfig, SAM2Config
from maskscope.model.layers.attention import Attention
from maskscope.model.layers.mlp import MLP
from maskscope.model.layers.norm import LayerNorm2d
from maskscope.model.outputs import DecodedMasks, ImageFeatures, PromptTokens

NO_OBJECT_LOGIT = -1024.0  # every mask logit of an object judged absent


class TwoWayLayer(nn.Module):
    """Tokens to tokens, tokens to image, MLP, image to tokens."""

    def __init__(self, dim: int, config: MaskDecoderConfig) -> None:
        super().__init__()
        heads, narrow = config.num_heads, config.attention_downsample
        self.self_attn = Attention(dim, heads)
        self.norm1 = nn.LayerNorm(dim)
        self.cross_attn_token_to_image = Attention(dim, heads, narrow)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP(dim, config.hidden_dim, dim)
        self.norm3 = nn.LayerNorm(dim)
        self.norm4 = nn.LayerNorm(dim)
        self.cross_attn_image_to_token = Attention(dim, heads, narrow)

    def forward(
        self, tokens: Tensor, image: Tensor, token_position: Tensor, image_position: Tensor, first: bool
    ) -> tuple[Tensor, Tensor]:
        """(b, n, c) tokens and (b, hw, c) image tokens, both updated. The first layer has no residual before it."""
        if first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            q = tokens + token_position
            tokens = tokens + self.self_attn(q, q, tokens)
        tokens = self.norm1(tokens)
        key = image + image_position
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + token_position, key, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image + self.cross_attn_image_to_token(key, tokens + token_position, tokens))
        return tokens, image


class TwoWayTransformer(nn.Module):
    """The layers and a last look of the tokens at the image."""

    def __init__(self, dim: int, config: MaskDecoderConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayLayer(dim, config) for _ in range(config.num_layers))
        self.final_attn_token_to_image = Attention(dim, config.num_heads, config.attention_downsample)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor, image_bchw: Tensor, position_bchw: Tensor) -> tuple[Tensor, Tensor]:
        """(b, n, c) tokens and a (b, c, h, w) picture -> tokens (b, n, c), image tokens (b, hw, c)."""
        image = image_bchw.flatten(2).transpose(1, 2)
        position = position_bchw.flatten(2).transpose(1, 2)
        x = tokens
        for index, layer in enumerate(self.layers):
            x, image = layer(x, image, tokens, position, first=index == 0)
        x = x + self.final_attn_token_to_image(x + tokens, image + position, image)
        return self.norm_final_attn(x), image


class RefineBlock(nn.Module):
    """3 x 3 convolutions added to a map; begins as the identity.

    SAM 2 upscales every stride-16 token to its own 4 x 4 pixels, and neighbours meet only in the trunk. Hiera's finest
    maps can afford that; a compact trunk's cannot, and outlines come out in squares.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(dim, 2 * dim, kernel_size=3, padding=1)
        self.gather = nn.Conv2d(2 * dim, dim, kernel_size=3, padding=1)
        nn.init.zeros_(self.gather.weight)
        if self.gather.bias is not None:
            nn.init.zeros_(self.gather.bias)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """(b, dim, h, w) -> the same."""
        out: Tensor = x_bchw + self.gather(F.gelu(self.spread(x_bchw)))
        return out


class MaskDecoder(nn.Module):
    """One mask or `num_multimasks` candidates, predicted IoU of each, and whether the object is visible."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        dim, part = config.dim, config.mask_decoder
        self.part = part
        num_masks = part.num_multimasks + 1
        self.transformer = TwoWayTransformer(dim, part)
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(num_masks, dim)
        self.obj_score_token = nn.Embedding(1, dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, kernel_size=2, stride=2),
            LayerNorm2d(dim // 4),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.conv_s0 = nn.Conv2d(dim, dim // 8, kernel_size=1)
        self.conv_s1 = nn.Conv2d(dim, dim // 4, kernel_size=1)
        self.refine_middle = nn.Sequential(*(RefineBlock(dim // 4) for _ in range(part.refine_blocks)))
        self.refine_fine = nn.Sequential(*(RefineBlock(dim // 8) for _ in range(part.refine_blocks)))
        self.output_hypernetworks_mlps = nn.ModuleList(MLP(dim, dim, dim // 8, 3) for _ in range(num_masks))
        self.iou_prediction_head = MLP(dim, part.iou_hidden_dim, num_masks, part.iou_hidden_layers)
        self.pred_obj_score_head = MLP(dim, dim, 1, 3)

    def project_fine(self, fine_bchw: Tensor, middle_bchw: Tensor) -> tuple[Tensor, Tensor]:
        """High-resolution features to the decoder's widths; once a frame, whatever the number of objects."""
        return self.conv_s0(fine_bchw), self.conv_s1(middle_bchw)

    def forward(
        self,
        embedding_bchw: Tensor,
        image: ImageFeatures,
        prompt: PromptTokens,
        image_position: Tensor,
        multimask: bool,
    ) -> DecodedMasks:
        """Decode b objects.

        Args:
            embedding_bchw: (b, c, h, w), conditioned on memory.
            image: batch b or 1; its finer levels are used.
            prompt: batch b.
            image_position: (1, c, h, w).
            multimask: three candidates instead of one.

        Returns:
            All outputs before the object score silences anything; m is 3 or 1.
        """
        b, _, h, w = embedding_bchw.shape
        own = torch.cat((self.obj_score_token.weight, self.iou_token.weight, self.mask_tokens.weight))
        tokens = torch.cat((own.expand(b, -1, -1), prompt.sparse_bnc), dim=1)
        tokens, attended = self.transformer(
            tokens, embedding_bchw + prompt.dense_bchw, image_position.expand(b, -1, -1, -1)
        )
        score_token, iou_token, mask_tokens = (
            tokens[:, 0],
            tokens[:, 1],
            tokens[:, 2 : 2 + len(self.mask_tokens.weight)],
        )
        attended_bchw = attended.transpose(1, 2).reshape(b, -1, h, w)

        up1, norm, gelu, up2, _ = self.output_upscaling
        upscaled = self.refine_middle(gelu(norm(up1(attended_bchw) + image.middle_bchw)))
        upscaled = self.refine_fine(gelu(up2(upscaled) + image.fine_bchw))

        heads = [mlp(mask_tokens[:, i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)]
        logits = torch.einsum("bmc,bchw->bmhw", torch.stack(heads, dim=1), upscaled)
        iou = self.iou_prediction_head(iou_token).sigmoid()
        if multimask:
            logits, iou, mask_tokens = logits[:, 1:], iou[:, 1:], mask_tokens[:, 1:]
        else:
            if self.part.fallback_by_stability and not self.training:
                logits, iou = self.prefer_stable(logits, iou)
            logits, iou, mask_tokens = logits[:, :1], iou[:, :1], mask_tokens[:, :1]
        return DecodedMasks(
            mask_logits_bmhw=logits,
            predicted_iou_bm=iou,
            object_score_logits_b=self.pred_obj_score_head(score_token)[:, 0],
            output_tokens_bmc=mask_tokens,
            attended_bchw=attended_bchw,
            upscaled_bchw=upscaled,
        )

    def prefer_stable(self, logits_bmhw: Tensor, iou_bm: Tensor) -> tuple[Tensor, Tensor]:
        """The single mask if it hardly changes with the threshold, else the candidate of best predicted IoU.

        Stability = area(logits > delta) / area(logits > -delta), 1 when both are empty. Shapes (b, 1, h, w) and (b, 1).
        """
        single = logits_bmhw[:, :1]
        inner = (single > self.part.stability_delta).sum((-1, -2))
        outer = (single > -self.part.stability_delta).sum((-1, -2))
        stability = torch.where(outer > 0, inner / outer.clamp(min=1), torch.ones_like(iou_bm[:, :1]))
        stable = stability >= self.part.stability_threshold
        best = iou_bm[:, 1:].argmax(-1, keepdim=True) + 1
        best_logits = logits_bmhw.take_along_dim(best[..., None, None], dim=1)
        return torch.where(stable[..., None, None], single, best_logits), torch.where(
            stable, iou_bm[:, :1], iou_bm.take_along_dim(best, dim=1)
        )


def silence_absent(decoded_logits_bmhw: Tensor, object_score_logits_b: Tensor) -> Tensor:
    """Mask logits of objects judged absent become `NO_OBJECT_LOGIT` everywhere."""
    visible = (object_score_logits_b > 0)[:, None, None, None]
    return torch.where(visible, decoded_logits_bmhw, torch.full_like(decoded_logits_bmhw, NO_OBJECT_LOGIT))


def upsample_logits(logits_bmhw: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear to (height, width) pixels, pixel centres aligned."""
    return F.interpolate(logits_bmhw, size=size, mode="bilinear", align_corners=False)
