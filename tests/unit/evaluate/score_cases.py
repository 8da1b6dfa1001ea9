"""Scores of one object, written down frame by frame."""

from __future__ import annotations

import numpy as np

from maskscope.evaluate.scores import ObjectScore

Pixels = tuple[int, int, int]
"""Of both masks, of the true one, of the predicted one."""


def object_score(*frames: Pixels, adaptive: list[float] | None = None, first: int = 1, seen: int = 0) -> ObjectScore:
    """An object that counts from frame `first` on and was first seen on frame `seen`; F equals J."""
    shared, true, predicted = np.array(frames, dtype=np.int64).T
    union = true + predicted - shared
    iou = np.where(union == 0, 1.0, shared / np.maximum(union, 1))
    return ObjectScore(
        object_id=1,
        frames=np.arange(first, first + len(frames), dtype=np.int64),
        region=iou,
        boundary=iou.copy(),
        adaptive=None if adaptive is None else np.array(adaptive),
        intersection_px=shared,
        truth_px=true,
        predicted_px=predicted,
        first_seen=seen,
    )


GONE = (0, 0, 0)
GHOST = (0, 0, 10)
LOST = (0, 10, 0)
ELSEWHERE = (0, 10, 10)
PERFECT = (10, 10, 10)
HALF = (10, 20, 10)  # IoU 0.5
GRAZED = (1, 10, 10)  # IoU 1/19, about 0.05
