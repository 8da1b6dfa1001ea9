"""What is advised leaves the room that the rules of the plan ask for, and where the present has less, both say so."""

from dataclasses import replace

import pytest

from made_up_readiness import made_up_readiness
from maskscope.readiness.parts import AXES, Sentence, Sweep
from maskscope.readiness.room import NO_LEVEL, ROOM, advise, level_with_room
from maskscope.readiness.rules import RULES, plan

SETTINGS = {"keep": 0.8, "played.frames": 450.0, "short.frames": 50.0, "fps": 25.0}
MADE = {each.axis: each for each in made_up_readiness().sweeps}
RULE_OF = {
    "resolution": "raise_resolution", "frame_rate": "raise_frame_rate", "light_down": "more_light",
    "light_up": "less_light", "shutter": "shorter_shutter", "compression": "less_compression",
    "flicker": "steady_light",
}  # fmt: skip


def swept(axis: str, limit: float | None, share: float) -> Sweep:
    """A sweep whose present has `share` of the room that it should have to its limit; None was never lost."""
    made = MADE[axis]
    at = -3.0 if made.limit.value is None else limit or made.limit.value
    spare = share * ROOM[axis] if not made.logarithmic else ROOM[axis] ** share
    bound = "exact" if limit is not None else "at most" if made.harder == "lower" else "at least"
    values = {"limit": at, "lost_at": at, "lost_retention": 0.5} if limit is not None else {"tried": at}
    return advise(
        replace(
            made,
            limit=replace(made.limit, value=at, bound=bound),
            spare=replace(made.spare, value=spare, bound="exact" if limit is not None else "at least"),
            sentence=Sentence(key=f"{axis}.{'holds' if limit is None else 'limit'}", values=values),
        )
    )


@pytest.mark.parametrize(
    ("axis", "limit", "advised"),
    [
        ("resolution", 100.0, 125.0), ("frame_rate", 8.0, 10.0), ("light_down", -4.0, -3.0), ("light_up", 3.0, 2.0),
        ("shutter", 5.0, 2.5), ("compression", 8.0, 10.0), ("flicker", 2.0, 1.5),
    ],
)  # fmt: skip
def test_the_advised_level_is_as_far_from_the_limit_as_the_room(axis: str, limit: float, advised: float) -> None:
    found = swept(axis, limit, 2.0)
    assert level_with_room(axis, found.harder, found.logarithmic, limit) == pytest.approx(advised)
    assert found.advised is not None
    assert (found.advised.name, found.advised.value) == (f"{axis}.advised", pytest.approx(advised))
    assert found.sentence.key == f"{axis}.room"
    assert found.sentence.values["advised"] == found.advised.value
    assert found.sentence.values["limit"] == limit


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("share", [0.5, 2.0])
def test_sentence_and_rule_agree_on_what_is_too_little(axis: str, share: float) -> None:
    made = MADE[axis]
    found = swept(axis, {"light_up": 1.0, "flicker": 1.0}.get(axis, made.limit.value), share)
    said = {each.rule for each in plan({each.name: each for each in (found.limit, found.spare)}, SETTINGS)}
    tight = share < 1
    assert found.sentence.key == f"{axis}.{'tight' if tight else 'room'}"
    assert said & set(RULE_OF.values()) == ({RULE_OF[axis]} if tight else set())
    (rule,) = [each for each in RULES if each.id == RULE_OF[axis]]
    assert rule.opens_at == ROOM[axis]


@pytest.mark.parametrize("axis", AXES)
def test_a_better_level_than_the_present_is_named_only_where_one_is_known(axis: str) -> None:
    tight = swept(axis, MADE[axis].limit.value or 1.0, 0.5)
    assert tight.advised is not None
    known = axis not in ("shutter", "compression", "flicker")
    assert (tight.advised.value is not None) == known == ("advised" in tight.sentence.values)
    assert tight.advised.state == ("" if known else NO_LEVEL)


def test_a_limit_that_was_never_reached_has_room_on_top_and_too_near_a_level_tells_nothing() -> None:
    ample = swept("resolution", None, 2.0)
    assert ample.limit.value is not None
    assert ample.advised is not None
    assert (ample.sentence.key, ample.advised.bound) == ("resolution.ample", "at most")
    assert ample.advised.value == pytest.approx(1.25 * ample.limit.value)
    assert swept("resolution", None, 0.5).sentence.key == "resolution.near"
