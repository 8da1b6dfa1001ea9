"""Sharpness, exposure, noise and compression of a part of one frame.

Every measure is over the pixels of a mask. None means that the part has nothing to measure it on: too few pixels, or no
contrast at all.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.float32]
Mask = NDArray[np.bool_]

LEAST_PX: Final = 16
"""A part of fewer pixels is not measured."""

DARK, BRIGHT = 5 / 255, 250 / 255
"""Luma up to which, and from which, a pixel counts as cut off."""

_REBLUR_TAPS: Final = 9
_BLOCK_PX: Final = 8  # of JPEG, and of what most video codecs transform
_LAPLACIAN_DIFFERENCE: Final = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_ITS_GAIN: Final = 6.0  # root of the sum of its squares
_MAD_OF_NORMAL: Final = 0.6745


def luma_of(image_hwc: NDArray[np.uint8]) -> Luma:
    """(h, w, 3) uint8 RGB -> (h, w) float32 luma 0..1, of the encoded values (ITU-R BT.601, as OpenCV has it)."""
    return cv2.cvtColor(image_hwc, cv2.COLOR_RGB2GRAY).astype(np.float32) / np.float32(255)


def blur(luma_hw: Luma, mask_hw: Mask) -> float | None:
    """How little a part loses when it is blurred once more, 0 (sharp) to 1 (nothing left to lose).

    Crete, Dolmiere, Ladret, Nicolas, "The blur effect", SPIE 6492 (2007): differences of neighbours before and after a
    mean over nine pixels; the direction that is blurred most decides. Unlike the variance of a Laplacian it does not
    grow with contrast. Noise makes it smaller.
    """
    if np.count_nonzero(mask_hw) < LEAST_PX:
        return None
    found = [_blur_along(luma_hw, mask_hw, axis) for axis in (0, 1)]
    known = [each for each in found if each is not None]
    return max(known) if known else None


def _blur_along(luma_hw: Luma, mask_hw: Mask, axis: int) -> float | None:
    taps = (1, _REBLUR_TAPS) if axis == 0 else (_REBLUR_TAPS, 1)  # OpenCV counts width first
    again = cv2.blur(luma_hw, taps, borderType=cv2.BORDER_REPLICATE)
    both = np.take(mask_hw, range(1, mask_hw.shape[axis]), axis) & np.take(
        mask_hw, range(mask_hw.shape[axis] - 1), axis
    )
    before = np.abs(np.diff(luma_hw, axis=axis))[both]
    after = np.abs(np.diff(again, axis=axis))[both]
    total = float(before.sum(dtype=np.float64))
    if total < 1e-3:
        return None
    lost = float(np.maximum(before - after, 0).sum(dtype=np.float64))
    return (total - lost) / total


def exposure(luma_hw: Luma, mask_hw: Mask) -> tuple[float, float, float] | None:
    """Share of dark pixels, of bright pixels, and the median luma, all 0..1; see `DARK` and `BRIGHT`."""
    values = luma_hw[mask_hw]
    if values.size < LEAST_PX:
        return None
    half = np.float32(0.5 / 255)
    return float((values <= DARK + half).mean()), float((values >= BRIGHT - half).mean()), float(np.median(values))


def noise(luma_hw: Luma, mask_hw: Mask) -> float | None:
    """Standard deviation of the noise in levels of 255.

    Immerkaer, "Fast noise variance estimation" (1996): a filter that answers neither to slopes nor to edges along the
    axes. The median of its size takes the place of the mean, so that texture on less than half of the part does not
    count. Cut-off pixels show no noise and are left out.
    """
    answer = cv2.filter2D(luma_hw, cv2.CV_32F, _LAPLACIAN_DIFFERENCE, borderType=cv2.BORDER_REFLECT)
    values = np.abs(answer[mask_hw & (luma_hw > 0) & (luma_hw < 1)])
    if values.size < LEAST_PX:
        return None
    return float(np.median(values)) * 255 / (_ITS_GAIN * _MAD_OF_NORMAL)


def blockiness(luma_hw: Luma, mask_hw: Mask) -> float | None:
    """Mean step across the borders of 8 x 8 blocks over the mean step elsewhere; 1 without blocks.

    After Wang, Bovik, Evans, "Blind measurement of blocking artifacts in images" (ICIP 2000). Blocks are counted from
    the top left corner of the frame: a picture that was resized after compression shows none.
    """
    at_border, elsewhere = [], []
    for axis in (0, 1):
        both = np.take(mask_hw, range(1, mask_hw.shape[axis]), axis) & np.take(
            mask_hw, range(mask_hw.shape[axis] - 1), axis
        )
        step = np.abs(np.diff(luma_hw, axis=axis))
        border = (np.arange(step.shape[axis]) % _BLOCK_PX) == _BLOCK_PX - 1
        border_hw = border[:, None] if axis == 0 else border[None, :]
        at_border.append(step[both & border_hw])
        elsewhere.append(step[both & ~border_hw])
    inside, outside = np.concatenate(at_border), np.concatenate(elsewhere)
    if inside.size < LEAST_PX or outside.size < LEAST_PX:
        return None
    least = 0.5 / 255  # half a level, so that a flat part is 1 and no accident of rounding
    return (float(inside.mean()) + least) / (float(outside.mean()) + least)
