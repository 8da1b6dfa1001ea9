"""The speed benchmark's verdict; its measuring is not for a test run."""

from __future__ import annotations

import math

import pytest

from tracking import shortfalls

PROMISED = {"transformers float32": 1.0, "maskscope float32": 1.6, "maskscope bfloat16": 3.0}


def test_what_is_promised_does_not_fall_short() -> None:
    assert shortfalls(PROMISED, 0.02, 0.99) == []


@pytest.mark.parametrize(
    ("changes", "difference", "iou", "said"),
    [
        ({"maskscope float32": 1.59}, 0.0, 1.0, "maskscope float32 is 1.59 times as fast"),
        ({"maskscope bfloat16": 2.9}, 0.0, 1.0, "maskscope bfloat16 is 2.90 times as fast"),
        ({}, 0.021, 1.0, "float32 logits differ by 0.0210"),
        ({}, math.nan, 1.0, "float32 logits differ by nan"),
        ({}, 0.0, 0.989, "bfloat16 masks have IoU 0.9890"),
    ],
)
def test_each_figure_can_fall_short(changes: dict[str, float], difference: float, iou: float, said: str) -> None:
    [line] = shortfalls(PROMISED | changes, difference, iou)
    assert line.startswith(said)
