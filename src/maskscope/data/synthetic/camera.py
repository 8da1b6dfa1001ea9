"""The camera of a made-up clip: a pinhole above a level meadow, held by hand.

World frame: x right and z away in metres on the ground, y up. Picture frame: x right, y down, pixel centres at half
integers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

FOCAL = 1.95  # focal length over picture height
HORIZON = 0.36  # row of the horizon over picture height
EYE_M = 1.3  # height of the camera above the ground


@dataclass(frozen=True)
class View:
    """Where the camera is and how it is held at one moment.

    Attributes:
        x_m: its place along the meadow.
        height_px: picture height.
        width_px: picture width.
        zoom: magnification about the picture's middle.
        roll: turn about it, radians.
        shift_px: `(x, y)` by which shaking moves the picture.
    """

    x_m: float
    height_px: int
    width_px: int
    zoom: float = 1.0
    roll: float = 0.0
    shift_px: tuple[float, float] = (0.0, 0.0)

    @property
    def focal_px(self) -> float:
        """Focal length in pixels."""
        return FOCAL * self.height_px

    @property
    def horizon_px(self) -> float:
        """Row of the horizon before zoom, roll and shift."""
        return HORIZON * self.height_px

    def steady(self, x_m: float, y_m: float, z_m: float) -> tuple[float, float]:
        """Picture place of a point, before zoom, roll and shift."""
        scale = self.focal_px / z_m
        return self.width_px / 2 + scale * (x_m - self.x_m), self.horizon_px + scale * (EYE_M - y_m)

    @cached_property
    def _similarity(self) -> tuple[float, float, float, float]:
        c, s = self.zoom * math.cos(self.roll), self.zoom * math.sin(self.roll)
        x, y = self.width_px / 2, self.height_px / 2
        return c, s, x + self.shift_px[0] - c * x + s * y, y + self.shift_px[1] - s * x - c * y

    def steady_to_picture(self) -> NDArray[np.float64]:
        """`(2, 3)` matrix from steady places to picture places: zoom, roll and shift about the middle."""
        c, s, x, y = self._similarity
        return np.array([[c, -s, x], [s, c, y]])

    def place(self, x_m: float, y_m: float, z_m: float) -> tuple[float, float]:
        """Picture place of a point."""
        c, s, dx, dy = self._similarity
        x, y = self.steady(x_m, y_m, z_m)
        return c * x - s * y + dx, s * x + c * y + dy

    def scale(self, z_m: float) -> float:
        """Pixels per metre at a depth."""
        return self.zoom * self.focal_px / z_m

    def span(self, z_m: float) -> tuple[float, float]:
        """World x at a depth between which things can be in the picture."""
        half = 0.5 * self.width_px / self.scale(z_m) * 1.15
        return self.x_m - half, self.x_m + half
