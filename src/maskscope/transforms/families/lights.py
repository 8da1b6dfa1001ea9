"""The effects of the illumination family: changes of light, computed in linear light through tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from maskscope.transforms.families.common import Derived
from maskscope.transforms.families.lookup import (
    linear_of_srgb,
    look_up,
    look_up_pairs,
    poisson_quantiles,
    random_bytes,
    srgb_of_linear,
)

SENSOR_WHITE_MIRED: Final = 1e6 / 6504
"""Reciprocal colour temperature of sRGB white."""

_LUMINANCE: Final = np.array([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True)
class Exposure:
    """Linear light times 2^stops; what passes white is cut off."""

    stops: float

    def draw(self, image_hwc: NDArray[np.uint8], share: float, t: int) -> NDArray[np.uint8]:
        """See `Effect`; a negative share turns the sign around."""
        return look_up(srgb_of_linear(linear_of_srgb() * 2.0 ** (self.stops * share)), image_hwc)


@dataclass(frozen=True)
class Gamma:
    """sRGB values 0..1 to the power of `exponent`."""

    exponent: float

    def draw(self, image_hwc: NDArray[np.uint8], share: float, t: int) -> NDArray[np.uint8]:
        """See `Effect`."""
        values = (np.arange(256) / 255) ** (self.exponent**share)
        return look_up(np.rint(values * 255).astype(np.uint8), image_hwc)


@dataclass(frozen=True)
class Contrast:
    """sRGB values drawn towards each channel's mean, as in ImageNet-C."""

    gain: float

    def draw(self, image_hwc: NDArray[np.uint8], share: float, t: int) -> NDArray[np.uint8]:
        """See `Effect`."""
        # Whole numbers add up exactly in any order: the same mean on every machine.
        sample = image_hwc[::4, ::4].reshape(-1, 3)
        mean = sample.sum(0, dtype=np.int64) / len(sample)
        gain = 1 + (self.gain - 1) * share
        values = mean + (np.arange(256)[:, None] - mean) * gain
        return look_up(np.rint(values).astype(np.uint8), image_hwc)


@dataclass(frozen=True)
class Temperature:
    """Light of another colour temperature under an unchanged white balance; the luminance of grey stays."""

    shift_mired: float

    def draw(self, image_hwc: NDArray[np.uint8], share: float, t: int) -> NDArray[np.uint8]:
        """See `Effect`."""
        gains = blackbody_gains(SENSOR_WHITE_MIRED + self.shift_mired * share)
        return look_up(srgb_of_linear(linear_of_srgb()[:, None] * gains), image_hwc)


def blackbody_gains(mired: float) -> NDArray[np.float64]:
    """Linear sRGB gains of the light of a glowing body, relative to one at 6504 K, at equal luminance.

    The locus in xy is the cubic approximation of Kim et al. (US 7024034, 2006), valid from 1667 K to 25000 K.

    Args:
        mired: a million over the temperature in kelvin, 40..600.

    Returns:
        (3,) factors of red, green and blue.
    """
    colour = _blackbody_rgb(mired) / _blackbody_rgb(SENSOR_WHITE_MIRED)
    return np.asarray(colour / (colour @ _LUMINANCE))


def _blackbody_rgb(mired: float) -> NDArray[np.float64]:
    per_kilokelvin = mired / 1000
    high, low = (-3.0258469, 2.1070379, 0.2226347, 0.240390), (-0.2661239, -0.2343589, 0.8776956, 0.179910)
    x = np.polyval(high if mired <= 250 else low, per_kilokelvin)
    if mired <= 250:
        y = np.polyval((3.0817580, -5.8733867, 3.75112997, -0.37001483), x)
    elif mired <= 1e6 / 2222:
        y = np.polyval((-0.9549476, -1.37418593, 2.09137015, -0.16748867), x)
    else:
        y = np.polyval((-1.1063814, -1.34811020, 2.18555832, -0.20219683), x)
    xyz = np.array([x / y, 1.0, (1 - x - y) / y])
    to_rgb = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
    return np.asarray(np.maximum(to_rgb @ xyz, 0.0))


@dataclass(frozen=True)
class Spotlight:
    """A round soft light that wanders over a picture grown darker.

    Attributes:
        spot_stops: in the middle of the spot.
        ambient_stops: far from it.
        radius_of_height: at which half of the difference in stops is left, as a share of the picture's height.
        x_turns_per_frame, y_turns_per_frame: of the two sines of its path, which spans the picture.
        x_phase_turns, y_phase_turns: of these.
    """

    spot_stops: float
    ambient_stops: float
    radius_of_height: float
    x_turns_per_frame: float
    y_turns_per_frame: float
    x_phase_turns: float
    y_phase_turns: float

    def draw(self, image_hwc: NDArray[np.uint8], share: float, t: int) -> NDArray[np.uint8]:
        """See `Effect`."""
        height, width = image_hwc.shape[:2]
        x = width * (0.5 + 0.45 * np.sin(2 * np.pi * (self.x_turns_per_frame * t + self.x_phase_turns)))
        y = height * (0.5 + 0.3 * np.sin(2 * np.pi * (self.y_turns_per_frame * t + self.y_phase_turns)))
        scale = np.log(2) / (self.radius_of_height * height) ** 2
        across = np.exp(-scale * (np.arange(width) - x) ** 2).astype(np.float32)
        down = np.exp(-scale * (np.arange(height) - y) ** 2).astype(np.float32)
        levels = (down[:, None] * (255 * across) + np.float32(0.5)).astype(np.uint8)
        table = _stops_table(self.ambient_stops * share, self.spot_stops * share)
        return look_up_pairs(table, levels[..., None], image_hwc)


@dataclass(frozen=True)
class ShadowEdge:
    """A shadow with a straight soft edge that sweeps over the picture and back.

    Attributes:
        stops: in the shadow, negative.
        penumbra_of_height: width of the edge as a share of the picture's height.
        angle_rad: direction in which the shadow deepens, from x right to y down.
        turns_per_frame: sweeps there and back.
        phase_turns: of these.
    """

    stops: float
    penumbra_of_height: float
    angle_rad: float
    turns_per_frame: float
    phase_turns: float

    def draw(self, image_hwc: NDArray[np.uint8], share: float, t: int) -> NDArray[np.uint8]:
        """See `Effect`."""
        height, width = image_hwc.shape[:2]
        cos, sin = np.cos(self.angle_rad), np.sin(self.angle_rad)
        reach = 0.5 * (abs(width * cos) + abs(height * sin))
        edge = 0.8 * reach * np.sin(2 * np.pi * (self.turns_per_frame * t + self.phase_turns))
        steepness = 255 / (self.penumbra_of_height * height)
        across = ((np.arange(width) - width / 2) * cos - edge) * steepness
        down = (np.arange(height) - height / 2) * sin * steepness + 127.5
        depth = np.clip(down[:, None].astype(np.float32) + across.astype(np.float32), 0, 255)
        return look_up_pairs(_stops_table(0.0, self.stops * share), depth.astype(np.uint8)[..., None], image_hwc)


@lru_cache(maxsize=4)
def _stops_table(first_stops: float, last_stops: float) -> NDArray[np.uint8]:
    """(256, 256): row r exposes every value by stops between the first (row 0) and the last (row 255)."""
    gains = 2.0 ** np.linspace(first_stops, last_stops, 256)
    return srgb_of_linear(gains[:, None].astype(np.float32) * linear_of_srgb())


@dataclass(frozen=True)
class LowLight(Derived):
    """A dark picture with the noise of few photons, counted in linear light.

    Attributes:
        stops: of the exposure, negative.
        photons_at_white: mean count of a white pixel's channel, 1..1000; fewer are noisier.
        noise_seed: of the photons.
    """

    stops: float
    photons_at_white: float
    noise_seed: int

    def draw(self, image_hwc: NDArray[np.uint8], share: float, t: int) -> NDArray[np.uint8]:
        """See `Effect`; the share scales the stops and the deviation of the noise."""
        light = linear_of_srgb() + np.float32(share) * self._noise
        table = srgb_of_linear(light * np.float32(2.0 ** (self.stops * share)))
        return look_up_pairs(table, random_bytes(self.noise_seed, t, image_hwc.shape), image_hwc)

    @cached_property
    def _noise(self) -> NDArray[np.float32]:
        """(256, 256): deviation from each value's linear light at each quantile."""
        counts = poisson_quantiles(linear_of_srgb() * self.photons_at_white)
        return counts / np.float32(self.photons_at_white) - linear_of_srgb()
