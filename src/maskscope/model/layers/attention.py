"""The one place that picks an attention kernel, and the projected attention that decoder and memory attention share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_CHUNK_ROWS = 512  # queries at a time: scores of one chunk stay in cache-friendly size
_CHUNK_MIN_KEYS = 128  # below it the fused kernel wins


def attend(q_bhnd: Tensor, k_bhmd: Tensor, v_bhme: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v, (b, heads, n, e).

    `e` may differ from `d`. On the CPU chunked products are used where they beat the fused kernel: in bfloat16, whose
    matrix instructions the fused kernel does not use, and for values narrower than the keys, which it would not accept.
    Elsewhere PyTorch picks the kernel.
    """
    on_cpu = q_bhnd.device.type == "cpu"
    narrow = v_bhme.shape[-1] != q_bhnd.shape[-1]
    low_precision = q_bhnd.dtype == torch.bfloat16 and k_bhmd.shape[-2] >= _CHUNK_MIN_KEYS
    if on_cpu and (narrow or low_precision) and not torch.is_grad_enabled():
        return _attend_in_chunks(q_bhnd, k_bhmd, v_bhme)
    fused: Tensor = F.scaled_dot_product_attention(q_bhnd, k_bhmd, v_bhme)
    return fused


def _attend_in_chunks(q_bhnd: Tensor, k_bhmd: Tensor, v_bhme: Tensor) -> Tensor:
    """The same, over blocks of queries; nothing of size n x m is ever held."""
    b, heads, n, d = q_bhnd.shape
    q = (q_bhnd * d**-0.5).reshape(b * heads, n, d)
    k_transposed = k_bhmd.reshape(b * heads, -1, d).transpose(1, 2)
    v = v_bhme.reshape(b * heads, -1, v_bhme.shape[-1])
    out = q.new_empty(b * heads, n, v.shape[-1])
    for start in range(0, n, _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        out[:, rows] = torch.bmm(torch.bmm(q[:, rows], k_transposed).softmax(-1), v)
    return out.reshape(b, heads, n, -1)


class Attention(nn.Module):
    """Multi-head attention with separate inputs for queries, keys and values, and an optional narrower inside."""

    def __init__(self, dim: int, num_heads: int, downsample: int = 1, key_dim: int | None = None) -> None:
        super().__init__()
        inner = dim // downsample
        self.num_heads = num_heads
        self.q_proj = nn.Linear(dim, inner)
        self.k_proj = nn.Linear(key_dim or dim, inner)
        self.v_proj = nn.Linear(key_dim or dim, inner)
        self.out_proj = nn.Linear(inner, dim)

    def split_heads(self, x_bnc: Tensor) -> Tensor:
        """(b, n, c) -> (b, heads, n, c / heads)."""
        b, n, c = x_bnc.shape
        return x_bnc.reshape(b, n, self.num_heads, c // self.num_heads).transpose(1, 2)

    def forward(self, q_bnc: Tensor, k_bmc: Tensor, v_bmc: Tensor) -> Tensor:
        """(b, n, dim)."""
        q = self.split_heads(self.q_proj(q_bnc))
        k, v = self.split_heads(self.k_proj(k_bmc)), self.split_heads(self.v_proj(v_bmc))
        out: Tensor = self.out_proj(attend(q, k, v).transpose(1, 2).flatten(2))
        return out
