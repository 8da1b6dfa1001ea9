"""Prompts drawn as in SAM 2's training: a mask, a click or a loose box on the first frame, clicks that correct later.

Source: Ravi et al., arXiv 2408.00714, appendix "training": mask with probability 0.5, positive click 0.25, box 0.25;
facebookresearch/sam2 `training/model/sam2.py` for corrections.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.model.prompt_encoder import NEGATIVE, POSITIVE
from maskscope.training.scene import Masks

PromptKind = Literal["mask", "click", "box"]
KINDS: tuple[PromptKind, ...] = ("mask", "click", "box")

Click = tuple[NDArray[np.float32], int]
"""(2,) x and y in pixels, and POSITIVE or NEGATIVE."""

CORRECTED_FRAMES = 2
"""Of a clip at most, the first among them."""

CLICK_ON_TRUTH = 0.1
"""Share of correcting clicks that lie on the object whatever was found."""


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


def correcting_click(rng: np.random.Generator, found: Masks, truth: Masks, on_truth: float = CLICK_ON_TRUTH) -> Click:
    """A click on what was found wrongly, uniformly over missed and surplus pixels.

    Args:
        rng: of the choice.
        found: (h, w).
        truth: (h, w).
        on_truth: how often nothing counts as found, so that the click lies on the object.

    Returns:
        POSITIVE on a missed pixel, NEGATIVE on a surplus one. Where nothing is wrong, a
        negative click on the background, as in the reference.
    """
    if rng.random() < on_truth and truth.any():
        return random_click(rng, truth), POSITIVE
    wrong = found ^ truth
    click = random_click(rng, wrong if wrong.any() else ~truth)
    return click, POSITIVE if truth[int(click[1]), int(click[0])] else NEGATIVE


def draw_corrected(rng: np.random.Generator, n_frames: int) -> tuple[int, ...]:
    """Frames that are corrected: the first, alone or with a later one."""
    if n_frames < 2 or rng.integers(CORRECTED_FRAMES) == 0:
        return (0,)
    return 0, int(rng.integers(1, n_frames))


def loose_box(rng: np.random.Generator, mask: Masks, jitter: float = 0.1, most_px: float = 20.0) -> NDArray[np.float32]:
    """(2, 2) top left and bottom right in pixels, each side moved by a tenth of its length but at most `most_px`."""
    height, width = mask.shape
    left, top, w, h = cv2.boundingRect(mask.astype(np.uint8))
    spread = np.minimum(np.array([w, h]) * jitter, most_px)
    corners = np.array([[left, top], [left + w - 1, top + h - 1]], np.float32)
    corners += np.clip(rng.normal(0, 1, (2, 2)), -1, 1) * spread
    return np.clip(corners, 0, (width - 1, height - 1)).astype(np.float32)
