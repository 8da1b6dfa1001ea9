"""The output token becomes the object's pointer; an absent object gets a learned one.

Source: Ravi et al., arXiv 2408.00714, section 4 and appendix; facebookresearch/sam2 `sam2_base.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskscope.model.config import SAM2Config
from maskscope.model.layers.mlp import MLP


class ObjectPointer(nn.Module):
    """Projection of output tokens, and the two embeddings of absence."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.soft = config.memory.soft_no_object_pointer
        self.projection = MLP(config.dim, config.dim, config.dim, 3)
        self.no_object_pointer = nn.Parameter(torch.zeros(1, config.dim))
        self.no_object_spatial = (
            nn.Parameter(torch.zeros(1, config.memory.dim)) if config.memory.no_object_spatial else None
        )
        nn.init.trunc_normal_(self.no_object_pointer, std=0.02)
        if self.no_object_spatial is not None:
            nn.init.trunc_normal_(self.no_object_spatial, std=0.02)

    def forward(self, token_bc: Tensor, object_score_logits_b: Tensor) -> Tensor:
        """(b, c) token of the chosen mask and (b,) object scores -> (b, c) pointer."""
        score = object_score_logits_b[:, None]
        presence = score.sigmoid() if self.soft else (score > 0).to(token_bc.dtype)
        return self.gate(self.projection(token_bc), presence)

    def gate(self, pointer_bc: Tensor, presence_b1: Tensor) -> Tensor:
        """Mix a pointer with the no-object pointer by presence in 0..1."""
        return presence_b1 * pointer_bc + (1 - presence_b1) * self.no_object_pointer

    def mark_absent(self, features_bkhw: Tensor, object_score_logits_b: Tensor) -> Tensor:
        """Add the no-object embedding to memories of absent objects (SAM 2.1; SAM 2 leaves them as they are)."""
        if self.no_object_spatial is None:
            return features_bkhw
        absent = (object_score_logits_b <= 0).to(features_bkhw.dtype)
        return features_bkhw + absent[:, None, None, None] * self.no_object_spatial[..., None, None]
