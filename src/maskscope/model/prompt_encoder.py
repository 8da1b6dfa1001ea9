"""Points, boxes and masks to tokens.

Source: Kirillov et al., arXiv 2304.02643, section 3 and appendix A; SAM 2 adds the learned downsampling of a mask
prompt for the object pointer (facebookresearch/sam2 `sam/prompt_encoder.py`, `sam2_base.py`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from maskscope.model.config import SAM2Config
from maskscope.model.layers.norm import LayerNorm2d
from maskscope.model.layers.position import RandomFourierPosition
from maskscope.model.outputs import PromptTokens
from maskscope.model.prompt_sketch import PromptSketch

NOT_A_POINT, NEGATIVE, POSITIVE, BOX_TOP_LEFT, BOX_BOTTOM_RIGHT = -1, 0, 1, 2, 3


class PromptEncoder(nn.Module):
    """Sparse tokens for points and box corners, a dense map for a mask."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        dim, narrow = config.dim, config.mask_prompt_channels
        self.pe_layer = RandomFourierPosition(dim)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, dim) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, narrow // 4, kernel_size=2, stride=2),
            LayerNorm2d(narrow // 4),
            nn.GELU(),
            nn.Conv2d(narrow // 4, narrow, kernel_size=2, stride=2),
            LayerNorm2d(narrow),
            nn.GELU(),
            nn.Conv2d(narrow, dim, kernel_size=1),
        )
        self.no_mask_embed = nn.Embedding(1, dim)
        self.mask_downsample = nn.Conv2d(1, 1, kernel_size=4, stride=4)
        self.sketch = PromptSketch(config) if config.sketch_prompts else None

    def image_position(self, height: int, width: int) -> Tensor:
        """Position of the image tokens for the mask decoder, (1, c, height, width)."""
        return self.pe_layer.grid(height, width)[None]

    def encode_points(self, points_bnxy_px: Tensor, labels_bn: Tensor, image_size: tuple[int, int]) -> Tensor:
        """(b, n, 2) in pixels of the model's input and (b, n) labels -> (b, n + 1, c), the last a padding token."""
        pad = points_bnxy_px.new_zeros(points_bnxy_px.shape[0], 1, 2)
        points = torch.cat((points_bnxy_px, pad), dim=1) + 0.5  # pixel centres
        labels = torch.cat((labels_bn, labels_bn.new_full((labels_bn.shape[0], 1), NOT_A_POINT)), dim=1)
        size = points.new_tensor((image_size[1], image_size[0]))
        tokens = self.pe_layer(points / size)
        tokens = torch.where((labels == NOT_A_POINT)[..., None], torch.zeros_like(tokens), tokens)
        # row -1 + 1 = 0 is the padding's embedding, then negative, positive, and the two corners
        table = torch.cat([self.not_a_point_embed.weight, *self.point_embeddings.parameters()])
        out: Tensor = tokens + table[labels + 1]
        return out

    def forward(
        self,
        points_bnxy_px: Tensor,
        labels_bn: Tensor,
        mask_logits_b1hw: Tensor | None,
        image_size: tuple[int, int],
    ) -> PromptTokens:
        """Encode prompts of one kind for b objects.

        Args:
            points_bnxy_px: (b, n, 2) x and y in pixels of the model's input; a box is its two corners.
            labels_bn: (b, n) int64 in -1..3, see the constants of this module.
            mask_logits_b1hw: (b, 1, any, any) previous logits or a mask prompt; resized to a quarter of the input.
            image_size: (height, width) of the model's input.
        """
        sparse = self.encode_points(points_bnxy_px, labels_bn, image_size)
        grid = (image_size[0] // 16, image_size[1] // 16)
        if mask_logits_b1hw is None:
            dense = self.no_mask_embed.weight[:, :, None, None].expand(sparse.shape[0], -1, *grid)
        else:
            quarter = (4 * grid[0], 4 * grid[1])
            if mask_logits_b1hw.shape[-2:] != quarter:
                mask_logits_b1hw = F.interpolate(
                    mask_logits_b1hw, size=quarter, mode="bilinear", align_corners=False, antialias=True
                )
            dense = self.mask_downscaling(mask_logits_b1hw)
        if self.sketch is not None and bool((labels_bn >= 0).any()):
            dense = dense + self.sketch(points_bnxy_px, labels_bn, grid)
        return PromptTokens(sparse, dense)
