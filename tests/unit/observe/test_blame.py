from __future__ import annotations

from dataclasses import replace

import pytest

from maskscope.errors import SettingError
from maskscope.observe.blame import (
    LOST_BY_BOTH,
    NOT_DETERMINED,
    NOT_SHOWN,
    ONLY_HIDDEN,
    SEPARATION,
    TOO_LITTLE,
    BlameRule,
    blame,
)
from maskscope.observe.losses import LossRule, Successes, losses_of
from maskscope.observe.reading import Reading
from maskscope.remedies import REMEDIES
from maskscope.stages import STAGES

LENGTH, LOST_FROM, LOST_TO = 20, 10, 15
J = {True: 0.1, False: 0.9}


def lost(t: int) -> bool:
    return LOST_FROM <= t <= LOST_TO


def separation(falls=None, wobble=0.0, of=lambda t: t) -> list[Reading]:
    """0.95 everywhere, less what falls[stage] says of a frame."""
    return [
        Reading(
            metric=metric,
            value=0.95 - (falls or {}).get(stage, lambda t: 0.0)(t) - wobble * (of(t) % 2),
            stage=stage,
            frame=t,
            object=1,
        )
        for stage, metric in SEPARATION.items()
        for t in range(LENGTH)
    ]


def since(frame: int, depth: float = 0.3):  # type: ignore[no-untyped-def]
    return lambda t: depth if frame <= t <= LOST_TO else 0.0


def scores(repairs, clean=lambda t: 0.9, disturbed=lambda t: J[lost(t)]) -> list[Reading]:
    """J of all runs; repairs[stage] is the share that comes back."""
    readings = []
    for t in range(LENGTH):
        readings.append(Reading(metric="clean_j", value=clean(t), frame=t, object=1))
        readings.append(Reading(metric="disturbed_j", value=disturbed(t), frame=t, object=1))
        for stage, share in repairs.items():
            back = disturbed(t) + share * (clean(t) - disturbed(t))
            readings.append(Reading(metric="patched_j", value=back, stage=stage, frame=t, object=1))
    return readings


def repairs(*stages: str) -> dict[str, float]:
    return {stage: float(stage in stages) for stage in STAGES}


BEHIND = ("memory_conditioned", "prompt_attended")  # what their patches repair, whatever was lost before
CASES = [
    # everything falls behind the image, and every patch up to the mask repairs
    ("image_embedding", {stage: since(9) for stage in STAGES}, repairs("image_embedding", *BEHIND)),
    ("memory_conditioned", {stage: since(9) for stage in STAGES[1:]}, repairs(*BEHIND)),
    ("prompt_attended", {stage: since(9) for stage in STAGES[2:]}, repairs("prompt_attended")),
    # written on frame 8, read on frame 9
    (
        "object_pointer",
        {"object_pointer": since(8), **{stage: since(9) for stage in (*BEHIND, "memory_features")}},
        repairs("object_pointer", *BEHIND),
    ),
    (
        "memory_features",
        {"memory_features": since(8), **{stage: since(9) for stage in (*BEHIND, "object_pointer")}},
        repairs("memory_features", *BEHIND),
    ),
    # the image falls, but its repair brings nothing back: what does is to blame
    ("memory_conditioned", {stage: since(9) for stage in STAGES}, repairs(*BEHIND)),
    # the image's repair brings all back, as it does wherever the clip was changed, but the image holds
    ("memory_conditioned", {stage: since(9) for stage in STAGES[1:]}, repairs("image_embedding", *BEHIND)),
]


@pytest.mark.parametrize(("stage", "falls", "repaired"), CASES)
def test_the_earliest_position_that_falls_and_repairs_is_to_blame(stage, falls, repaired) -> None:
    (found,) = blame(separation(), separation(falls), scores(repaired))
    assert (found.stage, found.confidence, found.remedy) == (stage, 1.0, str(REMEDIES[stage]))
    assert (found.loss.first, found.loss.last, found.loss.kind) == (LOST_FROM, LOST_TO, "lost")
    evidence = found.evidence[STAGES.index(stage)]
    assert evidence.fall == pytest.approx(0.3)
    assert evidence.repair == pytest.approx(1)
    assert f"separation at {stage} falls first, on frame {evidence.fell_at}" in found.reason
    said = {(r.metric, r.stage): r.state or r.value for r in found.readings()}
    assert said["blame", None] == stage
    assert said["blame_confidence", None] == 1
    assert said["blame_repair", stage] == pytest.approx(1)


ALL_FALL = {stage: since(9) for stage in STAGES}
UNDETERMINED = [
    ({}, repairs(*STAGES), "falls significantly at no position"),
    ({stage: since(9, 0.04) for stage in STAGES}, repairs(*STAGES), "falls significantly at no position"),
    ({stage: since(LOST_FROM + 1) for stage in STAGES}, repairs(*STAGES), "at no position"),  # after the loss
    # one frame, and not deep enough to count alone
    ({stage: lambda t: 0.08 * (t == 7) for stage in STAGES}, repairs(*STAGES), "at no position"),
    (ALL_FALL, repairs(), "at most 0 % of it, 50 % is asked"),
    (ALL_FALL, dict.fromkeys(STAGES, 0.4), "at most 40 % of it"),
    (ALL_FALL, {}, "no position was patched"),
]


@pytest.mark.parametrize(("falls", "repaired", "reason"), UNDETERMINED)
def test_not_determined_says_why(falls, repaired, reason) -> None:
    (found,) = blame(separation(), separation(falls), scores(repaired))
    assert found.stage is None
    assert reason in found.reason
    assert found.remedy == ""
    assert found.readings()[0].state == NOT_DETERMINED


def test_a_fall_that_was_under_way_counts_from_where_it_began() -> None:
    """The window begins on frame 2; there the reading of a spoilt memory would come before the memory."""
    falls = {stage: since(1) for stage in (*BEHIND, "object_pointer")}
    (found,) = blame(separation(), separation({**falls, "memory_features": since(0)}), scores(repairs(*STAGES[1:])))
    assert found.stage == "memory_features"
    assert found.evidence[STAGES.index("memory_features")].fell_at == 0


def begun(readings: list[Reading]) -> list[Reading]:
    """As a clean run has it: frame 0 is what all others are compared with."""
    return [
        r
        if r.frame != 0 or r.stage in BEHIND
        else replace(r, value=None, state="the first pointer")
        if r.stage == "object_pointer"
        else replace(r, metric=f"{r.metric}_fitted", value=0.99)
        for r in readings
    ]


def test_the_frame_the_object_was_given_on_is_always_in_reach() -> None:
    falls = {"memory_features": lambda t: 0.6 * (t == 0), **{stage: since(9) for stage in BEHIND}}
    disturbed = [r for r in separation(falls) if not (r.frame == 0 and r.stage in BEHIND)]
    (found,) = blame(begun(separation()), disturbed, scores(repairs("memory_features", *BEHIND)))
    assert found.stage == "memory_features"
    assert found.evidence[STAGES.index("memory_features")].fall == pytest.approx(0.99 - 0.35)
    later = [r for r in disturbed if r.frame != 0]  # it is out of reach of recent memory otherwise
    (found,) = blame(begun(separation()), later, scores(repairs("memory_features", *BEHIND)))
    assert found.stage == "memory_conditioned"


def test_a_deep_fall_on_one_frame_counts() -> None:
    falls = {stage: lambda t: 0.2 * (t == 7) for stage in STAGES[1:]}
    (found,) = blame(separation(), separation(falls), scores(repairs(*BEHIND)))
    assert found.stage == "memory_conditioned"


def test_a_difference_that_wobbles_by_itself_asks_for_more_and_a_common_one_does_not() -> None:
    falls, repaired = {stage: since(9, 0.1) for stage in STAGES}, repairs(*STAGES)
    restless = separation(wobble=0.1)
    (found,) = blame(restless, separation(falls, wobble=0.1), scores(repaired))
    assert found.stage == "image_embedding"
    assert found.evidence[0].asked == BlameRule().least_fall
    (found,) = blame(restless, separation(falls, wobble=0.1, of=lambda t: t + 1), scores(repaired))
    assert found.stage is None
    assert found.evidence[0].asked == pytest.approx(3 * 1.4826 * 0.1 / 2**0.5)  # the clean run's steps


def test_an_answer_that_hangs_on_its_thresholds_is_not_determined() -> None:
    narrow = {stage: since(9, 0.052) for stage in STAGES}
    share = dict.fromkeys(STAGES, 0.51)
    (found,) = blame(separation(), separation(narrow), scores(share))
    assert found.stage is None
    assert "narrow margin" in found.reason
    assert 0.05 < found.confidence < 0.5
    (bold,) = blame(separation(), separation(narrow), scores(share), rule=BlameRule(confident=0.0))
    assert bold.stage == "image_embedding"
    assert bold.confidence == found.confidence  # the same draws


def test_no_loss_no_blame_and_what_the_clean_run_loses_is_not_the_disturbance() -> None:
    steady = scores(repairs(), disturbed=lambda t: 0.85)
    assert blame(separation(), separation(ALL_FALL), steady) == []
    both = scores(repairs(*STAGES), clean=lambda t: 0.3 if lost(t) else 0.9)
    (found,) = blame(separation(), separation(ALL_FALL), both)
    assert found.stage is None
    assert found.reason == LOST_BY_BOTH
    unseen = [r for r in scores(repairs(*STAGES)) if not (r.metric == "clean_j" and lost(r.frame or 0))]
    (found,) = blame(separation(), separation(ALL_FALL), unseen)
    assert (found.stage, found.reason) == (None, NOT_SHOWN)


def shown(value: float, repairs_to: float) -> list[Reading]:
    """Behind an occluder: J of lost frames, where the object is shown, and what two of the patches make of it."""
    at = {"image_embedding": repairs_to, "prompt_attended": repairs_to}
    readings = []
    for r in scores(repairs()):
        if r.frame is not None and lost(r.frame):
            if r.metric == "patched_j":
                r = replace(r, value=at.get(str(r.stage), value))
            elif r.metric == "disturbed_j":
                readings.append(replace(r, metric="disturbed_shown_j", value=value))
        readings.append(r)
    return readings


def test_behind_an_occluder_the_repair_is_judged_where_the_object_is_shown() -> None:
    (found,) = blame(separation(), separation(ALL_FALL), shown(0.3, 0.75))
    assert found.stage == "image_embedding"
    assert (found.loss.first, found.loss.last) == (LOST_FROM, LOST_TO)  # a loss is one by all pixels
    repaired = {each.stage: each.repair for each in found.evidence}
    assert repaired["image_embedding"] == pytest.approx((0.75 - 0.3) / (0.9 - 0.3))
    assert repaired["object_pointer"] == pytest.approx(0)
    (found,) = blame(separation(), separation(ALL_FALL), shown(0.85, 0.9))
    assert (found.stage, found.reason) == (None, ONLY_HIDDEN)
    sliver = [replace(r, value=0.2) if r.metric == "clean_j" and lost(r.frame or 0) else r for r in shown(0.0, 0.2)]
    (found,) = blame(separation(), separation(ALL_FALL), sliver)
    assert (found.stage, found.reason) == (None, TOO_LITTLE)


def scored_as_absent(repaired: dict[str, float]) -> list[Reading]:
    """As `scores`, but on lost frames the object is not there, and a bad J is a false alarm."""
    return [
        replace(r, value=None, state="absence" if (r.value or 0) > 0.5 else "false alarm")
        if r.frame and lost(r.frame)
        else r
        for r in scores(repaired)
    ]


def test_false_alarms_are_losses_and_absence_is_none() -> None:
    absent = scored_as_absent(repairs(*BEHIND))
    falls = {stage: since(8) for stage in STAGES[1:]}
    gone = [r for r in separation(falls) if r.frame is None or not lost(r.frame)]
    (found,) = blame(separation(), gone, absent)
    assert (found.loss.kind, found.stage) == ("false alarm", "memory_conditioned")
    nowhere = [r for r in separation() if r.frame is not None and r.frame < 1]
    assert "takes the false mask away" in blame(separation(), gone, scored_as_absent(repairs()))[0].reason
    (found,) = blame(separation(), nowhere, absent)
    assert found.reason == "the object is not there to be told apart"


def test_where_nothing_could_be_aligned_the_reason_is_that() -> None:
    refused = [
        Reading(metric="recovered_j", state="cannot be aligned: why", stage=stage, frame=9, object=1)
        for stage in STAGES
    ]
    (found,) = blame(separation(), separation(ALL_FALL), scores({}) + refused)
    assert found.reason == "cannot be aligned: why"


def test_time_is_followed() -> None:
    twice = {t: t // 2 for t in range(LENGTH)}  # the clean clip in slow motion
    clean = [r for r in separation({"image_embedding": lambda t: 0.5 * (t > LENGTH // 2)}) if r.frame is not None]
    (found,) = blame(clean, separation(ALL_FALL), scores(repairs(*STAGES)), counterparts=twice)
    assert found.stage == "image_embedding"
    assert found.evidence[0].fall == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.9, 0.4, 0.4, 0.9, 0.9, 0.4], [(1, 2, 5)]),  # two good frames bridge
        ([0.9, 0.4, 0.9, 0.9, 0.9, 0.4], [(1,), (5,)]),
        ([0.5, 0.9], []),
        ([0.1], [(0,)]),
    ],
)
def test_losses(values, expected) -> None:
    disturbed = dict(enumerate(values))
    found = losses_of(Successes({}, disturbed, {}), 1)
    assert [loss.frames for loss in found] == expected
    assert not any(loss.held for loss in found)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(SettingError, match=r"repaired is 1\.5"):
        BlameRule(repaired=1.5)
    with pytest.raises(SettingError, match="draws is -1"):
        BlameRule(draws=-1)
    with pytest.raises(SettingError, match="bridge_frames=-1"):
        LossRule(bridge_frames=-1)
