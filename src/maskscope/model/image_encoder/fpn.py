"""Feature pyramid neck: every level to one width, and the coarsest added to the one above it.

Source: Lin et al., arXiv 1612.03144, in SAM 2's reduced form (facebookresearch/sam2 `backbones/image_encoder.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F


class Lateral(nn.Module):
    """1 x 1 projection of one level."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=1)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """(b, in, h, w) -> (b, out, h, w)."""
        out: Tensor = self.conv(x_bchw)
        return out


class FeaturePyramid(nn.Module):
    """Strides 4, 8, 16, 32 in; strides 4, 8, 16 out. Only stride 16 receives what is coarser than itself."""

    def __init__(self, channels: Sequence[int], dim: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(Lateral(c, dim) for c in reversed(channels))  # coarsest first, as released

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Levels finest first, (b, channels[i], h_i, w_i) -> [(b, dim, h_i, w_i)] without the coarsest."""
        coarsest, *finer = (conv(x) for conv, x in zip(self.convs, reversed(levels), strict=True))
        stride16, stride8, stride4 = finer
        return [stride4, stride8, stride16 + F.interpolate(coarsest, scale_factor=2.0, mode="nearest")]
