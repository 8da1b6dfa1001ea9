"""What the measures accept as a mask, decided in one place."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskscope.errors import MaskscopeError, ShapeError


def as_foreground(mask: ArrayLike, role: str) -> NDArray[np.bool_]:
    """The object's pixels of a boolean or integer mask: every value other than 0.

    Args:
        mask: `(..., H, W)` bool or integer. Floating masks are refused: they are mostly logits, whose negative values
            are not 0 and would all count as object.
        role: the mask's name in errors, such as "prediction".

    Returns:
        `(..., H, W)` bool; the input itself where it is boolean already.

    Raises:
        ShapeError: fewer than two dimensions.
        MaskscopeError: neither boolean nor integer.
    """
    array = np.asarray(mask)
    if array.ndim < 2:
        raise ShapeError(f"a mask has two dimensions or more, the {role} has {array.ndim}", "give (..., height, width)")
    if array.dtype == np.bool_:
        return array
    if not np.issubdtype(array.dtype, np.integer):
        raise MaskscopeError(
            f"a mask is boolean or integer, the {role} is {array.dtype}", "threshold it first, logits with `> 0`"
        )
    return np.asarray(array != 0)


def as_mask_pair(
    prediction: ArrayLike, truth: ArrayLike, void: ArrayLike | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Prediction and truth of one shape, with void pixels emptied in both.

    Emptying is what the official DAVIS tool does with void pixels, in J and in F alike.

    Raises:
        ShapeError: the shapes differ, or `void` does not broadcast to them.
        MaskscopeError: a mask is neither boolean nor integer.
    """
    predicted, true = as_foreground(prediction, "prediction"), as_foreground(truth, "truth")
    if predicted.shape != true.shape:
        raise ShapeError(
            f"prediction and truth are of one shape, they are {predicted.shape} and {true.shape}",
            "resize the prediction to the size of the truth",
        )
    if void is None:
        return predicted, true
    kept = ~as_foreground(void, "void mask")
    if kept.shape not in (true.shape, true.shape[-2:]):
        raise ShapeError(f"the void mask is of the truth's shape {true.shape} or of one frame's, it is {kept.shape}")
    return predicted & kept, true & kept
