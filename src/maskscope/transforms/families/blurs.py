"""Noise, blur and compression of the corruption family; lengths in pixels are given for a picture of 224 rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.transforms.families.common import Derived
from maskscope.transforms.families.lookup import look_up_pairs, normal_quantiles, poisson_quantiles, random_bytes

TABLE_ROWS_PX: Final = 224
"""Height of the pictures that the parameters of ImageNet-C were chosen for."""

_BEST_JPEG_QUALITY: Final = 95


@dataclass(frozen=True)
class Noise(Derived):
    """Independent noise of every value, drawn anew for every frame.

    Attributes:
        kind: "gaussian", with `amount` the standard deviation, or "shot", with `amount` the photons at white; both of
            sRGB values 0..1, as in ImageNet-C.
        amount: above 0.
        noise_seed: of the noise.
    """

    kind: str
    amount: float
    noise_seed: int

    def draw(self, image_hwc: NDArray[np.uint8], share: float, t: int) -> NDArray[np.uint8]:
        """See `Effect`; the share scales the deviation of the noise."""
        table = np.rint(np.clip(np.arange(256) + np.float32(share) * self._noise, 0, 255)).astype(np.uint8)
        return look_up_pairs(table, random_bytes(self.noise_seed, t, image_hwc.shape), image_hwc)

    @cached_property
    def _noise(self) -> NDArray[np.float32]:
        """(256, 256): what each quantile adds to each value, in levels."""
        if self.kind == "gaussian":
            levels = np.float32(255 * self.amount) * normal_quantiles()
            return np.broadcast_to(levels[:, None], (256, 256))
        values = np.arange(256, dtype=np.float32)
        return poisson_quantiles(values / 255 * self.amount) * np.float32(255 / self.amount) - values


@dataclass(frozen=True)
class Defocus:
    """The mean over a disc.

    Attributes:
        radius_px: of the disc in a picture of `TABLE_ROWS_PX` rows.
    """

    radius_px: float

    def draw(self, image_hwc: NDArray[np.uint8], share: float, t: int) -> NDArray[np.uint8]:
        """See `Effect`; the share scales the radius."""
        height, width = image_hwc.shape[:2]
        radius_px = self.radius_px * share * height / TABLE_ROWS_PX
        shrunk = _shrinking(radius_px)
        if shrunk == 1:
            return np.asarray(cv2.filter2D(image_hwc, -1, _disc(radius_px), borderType=cv2.BORDER_REFLECT_101))
        small = cv2.resize(image_hwc, (max(width // shrunk, 1), max(height // shrunk, 1)), interpolation=cv2.INTER_AREA)
        # Shrinking by areas and enlarging by lines has itself the variance of a disc with this factor as its radius.
        rest_px = np.sqrt(radius_px**2 - shrunk**2) / shrunk
        blurred = cv2.filter2D(small, -1, _disc(rest_px), borderType=cv2.BORDER_REFLECT_101)
        return np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR))


def _shrinking(radius_px: float) -> int:
    """How many times smaller a picture is blurred: kernels stay below 15 x 15, which is what costs time."""
    if radius_px <= 3.5:
        return 1
    shrunk = 2
    while radius_px > (11 if shrunk == 2 else 7 * shrunk):
        shrunk *= 2
    return shrunk


def _disc(radius_px: float) -> NDArray[np.float32]:
    """Kernel of a disc, its edge pixels by about their covered area."""
    reach = int(np.ceil(radius_px + 0.5))
    offsets = np.arange(-reach, reach + 1)
    disc = np.clip(radius_px + 0.5 - np.hypot(offsets, offsets[:, None]), 0, 1)
    return np.asarray(disc / disc.sum(), np.float32)


@dataclass(frozen=True)
class Streak:
    """The mean along a straight line, as a camera moved during the exposure makes it.

    Attributes:
        length_px: of the line in a picture of `TABLE_ROWS_PX` rows.
        angle_rad: of the line, from x right to y down.
    """

    length_px: float
    angle_rad: float

    def draw(self, image_hwc: NDArray[np.uint8], share: float, t: int) -> NDArray[np.uint8]:
        """See `Effect`; the share scales the length."""
        length_px = self.length_px * share * image_hwc.shape[0] / TABLE_ROWS_PX
        # The mean of a picture and its copy half a line away doubles a line: n steps stand for 2^n copies.
        steps = []
        while length_px >= 1:
            length_px /= 2
            steps.append((round(length_px * np.cos(self.angle_rad)), round(length_px * np.sin(self.angle_rad))))
        steps = [step for step in steps if step != (0, 0)]
        across, down = (sum(abs(step[axis]) for step in steps) for axis in (0, 1))
        drawn = cv2.copyMakeBorder(
            image_hwc, down // 2, down - down // 2, across // 2, across - across // 2, cv2.BORDER_REFLECT_101
        )
        for dx, dy in steps:
            rows, columns = drawn.shape[0] - abs(dy), drawn.shape[1] - abs(dx)
            y, x = max(-dy, 0), max(-dx, 0)
            here = drawn[y : y + rows, x : x + columns]
            there = drawn[y + dy : y + dy + rows, x + dx : x + dx + columns]
            drawn = cv2.addWeighted(here, 0.5, there, 0.5, 0)
        return np.asarray(drawn)


def streak_length_px(radius_px: int, sigma_px: float) -> float:
    """Length of an even line with the standard deviation of ImageNet-C's one-sided Gaussian along its motion."""
    offsets = np.arange(2 * radius_px + 1)
    weights = np.exp(-(offsets**2) / (2 * sigma_px**2))
    weights /= weights.sum()
    mean = float(weights @ offsets)
    return round(float(np.sqrt(12 * (weights @ (offsets - mean) ** 2))), 3)


@dataclass(frozen=True)
class Jpeg:
    """Compression and back, in blocks of 8 pixels at every size.

    Attributes:
        quality: 1..95.
    """

    quality: int

    def draw(self, image_hwc: NDArray[np.uint8], share: float, t: int) -> NDArray[np.uint8]:
        """See `Effect`; the share leads from quality 95 to the full loss."""
        quality = round(_BEST_JPEG_QUALITY + (self.quality - _BEST_JPEG_QUALITY) * share)
        bgr = cv2.cvtColor(image_hwc, cv2.COLOR_RGB2BGR)
        _, packed = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        unpacked = cv2.imdecode(packed, cv2.IMREAD_COLOR)
        assert unpacked is not None, "what was just packed can be unpacked"
        return np.asarray(cv2.cvtColor(unpacked, cv2.COLOR_BGR2RGB), np.uint8)
