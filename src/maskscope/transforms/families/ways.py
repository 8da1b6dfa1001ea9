"""How an occluder comes to the target, stays with it, and goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from maskscope.transforms.families.targets import TargetTrack, bridged, smoothed

Floats = NDArray[np.float64]

STEP: Final = 2.0**-13
"""Poses are multiples of it (pixels, radians, scale), so that no last bit of a sine reaches a picture."""

_FASTEST: Final = 0.03  # way of a coming occluder in a frame over the picture's diagonal, where there is time


@dataclass(frozen=True)
class Way:
    """How an occluder moves, relative to a smoothed path of the target.

    Attributes:
        direction: (2,) unit vector of its motion.
        offset: (2,) of its middle from the target's, over the target's width and height.
        drift: way along the direction while the share is held, over the target's size.
        turn: radians at the middle of that time.
        spin: radians a frame.
        path_sigma: frames over which the target's path is smoothed.
    """

    direction: Floats
    offset: Floats
    drift: float
    turn: float
    spin: float
    path_sigma: float


def drawn_way(kind: str, share: float, rng: np.random.Generator) -> Way:
    """A way for a variant of the family; the same for every share below 1, without a sideways offset at 1."""
    side, tilt, offset = rng.choice([0.0, np.pi]), rng.uniform(-0.3, 0.3), rng.uniform(-0.2, 0.2, 2)
    turn, spin = rng.uniform(-0.25, 0.25), rng.uniform(-0.004, 0.004)
    whole = share >= 1
    if whole:  # beside the middle it would have to be larger
        offset = np.zeros(2)
    if kind == "rest":
        angle = np.pi / 2 + 4 * tilt  # from above or the sides
        return Way(_unit(angle), offset, 0.0, turn, 0.0, 2.0)
    if kind == "lookalike":
        turn, spin = 0.3 * turn, 0.0
    return Way(_unit(side + tilt), offset, 0.1 if whole else 0.25, turn, spin, 5.0)


def _unit(angle: float) -> Floats:
    return np.array([np.cos(angle), np.sin(angle)])


def over_target(track: TargetTrack, held: range, share: float, way: Way) -> Floats:
    """(n, 4) poses as if the occluder were there on every frame, of scale 1.

    It keeps to the target's centre of mass; to hide all of it, to its box's middle, where the least size is enough.
    """
    centres = track.middles() if share >= 1 else track.centroids
    path = smoothed(bridged(centres), way.path_sigma)
    extents = smoothed(bridged(track.extents()), max(way.path_sigma, 4.0))
    moments = np.arange(track.num_frames)
    along = np.clip((moments - held.start) / max(len(held) - 1, 1), 0, 1) - 0.5
    drift = way.drift * along[:, None] * way.direction * extents.mean(axis=1, keepdims=True)
    turns = way.turn + way.spin * (moments - held.start - len(held) / 2)
    places = path + way.offset * extents + drift
    return rounded(np.column_stack([places, np.ones(track.num_frames), turns]))


def with_ways(poses: Floats, track: TargetTrack, held: range, way: Way, radius_px: float) -> Floats:
    """The poses with a way in before the held frames and a way out behind them, and none beyond."""
    poses = poses.copy()
    height, width = track.size_hw
    n, diagonal = len(poses), float(np.hypot(height, width))
    for edge, sign, room in ((held.start, -1, held.start - 1), (held.stop - 1, 1, n - held.stop)):
        beyond = radius_px * poses[edge, 2]
        distance = _way_out(poses[edge, :2], sign * way.direction, (width + beyond, height + beyond), beyond)
        frames = min(int(np.ceil(1.6 * distance / (_FASTEST * diagonal))), room)
        for step in range(1, frames + 1):
            poses[edge + sign * step, :2] += sign * way.direction * distance * (step / (frames + 1)) ** 1.6
        gone = slice(0, edge - frames) if sign < 0 else slice(edge + frames + 1, n)
        poses[gone] = np.nan
    return rounded(poses)


def _way_out(place: Floats, direction: Floats, far: tuple[float, float], beyond: float) -> float:
    """Pixels from a place along a direction to where the picture and a margin of `beyond` around it end."""
    ways = []
    for at, step, end in zip(place, direction, far, strict=True):
        if abs(step) > 1e-6:
            ways.append(((end if step > 0 else -beyond) - at) / step)
    return max(float(min(ways)), 0.0)


def rounded(values: Floats) -> Floats:
    """To multiples of `STEP`."""
    return np.rint(values / STEP) * STEP
