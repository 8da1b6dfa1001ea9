"""The sheet of families by severities: outlines, hidden parts, void, and places with nothing in them."""

from __future__ import annotations

import numpy as np
import pytest

from maskscope.errors import ShapeError
from maskscope.report.ladder import LadderCell, draw_truth, ladder_sheet
from maskscope.transforms.base import ClipFrame

H, W = 100, 200


def frame(visible: bool = True, void: bool = False) -> ClipFrame:
    whole = np.zeros((H, W), np.uint8)
    whole[20:80, 40:120] = 1
    seen = whole.copy()
    seen[:, 80:] = 0
    mask = np.zeros((H, W), bool)
    mask[:, 180:] = True
    return ClipFrame(
        np.full((H, W, 3), 100, np.uint8), seen if visible else np.zeros_like(whole), whole, mask if void else None
    )


def test_what_is_seen_has_a_bright_outline_and_what_is_hidden_a_white_one() -> None:
    drawn = draw_truth(frame()).astype(int)
    assert drawn[50, 40].tolist() == [255, 60, 60]
    assert drawn[50, 79].tolist() == [255, 60, 60]
    assert (drawn[50, 119] > 220).all()
    assert (drawn[50, 60] == 100).all()
    assert (drawn[50, 100] == 100).all()
    assert (drawn[5] == 100).all()


def test_an_object_that_is_all_hidden_is_white_only() -> None:
    drawn = draw_truth(frame(visible=False)).astype(int)
    assert (drawn[50, 40] > 220).all()
    assert not ((drawn == [255, 60, 60]).all(axis=-1)).any()


def test_void_is_hatched_and_nothing_else() -> None:
    changed = (draw_truth(frame(void=True)) != draw_truth(frame())).any(axis=-1)
    assert 0.1 < changed[:, 180:].mean() < 0.5
    assert not changed[:, :180].any()


def test_the_picture_that_came_stays_as_it_was() -> None:
    came = frame(void=True)
    draw_truth(came)
    assert (came.image_hwc == 100).all()


def test_a_sheet_has_rows_columns_and_empty_places() -> None:
    rows = [
        [LadderCell("a 1", frame()), LadderCell("a 2", None)],
        [LadderCell("b 1", frame()), LadderCell("b 2", None)],
    ]
    sheet = np.asarray(ladder_sheet(rows)).astype(int)
    assert sheet.shape[1:] == (800, 3)
    half = sheet.shape[0] // 2
    assert (sheet[half - 10, 700] == 60).all(), "nothing to show"
    assert (sheet[half - 10, 10] == 100).all()


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "no frame to show"),
        ([[LadderCell("", None)]], "no frame to show"),
        ([[LadderCell("", frame())], []], "rows of one length"),
    ],
)
def test_refused(rows: list[list[LadderCell]], says: str) -> None:
    with pytest.raises(ShapeError, match=says):
        ladder_sheet(rows)
