"""All measures of one frame, on the object and on the rest, by name."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.picture.region import Luma, Mask, blockiness, blur, exposure, luma_of, noise

TOKEN_PX: Final = 16
"""Side of one token in pixels of the model's input."""

_MARGIN_OF_SIDE: Final = 0.15  # around an object: its outline belongs to its picture, and is not background


def frame_measures(
    image_hwc: NDArray[np.uint8], object_hw: Mask, model_size: tuple[int, int] | None = None
) -> dict[str, float]:
    """Measures of one frame; those that cannot be measured there are left out.

    Args:
        image_hwc: (h, w, 3) uint8 RGB.
        object_hw: (h, w) bool, the object; may be empty.
        model_size: (height, width) in px at which a model sees the frame, for the size in tokens.

    Returns:
        `blur`, `dark_share`, `bright_share`, `luma`, `noise` and `blockiness`, each with `.object` and `.background`
        behind; `size_px.object` and, with `model_size`, `size_tokens.object`.
    """
    luma_hw = luma_of(image_hwc)
    near, away = _around(object_hw)
    found = {f"{name}.object": value for name, value in _of_part(luma_hw, near).items()} if object_hw.any() else {}
    found |= {f"{name}.background": value for name, value in _of_part(luma_hw, away).items()}
    area_px = int(np.count_nonzero(object_hw))
    if area_px:
        found["size_px.object"] = float(area_px)
        if model_size is not None:
            found["size_tokens.object"] = area_px / object_hw.size * model_size[0] * model_size[1] / TOKEN_PX**2
    return found


def _of_part(luma_hw: Luma, mask_hw: Mask) -> dict[str, float]:
    lit = exposure(luma_hw, mask_hw)
    found = {
        "blur": blur(luma_hw, mask_hw),
        "noise": noise(luma_hw, mask_hw),
        "blockiness": blockiness(luma_hw, mask_hw),
        "dark_share": lit and lit[0],
        "bright_share": lit and lit[1],
        "luma": lit and lit[2],
    }
    return {name: value for name, value in found.items() if value is not None}


def _around(object_hw: Mask) -> tuple[Mask, Mask]:
    """The object with its outline, and what is clear of both."""
    if not object_hw.any():
        return object_hw, ~object_hw
    margin = max(2, round(_MARGIN_OF_SIDE * float(np.sqrt(np.count_nonzero(object_hw)))))
    kernel = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    wide = cv2.dilate(object_hw.astype(np.uint8), kernel) > 0
    thin = cv2.dilate(object_hw.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return thin, ~wide
