"""The plan: a clip that is worse in exactly one way gets exactly that advice, and every advice cites a measurement."""

import pytest

from maskscope.readiness.figure import Figure
from maskscope.readiness.rules import NOT_YET, RULES, START_SHORT, plan, verdict

SETTINGS = {"keep": 0.8, "played.frames": 400.0, "short.frames": 50.0, "fps": 25.0}


def figures(**changes):
    """A clip on which nothing is wrong; `changes` by name with __ for dots: a value, or keyword arguments."""
    good = {
        "prompt.area": 0.02, "prompt.border": 0.0, "prompt.score": 8.0, "baseline.black_frames": 0.0,
        "baseline.j": 0.92, "resolution.limit": 120.0, "resolution.spare": 7.0, "frame_rate.limit": 8.0,
        "frame_rate.spare": 3.0, "light_down.limit": -4.0, "light_down.spare": 4.0, "light_up.limit": 3.0,
        "light_up.spare": 3.0, "shutter.limit": 5.0, "shutter.spare": 5.0, "compression.limit": 8.0,
        "compression.spare": 12.0, "flicker.limit": 2.0, "flicker.spare": 2.0, "size_tokens.object": 20.0,
        "size_px.object": 5000.0, "size_px.object.low": 100.0, "motion.object": 0.1, "motion.object.high": 0.3,
        "luma.object": 0.4, "luma.object.low": 0.05, "bright_share.object": 0.0, "bright_share.object.high": 0.5,
        "noise.object": 2.0, "noise.object.high": 8.0, "blur.object": 0.2, "blur.object.high": 0.5,
        "blockiness.object": 1.0, "blockiness.object.high": 2.5, "flicker.object": 0.02, "flicker.object.high": 1.0,
        "cuts.frame": 0.0, "frozen.frame": 0.0, "lookalike.background": 0.2, "cost.least_miss_share": 0.005,
        "cost.best_threshold": {"value": 0.0, "low": -1.0, "high": 1.0}, "cost.best": 10.0, "cost.stock": 12.0,
        "stock.horizon": {"value": 400.0, "bound": "at least"}, "stock.longest_occlusion": 16.0,
        "composite.horizon": {"value": 400.0, "bound": "at least"}, "composite.longest_occlusion": 16.0,
        "stock.reprompt_interval": 90.0, "composite.reprompt_interval": 90.0,
    }  # fmt: skip
    good |= {name.replace("__", "."): value for name, value in changes.items()}
    made = {}
    for name, value in good.items():
        fields = value if isinstance(value, dict) else {"value": value}
        made[name] = Figure(**{"name": name, "unit": "ratio", "metric": name, **fields})
    return made


LOST = {"value": 120.0}
ON_STARTING = {START_SHORT.id, *(rule.id for rule in NOT_YET)}

DEGRADED = [
    ("prompt_background", {"prompt__border": 0.6}),
    ("prompt_background", {"prompt__area": 0.7, "lookalike__background": -0.3, "cuts__frame": 1.0}),
    ("prompt_background", {"prompt__score": -2.0}),
    ("black_frames", {"baseline__black_frames": 0.1}),
    ("raise_resolution", {"resolution__spare": 1.1}),
    ("raise_resolution", {"size_px__object": 60.0, "blur__object": 0.6, "size_tokens__object": 3.0}),
    ("object_tiny", {"size_tokens__object": 2.5}),
    ("raise_frame_rate", {"frame_rate__spare": 1.0}),
    ("raise_frame_rate", {"motion__object": 0.8, "baseline__j": 0.4}),
    ("more_light", {"light_down__spare": 0.4}),
    ("more_light", {"luma__object": 0.02, "noise__object": 9.0}),
    ("less_light", {"bright_share__object": 0.7}),
    ("less_light", {"light_up__spare": 0.5}),
    ("less_noise", {"noise__object": 9.0}),
    ("shorter_shutter", {"shutter__spare": 1.0, "blur__object": 0.6}),
    ("shorter_shutter", {"shutter__spare": 1.7}),  # between the present and the first level that can be tried
    ("sharpen", {"blur__object": 0.6}),
    ("less_compression", {"blockiness__object": 3.0}),
    ("less_compression", {"compression__spare": 1.1}),
    ("steady_light", {"flicker__object": 1.4}),
    ("cuts", {"cuts__frame": 1.0}),
    ("frozen", {"frozen__frame": 0.2}),
    ("lookalikes", {"lookalike__background": -0.1}),
    ("use_composite", {"stock__horizon": LOST}),
    ("use_composite", {"composite__longest_occlusion": 32.0}),
    ("threshold", {"cost__best_threshold": {"value": 2.0, "low": 1.0, "high": 3.0}}),
    ("threshold", {"cost__best_threshold": {"value": -2.0, "low": -3.0, "high": -1.0}}),
    ("fine_tune", {"baseline__j": 0.5}),
    ("longer_clip", {"cost__least_miss_share": 0.1}),
]


@pytest.mark.parametrize(("rule", "change"), DEGRADED, ids=[f"{r}-{i}" for i, (r, _) in enumerate(DEGRADED)])
def test_a_clip_worse_in_one_way_gets_exactly_that_advice(rule, change):
    made = figures(**change)
    said = plan(made, SETTINGS)
    assert {each.rule for each in said} - ON_STARTING == {rule}
    (advice,) = [each for each in said if each.rule == rule]
    assert advice.cites
    assert set(advice.cites) <= set(made)
    assert not advice.opens or advice.opens in made


def test_tracks_lost_by_both_policies_ask_for_prompts_and_let_long_tasks_wait():
    said = plan(figures(stock__horizon=LOST, composite__horizon=LOST), SETTINGS)
    assert [each.rule for each in said] == ["start_short", "prompt_again", "long_watch"]
    assert verdict(said) == "mitigate"
    assert said[1].values["frames"] == 90.0
    assert said[2].opens_at == 400.0


def test_what_has_been_reached_opens_nothing():
    (start,) = plan(figures(composite__horizon={"value": 399.0, "bound": "at least"}), SETTINGS)
    assert (start.opens, start.opens_at) == ("composite.horizon", 400.0)
    (start,) = plan(figures(), SETTINGS)
    assert (start.opens, start.opens_at, start.opens_when) == ("", None, "")
    moved = [each for each in plan(figures(motion__object=0.8), SETTINGS) if each.rule == "raise_frame_rate"]
    assert [each.opens for each in moved] == [""], "its room was not what made the rule speak"


def test_every_rule_has_a_clip_that_gets_it():
    assert {rule.id for rule in RULES} == {rule for rule, _ in DEGRADED} | {"prompt_again", "long_watch"}


def test_a_good_clip_starts_now_and_nothing_else_is_said():
    said = plan(figures(), SETTINGS)
    assert [each.rule for each in said] == ["start_short"]
    assert verdict(said) == "now"


def test_a_track_shorter_than_a_short_task_or_a_poor_one_does_not_start():
    for change in ({"stock__horizon": {"value": 49.0}}, {"baseline__j": 0.7, "size_tokens__object": 2.0}):
        assert "start_short" not in {each.rule for each in plan(figures(**change), SETTINGS)}
    (start,) = plan(figures(), SETTINGS)
    assert start.values == {"frames": 400.0, "seconds": 16.0}


def test_where_nothing_starts_the_page_may_not_say_that_something_can():
    poor = plan(figures(baseline__j=0.7, lookalike__background=-0.1), SETTINGS)
    assert [each.rule for each in poor] == ["lookalikes", "not_accurate"]
    assert (poor[1].cites, poor[1].opens, poor[1].opens_at) == (("baseline.j",), "baseline.j", 0.8)
    assert verdict(poor) == "wait"
    brief = plan(figures(stock__horizon={"value": 30.0}, composite__horizon={"value": 30.0}), SETTINGS)
    assert [each.rule for each in brief if each.stage == "wait"] == ["not_long", "long_watch"]
    assert verdict(brief) == "wait"


def test_a_clip_too_short_to_show_a_short_task_is_not_said_to_have_lost_it():
    never_lost = {"value": 47.0, "bound": "at least"}
    said = plan(figures(stock__horizon=never_lost, composite__horizon=never_lost), SETTINGS)
    assert [each.rule for each in said] == ["not_shown"]
    assert said[0].values["least_frames"] == 50.0
    assert verdict(said) == "wait"


def test_without_truth_the_way_back_opens_the_next_stage():
    unknown = {"value": None, "state": "no true masks were given"}
    (said,) = plan(figures(baseline__j=unknown, baseline__consistency=0.5), SETTINGS)
    assert (said.rule, said.opens, said.cites) == ("fine_tune", "baseline.consistency", ("baseline.consistency",))


def test_a_threshold_that_saves_nothing_is_not_advised():
    best = {"value": 2.0, "low": 1.0, "high": 3.0}
    assert {each.rule for each in plan(figures(cost__best_threshold=best, cost__stock=10.0), SETTINGS)} == {
        "start_short"
    }


def test_what_waits_does_not_start():
    said = plan(figures(baseline__j=0.5), SETTINGS)
    assert verdict(said) == "wait"
    assert all(each.stage != "now" for each in said)


def test_no_measurement_no_advice_and_no_start():
    assert plan({}, SETTINGS) == ()
    assert verdict(()) == "wait"
    missing = {"value": None, "state": "no frame shows the object"}
    assert {each.rule for each in plan(figures(frame_rate__spare=missing), SETTINGS)} == {"start_short"}


def test_a_limit_that_was_never_reached_is_no_reason():
    made = figures(light_up__spare=0.5, light_up__limit={"value": 0.5, "bound": "at least"})
    assert {each.rule for each in plan(made, SETTINGS)} == {"start_short"}
