from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from maskscope.errors import PromptError
from maskscope.tracking.prompts import ClickSet, Prompt

HEIGHT, WIDTH = 60, 80
MASK = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
MASK[10:20, 10:30] = 7


@pytest.mark.parametrize(
    "given",
    [
        {"points_xy_px": [(0, 0)]},
        {"points_xy_px": [(79.9, 59.9), (3, 4)], "labels": [1, 0]},
        {"points_xy_px": np.array([[3.0, 4.0]])},
        {"box_xyxy_px": (0, 0, 80, 60)},
        {"box_xyxy_px": (1, 2, 3, 4), "points_xy_px": [(5, 5)], "labels": [0]},
        {"mask": MASK},
        {"mask": MASK > 0},
    ],
)
def test_what_means_an_object(given: dict[str, Any]) -> None:
    Prompt(1, **given).check(HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "the prompt of object 4 is empty; give points, a box or a mask"),
        ({"points_xy_px": [(80, 5)]}, "point (80, 5) of object 4 lies outside the frame of 80 x 60; x is 0 to 79"),
        ({"points_xy_px": [(5, -0.5)]}, "point (5, -0.5) of object 4 lies outside"),
        ({"points_xy_px": [(5, 60)]}, "point (5, 60) of object 4 lies outside"),
        ({"points_xy_px": [(float("nan"), 5)]}, "lies outside the frame"),
        ({"points_xy_px": [(5, 5)], "labels": [1, 0]}, "object 4 has 1 points and 2 labels; give as many"),
        ({"points_xy_px": [(5, 5)], "labels": [2]}, "object 4 has labels [2]; a label is 1 (object) or 0"),
        ({"box_xyxy_px": (30, 10, 20, 40)}, "the box of object 4 is inside out: (30, 10) to (20, 40)"),
        ({"box_xyxy_px": (10, 40, 20, 40)}, "inside out"),
        ({"box_xyxy_px": (10, 10, 81, 40)}, "reaches outside the frame of 80 x 60; clip it to the frame"),
        ({"box_xyxy_px": (-1, 10, 20, 40)}, "reaches outside"),
        ({"box_xyxy_px": (float("nan"), 10, 20, 40)}, "inside out"),
        ({"mask": MASK.T}, "the mask of object 4 is 60 x 80, the frame is 80 x 60; resize the mask"),
        ({"mask": np.zeros_like(MASK)}, "the mask of object 4 is empty"),
        ({"mask": MASK, "points_xy_px": [(5, 5)]}, "object 4 has a mask and points or a box on one frame"),
        ({"mask": MASK, "box_xyxy_px": (1, 2, 3, 4)}, "object 4 has a mask and points or a box on one frame"),
    ],
)
def test_what_cannot_mean_an_object(given: dict[str, Any], message: str) -> None:
    with pytest.raises(PromptError) as caught:
        Prompt(4, **given).check(HEIGHT, WIDTH)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_clicks_as_the_model_takes_them() -> None:
    clicks = ClickSet.of(Prompt(1, points_xy_px=[(5, 6), (7, 8)]), None)
    assert clicks.points_nxy_px.tolist() == [[5, 6], [7, 8]]
    assert clicks.labels_n.tolist() == [1, 1]
    assert (clicks.points_nxy_px.dtype, clicks.labels_n.dtype) == (np.float32, np.int64)
    boxed = ClickSet.of(Prompt(1, points_xy_px=[(5, 6)], labels=[0], box_xyxy_px=(1, 2, 3, 4)), None)
    assert boxed.points_nxy_px.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert boxed.labels_n.tolist() == [2, 3, 0]


def test_earlier_clicks_come_first_when_they_are_kept() -> None:
    earlier = ClickSet.of(Prompt(1, box_xyxy_px=(1, 2, 3, 4)), None)
    kept = ClickSet.of(Prompt(1, points_xy_px=[(9, 9)], labels=[0], keep_earlier=True), earlier)
    assert kept.labels_n.tolist() == [2, 3, 0]
    assert ClickSet.of(Prompt(1, points_xy_px=[(9, 9)]), earlier).labels_n.tolist() == [1]
    assert ClickSet.of(Prompt(1, box_xyxy_px=(1, 2, 3, 4), keep_earlier=True), None).labels_n.tolist() == [2, 3]
    with pytest.raises(PromptError, match="gets a box after clicks on the same frame"):
        ClickSet.of(Prompt(1, box_xyxy_px=(1, 2, 3, 4), keep_earlier=True), earlier)
