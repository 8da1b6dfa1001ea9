"""The one place that picks an attention kernel, and the projected attention that decoder and memory attention share."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from maskscope.model.layers.matmul import product

_CHUNK_BYTES = 16 << 20  # scores of one chunk of queries stay in the processor's last cache
_MAX_ROWS = 1024
_BLOCK_KEYS = 2048
_LOG2_E = math.log2(math.e)
_MIN_SCORES = 1 << 20  # below so many scores the fused kernel wins in float32 ...
_MIN_WINDOW = 49  # ... and in bfloat16 only for windows smaller than this


def attend(q_bhnd: Tensor, k_bhmd: Tensor, v_bhme: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v, (b, heads, n, e); `e` may differ from `d`.

    On a GPU, in training and for small inputs PyTorch picks a fused kernel. On the CPU large inputs go through plain
    products, piece by piece, with the softmax between them: the fused kernel there neither uses bfloat16 instructions
    nor accepts values narrower than keys, and multiplies float32 through the slower library (see `layers.matmul`).
    """
    if q_bhnd.device.type == "cpu" and not torch.is_grad_enabled():
        queries, keys = q_bhnd.shape[-2], k_bhmd.shape[-2]
        if queries * keys >= _MIN_SCORES:
            return _attend_in_pieces(q_bhnd, k_bhmd, v_bhme)
        if q_bhnd.dtype == torch.bfloat16 and min(queries, keys) >= _MIN_WINDOW:
            return torch.matmul(torch.matmul(q_bhnd * q_bhnd.shape[-1] ** -0.5, k_bhmd.mT).softmax(-1), v_bhme)
    fused: Tensor = F.scaled_dot_product_attention(q_bhnd, k_bhmd, v_bhme)
    return fused


def _attend_in_pieces(q_bhnd: Tensor, k_bhmd: Tensor, v_bhme: Tensor) -> Tensor:
    """The same, one object and head at a time; nothing of size n x m is ever held."""
    b, heads, n, d = q_bhnd.shape
    out = q_bhnd.new_empty(b, heads, n, v_bhme.shape[-1])
    read = _read_whole_rows if q_bhnd.dtype == torch.bfloat16 else _read_in_blocks
    for i in range(b):
        for head in range(heads):
            q = (q_bhnd[i, head] * d**-0.5).contiguous()
            read(q, k_bhmd[i, head].contiguous(), v_bhme[i, head], out[i, head])
    return out


def _read_whole_rows(q_nd: Tensor, k_md: Tensor, v_me: Tensor, out_ne: Tensor) -> None:
    """Some queries against all keys: in bfloat16 the softmax must see a whole row to sum it in float32."""
    size = _CHUNK_BYTES // (len(k_md) * q_nd.element_size())
    size = min(max(size // 64 * 64, 64), _MAX_ROWS)
    v_em = v_me.t().contiguous()
    for rows, out in zip(q_nd.split(size), out_ne.split(size), strict=True):
        scores = product(rows, k_md)
        torch.softmax(scores, -1, out=scores)  # in place: the chunk stays where it is
        out.copy_(product(scores, v_em))


def _read_in_blocks(q_nd: Tensor, k_md: Tensor, v_me: Tensor, out_ne: Tensor) -> None:
    """Many queries against a block of keys at a time, with a running maximum and sum (Milakov and Gimelshein, 2018).

    Exact: what was read before is rescaled when a larger score turns up. A block of scores fits the last cache, and
    products of nearly square blocks run at twice the speed of a few rows against all keys. Exponents are to base 2:
    PyTorch's `exp2` takes a quarter of the time of its `exp` on x86.
    """
    blocks = list(zip(k_md.split(_BLOCK_KEYS), (v.t().contiguous() for v in v_me.split(_BLOCK_KEYS)), strict=True))
    for rows, out in zip(q_nd.split(_MAX_ROWS), out_ne.split(_MAX_ROWS), strict=True):
        largest = rows.new_full((len(rows), 1), -torch.inf)
        total, read = rows.new_zeros(len(rows), 1), rows.new_zeros(len(rows), out.shape[-1])
        for keys, values in blocks:
            scores = product(rows, keys)
            larger = torch.maximum(largest, scores.amax(-1, keepdim=True) * _LOG2_E)
            before = (largest - larger).exp2_()
            torch.add(-larger, scores, alpha=_LOG2_E, out=scores).exp2_()
            total = total.mul_(before).add_(scores.sum(-1, keepdim=True))
            read = read.mul_(before).add_(product(scores, values))
            largest = larger
        torch.div(read, total, out=out)


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
