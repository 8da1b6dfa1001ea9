"""How recommendations do on clips they were not made from, on clips whose answer is known."""

from __future__ import annotations

import pytest

from made_up_policies import LEFT, QUICK, RIGHT, alike, cells
from maskscope.report.policy_check import half_of, held_out
from maskscope.report.policy_check_text import check_text, held_text
from maskscope.report.policy_table import Rule


class TestHeldOut:
    def test_halves_follow_from_names(self) -> None:
        assert [half_of(clip) for clip in ("dog", "cows")] == [half_of("dog"), half_of("cows")]
        assert {half_of(f"clip{n}") for n in range(20)} == {0, 1}

    def test_what_holds_everywhere_holds(self) -> None:
        found = held_out(cells({"gated": alike(LEFT + RIGHT, 0.1), "paths": alike(LEFT + RIGHT, 0.02)}), QUICK)
        assert (found.best, found.near, len(found.held), found.hurt) == (2, 2, 2, 0)
        assert found.halves == (tuple(sorted(LEFT)), tuple(sorted(RIGHT)))
        assert found.gain is not None
        assert (found.gain.estimate, found.gain.low, found.gain.high) == pytest.approx((0.1, 0.1, 0.1))
        assert [each.policy for each in found.changed] == ["gated", "gated"]

    def test_what_was_chance_shows(self) -> None:
        """Gated helps the left half by 0.1 and costs the right one 0.2, where paths helps a little."""
        tried = {"gated": alike(LEFT, 0.1) | alike(RIGHT, -0.2), "paths": alike(LEFT, 0.0) | alike(RIGHT, 0.03)}
        found = held_out(cells(tried), QUICK)
        by_left, by_right = found.held
        assert (by_left.policy, by_left.best, by_left.is_best) == ("gated", "paths", False)
        assert (by_left.gain, by_left.possible) == pytest.approx((-0.2, 0.03))
        assert set(by_left.of_clip) == set(RIGHT)
        assert (by_right.policy, by_right.best, by_right.gain) == ("paths", "gated", pytest.approx(0.0))
        assert (found.best, found.near, found.hurt) == (0, 0, 1)
        assert found.gain is not None
        assert found.gain.estimate == pytest.approx(-0.1)
        text = held_text(found)
        assert "In 0 of 2 conditions the recommended policy was the best" in text
        assert "in 1 of 2 it cost some" in text
        assert "brought -10.0 points; who had known the best policy of each beforehand would have had +6.5" in text

    def test_stock_counts_as_a_recommendation(self) -> None:
        found = held_out(cells({"gated": alike(LEFT + RIGHT, -0.1)}), QUICK)
        assert (found.best, len(found.held), found.gain) == (2, 2, None)
        assert "No half recommended another policy" in held_text(found)

    def test_one_half_alone_cannot_be_checked(self) -> None:
        found = held_out(cells({"gated": alike(LEFT, 0.1)}), QUICK)
        assert found.held == ()
        assert "too few clips" in held_text(found)

    def test_each_clip_left_out_in_turn(self) -> None:
        """One condition, one line: seven clips decide for the eighth."""
        tried = cells({"gated": alike(LEFT + RIGHT, 0.1) | {LEFT[0]: -0.1}, "paths": alike(LEFT + RIGHT, 0.02)})
        found = held_out(tried, QUICK, one_by_one=True)
        (only,) = found.held
        assert (only.clips, only.best) == (8, "gated")
        assert set(only.of_clip) <= set(LEFT + RIGHT)
        assert only.possible == pytest.approx(0.075)

    def test_one_policy_whatever_was_measured(self) -> None:
        tried = cells({"gated": alike(LEFT, 0.1) | alike(RIGHT, -0.2)})
        found = held_out(tried, QUICK, Rule(always="gated"))
        assert [each.policy for each in found.held] == ["gated", "gated"]
        assert (found.hurt, found.brought) == (1, pytest.approx(-0.05))

    def test_only_what_every_policy_has_counts(self) -> None:
        """Paths was tried on two clips of the right half, of which gated is the better on those two."""
        gated = alike(LEFT, 0.1) | dict(zip(RIGHT, (0.3, 0.3, -0.9, -0.9), strict=True))
        found = held_out(cells({"gated": gated, "paths": alike(LEFT, 0.02) | alike(RIGHT[:2], 0.02)}), QUICK)
        by_left = next(each for each in found.held if each.policy == "gated")
        assert (by_left.clips, by_left.best, by_left.gain) == (2, "gated", pytest.approx(0.3))


def test_the_text_says_where_our_policy_everywhere_brings_more() -> None:
    """It gains on all clips by less than what changes a recommendation."""
    text = check_text(cells({"composite": alike(LEFT + RIGHT, 0.008)}), QUICK)
    assert "who takes `composite` everywhere has +0.8 points more in the mean than who follows the table" in text
    assert "loses some in 0 of 2 conditions, against 0" in text
    assert "| always `composite` | all but one | 1 | 1 | 1 | 1 | 0 | +0.8 [+0.8, +0.8] | +0.8 of +0.8 |" in text
