"""Prompts for the first frame, drawn as in SAM 2's training: a mask, a click, or a loose box.

Source: Ravi et al., arXiv 2408.00714, appendix "training": mask with probability 0.5, positive click 0.25, box 0.25.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.training.scene import Masks

PromptKind = Literal["mask", "click", "box"]
KINDS: tuple[PromptKind, ...] = ("mask", "click", "box")


def draw_kind(rng: np.random.Generator, weights: tuple[float, float, float] = (0.5, 0.25, 0.25)) -> PromptKind:
    """The kind of prompt for a batch; `weights` are of mask, click and box."""
    return KINDS[int(rng.choice(3, p=np.array(weights) / sum(weights)))]


def random_click(rng: np.random.Generator, mask: Masks) -> NDArray[np.float32]:
    """(2,) x and y in pixels of one point on the object, uniformly; the centre of the frame for an empty mask."""
    ys, xs = np.nonzero(mask)
    if not len(xs):
        return np.array([mask.shape[1] / 2, mask.shape[0] / 2], np.float32)
    pick = int(rng.integers(len(xs)))
    return np.array([xs[pick], ys[pick]], np.float32)


def loose_box(rng: np.random.Generator, mask: Masks, jitter: float = 0.1, most_px: float = 20.0) -> NDArray[np.float32]:
    """(2, 2) top left and bottom right in pixels, each side moved by a tenth of its length but at most `most_px`."""
    height, width = mask.shape
    left, top, w, h = cv2.boundingRect(mask.astype(np.uint8))
    spread = np.minimum(np.array([w, h]) * jitter, most_px)
    corners = np.array([[left, top], [left + w - 1, top + h - 1]], np.float32)
    corners += np.clip(rng.normal(0, 1, (2, 2)), -1, 1) * spread
    return np.clip(corners, 0, (width - 1, height - 1)).astype(np.float32)
