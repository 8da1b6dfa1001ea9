"""Smooth random motion: a homography per frame, and a gentle thin-plate deformation.

Homographies map source pixels to frame pixels. Every draw takes a generator, so a clip is a function of its seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.training.store import Pixels
from maskscope.training.thin_plate import sources, warp

Matrices = NDArray[np.float64]
"""(t, 3, 3) homographies."""


@dataclass(frozen=True)
class MotionRange:
    """How far one thing moves from frame to frame; every figure is the spread of a random draw.

    Args:
        shift: translation, as a fraction of the thing's own size.
        log_scale: change of the logarithm of size.
        turn: rotation in radians.
        shear: change of aspect and skew.
        perspective: foreshortening over the thing's size.
    """

    shift: float = 0.08
    log_scale: float = 0.05
    turn: float = 0.06
    shear: float = 0.02
    perspective: float = 0.02


CAMERA = MotionRange(shift=0.02, log_scale=0.02, turn=0.015, shear=0.005, perspective=0.01)
OBJECT = MotionRange()


def smooth_path(rng: np.random.Generator, n_frames: int, spread: float, width: int) -> NDArray[np.float64]:
    """(n_frames, width) values that start at 0: a constant speed plus one slow swing, in units of `spread` a frame."""
    t = np.arange(n_frames)[:, None]
    speed = rng.normal(0, spread, width)
    swing = rng.normal(0, 1.5 * spread, width)
    phase, rate = rng.uniform(0, 2 * np.pi, width), rng.uniform(0.4, 1.4, width)
    path: NDArray[np.float64] = speed * t + swing * (np.sin(rate * t + phase) - np.sin(phase))
    return path


def random_motion(
    rng: np.random.Generator, n_frames: int, size_wh: tuple[float, float], motion: MotionRange
) -> Matrices:
    """Motion of a thing of `size_wh` pixels about its own centre, which stays the origin.

    Returns:
        (n_frames, 3, 3); maps centred coordinates to centred coordinates, frame 0 to itself.
    """
    pace = float(min(rng.lognormal(0.0, 0.6), 2.0)) * min(4 / n_frames, 1.0) ** 0.7  # long clips would leave the frame
    size = float(np.hypot(*size_wh)) / np.sqrt(2)
    shift = smooth_path(rng, n_frames, motion.shift * pace, 2) * size
    log_scale = np.clip(smooth_path(rng, n_frames, motion.log_scale * pace, 1)[:, 0], -0.7, 0.7)
    turn = smooth_path(rng, n_frames, motion.turn * pace, 1)[:, 0]
    shear = np.clip(smooth_path(rng, n_frames, motion.shear * pace, 2), -0.3, 0.3)
    perspective = np.clip(smooth_path(rng, n_frames, motion.perspective * pace, 2), -0.25, 0.25) / size
    out = np.zeros((n_frames, 3, 3))
    for t in range(n_frames):
        c, s = np.cos(turn[t]), np.sin(turn[t])
        linear = np.exp(log_scale[t]) * np.array([[c, -s], [s, c]])
        out[t, :2, :2] = linear @ np.array([[1 + shear[t, 0], shear[t, 1]], [0, 1 - shear[t, 0]]])
        out[t, :2, 2] = shift[t]
        out[t, 2] = (perspective[t, 0], perspective[t, 1], 1)
    return out


def translation(x: float, y: float) -> NDArray[np.float64]:
    """Homography that moves by (x, y)."""
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


def placement(scale: float, turn: float = 0.0, flip: bool = False, aspect: float = 1.0) -> NDArray[np.float64]:
    """Homography about the origin: flip, stretch by `aspect` (width over height), scale, then rotate."""
    c, s = np.cos(turn), np.sin(turn)
    stretch = np.sqrt(aspect)
    linear = scale * np.array([[c, -s], [s, c]]) @ np.diag([stretch * (-1.0 if flip else 1.0), 1 / stretch])
    out = np.eye(3)
    out[:2, :2] = linear
    return out


def window_over(
    rng: np.random.Generator, mask: Pixels, place: Matrices, n_frames: int, size_hw: tuple[int, int]
) -> Matrices:
    """A window that cuts a thing and opens, or moves, until the frame is seen as it was; at times the other way round.

    Args:
        mask: (h0, w0) of the thing in its picture, above 0 where it is; some of it lies in the frame.
        place: (3, 3) from the picture to frame pixels.
        n_frames: over which the window opens; it may be open before the last of them.
        size_hw: of the frame, pixels.

    Returns:
        (n_frames, 3, 3) from frame pixels to frame pixels, enlarging by 4 at most.
    """
    h, w = size_hw
    shown = cv2.warpPerspective(mask, place, (w, h), flags=cv2.INTER_NEAREST) > 0
    rows, columns = np.nonzero(shown)
    if not len(rows):
        return np.broadcast_to(np.eye(3), (n_frames, 3, 3))
    part = rng.uniform(0.4, 0.9)  # of the thing's height and width that the window has, where it is large enough
    zoom = float(np.clip(min(h / (part * (np.ptp(rows) + 1)), w / (part * (np.ptp(columns) + 1))), 1.0, 4.0))
    pixel = int(rng.integers(len(rows)))
    half = np.array([w, h]) / (2 * zoom)
    at = np.clip(np.array([columns[pixel], rows[pixel]], np.float64), half, np.array([w, h]) - half)
    opened = max(int(rng.integers(n_frames // 2, n_frames)), 1)
    shares = np.clip(1 - np.arange(n_frames) / opened, 0, 1)  # of the way from the whole frame to the window
    if rng.random() < 0.3:
        shares = shares[::-1]
    centre = np.array([w, h]) / 2
    out = np.zeros((n_frames, 3, 3))
    for t, share in enumerate(shares):
        scale = zoom**share
        # the window's centre goes as its size does, so that it never leaves the frame
        way = (1 - 1 / scale) / (1 - 1 / zoom) if zoom > 1 else 0.0
        x, y = centre + way * (at - centre)
        out[t] = translation(w / 2, h / 2) @ np.diag([scale, scale, 1.0]) @ translation(-x, -y)
    return out


def deform(rng: np.random.Generator, pictures: Sequence[Sequence[Pixels]], spread: float = 0.012) -> list[list[Pixels]]:
    """Bend things that rigid motion leaves stiff: a thin-plate spline that grows from nothing in frame 0.

    Args:
        pictures: sequences of n frames (h, w) or (h, w, c) uint8 that bend together (an image and its mask); all of
            one height and width. A frame may be the same array as another.
        spread: displacement of a control point per frame, as a fraction of the longer side.
    """
    height, width = pictures[0][0].shape[:2]
    n_frames, (rows, columns) = len(pictures[0]), (3, 4) if rng.random() < 0.5 else (4, 6)
    paths = smooth_path(rng, n_frames, spread * max(height, width), rows * columns * 2).reshape(-1, rows, columns, 2)
    limit = 0.35 * min(height / rows, width / columns)  # keeps the map from folding over itself
    places = sources(limit * np.tanh(paths / limit), (height, width))
    return [[warp(frame, at, _border(frame)) for frame, at in zip(frames, places, strict=True)] for frames in pictures]


def _border(frame: Pixels) -> int:
    """Colour goes on beyond the frame; masks and cut-outs end there."""
    return cv2.BORDER_REPLICATE if frame.ndim == 3 and frame.shape[2] == 3 else cv2.BORDER_CONSTANT
