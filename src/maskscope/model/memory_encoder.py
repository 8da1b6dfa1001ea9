"""A frame's features and its mask fused into what memory keeps.

Source: Ravi et al., arXiv 2408.00714, section 4 "memory encoder"; facebookresearch/sam2 `modeling/memory_encoder.py`.
The fuser's blocks are ConvNeXt's (Liu et al., arXiv 2201.03545).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from maskscope.model.config import SAM2Config
from maskscope.model.layers.norm import LayerNorm2d


class MaskDownsampler(nn.Module):
    """A full-resolution mask to the stride-16 grid: four strided convolutions, channels growing by four."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for _ in range(4):
            wider = channels * 4
            layers += [nn.Conv2d(channels, wider, 3, stride=2, padding=1), LayerNorm2d(wider), nn.GELU()]
            channels = wider
        layers.append(nn.Conv2d(channels, dim, kernel_size=1))
        self.encoder = nn.Sequential(*layers)

    def forward(self, mask_b1hw: Tensor) -> Tensor:
        """(b, 1, H, W) -> (b, dim, H/16, W/16)."""
        out: Tensor = self.encoder(mask_b1hw)
        return out


class FuserBlock(nn.Module):
    """Depth-wise 7 x 7, then a point-wise MLP, scaled and added."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim)
        self.norm = LayerNorm2d(dim)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.pwconv2 = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(torch.full((dim,), 1e-6))

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Same shape as the input."""
        y = self.norm(self.dwconv(x_bchw)).permute(0, 2, 3, 1)
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(y)))
        out: Tensor = x_bchw + y.permute(0, 3, 1, 2)
        return out


class Fuser(nn.Module):
    """The blocks in a row."""

    def __init__(self, dim: int, num_layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(FuserBlock(dim) for _ in range(num_layers))

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Same shape as the input."""
        x: Tensor = x_bchw
        for layer in self.layers:
            x = layer(x)
        return x


class MemoryEncoder(nn.Module):
    """Features plus downsampled mask, fused, and narrowed to the memory's channels."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.mask_downsampler = MaskDownsampler(config.dim)
        self.pix_feat_proj = nn.Conv2d(config.dim, config.dim, kernel_size=1)
        self.fuser = Fuser(config.dim, config.memory.fuser_layers)
        self.out_proj = nn.Conv2d(config.dim, config.memory.dim, kernel_size=1)

    def forward(self, embedding_bchw: Tensor, mask_b1hw: Tensor) -> Tensor:
        """Unconditioned features (b or 1, c, h, w) and scaled masks (b, 1, 16h, 16w) -> (b, k, h, w)."""
        x = self.pix_feat_proj(embedding_bchw) + self.mask_downsampler(mask_b1hw)
        out: Tensor = self.out_proj(self.fuser(x))
        return out
