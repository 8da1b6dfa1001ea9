"""From what a decoder or an image file gives to upright 8-bit RGB.

Two rules for everything read here: transparency is dropped (the stored colours are kept, nothing is blended with a
background), and pixels stay as stored where they are not square.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray
from PIL import Image, ImageOps

from maskscope.errors import VideoError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})

Matrix = tuple[int, int, int, int]
UPRIGHT: Matrix = (1, 0, 0, 1)


def display_matrix(frame: VideoFrame) -> Matrix:
    """How to turn a frame upright, as `(a, b, c, d)`: a stored point (x, y) is shown at (a x + c y, b x + d y).

    Phones store sideways pictures with such a matrix beside them. Turns that are not a quarter are rounded to one.
    """
    try:
        data = cast("Mapping[str, Any]", frame.side_data)["DISPLAYMATRIX"]  # PyAV's stub knows motion vectors only
    except KeyError:
        return UPRIGHT
    a, b, _, c, d = struct.unpack("<5i", bytes(data)[:20])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (-1 if a < 0 else 1, 0, 0, -1 if d < 0 else 1)
    return (0, -1 if b < 0 else 1, -1 if c < 0 else 1, 0)


def apply_display_matrix(rgb: NDArray[np.uint8], matrix: Matrix) -> NDArray[np.uint8]:
    """The picture as it is to be shown; `(H, W, 3)`, or `(W, H, 3)` after a quarter turn."""
    if matrix == UPRIGHT:
        return rgb
    a, b, c, d = matrix
    if a == 0:
        rgb = rgb.transpose(1, 0, 2)
    mirrored, upside_down = (c < 0, b < 0) if a == 0 else (a < 0, d < 0)
    return np.ascontiguousarray(rgb[:: -1 if upside_down else 1, :: -1 if mirrored else 1])


def decoded_rgb(frame: VideoFrame, matrix: Matrix = UPRIGHT) -> NDArray[np.uint8]:
    """A decoded frame as upright `(H, W, 3)` uint8 RGB.

    Colour space and range are those the frame is tagged with; an untagged frame counts as BT.601 limited range
    (full range for the `yuvj` formats), as in FFmpeg's own tools.
    """
    rgb = frame.reformat(format="rgb24").to_ndarray()
    return apply_display_matrix(np.ascontiguousarray(rgb), matrix)


def image_size(path: Path) -> tuple[int, int]:
    """Upright `(height, width)` of an image file, from its header alone.

    A PNG may say only after its pixels that it is to be turned; that is not seen here (`read_image` does).

    Raises:
        VideoError: the file is not an image that can be read.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            # Asking a PNG for EXIF it does not have up front decodes all of it.
            known = image.format != "PNG" or "exif" in image.info
            sideways = known and image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error
    return (width, height) if sideways else (height, width)


def read_image(path: Path) -> NDArray[np.uint8]:
    """An image file as upright `(H, W, 3)` uint8 RGB: any palette, grey, 16-bit or EXIF-turned image.

    Sixteen bits become eight by rounding `value / 257`; of a file with several pages the first is read.

    Raises:
        VideoError: the file is not an image, is damaged, or holds numbers without a fixed range (floats).
    """
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):
                grey = _eight_bits(path, np.asarray(upright))
                return np.repeat(grey[:, :, None], 3, axis=2)
            if upright.mode == "F":
                raise VideoError(
                    f"{path} holds floating point numbers, expected an image of 8 or 16 bits",
                    "convert it to 8-bit PNG or JPEG",
                )
            return np.array(upright.convert("RGB"))
    except VideoError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def _eight_bits(path: Path, values: NDArray[np.generic]) -> NDArray[np.uint8]:
    wide = values.astype(np.int64)
    if wide.min() < 0 or wide.max() > 65535:
        raise VideoError(
            f"{path} holds 32-bit numbers, expected an image of 8 or 16 bits", "convert it to 8-bit PNG or JPEG"
        )
    return ((wide + 128) // 257).astype(np.uint8)


def _unreadable(path: Path, error: Exception) -> VideoError:
    if not path.exists():
        return VideoError(f"no such image: {path}", "check the path")
    detail = "it is empty" if path.stat().st_size == 0 else str(error)
    return VideoError(f"cannot read {path} as an image ({detail})", "remove or re-export this file")
