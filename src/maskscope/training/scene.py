"""A clip as layers: a backdrop and sprites over it, each moving by a homography a frame; the target's visible mask.

Colours are RGB uint8; labels uint8; a frame is (h, w). Drawn back to front, so a later sprite hides an earlier one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.training.motion import Matrices
from maskscope.training.store import Pixels

Masks = NDArray[np.bool_]


@dataclass(frozen=True)
class Backdrop:
    """What fills the frame.

    Args:
        images: per frame (h0, w0, 3); may repeat one image.
        masks: per frame (h0, w0), 255 where the target is; None when the target is a sprite.
        motion: (t, 3, 3) source pixels -> frame pixels.
    """

    images: Sequence[Pixels]
    masks: Sequence[Pixels] | None
    motion: Matrices


@dataclass(frozen=True)
class Sprite:
    """A cut-out with alpha.

    Args:
        images: per frame (h0, w0, 4), colour and alpha.
        motion: (t, 3, 3) source pixels -> frame pixels.
        shown: per frame; False takes the sprite away.
        is_target: whether its visible pixels are the mask.
    """

    images: Sequence[Pixels]
    motion: Matrices
    shown: NDArray[np.bool_]
    is_target: bool = False


def render(backdrop: Backdrop, sprites: Sequence[Sprite], size_hw: tuple[int, int]) -> tuple[Pixels, Masks]:
    """Draw every frame.

    Returns:
        Frames (t, h, w, 3) and the target's visible pixels (t, h, w).
    """
    n_frames = len(backdrop.images)
    frames = np.empty((n_frames, *size_hw, 3), np.uint8)
    masks = np.zeros((n_frames, *size_hw), np.bool_)
    size_wh = (size_hw[1], size_hw[0])
    for t in range(n_frames):
        frames[t] = _warp(backdrop.images[t], backdrop.motion[t], size_wh, cv2.BORDER_REPLICATE)
        if backdrop.masks is not None:
            masks[t] = _warp(backdrop.masks[t], backdrop.motion[t], size_wh, cv2.BORDER_CONSTANT) > 127
        for sprite in sprites:
            if sprite.shown[t]:
                _draw(sprite.images[t], sprite.motion[t], frames[t], masks[t], sprite.is_target)
    return frames, masks


def _warp(image: Pixels, matrix: NDArray[np.float64], size_wh: tuple[int, int], border: int) -> Pixels:
    """Bilinear; the affine path is twice as fast as the general one."""
    if abs(matrix[2, 0]) + abs(matrix[2, 1]) < 1e-9:
        affine = matrix[:2] / matrix[2, 2]
        return np.asarray(cv2.warpAffine(image, affine, size_wh, flags=cv2.INTER_LINEAR, borderMode=border), np.uint8)
    return np.asarray(cv2.warpPerspective(image, matrix, size_wh, flags=cv2.INTER_LINEAR, borderMode=border), np.uint8)


def _draw(image: Pixels, matrix: NDArray[np.float64], frame: Pixels, mask: Masks, is_target: bool) -> None:
    """Blend one sprite into a frame and its mask, touching only the sprite's own rectangle."""
    height, width = frame.shape[:2]
    left, top, right, bottom = _bounds(image.shape[1], image.shape[0], matrix, width, height)
    if right - left < 2 or bottom - top < 2:
        return
    shift = np.array([[1.0, 0, -left], [0, 1, -top], [0, 0, 1]])
    patch = _warp(image, shift @ matrix, (right - left, bottom - top), cv2.BORDER_CONSTANT)
    alpha = patch[..., 3].astype(np.uint16)[..., None]
    window = frame[top:bottom, left:right]
    window[:] = (window * (255 - alpha) + patch[..., :3] * alpha + 127) // 255
    covered = patch[..., 3] > 127
    if is_target:
        mask[top:bottom, left:right] |= covered
    else:
        mask[top:bottom, left:right] &= ~covered


def _bounds(w0: int, h0: int, matrix: NDArray[np.float64], width: int, height: int) -> tuple[int, int, int, int]:
    corners = matrix @ np.array([[0, w0, w0, 0], [0, 0, h0, h0], [1, 1, 1, 1]], dtype=np.float64)
    if corners[2].min() <= 1e-3:  # folded through the horizon
        return 0, 0, 0, 0
    xy = corners[:2] / corners[2]
    low, high = np.floor(xy.min(1)), np.ceil(xy.max(1)) + 1
    left, top = np.clip(low, 0, (width, height)).astype(int)
    right, bottom = np.clip(high, 0, (width, height)).astype(int)
    return int(left), int(top), int(right), int(bottom)
