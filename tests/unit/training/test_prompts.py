"""Simulated prompts stay on their object."""

from __future__ import annotations

import itertools

import numpy as np

from maskscope.training.batches import make_prompt, pretended_times
from maskscope.training.prompts import correcting_click, draw_corrected, draw_kind, loose_box, random_click

MASK = np.zeros((40, 60), np.bool_)
MASK[10:20, 30:50] = True


def test_clicks_are_on_the_object_and_reach_all_of_it() -> None:
    rng = np.random.default_rng(0)
    points = np.array([random_click(rng, MASK) for _ in range(300)])
    assert all(MASK[int(y), int(x)] for x, y in points)
    assert points.min(0).tolist() == [30, 10]
    assert points.max(0).tolist() == [49, 19]


def test_a_box_is_loose_by_a_tenth_at_most_and_inside_the_frame() -> None:
    rng = np.random.default_rng(1)
    boxes = np.array([loose_box(rng, MASK) for _ in range(100)])
    assert np.abs(boxes - [[30, 10], [49, 19]]).max(axis=(0, 1)).tolist() <= [2.0, 1.0]
    assert boxes.std(0).min() > 0
    whole = np.ones((40, 60), np.bool_)
    assert loose_box(rng, whole).min() >= 0


def test_kinds_come_in_their_proportions() -> None:
    rng = np.random.default_rng(3)
    drawn = [draw_kind(rng, (0.5, 0.25, 0.25)) for _ in range(2000)]
    assert abs(drawn.count("mask") - 1000) < 100
    assert abs(drawn.count("box") - 500) < 90


def test_a_box_prompt_is_two_points_per_clip() -> None:
    prompt = make_prompt(np.random.default_rng(0), np.stack([MASK, MASK]), (0.0, 0.0, 1.0))
    assert prompt.mask_bhw is None
    assert prompt.points_bnxy_px is not None
    assert prompt.labels_bn is not None
    assert prompt.points_bnxy_px.shape == (2, 2, 2)
    assert prompt.labels_bn.tolist() == [[2, 3], [2, 3]]


def test_pretended_times_rise_from_the_prompt() -> None:
    rng = np.random.default_rng(4)
    drawn = [pretended_times(rng, 6) for _ in range(200)]
    assert all(times[0] == 0 and all(a < b for a, b in itertools.pairwise(times)) for times in drawn)
    assert (0, 1, 2, 3, 4, 5) in drawn
    assert max(times[1] for times in drawn) > 50
    assert pretended_times(rng, 1) == (0,)


def test_corrections_lie_on_errors_and_say_which() -> None:
    rng = np.random.default_rng(5)
    found = np.zeros_like(MASK)
    found[10:20, 40:58] = True  # the left half is missed, eight columns are surplus
    drawn = [correcting_click(rng, found, MASK, on_truth=0) for _ in range(400)]
    places = np.array([click for click, _ in drawn])
    labels = np.array([label for _, label in drawn])
    assert set(labels.tolist()) == {0, 1}
    missed, surplus = places[labels == 1], places[labels == 0]
    assert (missed.min(0).tolist(), missed.max(0).tolist()) == ([30, 10], [39, 19])
    assert (surplus.min(0).tolist(), surplus.max(0).tolist()) == ([50, 10], [57, 19])
    assert abs(len(missed) / 400 - 100 / 180) < 0.08, "uniform over what is wrong"


def test_some_corrections_lie_on_the_object_whatever_was_found() -> None:
    rng = np.random.default_rng(6)
    found = MASK.copy()
    found[:, :5] = True
    clicks = [correcting_click(rng, found, MASK) for _ in range(500)]
    share = np.mean([label for _, label in clicks])
    assert 0.05 < share < 0.16
    assert all(MASK[int(y), int(x)] == (label == 1) for (x, y), label in clicks)


def test_where_nothing_is_wrong_a_correction_lies_on_the_background() -> None:
    rng = np.random.default_rng(7)
    for truth in (MASK, np.zeros_like(MASK)):
        (x, y), label = correcting_click(rng, truth, truth, on_truth=0)
        assert label == 0
        assert not truth[int(y), int(x)]
    (x, y), label = correcting_click(rng, MASK, np.zeros_like(MASK))
    assert label == 0
    assert MASK[int(y), int(x)], "of an absent object everything found is surplus"


def test_one_frame_or_two_are_corrected() -> None:
    rng = np.random.default_rng(8)
    drawn = {draw_corrected(rng, 4) for _ in range(100)}
    assert drawn == {(0,), (0, 1), (0, 2), (0, 3)}
    assert draw_corrected(rng, 1) == (0,)
