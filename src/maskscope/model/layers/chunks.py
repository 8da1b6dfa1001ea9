"""Work on large inputs piece by piece, so that what lies between two steps stays in the processor's cache."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

PIECE_TOKENS = 2048  # measured: a 96 -> 384 -> 96 MLP on 65,536 tokens takes 0.3 to 0.4 of the time in such pieces


def prefers_pieces(x: Tensor, num_tokens: int) -> bool:
    """Large inputs on the CPU, when no gradient is wanted; a GPU wants them whole."""
    return x.device.type == "cpu" and num_tokens >= 2 * PIECE_TOKENS and not torch.is_grad_enabled()


def by_tokens(step: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`step` on (..., in) -> (..., out), where every token stands alone."""
    tokens = x.numel() // x.shape[-1]
    if not prefers_pieces(x, tokens):
        return step(x)
    rows = x.reshape(tokens, x.shape[-1])
    return torch.cat([step(piece) for piece in rows.split(PIECE_TOKENS)]).reshape(*x.shape[:-1], -1)
