"""Intervals from one clip: frames are drawn in blocks, because neighbours resemble each other."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

BLOCK_FRAMES: Final = 10
RESAMPLES: Final = 1000
_TAIL: Final = 0.025

Draws = NDArray[np.float64]


def block_draws(num_blocks: int, seed: int = 0, resamples: int = RESAMPLES) -> NDArray[np.int64]:
    """How often each block was drawn, `(resamples, num_blocks)`; the same for the same arguments everywhere.

    Blocks are drawn with replacement (Kuensch, "The jackknife and the bootstrap for general stationary observations",
    1989, with blocks that do not overlap).
    """
    rng = np.random.default_rng([seed, num_blocks])
    return np.asarray(rng.multinomial(num_blocks, np.full(num_blocks, 1 / num_blocks), size=resamples), np.int64)


def ends(draws: Draws) -> tuple[float, float] | None:
    """2.5 % and 97.5 % quantiles of the finite draws; None where fewer than half are finite."""
    known = draws[np.isfinite(draws)]
    if known.size < max(2, draws.size // 2):
        return None
    low, high = np.quantile(known, (_TAIL, 1 - _TAIL))
    return float(low), float(high)
