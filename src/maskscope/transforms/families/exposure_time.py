"""Motion blur as a long exposure makes it: the mean of consecutive frames in linear light."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.transforms.base import ClipFrame
from maskscope.transforms.families.common import Derived
from maskscope.transforms.families.lookup import linear_of_srgb, srgb_of_linear
from maskscope.transforms.families.motion import relative_displacement

MOST_FRAMES: Final = 15
"""That an average may span: their sum has to fit into 16 bits finely enough."""

_UNIT: Final = 65535 // MOST_FRAMES
"""Linear white in the sums: 4369, so that the darkest bytes still differ."""


@dataclass
class _Running:
    """A sum of pictures and the pictures in it; whole numbers, so the way to a sum leaves no trace in it."""

    images: list[NDArray[np.uint8]]
    total_hwc: NDArray[np.uint16]


@dataclass(frozen=True)
class ExposureTime(Derived):
    """Frame t is the mean of the frames t - radius to t + radius; see `maskscope.transforms.families.speed`.

    Attributes:
        num_frames: of the clip.
        radius_frames: 1..7; less near the ends.
        parameters: for manifests.
    """

    num_frames: int
    radius_frames: int
    parameters: Mapping[str, Any]
    _running: list[_Running] = field(default_factory=list, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_running": []}

    def sources(self, t: int) -> tuple[int, ...]:
        """The frames of the mean in order of time."""
        radius = min(self.radius_frames, t, self.num_frames - 1 - t)
        return tuple(range(t - radius, t + radius + 1))

    def apply(self, t: int, frames: Sequence[ClipFrame]) -> ClipFrame:
        """The mean picture, the centre frame's masks, and void where the masks differ."""
        centre = frames[len(frames) // 2]
        if len(frames) == 1:
            return centre.with_strength(0.0)
        total = self._sum([frame.image_hwc for frame in frames])
        image = np.asarray(_bytes_of_sums(len(frames)).take(total))
        void = _differ([frame.visible_hw for frame in frames])
        for frame in frames:
            if frame.void_hw is not None:
                void |= frame.void_hw
        moved = relative_displacement(frames[0].visible_hw, frames[-1].visible_hw)
        return centre.with_strength(moved, image_hwc=image, void_hw=void if void.any() else None)

    def _sum(self, images: list[NDArray[np.uint8]]) -> NDArray[np.uint16]:
        """Sum of linear light; from the sum of the call before where most pictures, the very arrays, are in both."""
        before = self._running[0] if self._running else _Running([], np.zeros_like(images[0], dtype=np.uint16))
        # Counted, since a chain may show one array at several moments.
        missing = Counter(map(id, images))
        gone = [image for image in before.images if not _taken(missing, image)]
        new = [image for image in images if _taken(missing, image)]
        total = before.total_hwc
        if len(gone) + len(new) > len(images):
            total, gone, new = np.zeros_like(images[0], dtype=np.uint16), [], images
        for image in gone:
            total = total - _linear(image)
        for image in new:
            total = total + _linear(image)
        # The arrays stay alive in here, so that no other one can come by their identity.
        self._running[:] = [_Running(images, total)]
        return total


def _taken(missing: Counter[int], image: NDArray[np.uint8]) -> bool:
    """Whether one more of this array was missing; it no longer is."""
    found = missing[id(image)] > 0
    missing[id(image)] -= found
    return found


def _linear(image_hwc: NDArray[np.uint8]) -> NDArray[np.uint16]:
    return np.asarray(cv2.LUT(image_hwc, _units_of_srgb()), np.uint16)


@lru_cache(maxsize=1)
def _units_of_srgb() -> NDArray[np.uint16]:
    return np.asarray(np.rint(linear_of_srgb() * _UNIT), np.uint16)


@lru_cache(maxsize=MOST_FRAMES)
def _bytes_of_sums(count: int) -> NDArray[np.uint8]:
    """sRGB byte of each sum of `count` pictures."""
    return srgb_of_linear(np.arange(count * _UNIT + 1, dtype=np.float32) / (count * _UNIT))


def _differ(labels: Sequence[NDArray[np.uint8]]) -> NDArray[np.bool_]:
    """Where maps do not all carry one label."""
    low = high = labels[0]
    for label_hw in labels[1:]:
        low, high = np.minimum(low, label_hw), np.maximum(high, label_hw)
    return np.asarray(low != high)
