"""A clip held to the ranges of an earlier one, and not to its own, in which it lies by construction."""

from dataclasses import replace

from made_up_readiness import made_up_readiness
from maskscope.readiness.result import ReadinessResult
from maskscope.readiness.rules import plan
from maskscope.studies.readiness.ranges import held_to

SETTINGS = {"keep": 0.8, "played.frames": 450.0, "short.frames": 50.0, "fps": 25.0}


def today(name: str, value: float) -> ReadinessResult:
    """A later clip of the same camera with one measure off, held to the good day."""
    good = made_up_readiness()
    changed = tuple(
        replace(each, figure=replace(each.figure, value=value), safe_low=None, safe_high=None, axis="", inside=None)
        if each.figure.name == name
        else each
        for each in good.picture
    )
    return replace(good, picture=held_to(changed, good))


def advised(result: ReadinessResult) -> set[str]:
    return {each.rule for each in plan(result.figures(), SETTINGS)}


def test_a_blurred_clip_is_outside_of_the_good_days_range_and_gets_the_advice_for_it() -> None:
    good = made_up_readiness()
    blurred = today("blur.object", 0.95)
    (measure,) = [each for each in blurred.picture if each.figure.name == "blur.object"]
    assert measure.inside is False
    assert measure.reference == "conveyor"
    assert measure.axis == next(each.axis for each in good.picture if each.figure.name == "blur.object")
    assert advised(blurred) - advised(good) == {"sharpen"}
    (advice,) = [each for each in plan(blurred.figures(), SETTINGS) if each.rule == "sharpen"]
    assert advice.cites == ("blur.object", "blur.object.high")


def test_a_noisy_clip_likewise() -> None:
    assert advised(today("noise.object", 200.0)) - advised(made_up_readiness()) == {"less_noise"}


def test_a_clip_as_good_stays_inside_and_one_without_a_value_has_no_range() -> None:
    good = made_up_readiness()
    held = held_to(good.picture, good)
    assert all(each.inside for each in held if each.reference)
    assert sum(bool(each.reference) for each in held) == sum(bool(e.safe_low or e.safe_high) for e in good.picture)
    gone = replace(good.picture[0], figure=replace(good.picture[0].figure, value=None, state="too few pixels"))
    assert held_to([gone], good)[0].reference == ""
