"""The sheet of frames: its size, what is tinted, outlined and written, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from maskscope.errors import ShapeError
from maskscope.palette import davis_palette
from maskscope.report.contact_sheet import contact_sheet

GREY = np.full((50, 100, 3), 100, np.uint8)


def _masks(count: int) -> list[np.ndarray]:
    label = np.zeros((50, 100), np.uint8)
    label[10:40, 20:60] = 2
    return [label] * count


def test_grid_has_the_width_asked_for_and_the_frames_shape() -> None:
    sheet = contact_sheet([GREY] * 5, _masks(5), columns=3, width_px=312)
    assert sheet.mode == "RGB"
    assert sheet.size == (312, 2 * 50 + 6)
    pixels = np.asarray(sheet)
    assert (pixels[:, 100:106] == 255).all()
    assert (pixels[56:, 212:] == 255).all()  # the empty sixth place


def test_masks_are_tinted_and_the_rest_is_left() -> None:
    pixels = np.asarray(contact_sheet([GREY], _masks(1), columns=1, width_px=100)).astype(int)
    assert (pixels[5, 5] == 100).all()
    assert (pixels[45, 80] == 100).all()
    colour = davis_palette()[2].astype(float) * 0.75 + 64
    np.testing.assert_allclose(pixels[25, 40], 0.5 * 100 + 0.5 * colour, atol=1)
    assert pixels[25, 40].argmax() == 1


def test_truth_is_a_thin_outline() -> None:
    empty = [np.zeros((50, 100), np.uint8)]
    pixels = np.asarray(contact_sheet([GREY], empty, columns=1, truth=_masks(1), width_px=100))
    white = (pixels == 255).all(axis=-1)
    assert white[10, 20:60].all()
    assert white[10:40, 59].all()
    assert not white[12:38, 22:58].any()
    assert white.sum() == 2 * (40 + 30) - 4


def test_caption_is_written_in_the_corner() -> None:
    plain, named = (
        np.asarray(contact_sheet([GREY], _masks(1), columns=1, captions=text, width_px=400)).astype(int)
        for text in ((), ("frame 7  J 0.91",))
    )
    changed = (plain != named).any(axis=-1)
    assert changed[:12, :12].all()
    assert not changed[60:].any()
    assert named[:40, :200].max() > 240


def test_one_column_more_than_frames_makes_no_hole() -> None:
    assert contact_sheet([GREY], _masks(1), columns=4, width_px=200).size == (200, 100)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"frames": []}, "0 frames"),
        ({"columns": 0}, "0 columns"),
        ({"masks": _masks(1)}, "expected 2 masks"),
        ({"masks": [np.zeros((50, 99), np.uint8)] * 2}, "masks of 100x50"),
        ({"truth": _masks(3)}, "expected 2 truth"),
        ({"captions": ["one"]}, "expected 2 captions"),
        ({"frames": [GREY[..., 0]] * 2}, "uint8"),
        ({"width_px": 9, "columns": 2}, "do not fit"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], said: str) -> None:
    arguments: dict[str, Any] = {"frames": [GREY] * 2, "masks": _masks(2), "columns": 2} | change
    with pytest.raises(ShapeError, match=said):
        contact_sheet(**arguments)
