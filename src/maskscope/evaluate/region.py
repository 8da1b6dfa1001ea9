"""Region similarity J: intersection over union of two masks (Perazzi et al., CVPR 2016, section 4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskscope.evaluate.masks import as_mask_pair


def region_similarity(
    prediction: ArrayLike, truth: ArrayLike, void: ArrayLike | None = None
) -> float | NDArray[np.float64]:
    """J = |P ∩ G| / |P ∪ G|, and 1 where both masks are empty.

    Args:
        prediction: `(..., H, W)` bool or integer, 0 is background.
        truth: the same shape.
        void: pixels that count for nothing, of the masks' shape or `(H, W)`.

    Returns:
        A float in 0..1 for one frame, else a float64 array of the leading shape. Never NaN.

    Raises:
        ShapeError: the shapes do not go together.
        MaskscopeError: a mask is neither boolean nor integer.
    """
    predicted, true = as_mask_pair(prediction, truth, void)
    if true.ndim == 2:
        return frame_region_similarity(predicted, true)
    shared = np.count_nonzero(predicted & true, axis=(-2, -1))
    either = np.count_nonzero(predicted | true, axis=(-2, -1))
    return np.where(either == 0, 1.0, shared / np.maximum(either, 1))


def frame_region_similarity(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """J of one frame, both masks `(H, W)` bool of one shape, unchecked."""
    either = np.count_nonzero(predicted | true)
    return np.count_nonzero(predicted & true) / either if either else 1.0
