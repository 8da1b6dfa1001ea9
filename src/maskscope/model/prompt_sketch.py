"""Clicks and boxes drawn as maps, for compact models.

SAM tells its decoder where a click is by a position code alone, and a small decoder on little data does not learn to
look there: it takes whatever stands out. Maps of the clicks, added where a mask prompt is, say it in the picture's own
coordinates (as interactive segmentation did before SAM: Sofiiuk et al., arXiv 2102.06583).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskscope.model.config import SAM2Config
from maskscope.model.layers.norm import LayerNorm2d

NEAR_PX, FAR_PX = 6.0, 40.0
"""Spread of a click's two spots, in pixels of the model's input: which thing, and which part of the picture."""

EDGE_PX = 2.0
"""Softness of a box's sides."""

CHANNELS = 5
STRIDE = 4
_NEGATIVE, _POSITIVE, _TOP_LEFT, _BOTTOM_RIGHT = 0, 1, 2, 3


class PromptSketch(nn.Module):
    """Maps of the prompts, encoded like a mask prompt; begins as nothing and adds nothing where there is no prompt."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        narrow = config.mask_prompt_channels
        self.encoder = nn.Sequential(
            nn.Conv2d(CHANNELS, narrow, kernel_size=2, stride=2),
            LayerNorm2d(narrow),
            nn.GELU(),
            nn.Conv2d(narrow, 2 * narrow, kernel_size=2, stride=2),
            LayerNorm2d(2 * narrow),
            nn.GELU(),
            nn.Conv2d(2 * narrow, config.dim, kernel_size=1),
        )
        last = self.encoder[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, points_bnxy_px: Tensor, labels_bn: Tensor, grid: tuple[int, int]) -> Tensor:
        """(b, n, 2) in pixels of the model's input and (b, n) labels -> (b, c, *grid), zero for b without a prompt."""
        maps = draw_prompts(points_bnxy_px.float(), labels_bn, (4 * grid[0], 4 * grid[1]))
        prompted = (labels_bn >= 0).any(1)[:, None, None, None]
        coded: Tensor = self.encoder(maps.to(points_bnxy_px.dtype))
        return torch.where(prompted, coded, 0.0)


def draw_prompts(points_bnxy_px: Tensor, labels_bn: Tensor, size: tuple[int, int]) -> Tensor:
    """(b, 5, *size) at stride 4, 0..1: near and far spots of positive clicks, of negative ones, and the box."""
    device = points_bnxy_px.device
    ys = (torch.arange(size[0], device=device) + 0.5) * STRIDE
    xs = (torch.arange(size[1], device=device) + 0.5) * STRIDE
    dx = xs - points_bnxy_px[..., :1] - 0.5  # (b, n, w), from pixel centres
    dy = ys - points_bnxy_px[..., 1:] - 0.5
    spots = [
        _spots(dx, dy, labels_bn == kind, spread) for kind in (_POSITIVE, _NEGATIVE) for spread in (NEAR_PX, FAR_PX)
    ]
    first, last = labels_bn == _TOP_LEFT, labels_bn == _BOTTOM_RIGHT
    across = _inside(dx, first, last)
    down = _inside(dy, first, last)
    boxed = first.any(1)[:, None, None]
    return torch.stack((*spots, down[:, :, None] * across[:, None] * boxed), dim=1)


def _spots(dx_bnw: Tensor, dy_bnh: Tensor, chosen_bn: Tensor, spread_px: float) -> Tensor:
    """Strongest of the Gaussian spots, (b, h, w)."""
    wide = torch.exp(-(dx_bnw**2) / (2 * spread_px**2))
    tall = torch.exp(-(dy_bnh**2) / (2 * spread_px**2)) * chosen_bn[..., None]
    return (tall[..., None] * wide[..., None, :]).amax(1)


def _inside(delta_bnk: Tensor, first_bn: Tensor, last_bn: Tensor) -> Tensor:
    """Soft indicator of the stretch between the two corners along one axis, (b, k); zero corners give anything."""
    low = (delta_bnk * first_bn[..., None]).sum(1)
    high = (delta_bnk * last_bn[..., None]).sum(1)
    return torch.sigmoid(low / EDGE_PX) * torch.sigmoid(-high / EDGE_PX)
