"""Camera trajectories: smooth courses of pan, zoom, roll, tilt and shake, as homographies of the picture.

A trajectory is a course of camera poses times an amplitude. The amplitude follows from how far it shall carry the
picture's corners, so that all kinds of motion are measured in one unit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PAN_X, PAN_Y, LOG_ZOOM, ROLL, TILT_X, TILT_Y = range(6)
"""Columns of a course: shift over the picture's diagonal, logarithm of the magnification, three angles in radians."""

_SWING_FRAMES: Final = (60.0, 100.0)  # for a way there and back
_CROP_FRAMES: Final = 24  # until a crop is reached
_FADE_FRAMES: Final = 8  # until a hand shakes as much as it will
_SHAKE_PERIODS: Final = (6.0, 40.0)  # frames: of the quickest and the slowest part of it
_LARGEST: Final = 1.4  # amplitude: radians of a tilt, or a magnification of four
_DECIMALS: Final = 10  # of a matrix: no last bit of a sine reaches a picture


@dataclass(frozen=True)
class Trajectory:
    """A course of poses about a fixed point.

    Attributes:
        course: (n, 6) poses at amplitude 1, zero on frame 0.
        anchor: x and y of the fixed point over width and height, 0 to 1.
    """

    course: Floats
    anchor: tuple[float, float] = (0.5, 0.5)

    def mirrored(self, across: bool, along: bool) -> Trajectory:
        """The same motion mirrored left to right (`across`) or top to bottom (`along`)."""
        x, y = (-1.0 if across else 1.0), (-1.0 if along else 1.0)
        signs = np.array([x, y, 1.0, x * y, y, x])
        anchor = (1 - self.anchor[0] if across else self.anchor[0], 1 - self.anchor[1] if along else self.anchor[1])
        return replace(self, course=self.course * signs, anchor=anchor)

    def matrices(self, amplitude: float, size_hw: tuple[int, int]) -> Floats:
        """(n, 3, 3) homographies from a frame's pixel places to where the moving camera shows them."""
        height, width = size_hw
        poses = amplitude * self.course
        far = float(np.hypot(height, width))  # of the plane that carries the picture, in pixels
        x, y = self.anchor[0] * width - 0.5, self.anchor[1] * height - 0.5
        zoom, c, s = np.exp(poses[:, LOG_ZOOM]), np.cos(poses[:, ROLL]), np.sin(poses[:, ROLL])
        to_anchor = np.array([[1.0, 0.0, -x], [0.0, 1.0, -y], [0.0, 0.0, 1.0]])
        similar = _stacked([[zoom * c, -zoom * s, 0], [zoom * s, zoom * c, 0], [0, 0, 1]])
        back = _stacked([[1, 0, x + far * poses[:, PAN_X]], [0, 1, y + far * poses[:, PAN_Y]], [0, 0, 1]])
        found = back @ _tilted(poses[:, TILT_X], poses[:, TILT_Y], far) @ similar @ to_anchor
        found = np.round(found / found[:, 2:, 2:], _DECIMALS)
        found[~poses.any(axis=1)] = np.eye(3)
        return np.asarray(found)

    def reaching(self, displacement: float, size_hw: tuple[int, int]) -> Floats:
        """`matrices` of the amplitude at which the largest corner displacement is `displacement` of the diagonal."""
        low, high = 0.0, _LARGEST
        for _ in range(40):
            middle = (low + high) / 2
            if corner_displacement(self.matrices(middle, size_hw), size_hw).max() < displacement:
                low = middle
            else:
                high = middle
        return self.matrices(high, size_hw)


def trajectory(kind: str, num_frames: int, rng: np.random.Generator) -> Trajectory:
    """The course of a variant of the viewpoint family, the largest part of it about 1.

    Args:
        kind: "pan", "zoom", "roll", "perspective", "shake" or "crop".
        num_frames: 2 or more.
        rng: of directions and pace.
    """
    course = np.zeros((num_frames, 6))
    angle, sign, period = rng.uniform(0, 2 * np.pi), float(rng.choice([-1, 1])), rng.uniform(*_SWING_FRAMES)
    swing = _swing(num_frames, period)
    match kind:
        case "pan":
            # Mostly sideways: a picture is wider than high, and the displacement is a share of its diagonal.
            lean = 0.4 * np.sin(angle)
            course[:, PAN_X], course[:, PAN_Y] = sign * swing * np.cos(lean), swing * np.sin(lean)
        case "zoom":
            course[:, LOG_ZOOM] = sign * swing
        case "roll":
            course[:, ROLL] = sign * swing
        case "perspective":
            course[:, TILT_X], course[:, TILT_Y] = swing * np.cos(angle), swing * np.sin(angle)
        case "shake":
            course[:] = _shaking(num_frames, rng)
        case "crop":
            course[:, LOG_ZOOM] = _ease(np.arange(num_frames) / min(_CROP_FRAMES, num_frames - 1))
            return Trajectory(course, (float(np.cos(angle) > 0), float(np.sin(angle) > 0)))
        case _:
            raise AssertionError(kind)
    return Trajectory(course)


def corner_displacement(matrices: Floats, size_hw: tuple[int, int]) -> Floats:
    """Largest way of a corner of the picture under homographies (..., 3, 3), over the picture's diagonal: (...)."""
    height, width = size_hw
    corners = np.array([[x, y, 1.0] for x in (-0.5, width - 0.5) for y in (-0.5, height - 0.5)])
    moved = corners @ np.swapaxes(matrices, -1, -2)
    ways = moved[..., :2] / moved[..., 2:] - corners[:, :2]
    return np.asarray(np.hypot(ways[..., 0], ways[..., 1]).max(axis=-1) / np.hypot(width, height))


def _tilted(about_x: Floats, about_y: Floats, far: float) -> Floats:
    """(n, 3, 3): a plane at a distance, turned about an axis of its own through the middle, seen from the front."""
    angle = np.hypot(about_x, about_y)
    even = np.maximum(angle, 1e-12)
    kx, ky, c, s = about_x / even, about_y / even, np.cos(angle), np.sin(angle)
    across = (1 - c) * kx * ky
    return _stacked(
        [[c + (1 - c) * kx**2, across, 0], [across, c + (1 - c) * ky**2, 0], [-s * ky / far, s * kx / far, 1]]
    )


def _stacked(entries: list[list[Floats | float]]) -> Floats:
    """(n, 3, 3) from nine entries, each (n,) or one number."""
    parts = np.broadcast_arrays(*(entry for row in entries for entry in row))
    return np.stack(parts, axis=-1).reshape(-1, 3, 3)


def _ease(share: Floats) -> Floats:
    """0 to 1 for 0 to 1 and level beyond, with a smooth start and end."""
    inside = np.clip(share, 0, 1)
    return inside * inside * (3 - 2 * inside)


def _swing(num_frames: int, period_frames: float) -> Floats:
    """There and back, as often as the length allows; there only in a short clip. Reaches 1."""
    halves = max(round(2 * (num_frames - 1) / period_frames), 1)
    waves = (1 - np.cos(np.pi * halves * np.arange(num_frames) / (num_frames - 1))) / 2
    return np.asarray(waves / waves.max())


def _shaking(num_frames: int, rng: np.random.Generator) -> Floats:
    """A hand's tremor and sway: shifts, little roll and zoom, of several periods, the slow ones larger."""
    moments = np.arange(num_frames)[:, None]
    course = np.zeros((num_frames, 6))
    for column, share in ((PAN_X, 1.0), (PAN_Y, 0.8), (ROLL, 0.6), (LOG_ZOOM, 0.3)):
        low, high = np.log(_SHAKE_PERIODS)
        periods = np.exp(rng.uniform(low, high, 5))
        waves = np.sin(2 * np.pi * (moments / periods + rng.uniform(0, 1, 5)))
        course[:, column] = share * (waves * np.sqrt(periods)).sum(axis=1) / np.sqrt(periods).sum()
    return np.asarray(course * _ease(moments / min(_FADE_FRAMES, num_frames - 1)))
