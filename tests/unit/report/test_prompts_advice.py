"""The table of a prompt study and the rules over it, on made-up records whose answer is known."""

from __future__ import annotations

import pytest

from made_up_prompts import FRAMES, kinds, noc, trial
from maskscope.records import Record
from maskscope.report.prompts_advice import RULES, Advice, advise
from maskscope.report.prompts_table import prompt_rows


def advice(records: list[Record], truth: str = "annotated") -> Advice:
    return advise(prompt_rows(records), truth)


def says(given: Advice, question: str) -> str:
    return next((each.says for each in given.findings if each.question == question), "")


def test_figures_are_means_behind_the_first_frame() -> None:
    (row,) = prompt_rows(trial("kind", "box", 0.8, seconds=7.0))
    assert row.score is not None
    assert row.score.estimate == pytest.approx(0.8)  # not the 1.0 of the first frame
    assert row.value("first_j") == 1.0
    assert row.value("human_seconds") == 7.0
    assert row.value("object_score_first") == 5.0
    assert row.records == 4 * FRAMES + 2


def test_five_clips_give_an_interval_over_clips_and_seeds_are_averaged() -> None:
    (row,) = prompt_rows(trial("kind", "box", [0.5, 0.6, 0.7, 0.8, 0.9]))
    assert row.clips == 5
    assert row.score is not None
    assert row.score.estimate == pytest.approx(0.7)
    assert 0.5 < row.score.low < 0.65
    assert 0.75 < row.score.high < 0.9


def test_a_user_who_fails_counts_as_twenty_clicks() -> None:
    (row,) = prompt_rows(noc("centre", 3, 20, reached=False))
    assert row.value("noc@85") == 3
    assert row.value("noc@90") == 20
    assert row.value("not_reached@90") == 1
    assert row.value("not_reached@85") == 0


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((0.60, 0.70, 0.81, 0.81, 0.82), "give a box (7.0 s)"),  # five clicks are as good, and take 8.5 s
        ((0.60, 0.81, 0.81, 0.81, 0.82), "give 3 clicks (5.5 s)"),
        ((0.82, 0.81, 0.81, 0.81, 0.82), "give 1 click (2.5 s)"),
        ((0.60, 0.70, 0.70, 0.70, 0.82), "give a mask (37.8 s)"),
        ((0.10, 0.20, 0.20, 0.20, 0.30), "no prompt holds the object (the best, a mask"),
    ],
)
def test_the_cheapest_prompt_that_is_as_good_as_the_best(scores: tuple[float, ...], expected: str) -> None:
    assert says(advice(kinds(*scores)), "which prompt").startswith(expected)


def test_once_is_enough_where_nothing_is_gained() -> None:
    records = kinds(0.6, 0.81, 0.81, 0.81, 0.82) + trial("density", "3 clicks, every 10 frames", 0.82, seconds=33.0)
    given = advice(records)
    assert says(given, "when again").startswith("once is enough")
    assert given.sentence.startswith("Give 3 clicks")
    found = next(each for each in given.findings if each.question == "when again")
    assert any(cited.startswith("density/3 clicks, every 10 frames: J&F 0.82") for cited in found.cites)


def test_the_longest_interval_that_is_as_good_as_the_best() -> None:
    records = kinds(0.5, 0.61, 0.61, 0.61, 0.62)
    records += trial("density", "3 clicks, every 10 frames", 0.80, seconds=33.0, prompts=6)
    records += trial("density", "3 clicks, every 20 frames", 0.79, seconds=16.5, prompts=3)
    records += trial("density", "3 clicks, every 30 frames", 0.70, seconds=11.0, prompts=2)
    assert says(advice(records), "when again").startswith("say it again every 20 frames (3 clicks, 16 s)")
    dear = trial("online", "8 frames", 0.80, seconds=40.0, prompts=4)
    assert says(advice(records + dear), "when again").startswith("say it again every 20")
    cheap = trial("online", "3 frames", 0.79, seconds=15.0, prompts=3)
    assert says(advice(records + cheap), "when again").startswith("watch it and correct with 3 clicks when IoU")
    assert "2.0 corrections a clip" in says(advice(records + cheap), "when again")


def test_the_own_run_is_no_judge_of_masks_and_is_named() -> None:
    given = advice(kinds(0.6, 0.7, 0.7, 0.7, 1.0), truth="own run")
    assert says(given, "which prompt").startswith("give 3 clicks")
    assert given.sentence.endswith("(Compared with the model's own run, not with true masks.)")


def test_how_far_a_box_may_be_off() -> None:
    records = kinds(0.6, 0.7, 0.7, 0.80, 0.81)
    for percent, score in ((5, 0.80), (10, 0.79), (20, 0.70), (30, 0.79)):
        records += trial("jitter", "box shifted", score, percent=percent)
    records += trial("jitter", "click shifted", 0.3, percent=5)
    said = says(advice(records), "how exact")
    assert "box shifted by up to 10 % costs less than 5 %" in said  # what comes after a failure does not count
    assert "click shifted by even 5 % costs more than 5 %" in said


def test_a_wrong_prompt_is_told_by_the_score_or_not() -> None:
    right = kinds(0.6, 0.7, 0.7, 0.8, 0.81)
    told = advice(right + trial("wrong", "click on the background", 0.0, logit=-4.0, first=0.0))
    assert says(told, "wrong prompts").startswith("a wrong prompt is told by object score, prompted frame (AUC 1.00)")
    hidden = advice(right + trial("wrong", "click on the background", 0.0, logit=5.0, first=0.0))
    assert says(hidden, "wrong prompts").startswith("nothing the model says tells a wrong prompt well")


def test_a_model_that_does_not_heed_where_it_is_pointed_is_named() -> None:
    right = kinds(0.6, 0.7, 0.7, 0.8, 0.81)
    given = advice(right + trial("wrong", "click on the background", 0.6, logit=-4.0, first=0.85))
    assert says(given, "wrong prompts").startswith(
        "the model does not heed where it is pointed: a click on the background"
    )
    assert "(J 0.85 and 1.00)" in says(given, "wrong prompts")


def test_masks_do_not_count_for_what_tells() -> None:
    adopted = trial("wrong", "mask of a neighbour", 0.0, logit=-9.0)
    assert not any(row.axis == "telling" for row in prompt_rows(kinds(0.6, 0.7, 0.7, 0.8, 0.81) + adopted))


def test_without_records_nothing_is_recommended() -> None:
    assert advise([]).sentence.startswith("Nothing was measured")
    assert not advise([]).findings


def test_every_rule_has_its_own_condition() -> None:
    assert len({rule.when for rule in RULES}) == len(RULES)
