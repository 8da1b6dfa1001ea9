"""Boundary accuracy F: how much of two outlines lies near the other one, exactly as the DAVIS benchmark counts it.

Source of the definition: Perazzi et al., CVPR 2016, section 4, and the official DAVIS 2017 evaluation. Its result is
kept to the last bit, its work is not: outside the bounding box of both masks there is no outline and none to match, so
everything happens inside that box.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskscope.errors import MaskscopeError
from maskscope.evaluate.masks import as_mask_pair
from maskscope.evaluate.reach import Neighbourhood, PackedPicture, covered_px, disk

DAVIS_TOLERANCE = 0.008
"""Share of the image diagonal within which DAVIS counts two outlines as the same."""


def boundary_f(
    prediction: ArrayLike,
    truth: ArrayLike,
    *,
    tolerance: float = DAVIS_TOLERANCE,
    void: ArrayLike | None = None,
) -> float | NDArray[np.float64]:
    """F = 2pr / (p + r): p the share of the predicted outline near the true one, r the reverse.

    The outline is one pixel wide, and "near" means within a disk of `ceil(tolerance * diagonal)` pixels: 8 at 480p, 18
    at 1080p. F so depends on the size it is taken at; resize predictions to the truth, never the reverse. With no
    outline on either side F is 1, with one on a single side 0. A mask that fills the frame has no outline, as in the
    official tool: against an empty one it gets F = 1 and J = 0.

    Args:
        prediction: `(..., H, W)` bool or integer, 0 is background.
        truth: the same shape.
        tolerance: share of the diagonal below 1, pixels from 1 on.
        void: pixels emptied in both masks first, of the masks' shape or `(H, W)`.

    Returns:
        A float in 0..1 for one frame, else a float64 array of the leading shape. Never NaN.

    Raises:
        ShapeError: the shapes do not go together.
        MaskscopeError: a mask is neither boolean nor integer, or the tolerance is negative or not finite.
    """
    predicted, true = as_mask_pair(prediction, truth, void)
    height, width = true.shape[-2:]
    radius_px = tolerance_radius_px(height, width, tolerance)
    if true.ndim == 2:
        return frame_boundary_f(predicted, true, radius_px)
    pairs = zip(predicted.reshape(-1, height, width), true.reshape(-1, height, width), strict=True)
    return np.array([frame_boundary_f(p, t, radius_px) for p, t in pairs], dtype=np.float64).reshape(true.shape[:-2])


def tolerance_radius_px(height: int, width: int, tolerance: float = DAVIS_TOLERANCE) -> float:
    """Distance in pixels within which two outlines match, on a frame of this size.

    Raises:
        MaskscopeError: the tolerance is negative or not finite.
    """
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise MaskscopeError(
            f"the tolerance is a share of the diagonal (below 1) or pixels (from 1 on), it is {tolerance}"
        )
    return tolerance if tolerance >= 1 else math.ceil(tolerance * math.sqrt(height * height + width * width))


def frame_boundary_f(predicted: NDArray[np.bool_], true: NDArray[np.bool_], radius_px: float) -> float:
    """F of one frame, both masks `(H, W)` bool of one shape, unchecked."""
    box = box_around(predicted | true)
    return outlines_f(outline(predicted[box]), outline(true[box]), disk(radius_px))


def outlines_f(predicted: NDArray[np.uint8], true: NDArray[np.uint8], near: Neighbourhood) -> float:
    """F of two outlines `(H, W)` uint8, 0 and 1, that match where one is near the other."""
    predicted_px, true_px = int(np.count_nonzero(predicted)), int(np.count_nonzero(true))
    if predicted_px == 0 or true_px == 0:
        return float(predicted_px == true_px)
    ours, theirs = (PackedPicture.of(each, near.margin_px) for each in (predicted, true))
    precision = covered_px(ours, theirs, near) / predicted_px
    recall = covered_px(theirs, ours, near) / true_px
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def outline(mask_hw: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Pixels that differ from their east, south or south-east neighbour: `(H, W)` uint8, 0 or 1.

    That is the rule of the Berkeley segmentation benchmark, which DAVIS took over: a pixel is on the outline where the
    2x2 window that starts at it is not of one value. A neighbour beyond the frame is not compared.
    """
    if mask_hw.size == 0:
        return np.zeros(mask_hw.shape, dtype=np.uint8)
    window = np.ones((2, 2), dtype=np.uint8)
    pixels = np.ascontiguousarray(mask_hw).view(np.uint8)
    return np.asarray(cv2.morphologyEx(pixels, cv2.MORPH_GRADIENT, window, anchor=(0, 0)), dtype=np.uint8)


def box_around(either: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns that hold every outline pixel of a mask: its bounding box and one pixel around it.

    The pixel before the box carries the outline of its first row; the one behind it shows that the object ends there.
    Dilation needs no more room, since only outline pixels ask whether they are covered.
    """
    left, top, width, height = cv2.boundingRect(np.ascontiguousarray(either).view(np.uint8))
    return slice(max(top - 1, 0), top + height + 1), slice(max(left - 1, 0), left + width + 1)
