"""What only a run of frames shows: flicker, cuts, frozen frames, and how far an object moves."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.picture.region import LEAST_PX, Mask

Thumbnail = NDArray[np.float32]

BLACK_LUMA: Final = 5 / 255
"""A frame whose brightest hundredth is no brighter is black."""

_THUMBNAIL_PX: Final = (48, 27)
_CUT_RATIO, _CUT_LEVELS, _CUT_WINDOW = 3.0, 15.0, 2  # PySceneDetect's AdaptiveDetector, on luma alone
_FROZEN_LEVELS: Final = 0.05
_LIGHT_FLOOR: Final = 2.0**-9  # of linear light, below which 8 bits do not tell stops apart


@dataclass(frozen=True, slots=True)
class Moment:
    """What is kept of one frame.

    Attributes:
        thumbnail_hw: luma in levels of 255.
        stops_object, stops_background: log2 of the mean light; None where there is no such part.
        black: the frame is black.
        place: (x, y, area) of the object in px; None where it is not seen.
    """

    thumbnail_hw: Thumbnail
    stops_object: float | None
    stops_background: float | None
    black: bool
    place: tuple[float, float, float] | None


@dataclass
class Course:
    """Takes frames in order of time; memory of a few kilobytes a frame."""

    moments: list[Moment] = field(default_factory=list)

    def add(self, image_hwc: NDArray[np.uint8], object_hw: Mask) -> None:
        """One more frame.

        Args:
            image_hwc: (h, w, 3) uint8 RGB.
            object_hw: (h, w) bool, may be empty.
        """
        grey = cv2.cvtColor(image_hwc, cv2.COLOR_RGB2GRAY)
        thumbnail = cv2.resize(grey, _THUMBNAIL_PX, interpolation=cv2.INTER_AREA).astype(np.float32)
        light = _linear(np.asarray(grey, np.uint8))
        black = float(np.quantile(grey[::4, ::4], 0.99)) <= BLACK_LUMA * 255
        place = _place(object_hw)
        self.moments.append(Moment(thumbnail, _stops(light, object_hw), _stops(light, ~object_hw), black, place))

    def changes(self) -> NDArray[np.float64]:
        """Mean change of luma from each frame to the next, in levels of 255, `(n - 1,)`."""
        pairs = pairwise(self.moments)
        return np.array([float(np.abs(a.thumbnail_hw - b.thumbnail_hw).mean()) for a, b in pairs])

    def cuts(self) -> list[int]:
        """First frames after a cut: a change of 15 levels or more, three times that of its neighbours."""
        changes, found = self.changes(), []
        for t, change in enumerate(changes):
            near = np.concatenate((changes[max(t - _CUT_WINDOW, 0) : t], changes[t + 1 : t + 1 + _CUT_WINDOW]))
            usual = float(near.mean()) if near.size else 0.0
            if change >= _CUT_LEVELS and change >= _CUT_RATIO * usual:
                found.append(t + 1)
        return found

    def frozen_share(self) -> float:
        """Share of frames that show what the frame before showed."""
        changes = self.changes()
        return float((changes < _FROZEN_LEVELS).mean()) if changes.size else 0.0

    def black_share(self) -> float:
        """Share of frames that are black."""
        return float(np.mean([each.black for each in self.moments])) if self.moments else 0.0

    def flicker(self, background: bool = False) -> float | None:
        """Root mean square change of the mean light from a frame to the next, in stops; cuts left out."""
        stops = [each.stops_background if background else each.stops_object for each in self.moments]
        cuts = set(self.cuts())
        steps = [
            b - a
            for t, (a, b) in enumerate(pairwise(stops), start=1)
            if a is not None and b is not None and t not in cuts
        ]
        return math.sqrt(sum(step * step for step in steps) / len(steps)) if steps else None

    def motion(self) -> list[float | None]:
        """Way of the object's centre since the frame before, in units of its own size; None where not seen twice."""
        found: list[float | None] = [None]
        for a, b in pairwise(self.moments):
            found.append(way_of(a.place, b.place))
        return found[: len(self.moments)]


def way_of(before: tuple[float, float, float] | None, now: tuple[float, float, float] | None) -> float | None:
    """Distance of two places (x, y, area) over the square root of the area now; None where one is unknown."""
    if before is None or now is None:
        return None
    return math.hypot(now[0] - before[0], now[1] - before[1]) / math.sqrt(now[2])


def _place(object_hw: Mask) -> tuple[float, float, float] | None:
    moments = cv2.moments(object_hw.astype(np.uint8), binaryImage=True)
    area = moments["m00"]
    return (moments["m10"] / area, moments["m01"] / area, area) if area > 0 else None


def _linear(grey_hw: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Linear light 0..1 of sRGB bytes, near enough: the power 2.2."""
    table = ((np.arange(256) / 255) ** 2.2).astype(np.float32)
    return np.asarray(cv2.LUT(grey_hw, table))


def _stops(light_hw: NDArray[np.float32], mask_hw: Mask) -> float | None:
    values = light_hw[mask_hw]
    return None if values.size < LEAST_PX else math.log2(float(values.mean()) + _LIGHT_FLOOR)
