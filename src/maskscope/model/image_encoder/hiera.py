"""Hiera trunk: a transformer whose first stages attend in windows and which pools its queries between stages.

Source: Ryali et al., arXiv 2306.00989, with the global blocks and the window position embedding of Bolya et al.,
arXiv 2311.05613, as SAM 2 uses them (facebookresearch/sam2 `backbones/hieradet.py`).
Three kinds of blocks, not one with flags: WindowedBlock, GlobalBlock, PooledBlock. Tokens are (b, h, w, c).
"""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from maskscope.model.config import HieraConfig
from maskscope.model.layers.attention import attend
from maskscope.model.layers.chunks import PIECE_TOKENS, by_tokens, prefers_pieces
from maskscope.model.layers.mlp import MLP


def to_windows(x_bhwc: Tensor, side: int) -> Tensor:
    """(b, h, w, c) -> (windows, side, side, c), zero-padded at bottom and right to whole windows."""
    b, h, w, c = x_bhwc.shape
    down, right = -h % side, -w % side
    if down or right:
        x_bhwc = F.pad(x_bhwc, (0, 0, 0, right, 0, down))
    windows = x_bhwc.reshape(b, (h + down) // side, side, (w + right) // side, side, c)
    return windows.transpose(2, 3).reshape(-1, side, side, c)


def from_windows(windows: Tensor, height: int, width: int) -> Tensor:
    """Inverse of `to_windows`: (windows, side, side, c) -> (b, height, width, c) without the padding."""
    _, side, _, c = windows.shape
    rows, columns = -(-height // side), -(-width // side)
    x = windows.reshape(-1, rows, columns, side, side, c).transpose(2, 3)
    return x.reshape(-1, rows * side, columns * side, c)[:, :height, :width]


def pool(x_bhwc: Tensor) -> Tensor:
    """2 x 2 maximum over (b, h, w, c)."""
    return F.max_pool2d(x_bhwc.permute(0, 3, 1, 2), kernel_size=2, stride=2).permute(0, 2, 3, 1)


class HieraAttention(nn.Module):
    """Self-attention over all tokens of each picture or window it is given; `pooled` halves the queries' grid."""

    def __init__(self, dim_in: int, dim: int, num_heads: int, pooled: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.pooled = pooled
        self.qkv = nn.Linear(dim_in, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x_bhwc: Tensor) -> Tensor:
        """(b, h, w, dim_in) -> (b, h, w, dim), or half the grid when pooled."""
        q, k, v = self.qkv(x_bhwc).chunk(3, dim=-1)
        if self.pooled:
            q = pool(q)
        b, h, w, c = q.shape
        q, k, v = (t.reshape(b, -1, self.num_heads, c // self.num_heads).transpose(1, 2) for t in (q, k, v))
        attended = attend(q, k, v).transpose(1, 2).reshape(b, h, w, c)
        out: Tensor = self.proj(attended)
        return out


class GlobalBlock(nn.Module):
    """Attention over the whole picture, then the MLP."""

    def __init__(self, dim_in: int, dim: int, num_heads: int, pooled: bool = False) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim_in, eps=1e-6)
        self.attn = HieraAttention(dim_in, dim, num_heads, pooled)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = MLP(dim, 4 * dim, dim, activation=F.gelu)

    def attend(self, x_bhwc: Tensor) -> Tensor:
        """The attention branch, on normalised tokens."""
        out: Tensor = self.attn(x_bhwc)
        return out

    def shortcut(self, x_bhwc: Tensor, normed_bhwc: Tensor) -> Tensor:
        """What the attention branch is added to."""
        return x_bhwc

    def forward(self, x_bhwc: Tensor) -> Tensor:
        """(b, h, w, dim_in) -> (b, h, w, dim)."""
        normed = self.norm1(x_bhwc)
        x = self.shortcut(x_bhwc, normed) + self.attend(normed)
        out: Tensor = x + by_tokens(self.mlp, self.norm2(x))
        return out


class WindowedBlock(GlobalBlock):
    """Attention inside windows of `window` x `window` tokens."""

    def __init__(self, dim_in: int, dim: int, num_heads: int, window: int, pooled: bool = False) -> None:
        super().__init__(dim_in, dim, num_heads, pooled)
        self.window = window

    def forward(self, x_bhwc: Tensor) -> Tensor:
        """(b, h, w, dim_in) -> (b, h, w, dim). Rows of windows know nothing of each other and may go in stripes."""
        b, h, w, _ = x_bhwc.shape
        if not prefers_pieces(x_bhwc, b * h * w):
            return super().forward(x_bhwc)
        stripe = self.window * max(1, PIECE_TOKENS // (b * w * self.window))
        return torch.cat([super(WindowedBlock, self).forward(rows) for rows in x_bhwc.split(stripe, dim=1)], dim=1)

    def attend(self, x_bhwc: Tensor) -> Tensor:
        """Windows apart, attention, windows back."""
        _, h, w, _ = x_bhwc.shape
        shrink = 2 if self.attn.pooled else 1
        return from_windows(self.attn(to_windows(x_bhwc, self.window)), h // shrink, w // shrink)


class PooledBlock(WindowedBlock):
    """First block of a stage: wider, and with queries and shortcut pooled to half the grid."""

    def __init__(self, dim_in: int, dim: int, num_heads: int, window: int) -> None:
        super().__init__(dim_in, dim, num_heads, window, pooled=True)
        self.proj = nn.Linear(dim_in, dim)

    def shortcut(self, x_bhwc: Tensor, normed_bhwc: Tensor) -> Tensor:
        """The shortcut is projected and pooled as well."""
        return pool(self.proj(normed_bhwc))


class PatchEmbedding(nn.Module):
    """Overlapping 7 x 7 patches at stride 4."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, kernel_size=7, stride=4, padding=3)

    def forward(self, images_bchw: Tensor) -> Tensor:
        """(b, 3, H, W) -> (b, H/4, W/4, dim)."""
        out: Tensor = self.proj(images_bchw)
        return out.permute(0, 2, 3, 1)


class Hiera(nn.Module):
    """The trunk."""

    def __init__(self, config: HieraConfig) -> None:
        super().__init__()
        dim, heads = config.embed_dim, config.num_heads
        self.patch_embed = PatchEmbedding(dim)
        window = config.window_sizes[0]
        self.pos_embed = nn.Parameter(torch.zeros(1, dim, *config.position_grid))
        self.pos_embed_window = nn.Parameter(torch.zeros(1, dim, window, window))
        self.stage_ends = [end - 1 for end in accumulate(config.stages)]
        self.blocks = nn.ModuleList()
        for stage, depth in enumerate(config.stages):
            for position in range(depth):
                block: GlobalBlock
                if stage and position == 0:
                    # the pooled block still works on the windows of the stage before it
                    block = PooledBlock(dim, 2 * dim, 2 * heads, config.window_sizes[stage - 1])
                    dim, heads = 2 * dim, 2 * heads
                elif len(self.blocks) in config.global_blocks:
                    block = GlobalBlock(dim, dim, heads)
                else:
                    block = WindowedBlock(dim, dim, heads, config.window_sizes[stage])
                self.blocks.append(block)

    def position_embedding(self, height: int, width: int) -> Tensor:
        """(1, height, width, c): the background grid resized to the picture plus the window's repeated."""
        background = F.interpolate(self.pos_embed, size=(height, width), mode="bicubic")
        side = self.pos_embed_window.shape[-1]
        repeated = self.pos_embed_window.tile(1, 1, -(-height // side), -(-width // side))
        return (background + repeated[..., :height, :width]).permute(0, 2, 3, 1)

    def forward(self, images_bchw: Tensor) -> list[Tensor]:
        """(b, 3, H, W), sides multiples of 32 -> features (b, c_i, H_i, W_i) at strides 4, 8, 16, 32."""
        x = self.patch_embed(images_bchw)
        x = x + self.position_embedding(x.shape[1], x.shape[2])
        levels = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.stage_ends:
                levels.append(x.permute(0, 3, 1, 2))
        return levels
