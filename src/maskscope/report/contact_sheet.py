"""A sheet of frames with masks over them, to be read at a glance."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from maskscope.errors import ShapeError
from maskscope.palette import davis_palette

_GAP_PX = 6
_ALPHA = 0.5
_TRUTH_INK = (255, 255, 255)


def contact_sheet(
    frames: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    masks: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    *,
    columns: int,
    captions: Sequence[str] = (),
    truth: Sequence[NDArray[np.uint8]] | NDArray[np.uint8] | None = None,
    width_px: int = 1200,
) -> Image.Image:
    """A grid of frames in reading order: masks filled in their objects' colours, the truth as a thin white outline.

    Args:
        frames: n pictures `(H, W, 3)` uint8 RGB of one size.
        masks: n label maps `(H, W)`, 0 background, the object's number elsewhere; bool counts as object 1.
        columns: frames in a row, 1 or more.
        captions: n short texts, written in the frames' corners; none if empty.
        truth: n label maps to outline, or None.
        width_px: width of the sheet.

    Returns:
        An RGB picture `width_px` wide.

    Raises:
        ShapeError: no frames, or numbers or sizes that do not agree.
    """
    _check(frames, masks, columns, captions, truth)
    height, width = frames[0].shape[:2]
    columns = min(columns, len(frames))
    cell_width = (width_px - (columns - 1) * _GAP_PX) // columns
    if cell_width < 8:
        raise ShapeError(f"{columns} columns do not fit into {width_px} pixels", "give fewer columns or more width")
    cell_height = max(round(cell_width * height / width), 1)
    rows = -(-len(frames) // columns)
    sheet = Image.new("RGB", (width_px, rows * (cell_height + _GAP_PX) - _GAP_PX), "white")
    for number, frame in enumerate(frames):
        outline = None if truth is None else np.asarray(truth[number])
        cell = Image.fromarray(_cell(frame, np.asarray(masks[number]), outline, (cell_width, cell_height)))
        if captions:
            _write(cell, captions[number])
        row, column = divmod(number, columns)
        sheet.paste(cell, (column * (cell_width + _GAP_PX), row * (cell_height + _GAP_PX)))
    return sheet


def _check(
    frames: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    masks: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    columns: int,
    captions: Sequence[str],
    truth: Sequence[NDArray[np.uint8]] | NDArray[np.uint8] | None,
) -> None:
    if len(frames) == 0 or columns < 1:
        raise ShapeError(f"got {len(frames)} frames for {columns} columns", "give at least one of each")
    if frames[0].ndim != 3 or frames[0].shape[2] != 3 or frames[0].dtype != np.uint8:
        raise ShapeError(f"expected frames (H, W, 3) uint8, got {frames[0].shape} {frames[0].dtype}")
    size = frames[0].shape[:2]
    for name, items in (("masks", masks), ("frames", frames), ("truth", frames if truth is None else truth)):
        if len(items) != len(frames):
            raise ShapeError(f"expected {len(frames)} {name}, one a frame, got {len(items)}")
        for item in items:
            if item.shape[:2] != size:
                raise ShapeError(f"expected {name} of {size[1]}x{size[0]} pixels, got {item.shape}")
    if captions and len(captions) != len(frames):
        raise ShapeError(f"expected {len(frames)} captions, one a frame, got {len(captions)}")


def _cell(
    frame: NDArray[np.uint8], labels: NDArray[np.uint8], truth: NDArray[np.uint8] | None, size: tuple[int, int]
) -> NDArray[np.uint8]:
    shrinks = size[0] < frame.shape[1]
    filter_kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    picture = cv2.resize(frame, size, interpolation=filter_kind).astype(np.float32)

    def cover(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        return np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=filter_kind), dtype=np.float32)

    for label in np.unique(labels[labels > 0]):
        # A step lighter than the palette, which begins with colours too dark to tint a dark animal.
        colour = davis_palette()[int(label)].astype(np.float32) * 0.75 + 64
        share = _ALPHA * cover(labels == label)[..., None]
        picture += (colour - picture) * share
    drawn = np.rint(np.clip(picture, 0, 255)).astype(np.uint8)
    if truth is not None:
        for label in np.unique(truth[truth > 0]):
            inside = (cover(truth == label) > 0.5).astype(np.uint8)
            contours, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(drawn, contours, -1, _TRUTH_INK, 1, cv2.LINE_8)
    return drawn


def _write(cell: Image.Image, text: str) -> None:
    """White text on a dark plate in the upper left corner."""
    draw = ImageDraw.Draw(cell)
    font = ImageFont.load_default(size=float(np.clip(cell.width / 22, 9, 22)))
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    pad = 4
    plate = (0, 0, right - left + 2 * pad, bottom - top + 2 * pad)
    draw.rectangle(plate, fill=(20, 22, 26))
    draw.text((pad - left, pad - top), text, font=font, fill="white")
