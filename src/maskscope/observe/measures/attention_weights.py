"""Attention weights of chosen queries, summed over groups of keys, in chunks: no map of all of them is ever held.

The kernels of the forward path return no weights. These are computed beside it, from the same queries and keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from maskscope.errors import ShapeError
from maskscope.model.layers.attention import Attention
from maskscope.model.memory_attention import RotaryCrossAttention
from maskscope.model.outputs import MemoryTokens

_CHUNK_WEIGHTS = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class Mass:
    """Where queries look, mean over heads.

    Attributes:
        of_queries_ng: (n, g) share of each query's attention that falls on each group of keys, 0..1; rows sum to 1.
        entropy_n: (n,) entropy of each query's weights over that of uniform ones, 0..1: 0 looks at one key, 1 at all
            alike. With several heads, of the mean over heads.
        share_g: (g,) share of all keys that are in each group: what attention without preference would give.
    """

    of_queries_ng: Tensor
    entropy_n: Tensor
    share_g: Tensor

    @property
    def mean_g(self) -> Tensor:
        """(g,) mean over queries."""
        return self.of_queries_ng.mean(0)


def attention_mass(q_hnd: Tensor, k_hmd: Tensor, group_m: Tensor, num_groups: int) -> Mass:
    """Weights softmax(q k^T / sqrt(d)) summed over groups of keys.

    Args:
        q_hnd: (heads, n, d) queries that are asked about.
        k_hmd: (heads, m, d) all keys.
        group_m: (m,) int64, the group of each key, 0..num_groups - 1.
        num_groups: g.

    Raises:
        ShapeError: shapes that do not go together, or no key or query.
    """
    heads, n, d = q_hnd.shape
    m = k_hmd.shape[1]
    if k_hmd.shape != (heads, m, d) or group_m.shape != (m,) or not (n and m):
        raise ShapeError(
            f"queries are {tuple(q_hnd.shape)}, keys {tuple(k_hmd.shape)} and groups {tuple(group_m.shape)}, "
            "expected (heads, n, d), (heads, m, d) and (m,), none empty"
        )
    one_hot = torch.nn.functional.one_hot(group_m, num_groups).to(k_hmd.device, torch.float32)
    masses, entropies = [], []
    for weights in _chunks(q_hnd, k_hmd):
        masses.append(weights @ one_hot)
        entropies.append(torch.special.entr(weights).sum(-1))
    entropy = torch.cat(entropies) / log(m) if m > 1 else torch.zeros(n, device=k_hmd.device)
    return Mass(torch.cat(masses), entropy, one_hot.mean(0))


def _chunks(q_hnd: Tensor, k_hmd: Tensor) -> Iterator[Tensor]:
    """(some queries, m) float32 weights at a time, mean over heads."""
    heads, _, d = q_hnd.shape
    rows = max(_CHUNK_WEIGHTS // (heads * k_hmd.shape[1]), 1)
    keys = k_hmd.float().mT
    for queries in q_hnd.split(rows, dim=1):
        yield torch.matmul(queries.float() * d**-0.5, keys).softmax(-1).mean(0)


def memory_queries_keys(
    attention: RotaryCrossAttention,
    x_bnc: Tensor,
    memory: MemoryTokens,
    grid: tuple[int, int],
    appearance_bna: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Queries and keys as `RotaryCrossAttention.attend_memory` makes them, (b, heads, n, d) and (b, heads, m, d).

    Where the model has appearance keys they are appended, scaled so that the usual division by sqrt(d) restores them.
    """
    keys = memory.values_bnk + memory.positions_bnk
    q, k = attention.rotary(x_bnc, keys, grid, memory.num_pointer_tokens, memory.kept_bs)
    if attention.sharpness is not None and appearance_bna is not None and memory.appearance_bna is not None:
        gain = (q.shape[-1] + appearance_bna.shape[-1]) ** 0.5
        look = attention.sharpness(appearance_bna) * gain
        q = torch.cat((q, look[:, None]), dim=-1)
        k = torch.cat((k, memory.appearance_bna[:, None]), dim=-1)
    return q, k


def projected(attention: Attention, q_bnc: Tensor, k_bmc: Tensor) -> tuple[Tensor, Tensor]:
    """Queries and keys of an attention without positions of its own, (b, heads, n, d) and (b, heads, m, d)."""
    return attention.split_heads(attention.q_proj(q_bnc)), attention.split_heads(attention.k_proj(k_bmc))


def one_object(memory: MemoryTokens, row: int) -> MemoryTokens:
    """The memories of one object of a batch."""
    looks = None if memory.appearance_bna is None else memory.appearance_bna[row : row + 1]
    return MemoryTokens(
        memory.values_bnk[row : row + 1],
        memory.positions_bnk[row : row + 1],
        memory.num_pointer_tokens,
        looks,
        None if memory.kept_bs is None else memory.kept_bs[row : row + 1],
    )
