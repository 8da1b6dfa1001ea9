"""One homography for a picture, its masks, its void pixels and its map to the source."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.transforms.base import ClipFrame

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]

_SHRINKS: Final = 0.8  # magnification below which pixels are averaged first, so that nothing flickers
_FILL_ROWS_PX: Final = 60  # of the small blurred picture that revealed borders are filled from
_FILL_SIGMA_PX: Final = 1.5  # of its blur


def warped(frame: ClipFrame, matrix: Floats, strength: float) -> ClipFrame:
    """The frame as a moved camera shows it.

    The picture is interpolated between pixels; both label maps and the void map are taken from the nearest pixel of one
    and the same map. What lies beyond the source's border is void and shows its mirrored and blurred continuation.

    Args:
        frame: h, w pixels.
        matrix: (3, 3) from the frame's pixel places to the new ones.
        strength: to be added to the frame's.
    """
    height, width = frame.visible_hw.shape
    whole = frame.amodal_hw is not frame.visible_hw
    truth = np.ones((height, width), np.uint8) if frame.void_hw is None else (~frame.void_hw).astype(np.uint8)
    inside = np.full((height, width), 2, np.uint8) | truth  # bit 0: truth is known, bit 1: the source has a pixel
    layers = cv2.merge([frame.visible_hw, inside, frame.amodal_hw] if whole else [frame.visible_hw, inside])
    drawn = cv2.split(cv2.warpPerspective(layers, matrix, (width, height), flags=cv2.INTER_NEAREST))
    moved = [np.asarray(layer, np.uint8) for layer in drawn]
    image = _picture(frame.image_hwc, matrix)
    beyond = (moved[1] == 0).astype(np.uint8)
    if beyond.any():
        cv2.copyTo(_continuation(frame.image_hwc, matrix), beyond, image)
    void = np.asarray((moved[1] & 1) == 0)
    to_source = np.linalg.inv(matrix) if frame.to_source is None else frame.to_source @ np.linalg.inv(matrix)
    return frame.with_strength(
        strength,
        image_hwc=image,
        visible_hw=moved[0],
        amodal_hw=moved[2] if whole else moved[0],
        void_hw=void if void.any() else None,
        to_source=to_source / to_source[2, 2],
    )


def _picture(image: Bytes, matrix: Floats) -> Any:
    height, width = image.shape[:2]
    middle = np.array([(width - 1) / 2, (height - 1) / 2, 1.0])
    scale = float(np.sqrt(np.linalg.det(matrix) / (matrix[2] @ middle) ** 3))  # of lengths, at the middle
    if scale < _SHRINKS:
        size = round(width * scale), round(height * scale)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = matrix @ _enlarging(image.shape[:2], (height, width))
    return cv2.warpPerspective(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _continuation(image: Bytes, matrix: Floats) -> Any:
    """(h, w, 3) uint8: the warped picture mirrored beyond its border and blurred, drawn small and enlarged."""
    height, width = image.shape[:2]
    shrink = min(_FILL_ROWS_PX / height, 1.0)
    small_hw = max(round(height * shrink), 1), max(round(width * shrink), 1)
    small = cv2.resize(image, small_hw[::-1], interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), _FILL_SIGMA_PX)
    enlarging = _enlarging(small_hw, (height, width))
    around = cv2.warpPerspective(
        small, np.linalg.inv(enlarging) @ matrix @ enlarging, small_hw[::-1], flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )  # fmt: skip
    return cv2.resize(around, (width, height), interpolation=cv2.INTER_LINEAR)


def _enlarging(small_hw: tuple[int, ...], large_hw: tuple[int, int]) -> Floats:
    """(3, 3) from the pixel places of a resized picture to those of the large one."""
    y, x = large_hw[0] / small_hw[0], large_hw[1] / small_hw[1]
    return np.array([[x, 0.0, (x - 1) / 2], [0.0, y, (y - 1) / 2], [0.0, 0.0, 1.0]])
