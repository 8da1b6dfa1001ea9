"""Simulated users on shapes whose middle, error and surroundings are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from maskscope.studies.prompting.clicks import (
    Click,
    box_of,
    click_in,
    deepest,
    next_click,
    scaled_box,
    shifted_box,
    shifted_click,
    wrong_box,
)

SIZE = (60, 80)


def rectangle(left: int, top: int, right: int, bottom: int) -> NDArray[np.bool_]:
    mask = np.zeros(SIZE, bool)
    mask[top:bottom, left:right] = True
    return mask


def disc(x: int, y: int, radius: int) -> NDArray[np.bool_]:
    rows, columns = np.indices(SIZE)
    return np.asarray((columns - x) ** 2 + (rows - y) ** 2 <= radius**2)


def test_the_first_click_is_the_middle_of_the_largest_circle_inside() -> None:
    # a disc with a long handle: neither its centre of mass nor the middle of its box
    mask = disc(20, 30, 12) | rectangle(20, 29, 78, 32)
    x, y, radius = deepest(mask)
    assert abs(x - 20) <= 1
    assert abs(y - 30) <= 1
    assert radius == pytest.approx(12, abs=1)
    assert next_click(mask, np.zeros(SIZE, bool)) == Click(float(x), float(y), 1)


def test_the_frame_bounds_a_region() -> None:
    x, y, _ = deepest(rectangle(0, 0, 11, 60))
    assert x == 5
    assert 5 <= y <= 54


def test_a_click_goes_into_the_larger_error() -> None:
    truth = rectangle(20, 20, 50, 40)
    lacking = truth & ~rectangle(20, 20, 35, 40)  # 15 x 20 are missing
    assert next_click(truth, lacking | rectangle(60, 20, 65, 25)) == Click(27.0, 27.0, 1)
    too_much = next_click(truth, truth | rectangle(60, 20, 71, 31))
    assert too_much == Click(65.0, 25.0, 0)
    assert next_click(truth, truth) is None


def test_pixels_without_truth_are_no_error() -> None:
    truth = rectangle(20, 20, 50, 40)
    known = ~rectangle(60, 20, 71, 31)
    assert next_click(truth, truth | rectangle(60, 20, 71, 31), known=known) is None


def test_users_of_one_sign_always_find_a_place() -> None:
    truth = rectangle(20, 20, 50, 40)
    positive = next_click(truth, truth, signs="positive")
    negative = next_click(truth, truth, signs="negative")
    assert positive is not None
    assert truth[int(positive.y), int(positive.x)]
    assert positive.label == 1
    assert negative is not None
    assert not truth[int(negative.y), int(negative.x)]
    assert negative.label == 0
    again = next_click(truth, truth, signs="positive", earlier=(positive,))
    assert again is not None
    assert (again.x, again.y) != (positive.x, positive.y)


def test_humans_click_near_the_centre_and_on_the_object() -> None:
    mask = disc(20, 30, 12) | disc(65, 30, 8)
    rng = np.random.default_rng(0)
    clicks = np.array([click_in(mask, rng) for _ in range(400)])
    assert all(disc(20, 30, 12)[y, x] for x, y in clicks)  # never on the other part
    assert np.abs(clicks.mean(0) - (20, 30)).max() < 1
    # a normal distribution of 0.25 sqrt(pi) 12 = 5.3, cut off at the outline
    assert 3.5 < clicks.std(0).mean() < 5.3


def test_boxes_are_moved_and_scaled_by_shares_of_their_sides() -> None:
    box = box_of(rectangle(20, 20, 40, 30))
    assert box == (20, 20, 40, 30)
    assert shifted_box(box, 0.5, 0.0, SIZE) == pytest.approx((30, 20, 50, 30))
    assert shifted_box(box, 0.5, math.pi / 2, SIZE) == pytest.approx((20, 25, 40, 35))
    assert scaled_box(box, 1.5, SIZE) == pytest.approx((15, 17.5, 45, 32.5))
    assert scaled_box(box, 0.5, SIZE) == pytest.approx((25, 22.5, 35, 27.5))
    assert shifted_box(box, 0, 1.0, SIZE) == box
    assert scaled_box(box, 1, SIZE) == box


def test_what_leaves_the_frame_is_clipped_to_it() -> None:
    left, top, right, bottom = shifted_box((0, 0, 10, 10), 5.0, math.pi, SIZE)
    assert (left, top, right, bottom) == pytest.approx((0, 0, 1, 10))
    assert shifted_click(Click(5, 5, 1), (0, 0, 10, 10), 5.0, math.pi, SIZE) == Click(0, pytest.approx(5), 1)


def test_a_wrong_box_lies_where_nothing_is() -> None:
    taken = rectangle(20, 20, 50, 40)
    box = wrong_box(box_of(rectangle(20, 20, 30, 30)), taken, np.random.default_rng(0))
    assert box is not None
    left, top, right, bottom = map(int, box)
    assert not taken[top:bottom, left:right].any()
    assert (right - left, bottom - top) == (10, 10)
    assert wrong_box((0, 0, 70, 50), taken, np.random.default_rng(0)) is None
