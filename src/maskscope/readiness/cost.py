"""What errors cost an hour, against the threshold on the object score, with intervals from one clip.

A decision is one object on one frame: with a score above the threshold it counts as there. A miss is a frame that
shows the object and on which it was not found: the score is at the threshold or below, or the mask is elsewhere (IoU
up to 0.1). A false alarm is a frame that does not show it with a score above the threshold.

    cost/h = N (misses C_miss + alarms C_alarm) + N (misses + alarms) T_review C_review

N objects pass an hour, and as many looks are taken where none is; `misses` and `alarms` are shares of such frames, and
every error is looked at for T_review. Cf. Drummond and Holte, "Cost curves" (2006).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from maskscope.errors import SettingError
from maskscope.readiness.blocks import BLOCK_FRAMES, block_draws, ends
from maskscope.readiness.figure import Figure
from maskscope.readiness.labelling import bundled_study, labelling_time
from maskscope.readiness.parts import Cost, CostInputs, CostPoint

FOUND_IOU: Final = 0.1
"""Up to this overlap a mask is elsewhere, as in `maskscope.evaluate.presence`."""

REVIEW_SECONDS: Final = 35.5
"""30 s to look through 300 frames, 1 s to find the place, three clicks of 1.5 s (SAM 2, appendix E.1)."""

DEFAULTS: Final = {"miss": 20.0, "false_alarm": 5.0, "review_minute": 1.0, "objects_per_hour": 600.0}
THRESHOLDS: Final = tuple(float(each) for each in np.arange(-10, 10.01, 0.5))
METRIC: Final = "object_score_logit"
CERTAIN_SHARE: Final = 0.01
"""One miss in a hundred: what a clip should be long enough to tell from none."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One object on one frame.

    Attributes:
        block: frames of one block are not independent; any name.
        visible: truth shows it.
        iou: of the mask that would be shown, 0..1; 0 where it is not visible.
        score_logit: above the threshold it counts as there.
    """

    block: tuple[str, int]
    visible: bool
    iou: float
    score_logit: float


def cost_inputs(
    miss: float | None = None,
    false_alarm: float | None = None,
    review_minute: float | None = None,
    objects_per_hour: float | None = None,
) -> CostInputs:
    """Costs in the user's own currency; None takes a default.

    Raises:
        SettingError: zero, negative, or not finite.
    """
    said = {
        "miss": miss, "false_alarm": false_alarm, "review_minute": review_minute, "objects_per_hour": objects_per_hour
    }  # fmt: skip
    options = {
        "miss": "--cost-miss", "false_alarm": "--cost-false-alarm", "review_minute": "--cost-review-minute",
        "objects_per_hour": "--objects-per-hour",
    }  # fmt: skip
    for name, value in said.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise SettingError(f"{options[name]} is {value:g}, expected more than 0", "leave it out for the default")
    given = tuple(name for name, value in said.items() if value is not None)
    values = DEFAULTS | {name: float(value) for name, value in said.items() if value is not None}
    return CostInputs(**values, review_seconds=REVIEW_SECONDS, given=given)


def expected_cost(decisions: Iterable[Decision], inputs: CostInputs, fps: float, seed: int = 0) -> Cost:
    """The curve, its best point, and how sure it is.

    Args:
        decisions: of the clip as it is and of variants in which the object is absent by construction.
        inputs: see `cost_inputs`.
        fps: frames a second of the clip.
        seed: of the draws.
    """
    several, study = list(decisions), bundled_study()
    counts = _counts(several)  # (blocks, 2 + 2k)
    k = len(THRESHOLDS)
    total = counts.sum(0)
    visible, absent = int(total[0]), int(total[1])
    miss, alarm = _shares(total[None])
    costs = _costs(miss, alarm, inputs)[0]
    best = int(_middle_of_least(costs[None])[0])
    times = block_draws(max(len(counts), 1), seed) if len(counts) else np.zeros((0, 0), np.int64)
    drawn_miss, drawn_alarm = _shares(times @ counts) if len(counts) else (np.zeros((0, k)), np.zeros((0, k)))
    drawn = _costs(drawn_miss, drawn_alarm, inputs)
    bands = [ends(drawn[:, index]) or (float(costs[index]), float(costs[index])) for index in range(k)]
    points = tuple(
        CostPoint(
            threshold_logit=THRESHOLDS[index], cost=float(costs[index]), cost_low=bands[index][0],
            cost_high=bands[index][1], miss_share=float(miss[0, index]), false_alarm_share=float(alarm[0, index]),
        )
        for index in range(k)
    )  # fmt: skip
    looks = len({each.block for each in several})
    needed_s = 3 / CERTAIN_SHARE * BLOCK_FRAMES / fps
    seconds = visible / fps
    best_draws = np.array([THRESHOLDS[index] for index in _middle_of_least(drawn)]) if len(drawn) else np.zeros(0)
    hour = inputs.objects_per_hour
    state = "no frame shows the object" if not visible else "" if absent else "no frame is without the object"
    stock = int(np.argmin(np.abs(np.array(THRESHOLDS))))

    def figure(name: str, unit: str, value: float, draws: NDArray[np.float64], why: str = "") -> Figure:
        low, high = ends(draws) or (None, None)
        if why:
            return Figure(name=f"cost.{name}", value=None, unit=unit, metric=METRIC, state=why)
        return Figure(name=f"cost.{name}", value=value, unit=unit, low=low, high=high, metric=METRIC)

    best_cost = figure("best", "cost/h", float(costs[best]), drawn[:, best], state)
    width = (best_cost.high or 0.0) - (best_cost.low or 0.0)
    no_visible, no_absent = ("" if n else w for n, w in ((visible, "no frame shows the object"), (absent, state)))
    minutes = hour * inputs.review_seconds / 60
    return Cost(
        inputs=inputs,
        points=points,
        best_threshold=figure("best_threshold", "logit", THRESHOLDS[best], best_draws, state),
        best_cost=best_cost,
        stock_cost=figure("stock", "cost/h", float(costs[stock]), drawn[:, stock], state),
        misses=figure("misses", "per 1000", 1000 * float(miss[0, best]), 1000 * drawn_miss[:, best], no_visible),
        false_alarms=figure(
            "false_alarms", "1/h", hour * float(alarm[0, best]), hour * drawn_alarm[:, best], no_absent
        ),
        review=figure(
            "review", "minutes/h", minutes * float(miss[0, best] + alarm[0, best]),
            minutes * (drawn_miss[:, best] + drawn_alarm[:, best]), state,
        ),
        labelling=labelling_time(study),
        labelling_study=study,
        visible_frames=visible,
        absent_frames=absent,
        independent_looks=looks,
        least_miss_share=Figure(
            name="cost.least_miss_share", value=min(3 / max(looks, 1), 1.0), unit="share", metric=METRIC
        ),
        seconds_for_certainty=Figure(
            name="cost.seconds_for_certainty", value=needed_s, unit="seconds", metric=METRIC
        ),
        sure=not state and seconds >= needed_s and width <= (best_cost.value or 0.0),
    )  # fmt: skip


def _middle_of_least(costs: NDArray[np.float64]) -> NDArray[np.int64]:
    """Of each row the middle one of its least values: where many thresholds cost the same, it has most room."""
    least = np.isclose(costs, costs.min(1, keepdims=True), rtol=1e-9, atol=1e-9)
    first, last = least.argmax(1), costs.shape[1] - 1 - least[:, ::-1].argmax(1)
    middle = (first + last) // 2
    return np.asarray(np.where(least[np.arange(len(costs)), middle], middle, first), np.int64)


def _counts(decisions: Sequence[Decision]) -> NDArray[np.float64]:
    """(blocks, 2 + 2k): visible and absent frames, misses and false alarms at each threshold."""
    places = {block: row for row, block in enumerate(dict.fromkeys(each.block for each in decisions))}
    thresholds = np.array(THRESHOLDS)
    counts = np.zeros((len(places), 2 + 2 * len(thresholds)))
    for each in decisions:
        row, there = counts[places[each.block]], each.score_logit > thresholds
        if each.visible:
            row[0] += 1
            row[2 : 2 + len(thresholds)] += ~there | (each.iou <= FOUND_IOU)
        else:
            row[1] += 1
            row[2 + len(thresholds) :] += there
    return counts


def _shares(sums: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    k = len(THRESHOLDS)
    visible, absent = np.maximum(sums[:, :1], 1), np.maximum(sums[:, 1:2], 1)
    return sums[:, 2 : 2 + k] / visible, sums[:, 2 + k :] / absent


def _costs(miss: NDArray[np.float64], alarm: NDArray[np.float64], inputs: CostInputs) -> NDArray[np.float64]:
    review = inputs.review_seconds / 60 * inputs.review_minute
    return np.asarray(inputs.objects_per_hour * (miss * (inputs.miss + review) + alarm * (inputs.false_alarm + review)))
