"""Simulated users: where they click, how their boxes miss, and what they mark by mistake.

Source of the clicks: the rule of RITM's evaluation, which the SAM 2 protocol uses (arXiv 2408.00714, appendix E.1): the
next click is the centre of the larger error, positive where object is missing, negative where too much is shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.tracking.prompts import NEGATIVE, POSITIVE

Mask = NDArray[np.bool_]
Box = tuple[float, float, float, float]
Placement = Literal["centre", "human"]
Signs = Literal["either", "positive", "negative"]

HUMAN_SPREAD: Final = 0.25
"""Standard deviation of a human click around the centre, as a share of the square root of the region's area."""
_RING_SHARE: Final = 0.5  # width of the ring around an object in which a negative click is looked for, likewise


@dataclass(frozen=True, slots=True)
class Click:
    """A click: x and y in pixels of the frame, and whether it says object (1) or background (0)."""

    x: float
    y: float
    label: int


def deepest(region: Mask) -> tuple[int, int, float]:
    """Column, row and radius in pixels of the largest circle inside a region; the frame's border bounds it.

    Args:
        region: (H, W) bool; a radius of 0 says that it is empty.
    """
    framed = np.pad(region.astype(np.uint8), 1)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(column), int(row), float(depth[row, column])


def next_click(
    truth: Mask,
    found: Mask,
    rng: np.random.Generator | None = None,
    signs: Signs = "either",
    known: Mask | None = None,
    earlier: tuple[Click, ...] = (),
) -> Click | None:
    """The next click of a user who compares a mask with what is meant.

    Args:
        truth: (H, W) bool, what is meant.
        found: (H, W) bool, what is shown; empty before the first click.
        rng: a human, who clicks near the centre of the error; None clicks at it.
        signs: "positive" and "negative" keep to one kind; where that error does not exist, a positive click goes to
            the object's middle and a negative one beside the object.
        known: (H, W) bool, False at pixels without truth, which are no error.
        earlier: clicks on this frame, whose pixels are not clicked again.

    Returns:
        None where nothing is wrong, or where there is nowhere to click.
    """
    free = np.ones(truth.shape, bool) if known is None else known.copy()
    for click in earlier:
        free[int(click.y), int(click.x)] = False
    missing, extra = truth & ~found & free, found & ~truth & free
    if signs == "positive":
        region, label = (missing if missing.any() else truth & free), POSITIVE
    elif signs == "negative":
        region, label = (extra if extra.any() else _beside(truth) & free), NEGATIVE
    else:
        in_missing, in_extra = deepest(missing)[2], deepest(extra)[2]
        region, label = (missing, POSITIVE) if in_missing > in_extra else (extra, NEGATIVE)
    if not region.any():
        return None
    x, y = click_in(region, rng)
    return Click(float(x), float(y), label)


def click_in(region: Mask, rng: np.random.Generator | None = None) -> tuple[int, int]:
    """Column and row of a click meant for a region (H, W) bool that has a pixel.

    At the centre of its largest inscribed circle; or, by a human, near it: normally distributed around the centre,
    `HUMAN_SPREAD` of the square root of the part's area wide, within the connected part that holds the centre.
    """
    column, row, _ = deepest(region)
    if rng is None:
        return column, row
    _, parts = cv2.connectedComponents(region.astype(np.uint8), connectivity=8)
    rows, columns = np.nonzero(parts == parts[row, column])
    spread = max(HUMAN_SPREAD * math.sqrt(len(rows)), 1e-6)
    weights = np.exp(-((columns - column) ** 2 + (rows - row) ** 2) / (2 * spread**2))
    pick = int(rng.choice(len(rows), p=weights / weights.sum()))
    return int(columns[pick]), int(rows[pick])


def box_of(mask: Mask) -> Box:
    """Left, top, right and bottom in pixels around a mask with a pixel; right and bottom are the first ones outside."""
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return float(left), float(top), float(left + width), float(top + height)


def shifted_box(box: Box, share: float, angle: float, size: tuple[int, int]) -> Box:
    """A box moved by `share` of its sides in the direction `angle` (radians), clipped to a frame (H, W)."""
    left, top, right, bottom = box
    dx, dy = share * (right - left) * math.cos(angle), share * (bottom - top) * math.sin(angle)
    return _clipped((left + dx, top + dy, right + dx, bottom + dy), size)


def scaled_box(box: Box, factor: float, size: tuple[int, int]) -> Box:
    """A box with sides `factor` times as long around the same middle, clipped to a frame (H, W)."""
    left, top, right, bottom = box
    x, y = (left + right) / 2, (top + bottom) / 2
    half_x, half_y = factor * (right - left) / 2, factor * (bottom - top) / 2
    return _clipped((x - half_x, y - half_y, x + half_x, y + half_y), size)


def shifted_click(click: Click, box: Box, share: float, angle: float, size: tuple[int, int]) -> Click:
    """A click moved by `share` of the object's box in the direction `angle`, kept on a frame (H, W)."""
    height, width = size
    x = click.x + share * (box[2] - box[0]) * math.cos(angle)
    y = click.y + share * (box[3] - box[1]) * math.sin(angle)
    return Click(min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0), click.label)


def wrong_box(box: Box, taken: Mask, rng: np.random.Generator, tries: int = 200) -> Box | None:
    """A box of the same size where nothing is marked in `taken` (H, W) bool; None where none was found."""
    height, width = taken.shape
    w, h = round(box[2] - box[0]), round(box[3] - box[1])
    if w >= width or h >= height:
        return None
    for _ in range(tries):
        left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
        if not taken[top : top + h, left : left + w].any():
            return float(left), float(top), float(left + w), float(top + h)
    return None


def _beside(truth: Mask) -> Mask:
    """The ring around an object in which a user says "not this"."""
    reach = max(1, round(_RING_SHARE * math.sqrt(float(truth.sum()))))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    ring: Mask = (cv2.dilate(truth.astype(np.uint8), kernel) > 0) & ~truth
    return ring


def _clipped(box: Box, size: tuple[int, int]) -> Box:
    """Within the frame, and a pixel wide at least."""
    height, width = size
    left, right = (min(max(side, 0.0), float(width)) for side in (box[0], box[2]))
    top, bottom = (min(max(side, 0.0), float(height)) for side in (box[1], box[3]))
    left, top = min(left, width - 1.0), min(top, height - 1.0)
    return left, top, max(right, left + 1), max(bottom, top + 1)
