"""A sheet of transformed frames, a row for each family and a column for each severity, with their truth drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskscope.errors import ShapeError
from maskscope.palette import davis_palette
from maskscope.report.contact_sheet import contact_sheet
from maskscope.transforms.base import ClipFrame

CELL_WIDTH_PX = 400
_LINE_PX = 1.6  # of outlines, on the sheet
_HATCH_PX = 10.0  # from one line of the hatching to the next, on the sheet
_EMPTY_GREY = 60


@dataclass(frozen=True)
class LadderCell:
    """One place of the sheet.

    Attributes:
        caption: a short text.
        frame: with its truth; None for a place where there is nothing to show.
    """

    caption: str
    frame: ClipFrame | None


def ladder_sheet(rows: Sequence[Sequence[LadderCell]]) -> Image.Image:
    """The sheet: what is seen of each object in a firm outline, what is hidden of it in a thin white one, void hatched.

    Args:
        rows: of cells, equally many in each; frames of one size.

    Returns:
        An RGB picture with cells `CELL_WIDTH_PX` wide.

    Raises:
        ShapeError: no frame at all, rows of differing length, or frames of differing size.
    """
    cells = [cell for row in rows for cell in row]
    shown = [cell.frame for cell in cells if cell.frame is not None]
    if not shown:
        raise ShapeError("there is no frame to show", "give at least one")
    if len({len(row) for row in rows}) != 1:
        raise ShapeError(f"expected rows of one length, got {[len(row) for row in rows]} cells")
    empty = np.full_like(shown[0].image_hwc, _EMPTY_GREY)
    pictures = [empty if cell.frame is None else draw_truth(cell.frame) for cell in cells]
    return contact_sheet(
        pictures,
        [np.zeros(picture.shape[:2], np.uint8) for picture in pictures],
        columns=len(rows[0]),
        captions=[cell.caption for cell in cells],
        width_px=CELL_WIDTH_PX * len(rows[0]),
    )


def draw_truth(frame: ClipFrame) -> NDArray[np.uint8]:
    """The picture with its truth, in lines that are to be seen when it is shrunk to a cell; (h, w, 3) uint8 RGB."""
    scale = max(frame.image_hwc.shape[1] / CELL_WIDTH_PX, 1.0)
    drawn = frame.image_hwc.copy()
    if frame.void_hw is not None and frame.void_hw.any():
        _hatch(drawn, frame.void_hw, scale)
    for label in np.unique(frame.amodal_hw[frame.amodal_hw > 0]):
        whole, seen = frame.amodal_hw == label, frame.visible_hw == label
        if (whole != seen).any():
            _outline(drawn, whole, (255, 255, 255), 0.5 * _LINE_PX * scale)
    for label in np.unique(frame.visible_hw[frame.visible_hw > 0]):
        seen = frame.visible_hw == label
        _outline(drawn, seen, (0, 0, 0), 2 * _LINE_PX * scale)
        _outline(drawn, seen, _bright(int(label)), _LINE_PX * scale)
    return drawn


def _bright(label: int) -> tuple[int, int, int]:
    """The hue that the palette gives an object, at full light: its first colours are dark."""
    colour = davis_palette()[label].astype(int)
    red, green, blue = (60 + 195 * colour // max(int(colour.max()), 1)).tolist()
    return red, green, blue


def _outline(drawn: NDArray[np.uint8], mask: NDArray[np.bool_], colour: tuple[int, int, int], width_px: float) -> None:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, contours, -1, colour, max(round(width_px), 1), cv2.LINE_AA)


def _hatch(drawn: NDArray[np.uint8], void: NDArray[np.bool_], scale: float) -> None:
    y, x = np.indices(void.shape, dtype=np.int32)
    step = max(round(_HATCH_PX * scale), 4)
    drawn[void & ((x + y) % step < max(step // 5, 1))] = (255, 60, 200)
