"""How well a score tells object from background: area under the ROC curve and average precision, exact with ties."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskscope.errors import MaskscopeError


def auc(object_scores: ArrayLike, background_scores: ArrayLike) -> float:
    """The chance that a cell of the object scores above one of the background; a tie counts half.

    AUC = U / (n1 n0), the Mann-Whitney statistic. Range 0..1; 0.5 says nothing, below it the score points away.

    Args:
        object_scores: (n1,) finite.
        background_scores: (n0,) finite.

    Raises:
        MaskscopeError: one of them is empty, or a score is not finite.
    """
    ours, theirs = _scores(object_scores, "object"), np.sort(_scores(background_scores, "background"))
    below, up_to = np.searchsorted(theirs, ours, "left"), np.searchsorted(theirs, ours, "right")
    return float((below.sum() + up_to.sum()) / (2 * len(ours) * len(theirs)))


def average_precision(
    object_scores: ArrayLike, background_scores: ArrayLike, object_weight: float = 1.0, background_weight: float = 1.0
) -> float:
    """Precision averaged over the object's cells, from the highest score down.

    AP = sum over thresholds of (recall gained) x (precision there); cells of one score pass together. Range 0..1;
    chance is the object's share of the cells, so that small objects start low.

    Args:
        object_scores: (n1,) finite.
        background_scores: (n0,) finite.
        object_weight: how many cells each of the object's stands for, where only a sample is scored.
        background_weight: the same of the background.

    Raises:
        MaskscopeError: one of them is empty, or a score is not finite.
    """
    ours, theirs = np.sort(_scores(object_scores, "object")), np.sort(_scores(background_scores, "background"))
    thresholds, gained = np.unique(ours, return_counts=True)
    found = object_weight * (len(ours) - np.searchsorted(ours, thresholds, "left"))
    mistaken = background_weight * (len(theirs) - np.searchsorted(theirs, thresholds, "left"))
    return float((gained * (found / (found + mistaken))).sum() / len(ours))


def _scores(scores: ArrayLike, whose: str) -> NDArray[np.float64]:
    array = np.asarray(scores, dtype=np.float64).ravel()
    if array.size == 0:
        raise MaskscopeError(f"the {whose} has no scores", "measure where both object and background have cells")
    if not np.isfinite(array).all():
        raise MaskscopeError(f"scores of the {whose} are not all finite numbers", "mask what is undefined")
    return array
