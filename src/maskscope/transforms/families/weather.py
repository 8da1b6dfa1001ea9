"""Fog, rain and snow that move as one: patterns without seams, drawn once and scrolled from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.transforms.families.common import Derived
from maskscope.transforms.families.lookup import look_up_pairs

MOST_DROPS: Final = 4096
"""In one layer; a heavier fall has the drops of a lighter one and more."""

_SUBPIXEL_BITS: Final = 4

_DARKEST_FOG: Final = 90


@dataclass(frozen=True)
class Fog(Derived):
    """Banks of fog: `(image + c * fog) / (1 + c)`, ImageNet-C's formula, with two layers that drift apart.

    The fog is of light grey to white; that of ImageNet-C reaches down to black.

    Attributes:
        amount: c; the share of the fog in the picture is c / (1 + c).
        decay: by which the roughness falls from octave to octave, above 1; less is rougher.
        size_hw: of the picture.
        seed: of the banks and their drift.
    """

    amount: float
    decay: float
    size_hw: tuple[int, int]
    seed: int

    def draw(self, image_hwc: NDArray[np.uint8], share: float, t: int) -> NDArray[np.uint8]:
        """See `Effect`; the share scales the amount."""
        banks = [_scrolled(tile, t * dy, t * dx) for tile, (dy, dx) in zip(self._tiles, self._drifts, strict=True)]
        grey = cv2.cvtColor(cv2.addWeighted(banks[0], 0.5, banks[1], 0.5, 0), cv2.COLOR_GRAY2RGB)
        amount = self.amount * share
        return np.asarray(cv2.addWeighted(image_hwc, 1 / (1 + amount), grey, amount / (1 + amount), 0))

    @cached_property
    def _drifts(self) -> tuple[tuple[float, float], ...]:
        """(down, right) pixels per frame of each layer: 0.5 to 1.5 % of the height, in two directions."""
        rng = np.random.default_rng((self.seed, 1))
        speeds = rng.uniform(0.005, 0.015, 2) * self.size_hw[0]
        angles = rng.uniform(0, 2 * np.pi) + np.array([0, rng.uniform(1, 2)])
        return tuple((float(s * np.sin(a)), float(s * np.cos(a))) for s, a in zip(speeds, angles, strict=True))

    @cached_property
    def _tiles(self) -> list[NDArray[np.uint8]]:
        rng = np.random.default_rng((self.seed, 0))
        return [_twice(_plasma(rng, self.size_hw, self.decay)) for _ in range(2)]


def _plasma(rng: np.random.Generator, size_hw: tuple[int, int], decay: float) -> NDArray[np.uint8]:
    """(h, w) clouds without a seam, from `_DARKEST_FOG` to white: the spectrum of midpoint displacement."""
    height, width = size_hw
    waves = np.fft.rfft2(rng.standard_normal(size_hw))
    # Cycles per picture height in both directions, so that the clouds are round.
    per_height = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)) * height
    per_height[0, 0] = np.inf
    clouds = np.fft.irfft2(waves * np.maximum(per_height, 1) ** -(1 + np.log2(decay)), size_hw)
    low, high = np.percentile(clouds, (1, 99))
    shade = np.clip((clouds - low) / max(high - low, 1e-9), 0, 1)
    return np.asarray(np.rint(_DARKEST_FOG + (255 - _DARKEST_FOG) * shade), np.uint8)


@dataclass(frozen=True)
class Layer:
    """Drops or flakes of one distance; lengths are shares of the picture's height.

    Attributes:
        drops: how many in a picture as wide as high, as a share of the fall's.
        length: of a drop along its fall.
        width: across it.
        speed: per frame.
        brightness: of the drops, 0..1.
    """

    drops: float
    length: float
    width: float
    speed: float
    brightness: float


RAIN: Final = (
    Layer(drops=0.55, length=0.035, width=0.0022, speed=0.061, brightness=0.55),
    Layer(drops=0.30, length=0.075, width=0.0032, speed=0.127, brightness=0.75),
    Layer(drops=0.15, length=0.150, width=0.0050, speed=0.243, brightness=0.90),
)
SNOW: Final = (
    Layer(drops=0.60, length=0.002, width=0.0060, speed=0.0083, brightness=0.75),
    Layer(drops=0.30, length=0.005, width=0.0120, speed=0.0157, brightness=0.90),
    Layer(drops=0.10, length=0.010, width=0.0240, speed=0.0271, brightness=1.00),
)
"""From far to near."""


@dataclass(frozen=True)
class Fall(Derived):
    """Rain or snow in three distances before a veil; every drop keeps its shape and falls along one direction.

    Attributes:
        layers: from far to near.
        drops: of all layers in a picture as wide as high.
        opacity: of a drop of full brightness, 0..1.
        veil: share of white over everything, 0..1.
        slant_rad: of the fall, from straight down to the right.
        sway: how far the nearest layer goes to and fro while it falls, as a share of the height.
        size_hw: of the picture.
        seed: of the drops.
    """

    layers: tuple[Layer, ...]
    drops: int
    opacity: float
    veil: float
    slant_rad: float
    sway: float
    size_hw: tuple[int, int]
    seed: int

    def draw(self, image_hwc: NDArray[np.uint8], share: float, t: int) -> NDArray[np.uint8]:
        """See `Effect`; the share scales opacity and veil."""
        height = self.size_hw[0]
        cover = np.zeros(self.size_hw, np.uint8)
        for layer, tile in zip(self.layers, self._tiles, strict=True):
            fallen = layer.speed * height * t
            swayed = self.sway * height * layer.speed / self.layers[-1].speed * np.sin(2 * np.pi * t / 40)
            drops = _scrolled(tile, fallen * np.cos(self.slant_rad), fallen * np.sin(self.slant_rad) + swayed)
            cover = np.maximum(cover, drops)
        veil = self.veil * share
        white = veil + (1 - veil) * self.opacity * share * np.arange(256)[:, None] / 255
        values = np.arange(256)
        table = np.rint(values + (_WHITE - values) * white).astype(np.uint8)
        return look_up_pairs(table, cover[..., None], image_hwc)

    @cached_property
    def _tiles(self) -> list[NDArray[np.uint8]]:
        rng = np.random.default_rng(self.seed)
        return [_twice(self._tile(layer, rng.random((MOST_DROPS, 3)))) for layer in self.layers]

    def _tile(self, layer: Layer, draws: NDArray[np.float64]) -> NDArray[np.uint8]:
        """(h, w) brightness of a layer's drops without a seam."""
        height, width = self.size_hw
        count = min(round(self.drops * layer.drops * width / height), MOST_DROPS)
        along = np.array([np.sin(self.slant_rad), np.cos(self.slant_rad)]) * layer.length * height
        thick_px = max(layer.width * height, 1.0)
        pad = int(np.ceil(layer.length * height + 2 * thick_px)) + 2
        canvas = np.zeros((height + 2 * pad, width + 2 * pad), np.uint8)
        for x, y, shade in draws[:count]:
            start = np.array([x * width + pad, y * height + pad])
            first, last = (np.rint(end * 2**_SUBPIXEL_BITS).astype(int).tolist() for end in (start, start + along))
            ink = 255 * layer.brightness * (0.6 + 0.4 * shade)
            thickness = max(round(thick_px * (0.6 + 0.6 * shade)), 1)
            cv2.line(canvas, first, last, ink, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
        soft = np.asarray(cv2.GaussianBlur(canvas, (0, 0), 0.35 * thick_px + 0.3), np.uint8)
        return _folded(_folded(soft, pad).T, pad).T


_WHITE: Final = 245
"""Level of drops, flakes and the veil: daylight, not pure white."""


def _folded(canvas: NDArray[np.uint8], pad: int) -> NDArray[np.uint8]:
    """The rows between both margins of `pad` rows, with what lies in a margin laid over the opposite side."""
    rows = canvas.shape[0] - 2 * pad
    # A margin may be longer than the picture: it winds around.
    folded = np.zeros((rows, canvas.shape[1]), np.uint8)
    for index in range(canvas.shape[0]):
        line = folded[(index - pad) % rows]
        np.maximum(line, canvas[index], out=line)
    return folded


def _twice(tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A tile four times, so that every shift of it is one window."""
    return np.tile(tile, (2, 2))


def _scrolled(twice: NDArray[np.uint8], down_px: float, right_px: float) -> NDArray[np.uint8]:
    """The tile moved by whole pixels, what leaves on one side coming in on the other."""
    height, width = twice.shape[0] // 2, twice.shape[1] // 2
    y, x = -round(down_px) % height, -round(right_px) % width
    return twice[y : y + height, x : x + width]
