"""Tables of 8-bit pixels: sRGB and linear light, noise by quantiles, and a fast lookup by two bytes.

Noise is drawn as one random byte per value, the quantile; a table says what that quantile makes of each value. That is
several times faster than drawing normal or Poisson numbers and gives the same bytes everywhere.
"""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

LIGHT_FLOOR: Final = 2.0**-9
"""Linear light that is added before a logarithm: about five levels of 255, where 8 bits stop telling stops apart."""

QUANTILES: Final[NDArray[np.float64]] = (np.arange(256) + 0.5) / 256


@lru_cache(maxsize=1)
def linear_of_srgb() -> NDArray[np.float32]:
    """(256,) linear light 0..1 of each sRGB byte (IEC 61966-2-1)."""
    encoded = np.arange(256) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear, np.float32)


def srgb_of_linear(linear: NDArray[np.floating]) -> NDArray[np.uint8]:
    """sRGB bytes of linear light, clipped to 0..1; of any shape."""
    light = np.clip(linear, 0, 1).astype(np.float32)
    encoded = np.where(light <= 0.0031308, light * 12.92, 1.055 * np.power(light, 1 / 2.4) - 0.055)
    return np.asarray(np.rint(encoded * 255), np.uint8)


@lru_cache(maxsize=1)
def stops_of_srgb() -> NDArray[np.float32]:
    """(256,) base-2 logarithm of linear light above `LIGHT_FLOOR`."""
    return np.asarray(np.log2(linear_of_srgb() + np.float32(LIGHT_FLOOR)), np.float32)


def look_up(table: NDArray[np.uint8], image_hwc: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image through a table, (256,) for all channels or (256, 3) for each its own."""
    return np.asarray(cv2.LUT(image_hwc, table if table.ndim == 1 else np.ascontiguousarray(table)[None]))


def look_up_pairs(table: NDArray[np.uint8], rows: NDArray[np.uint8], image_hwc: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`table[row, value]` for each value of an image.

    Args:
        table: (256, 256) uint8.
        rows: (h, w, 1) or (h, w, 3) uint8.
        image_hwc: (h, w, 3) uint8.
    """
    index = (rows.astype(np.uint16) << 8) | image_hwc
    return np.asarray(table.ravel().take(index))


def random_bytes(seed: int, t: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Quantiles of frame `t`, independent from frame to frame."""
    return np.random.default_rng((seed, t)).integers(0, 256, shape, dtype=np.uint8)


@lru_cache(maxsize=1)
def normal_quantiles() -> NDArray[np.float32]:
    """(256,) deviates of the standard normal distribution, scaled to a variance of 1 (the tails end at 2.9)."""
    deviates = np.array([NormalDist().inv_cdf(q) for q in QUANTILES])
    return np.asarray(deviates / deviates.std(), np.float32)


def poisson_quantiles(means: NDArray[np.floating]) -> NDArray[np.float32]:
    """Counts of Poisson distributions at `QUANTILES`.

    Args:
        means: (n,) of 0..1000 each.

    Returns:
        (256, n) whole numbers.
    """
    means = np.asarray(means, dtype=np.float64)
    counts = np.arange(int(means.max() + 10 * np.sqrt(means.max()) + 20))
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(counts[1:]))])
    with np.errstate(divide="ignore", invalid="ignore"):
        log_shares = counts * np.log(means)[:, None] - means[:, None] - log_factorials
    shares = np.where(means[:, None] > 0, np.exp(log_shares), counts == 0)
    reached = np.cumsum(shares, axis=1)
    return np.stack([np.searchsorted(row, QUANTILES) for row in reached], axis=1).astype(np.float32)
