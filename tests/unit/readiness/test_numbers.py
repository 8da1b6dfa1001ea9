"""Limits, survival, costs and conditions on cases whose answers are known."""

import numpy as np
import pytest

from maskscope.errors import SettingError
from maskscope.readiness.blocks import block_draws, ends
from maskscope.readiness.budget import QUICK, STANDARD
from maskscope.readiness.conditions import AXES, degraded, label
from maskscope.readiness.cost import Decision, cost_inputs, expected_cost
from maskscope.readiness.limits import CurvePoint, crossing, limit_of
from maskscope.readiness.parts import AXES as AXIS_NAMES
from maskscope.readiness.survival import Episode, reprompt_interval, survival
from maskscope.transforms.base import ClipFrame

AXIS = {axis.name: axis for axis in AXES}


def test_crossings_are_interpolated_on_the_axis_own_scale():
    assert crossing([0, 2, 4], [1.0, 0.9, 0.7], 0.8, False) == pytest.approx(3)
    assert crossing([400, 100], [1.0, 0.6], 0.8, True) == pytest.approx(200)
    assert crossing([400, 100], [1.0, 0.9], 0.8, True) is None
    assert crossing([400, 100], [0.5, 0.4], 0.8, True) == 400


def test_a_limit_has_an_interval_that_holds_it_and_widens_with_disagreement():
    def points(spread):
        j = np.array([0.6 + spread, 0.6 - spread] * 5)
        clean = np.stack([np.ones(10), np.ones(10), np.ones(10)], axis=1)
        return [CurvePoint(400.0, clean), CurvePoint(100.0, np.stack([j, np.ones(10), np.ones(10)], axis=1))]

    sure, unsure = limit_of(points(0.0), 0.8, True), limit_of(points(0.3), 0.8, True)
    assert sure.level == sure.low == sure.high == pytest.approx(200)
    assert unsure.low < unsure.level < unsure.high
    assert unsure.retentions[0] == (1.0, 1.0)
    assert limit_of(points(0.0), 0.5, True).level is None


def test_kaplan_meier_of_a_worked_example():
    steps = survival([Episode(2, True), Episode(3, False), Episode(5, True), Episode(9, False)])
    assert [(each.frames, each.share, each.at_risk) for each in steps] == [(0, 1, 4), (2, 0.75, 4), (5, 0.375, 2)]
    assert all(each.low <= each.share <= each.high for each in steps)
    # Greenwood: variance of log(-log S) at S = 0.75 is (1 / (4 * 3)) / log(0.75) ** 2.
    assert steps[1].low == pytest.approx(0.75 ** np.exp(1.959964 * np.sqrt(1 / 12) / abs(np.log(0.75))), abs=1e-6)


def test_prompts_follow_from_the_rate_of_losses():
    some = reprompt_interval([Episode(100, True), Episode(300, False)], 0.05)
    assert some.frames == pytest.approx(-np.log(0.95) * 400)
    # Exact Poisson limits of one loss: 0.0253 and 5.572.
    assert some.low == pytest.approx(-np.log(0.95) * 400 / 5.572, rel=0.02)
    assert some.high > some.frames > some.low
    none = reprompt_interval([Episode(400, False)], 0.05)
    assert none.at_least
    assert none.frames == 400
    assert none.low == pytest.approx(-np.log(0.95) * 400 / 3)
    assert none.high is None
    assert reprompt_interval([Episode(1, True)] * 5, 0.05).frames == 1


def decisions(blocks=40):
    """Half visible at 4, half absent at 1, and one visible in ten at 2."""
    for block in range(blocks):
        for k in range(10):
            yield Decision(("clip", block), True, 0.9, 2.2 if k == 0 else 4.2)
            yield Decision(("cover", block), False, 0.0, 1.2)


def test_the_best_threshold_parts_what_is_there_from_what_is_not():
    cost = expected_cost(decisions(), cost_inputs(), fps=25)
    # Everything from 1.5 to 2 parts them, and a threshold in the middle of such a stretch has most room.
    assert 1.2 < cost.best_threshold.value < 2.2
    assert cost.best_cost.value == 0
    assert cost.misses.value == cost.false_alarms.value == cost.review.value == 0
    (stock,) = [each for each in cost.points if each.threshold_logit == 0]
    assert (stock.miss_share, stock.false_alarm_share) == (0, 1)
    # 600 false alarms of 5 each, and 35.5 s at 1 a minute for each.
    assert cost.stock_cost.value == pytest.approx(600 * (5 + 35.5 / 60))
    assert cost.visible_frames == cost.absent_frames == 400
    assert cost.independent_looks == 80
    assert cost.least_miss_share.value == pytest.approx(3 / 80)
    assert cost.seconds_for_certainty.value == pytest.approx(120)
    assert not cost.sure


def test_where_many_thresholds_cost_the_same_the_middle_one_is_best():
    several = [Decision(("clip", k), True, 0.9, 6.2) for k in range(10)]
    several += [Decision(("cover", k), False, 0.0, -6.2) for k in range(10)]
    cost = expected_cost(several, cost_inputs(), fps=25)
    assert cost.best_threshold.value == pytest.approx(0)
    assert (cost.best_threshold.low, cost.best_threshold.high) == (0, 0)


def test_a_mask_elsewhere_is_a_miss_at_every_threshold():
    several = [Decision(("clip", k), True, 0.05, 6.0) for k in range(10)]
    several += [Decision(("cover", k), False, 0.0, -6.0) for k in range(10)]
    cost = expected_cost(several, cost_inputs(), fps=25)
    assert all(each.miss_share == 1 for each in cost.points)
    assert cost.misses.value == 1000


def test_what_was_not_seen_is_no_figure():
    only = expected_cost([Decision(("clip", 0), True, 0.9, 3.0)], cost_inputs(), fps=25)
    assert only.best_cost.state == only.false_alarms.state == "no frame is without the object"
    assert only.misses.value == 0
    none = expected_cost([], cost_inputs(), fps=25)
    assert none.misses.state == none.best_cost.state == "no frame shows the object"


@pytest.mark.parametrize("name", ["miss", "false_alarm", "review_minute", "objects_per_hour"])
@pytest.mark.parametrize("value", [0.0, -3.0, float("nan"), float("inf")])
def test_costs_of_zero_or_less_are_refused_in_a_line(name, value):
    with pytest.raises(SettingError, match="expected more than 0"):
        cost_inputs(**{name: value})


def test_defaults_are_told_from_what_was_given():
    inputs = cost_inputs(miss=7)
    assert (inputs.miss, inputs.false_alarm, inputs.given) == (7, 5, ("miss",))


def test_draws_are_the_same_everywhere_and_ends_need_half_of_them():
    assert block_draws(3, resamples=2).tolist() == block_draws(3, resamples=2).tolist()
    assert block_draws(5).sum(1).tolist() == [5] * 1000
    assert ends(np.array([1.0, np.nan, np.nan])) is None
    assert ends(np.arange(1001.0)) == (25, 975)


def test_ten_seconds_stay_in_the_budget():
    # 50 ms a frame on two cores: 240 s of six minutes.
    assert STANDARD.frames(250, own_truth=True) <= 4800
    assert sum(map(len, STANDARD.windows(250))) <= 100
    assert QUICK.frames(250, own_truth=True) <= 2100
    assert [list(each)[-1] for each in STANDARD.windows(60)] == [59]


class Ramp:
    """A grey clip with a bright square that moves by two pixels a frame."""

    name, num_frames, size = "ramp", 24, (48, 64)

    def at(self, index):
        image = np.full((48, 64, 3), 90, np.uint8)
        image[::2, ::2] = 110
        labels = np.zeros((48, 64), np.uint8)
        labels[10:22, 2 + 2 * index : 14 + 2 * index] = 1
        image[labels > 0] = (200, 160, 120)
        return ClipFrame(image, labels, labels, None, float(index))


def test_the_axes_are_those_of_the_result_and_leave_masks_alone():
    assert tuple(AXIS) == AXIS_NAMES
    for axis in AXES:
        present, hardest = axis.levels(64, 25.0, 24)
        clip = degraded(axis, Ramp(), present, hardest)
        frame = clip.at(0)
        assert (frame.visible_hw == Ramp().at(0).visible_hw).all(), axis.name
        assert clip.name == f"ramp@{label(axis, hardest)}"
        assert degraded(axis, Ramp(), present, present).at(3).image_hwc.tobytes() == Ramp().at(3).image_hwc.tobytes()


def test_what_the_axes_do():
    plain = Ramp().at(6).image_hwc.astype(float)

    def drawn(name, level, t=6):
        axis = AXIS[name]
        return degraded(axis, Ramp(), axis.levels(64, 25.0, 24)[0], level).at(t).image_hwc.astype(float)

    assert drawn("light_down", -3.0).mean() < 0.5 * plain.mean()
    assert drawn("light_up", 2.0).mean() > 1.3 * plain.mean()
    assert (
        np.abs(np.diff(drawn("resolution", 16.0)[:6], axis=1)).mean() < 0.3 * np.abs(np.diff(plain[:6], axis=1)).mean()
    )
    assert drawn("flicker", 1.0, 6).mean() < plain.mean() < drawn("flicker", 1.0, 7).mean()
    assert np.abs(drawn("compression", 2.0) - plain).mean() > 1
    assert np.abs(drawn("shutter", 5.0) - plain)[10:22].mean() > 1
    slow = degraded(AXIS["frame_rate"], Ramp(), 25.0, 10.0)
    assert [slow.at(t).source_time for t in range(slow.num_frames)] == [0, 2, 5, 8, 10, 12, 15, 18, 20, 22]


def test_axes_without_room_say_so():
    assert AXIS["frame_rate"].levels(640, 1.0, 100) == (1.0, None)
    assert AXIS["resolution"].levels(24, 25.0, 100) == (24, None)
    assert AXIS["resolution"].levels(90, 25.0, 100) == (90, 24.0)
    assert AXIS["shutter"].middle(1.0, 3.0, 1.0) is None
    assert AXIS["shutter"].middle(1.0, 15.0, 1.0) == 3.0
