"""A box that moves with constant velocity, followed by a Kalman filter.

Centre and sides are four numbers that neither move nor err together, so the filter of eight states is four filters of
two (value and velocity), each in closed form. Kalman 1960; noise as in SORT and ByteTrack, in fractions of the box's
own sides, so that it needs no unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

Box = tuple[float, float, float, float]  # centre x, centre y, width, height

POSITION_STD: Final = 1 / 20  # of the side, per frame: process and measurement
VELOCITY_STD: Final = 1 / 160  # of the side, per frame: process
FIRST_POSITION, FIRST_VELOCITY = 2.0, 10.0  # times the above, of a filter that has seen one box
LEAST_SIDE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Coordinate:
    """One number and its velocity per frame, with their covariance."""

    value: float
    velocity: float
    var_value: float
    covariance: float
    var_velocity: float

    @classmethod
    def seen_once(cls, value: float, side: float) -> Coordinate:
        """At rest, as far as is known."""
        return cls(
            value, 0.0, (FIRST_POSITION * POSITION_STD * side) ** 2, 0.0, (FIRST_VELOCITY * VELOCITY_STD * side) ** 2
        )

    def predicted(self, side: float) -> Coordinate:
        """One frame later."""
        return Coordinate(
            self.value + self.velocity,
            self.velocity,
            self.var_value + 2 * self.covariance + self.var_velocity + (POSITION_STD * side) ** 2,
            self.covariance + self.var_velocity,
            self.var_velocity + (VELOCITY_STD * side) ** 2,
        )

    def updated(self, measured: float, side: float) -> Coordinate:
        """Having seen it at `measured`."""
        total = self.var_value + (POSITION_STD * side) ** 2
        gain_value, gain_velocity = self.var_value / total, self.covariance / total
        surprise = measured - self.value
        return Coordinate(
            self.value + gain_value * surprise,
            self.velocity + gain_velocity * surprise,
            (1 - gain_value) * self.var_value,
            (1 - gain_value) * self.covariance,
            self.var_velocity - gain_velocity * self.covariance,
        )


@dataclass(frozen=True, slots=True)
class BoxMotion:
    """Where a box is thought to be, coordinates in the order of `Box`."""

    coordinates: tuple[Coordinate, Coordinate, Coordinate, Coordinate]

    @classmethod
    def seen_once(cls, box: Box) -> BoxMotion:
        """A box at rest."""
        return cls(_four([Coordinate.seen_once(v, s) for v, s in zip(box, _sides(box), strict=True)]))

    @property
    def box(self) -> Box:
        """Its best guess."""
        x, y, width, height = (c.value for c in self.coordinates)
        return x, y, max(width, LEAST_SIDE), max(height, LEAST_SIDE)

    def predicted(self) -> BoxMotion:
        """One frame later."""
        sides = _sides(self.box)
        return BoxMotion(_four([c.predicted(s) for c, s in zip(self.coordinates, sides, strict=True)]))

    def updated(self, box: Box) -> BoxMotion:
        """Having seen `box`."""
        rows = zip(self.coordinates, box, _sides(self.box), strict=True)
        return BoxMotion(_four([c.updated(v, s) for c, v, s in rows]))

    def to_tensor(self) -> Tensor:
        """(20,) float64: exactly this, for notes."""
        numbers = [(c.value, c.velocity, c.var_value, c.covariance, c.var_velocity) for c in self.coordinates]
        return torch.tensor(numbers, dtype=torch.float64).flatten()

    @classmethod
    def from_tensor(cls, numbers_20: Tensor) -> BoxMotion:
        """The inverse of `to_tensor`."""
        return cls(_four([Coordinate(*row) for row in numbers_20.reshape(4, 5).tolist()]))


def mask_box(mask_logits_hw: Tensor) -> Box | None:
    """The box around all pixels above 0, in pixels of the mask; None if there are none."""
    inside = mask_logits_hw > 0
    rows, columns = inside.any(1).nonzero()[:, 0], inside.any(0).nonzero()[:, 0]
    if not len(rows):
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    left, right = int(columns[0]), int(columns[-1]) + 1
    return (left + right) / 2, (top + bottom) / 2, float(right - left), float(bottom - top)


def box_iou(a: Box | None, b: Box | None) -> float:
    """Intersection over union of two boxes, 0..1; 0 if there is none of one."""
    if a is None or b is None:
        return 0.0
    width = min(a[0] + a[2] / 2, b[0] + b[2] / 2) - max(a[0] - a[2] / 2, b[0] - b[2] / 2)
    height = min(a[1] + a[3] / 2, b[1] + b[3] / 2) - max(a[1] - a[3] / 2, b[1] - b[3] / 2)
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def _sides(box: Box) -> Box:
    """What each coordinate's noise is a fraction of: across for x and width, down for y and height."""
    return box[2], box[3], box[2], box[3]


def _four(items: Sequence[Coordinate]) -> tuple[Coordinate, Coordinate, Coordinate, Coordinate]:
    x, y, width, height = items
    return x, y, width, height
