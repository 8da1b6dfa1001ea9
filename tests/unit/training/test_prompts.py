"""Simulated prompts stay on their object."""

from __future__ import annotations

import itertools

import numpy as np

from maskscope.training.batches import make_prompt, pretended_times
from maskscope.training.prompts import draw_kind, loose_box, random_click

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
