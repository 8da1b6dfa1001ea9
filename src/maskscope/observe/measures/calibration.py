"""Whether the model's own scores can be believed: predicted IoU and object score against the truth.

The object score, through a sigmoid, is a probability that the object is visible; predicted IoU is a forecast of J.
Frames on which the user spoke are to be left out by the caller: a given mask has IoU 1 by definition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskscope.errors import ShapeError
from maskscope.observe.measures.ranking import auc
from maskscope.observe.reading import Reading

HELD_IOU = 0.5
"""J from which a mask counts as right where predicted IoU is asked to tell right from wrong."""

NO_FRAMES, ONE_KIND = "no frames", "all frames are of one kind"


@dataclass(frozen=True, slots=True)
class ScoredFrame:
    """What the model said of one object on one frame, and what was true.

    Attributes:
        predicted_iou: of the chosen mask, 0..1.
        object_score_logit: above 0 the model takes the object for visible.
        true_iou: J of the chosen mask as decoded, 0..1; None where truth does not show the object.
    """

    predicted_iou: float
    object_score_logit: float
    true_iou: float | None

    @property
    def visible(self) -> bool:
        """Truth shows the object."""
        return self.true_iou is not None


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Forecasts between `low` and `high` (which belongs to the next bin, but for the last).

    Attributes:
        low: 0..1.
        high: 0..1.
        count: how many forecasts.
        forecast: their mean; None where there are none.
        truth: mean of what came true, 0..1; None likewise.
    """

    low: float
    high: float
    count: int
    forecast: float | None
    truth: float | None


def reliability(forecasts: ArrayLike, truths: ArrayLike, bins: int = 10) -> tuple[ReliabilityBin, ...]:
    """The reliability diagram: bins of equal width over 0..1.

    Args:
        forecasts: (n,) in 0..1.
        truths: (n,) in 0..1, 0 and 1 where it is a question of yes or no.
        bins: how many.

    Raises:
        ShapeError: arrays of different lengths, values outside of 0..1, or no bin.
    """
    forecast, truth = _checked(forecasts, truths, bins)
    index = np.minimum((forecast * bins).astype(int), bins - 1)
    return tuple(_bin(i, bins, forecast[index == i], truth[index == i]) for i in range(bins))


def expected_calibration_error(forecasts: ArrayLike, truths: ArrayLike, bins: int = 10) -> float | None:
    """ECE = sum over bins of (count / n) |mean forecast - mean truth|, 0..1; 0 is calibrated. None without frames.

    Raises:
        ShapeError: as of `reliability`.
    """
    table = reliability(forecasts, truths, bins)
    total = sum(row.count for row in table)
    if not total:
        return None
    return sum(row.count * abs((row.forecast or 0.0) - (row.truth or 0.0)) for row in table) / total


def brier_score(forecasts: ArrayLike, truths: ArrayLike) -> float | None:
    """Mean squared difference, 0..1; 0 is certain and right. None without frames.

    Raises:
        ShapeError: as of `reliability`.
    """
    forecast, truth = _checked(forecasts, truths, 1)
    return float(np.square(forecast - truth).mean()) if forecast.size else None


def calibration_floor(forecasts: ArrayLike, bins: int = 10, draws: int = 200, seed: int = 0) -> float | None:
    """ECE that perfect probabilities would show by chance on so few frames: mean over draws of y ~ Bernoulli(p).

    A measured ECE of a yes-or-no question means nothing unless it is well above (Broecker and Smith, 2007).

    Raises:
        ShapeError: as of `reliability`.
    """
    forecast, _ = _checked(forecasts, forecasts, bins)
    if not forecast.size:
        return None
    index = np.minimum((forecast * bins).astype(int), bins - 1)
    drawn = np.random.default_rng(seed).random((draws, forecast.size)) < forecast
    gaps = np.zeros((draws, bins))
    for i in range(bins):
        gaps[:, i] = np.abs((drawn[:, index == i] - forecast[index == i]).sum(1))
    return float(gaps.sum(1).mean() / forecast.size)


def score_auc(scores: ArrayLike, positive: ArrayLike) -> float | None:
    """P(score of a positive frame > score of a negative one), ties half; 0..1, 0.5 tells nothing apart.

    None where all frames are of one kind.

    Raises:
        ShapeError: arrays of different lengths.
    """
    score, kind = np.asarray(scores, np.float64), np.asarray(positive, bool)
    if score.ndim != 1 or score.shape != kind.shape:
        raise ShapeError(f"the scores are {score.shape} and the kinds {kind.shape}, expected the same (n,)")
    return None if kind.all() or not kind.any() else auc(score[kind], score[~kind])


def calibration(frames: Sequence[ScoredFrame], object_id: int | None = None, bins: int = 10) -> list[Reading]:
    """Readings over the tracked frames of an object, or of many.

    Predicted IoU is compared with J on the frames that show the object: `predicted_iou.ece`, `.brier` (mean squared
    difference), `.bias` (mean forecast less mean truth; above 0 the model is too sure), and `.auc`, how well it tells
    masks of J >= 0.5 from others. The object score is compared with visibility on all frames: `object_score.ece`,
    `.ece_floor` (see `calibration_floor`), `.brier`, `.bias`, `.auc`. What cannot be had is a state.

    Args:
        frames: of tracked frames, not of prompted ones.
        object_id: goes into the readings.
        bins: of the reliability diagram.

    Raises:
        ShapeError: scores outside of 0..1.
    """
    seen = [frame for frame in frames if frame.true_iou is not None]
    forecast = np.array([frame.predicted_iou for frame in seen])
    truth = np.array([frame.true_iou for frame in seen], np.float64)
    logits = np.array([frame.object_score_logit for frame in frames], np.float64)
    presence, visible = _sigmoid(logits), np.array([frame.visible for frame in frames], np.float64)
    values = {
        "predicted_iou.ece": expected_calibration_error(forecast, truth, bins),
        "predicted_iou.brier": brier_score(forecast, truth),
        "predicted_iou.bias": _bias(forecast, truth),
        "predicted_iou.auc": score_auc(forecast, truth >= HELD_IOU),
        "object_score.ece": expected_calibration_error(presence, visible, bins),
        "object_score.ece_floor": calibration_floor(presence, bins),
        "object_score.brier": brier_score(presence, visible),
        "object_score.bias": _bias(presence, visible),
        "object_score.auc": score_auc(logits, visible > 0),
    }
    counts = {"predicted_iou": len(seen), "object_score": len(frames)}
    readings = []
    for metric, value in values.items():
        missing = None if value is not None else ONE_KIND if counts[metric.partition(".")[0]] else NO_FRAMES
        readings.append(Reading(metric=metric, value=value, state=missing, stage="prompt_attended", object=object_id))
    return readings


def _checked(forecasts: ArrayLike, truths: ArrayLike, bins: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    forecast, truth = np.asarray(forecasts, np.float64), np.asarray(truths, np.float64)
    if forecast.ndim != 1 or forecast.shape != truth.shape:
        raise ShapeError(f"forecasts are {forecast.shape} and truths {truth.shape}, expected the same (n,)")
    if bins < 1:
        raise ShapeError(f"{bins} bins were asked for, expected 1 or more")
    for name, values in (("a forecast", forecast), ("a truth", truth)):
        outside = values[~((values >= 0) & (values <= 1))]  # neither NaN
        if outside.size:
            raise ShapeError(f"{name} is {outside[0]:g}, expected 0..1", "turn logits into probabilities first")
    return forecast, truth


def _bin(i: int, bins: int, forecast: NDArray[np.float64], truth: NDArray[np.float64]) -> ReliabilityBin:
    means = (float(forecast.mean()), float(truth.mean())) if forecast.size else (None, None)
    return ReliabilityBin(i / bins, (i + 1) / bins, forecast.size, *means)


def _bias(forecast: NDArray[np.float64], truth: NDArray[np.float64]) -> float | None:
    return float(forecast.mean() - truth.mean()) if forecast.size else None


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    out: NDArray[np.float64] = 0.5 * (1 + np.tanh(0.5 * logits))
    return out
