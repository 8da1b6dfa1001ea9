"""How far a target moves, in units of its own size."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def centroid(labels_hw: NDArray[np.uint8]) -> tuple[float, float, float] | None:
    """(x, y, area) of all objects together in pixels; None where there is none."""
    moments = cv2.moments(labels_hw, binaryImage=True)
    area = moments["m00"]
    return (moments["m10"] / area, moments["m01"] / area, area) if area > 0 else None


def relative_displacement(before_hw: NDArray[np.uint8], now_hw: NDArray[np.uint8]) -> float:
    """Distance of two centroids over the square root of the area now; 0 where the objects are absent from either."""
    before, now = centroid(before_hw), centroid(now_hw)
    if before is None or now is None:
        return 0.0
    return float(np.hypot(now[0] - before[0], now[1] - before[1]) / np.sqrt(now[2]))
