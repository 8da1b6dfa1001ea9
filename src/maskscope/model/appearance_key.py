"""What a place looks like, whatever the mask: a key that queries and memories share.

Not in SAM 2. There a query is compared with a memory into which features and mask have been fused, so the comparison
itself must be learned, from much video. Here image features are compared with image features through one projection, as
in Cheng et al., STCN, arXiv 2106.05210: the comparison is symmetric, and holds on what was never trained on.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from maskscope.model.config import SAM2Config


class AppearanceKey(nn.Module):
    """A projection of the image embedding, at unit length."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.projection = nn.Conv2d(config.dim, config.memory.appearance_dim, kernel_size=1)

    def forward(self, embedding_bchw: Tensor) -> Tensor:
        """(b, c, h, w) unconditioned -> (b, a, h, w) of unit length over a."""
        return F.normalize(self.projection(embedding_bchw), dim=1)


class Sharpness(nn.Module):
    """How much a layer of memory attention makes of likeness: the gain on cosines, learned as a logarithm."""

    def __init__(self, start: float = 12.0) -> None:
        super().__init__()
        self.log_gain = nn.Parameter(torch.tensor([start]).log())

    def forward(self, key_bna: Tensor) -> Tensor:
        """Cosines with the result, instead of the argument, are larger by the gain."""
        return key_bna * self.log_gain.exp()
