"""The colour of an object number, one rule for every picture and every indexed PNG."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=1)
def davis_palette() -> NDArray[np.uint8]:
    """Colours of object numbers 0..255 as DAVIS and PASCAL VOC label maps store them.

    The bits of the number are dealt out to red, green and blue in turn, each round to the next lower bit of the
    channel, so that near numbers get far colours: 0 black, 1 dark red, 2 dark green, 3 dark yellow, 4 dark blue.

    Returns:
        `(256, 3)` uint8 RGB, read-only (shared between callers).
    """
    numbers = np.arange(256)
    palette = np.zeros((256, 3), dtype=np.uint8)
    for level in range(8):
        for channel in range(3):
            bit = (numbers >> (3 * level + channel)) & 1
            palette[:, channel] |= (bit << (7 - level)).astype(np.uint8)
    palette.setflags(write=False)
    return palette
