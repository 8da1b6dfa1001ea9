"""An occluder on its way: how a cut-out is laid over a frame, and how large it has to be to hide a share of a target.

Plans search with the very function that draws, so what was found is what is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.transforms.families.targets import TargetTrack, bridged, smoothed

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Window: TypeAlias = tuple[slice, slice]
Pose: TypeAlias = NDArray[np.float64]
"""(4,) x and y of the cut-out's middle in pixels of the picture, scale, turn in radians (clockwise as seen)."""

COVERS: Final = 128  # alpha from which a pixel of the target counts as hidden
_STEPS: Final = 12  # of a bisection: a scale is found to less than a thousandth of itself
_LARGEST: Final = 4.0  # side of an occluder over the picture's


def laid(layer: Bytes, pose: Pose, size_hw: tuple[int, int]) -> tuple[Window, Bytes] | None:
    """A layer as it lies in the picture.

    Args:
        layer: (h, w) or (h, w, 4) uint8, colours premultiplied.
        pose: where and how large; NaN for nowhere.
        size_hw: of the picture.

    Returns:
        The rows and columns it reaches, and the layer there, of the same dtype; None where it does not reach any.
    """
    if np.isnan(pose[0]):
        return None
    high, wide = layer.shape[:2]
    x, y, scale, turn = pose
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    half_x = (abs(c) * wide + abs(s) * high) / 2 + 1
    half_y = (abs(s) * wide + abs(c) * high) / 2 + 1
    left, right = max(int(np.floor(x - half_x)), 0), min(int(np.ceil(x + half_x)) + 1, size_hw[1])
    top, bottom = max(int(np.floor(y - half_y)), 0), min(int(np.ceil(y + half_y)) + 1, size_hw[0])
    if left >= right or top >= bottom:
        return None
    middle = np.array([(wide - 1) / 2, (high - 1) / 2])
    linear = np.array([[c, -s], [s, c]])
    matrix = np.column_stack([linear, np.array([x - left, y - top]) - linear @ middle])
    drawn = cv2.warpAffine(layer, matrix, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    return (slice(top, bottom), slice(left, right)), np.asarray(drawn, np.uint8)


def hidden_share(alpha: Bytes, pose: Pose, track: TargetTrack, t: int) -> float:
    """Share of the target's whole outline on frame `t` that the occluder covers, 0 to 1; 0 where it is absent."""
    found = laid(alpha, pose, track.size_hw) if track.areas_px[t] else None
    if found is None:
        return 0.0
    (rows, columns), drawn = found
    left, top, right, bottom = track.boxes[t]
    x0, x1 = max(columns.start, left), min(columns.stop, right)
    y0, y1 = max(rows.start, top), min(rows.stop, bottom)
    if x0 >= x1 or y0 >= y1:
        return 0.0
    over = drawn[y0 - rows.start : y1 - rows.start, x0 - columns.start : x1 - columns.start] >= COVERS
    below = track.outline(t)[y0 - top : y1 - top, x0 - left : x1 - left]
    return float(np.count_nonzero(below[over]) / track.areas_px[t])


def least_scale(alpha: Bytes, pose: Pose, track: TargetTrack, t: int, share: float) -> float:
    """Smallest scale at which the share is reached on frame `t`, by bisection; NaN where none of sense does."""
    largest = _LARGEST * max(track.size_hw) / max(alpha.shape)

    def reaches(scale: float) -> bool:
        return hidden_share(alpha, np.array([pose[0], pose[1], scale, pose[3]]), track, t) >= share

    high = min(1.0, largest)
    while not reaches(high):
        if high >= largest:
            return float("nan")
        high = min(1.5 * high, largest)
    low = high / 1.5 if high > 1 else 0.0
    return bisected(reaches, low, high)


def scales_over_time(alpha: Bytes, poses: NDArray[np.float64], track: TargetTrack, held: range, share: float) -> Floats:
    """(len(held),) scales that reach the share on each frame, made smooth in time; NaN where no scale does.

    Args:
        alpha: (h, w) uint8 of the cut-out.
        poses: (n, 4) places and turns; their scales are not read.
        track: of the target.
        held: frames on which the share shall be reached; the target is present on one of them at least.
        share: above 0; at 1 the smoothing only enlarges.
    """
    present = [t for t in held if track.areas_px[t]]
    found = np.full(len(held), np.nan)
    for t in present:
        found[t - held.start] = least_scale(alpha, poses[t], track, t, share)
        if np.isnan(found[t - held.start]):
            return np.full(len(held), np.nan)
    scales = bridged(found)
    if share >= 1:
        reach = 3
        padded = np.pad(scales, reach, mode="edge")
        scales = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    scales = smoothed(scales, 2.0)

    def shares(gain: float) -> list[float]:
        tried = ((t, np.array([*poses[t, :2], scales[t - held.start] * gain, poses[t, 3]])) for t in present)
        return [hidden_share(alpha, pose, track, t) for t, pose in tried]

    def enough(gain: float) -> bool:
        # All of it on every frame, or the share on the mean.
        return min(shares(gain)) >= 1 if share >= 1 else float(np.mean(shares(gain))) >= share

    gain = 1.0
    while not enough(gain):
        gain *= 1.1
    return scales * bisected(enough, gain / 1.1 if gain > 1 else 0.7, gain, steps=8)


def bisected(holds: Callable[[float], bool], low: float, high: float, steps: int = _STEPS) -> float:
    """A value near the smallest at which `holds`, which it does at `high`; the value returned was seen to hold."""
    for _ in range(steps):
        middle = (low + high) / 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return high


def blended(image: Bytes, drawn: Bytes) -> Any:
    """(h, w, 3) uint8: a premultiplied (h, w, 4) layer over a picture of the same size."""
    through = cv2.cvtColor(255 - drawn[..., 3], cv2.COLOR_GRAY2RGB)
    below = cv2.multiply(image, through, scale=1 / 255)
    return cv2.add(below, cv2.cvtColor(drawn, cv2.COLOR_RGBA2RGB))
