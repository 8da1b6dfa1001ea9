"""Whether our policy reaches its goal and what it costs, on records whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from made_up_policies import LEFT, QUICK, RIGHT
from maskscope.report.policy_goal import CUT, EIGHT, HIDDEN, OCCLUSION, OURS, aims, costs, goal_text
from maskscope.report.policy_rows import Cell
from maskscope.transforms.registry import family

CLIPS = LEFT + RIGHT


def compared(family: str, severity: int, gain: float, absent: float = 0.1, speed: float = 0.95) -> list[Cell]:
    """Of stock, which has 0.4 of all, and ours; the first clip gains nothing."""
    found = []
    for clip in CLIPS:
        here = gain if clip != CLIPS[0] else 0.0
        for policy, more, lost, fps in (("stock", 0.0, 0.0, 10.0), (OURS, here, absent, 10.0 * speed)):
            scores = {"j_and_f": 0.4 + more, "disappearance": 0.4 + lost, "reappearance": 0.4 + lost}
            found.append(Cell("m", policy, family, severity, clip, 1, scores))
            found.append(Cell("m", policy, family, severity, clip, None, {"fps": fps}))
    return found


def reached(hidden: float = 0.4, cut: float = 0.3, clean: float = 0.0, **more: float) -> list[Cell]:
    found = compared(OCCLUSION, 5, hidden, **more) + compared("", 0, clean, **more)
    return found + [cell for severity in EIGHT for cell in compared(CUT, severity, cut, **more)]


def met(cells: list[Cell]) -> list[str]:
    return [each.met for each in aims(cells, QUICK)]


def test_all_of_it() -> None:
    assert met(reached()) == ["yes", "yes", "", "", "yes", "yes", "yes", "yes", "yes", "yes"]


def test_what_only_the_mean_reaches_says_so() -> None:
    """The first clip gains nothing, so an eighth is missing from the mean, and the interval goes lower."""
    first = aims(reached(hidden=0.12), QUICK)[0]
    assert (first.stock, first.ours, first.met) == ("40.0", "50.5", "in the mean")
    assert first.gain.startswith("+10.5 [")
    assert aims(reached(hidden=0.1), QUICK)[0].met == "no"


def test_a_loss_beyond_the_interval_is_a_loss() -> None:
    assert aims(reached(clean=-0.2), QUICK)[4].met == "no"
    lost = reached(absent=-0.1)
    assert met(lost)[5:9] == ["no"] * 4
    assert met(reached(absent=0.0))[5:9] == ["no"] * 4, "as good is not better"


def test_the_slowest_condition_decides_about_speed() -> None:
    cells = reached()
    slow = [
        replace(c, values={"fps": 8.0}) if (c.policy, c.family) == (OURS, "") and not c.object else c for c in cells
    ]
    last = aims(slow, QUICK)[-1]
    assert (last.gain, last.met) == ("0.95x; least 0.80x (clean)", "in the median")
    assert aims(reached(speed=0.85), QUICK)[-1].met == "no"


def test_speeds_of_different_studies_are_not_compared() -> None:
    cells = reached()
    apart = [replace(c, session="another day") if c.policy == OURS and c.object is None else c for c in cells]
    assert len(aims(apart, QUICK)) == len(aims(cells, QUICK)) - 1


def test_costs_name_the_clip_that_pays() -> None:
    cells = reached()
    for clip, lost in zip(CLIPS, (0.3, *[0.0] * 7), strict=True):
        cells += [
            Cell("m", policy, "speed", 3, clip, 1, {"j_and_f": 0.8 - part})
            for policy, part in (("stock", 0), (OURS, lost))
        ]
    (cost,) = costs(cells, QUICK)
    assert (cost.family, cost.severity, cost.worst) == ("speed", "3", CLIPS[0])
    assert (cost.gain.gain, cost.worst_gain, cost.others_gain) == pytest.approx((-0.0375, -0.3, 0.0))
    assert f"| {CLIPS[0]} -30.0 | +0.0 |" in goal_text(cells, QUICK)


def test_without_what_it_takes_nothing_is_said() -> None:
    assert goal_text(compared(OCCLUSION, 5, 0.4)) == ""


def test_its_severities_are_what_it_says() -> None:
    """All of the object hidden; eight foreign frames or more."""
    hides, cuts = family("occlusion").table, family("interjection").table
    assert [n for n, row in hides.items() if row["hidden_share"] == 1] == list(HIDDEN)
    assert [n for n, row in cuts.items() if row["foreign_frames"] >= 8] == list(EIGHT)
