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

    def followed_by(self, head: nn.Conv2d, x_bchw: Tensor) -> Tensor:
        """`head(self(x))` of a 1 x 1 head, as the single linear map it is, in the head's precision.

        At stride 4 the map between the two would be the largest tensor of the whole image encoder.
        """
        outer = head.weight.flatten(1)
        weight = outer @ self.conv.weight.flatten(1).to(outer.dtype)
        assert self.conv.bias is not None
        assert head.bias is not None
        bias = outer @ self.conv.bias.to(outer.dtype) + head.bias
        return F.conv2d(x_bchw.to(outer.dtype), weight[:, :, None, None], bias)


class FeaturePyramid(nn.Module):
    """Strides 4, 8, 16, 32 in; strides 4, 8, 16 out. Only stride 16 receives what is coarser than itself."""

    def __init__(self, channels: Sequence[int], dim: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(Lateral(c, dim) for c in reversed(channels))  # coarsest first, as released

    def forward(self, levels: Sequence[Tensor], heads: tuple[nn.Conv2d, nn.Conv2d] | None = None) -> list[Tensor]:
        """Levels finest first, (b, channels[i], h_i, w_i) -> [(b, dim, h_i, w_i)] without the coarsest.

        With `heads`, 1 x 1 convolutions, the two finest come out as (b, head's channels, h_i, w_i).
        """
        top, *others = self.convs
        lateral16, *finer = [conv for conv in others if isinstance(conv, Lateral)]
        *fine_levels, level16, level32 = levels
        stride16 = lateral16(level16) + F.interpolate(top(level32), scale_factor=2.0, mode="nearest")
        if heads is None:
            return [*(conv(x) for conv, x in zip(reversed(finer), fine_levels, strict=True)), stride16]
        narrow = zip(reversed(finer), heads, fine_levels, strict=True)
        return [*(conv.followed_by(head, x) for conv, head, x in narrow), stride16]
