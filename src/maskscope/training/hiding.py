"""Frames on which the target is gone although the clip goes on: something passes before it, or the film cuts away.

Only so does a model learn to say "absent", and to find the object again, on real pictures as well as on pasted ones.
"""

from __future__ import annotations

import cv2
import numpy as np

from maskscope.training.scene import Masks
from maskscope.training.sprites import mask_box
from maskscope.training.store import Pixels


def cut_away(frames: Pixels, masks: Masks, foreign: list[Pixels], begin: int, end: int) -> None:
    """Show other footage on frames `begin` to `end - 1`, in place.

    Args:
        frames: (t, h, w, 3).
        masks: (t, h, w) of the target, emptied there.
        foreign: pictures (h0, w0, 3), shown in turn.
    """
    size_wh = (frames.shape[2], frames.shape[1])
    for t in range(begin, end):
        picture = foreign[(t - begin) % len(foreign)]
        frames[t] = cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA)
        masks[t] = False


def pass_before(
    rng: np.random.Generator, frames: Pixels, masks: Masks, photo: Pixels, begin: int, end: int, near: int = 1
) -> None:
    """Lead a patch of a photo over the target, in place: it hides it on frames `begin` to `end - 1`, and stands partly
    before or beside it on some frames before and after.

    Args:
        frames: (t, h, w, 3).
        masks: (t, h, w) of the target; only what stays visible stays in it.
        photo: (h0, w0, 3) that the patch is cut from.
        begin, end: frames that are hidden.
        near: frames on which it comes nearer, and as many on which it goes. A mask that slides onto what covers the
            object does so little by little, where that comes slowly.
    """
    n, h, w = masks.shape
    boxes = [mask_box(mask.astype(np.uint8) * 255) for mask in masks]
    angle, is_round = rng.uniform(0, 2 * np.pi), rng.random() < 0.4
    grow = rng.uniform(1.5, 1.9) if is_round else rng.uniform(1.1, 1.5)
    reach = rng.uniform(0.6, 1.8) if near == 1 else rng.uniform(1.3, 2.2)
    for t in range(max(begin - near, 1), min(end + near, n)):
        box = boxes[t]
        if box is None:
            continue
        half_w, half_h = grow * (box[2] - box[0]) / 2 + 2, grow * (box[3] - box[1]) / 2 + 2
        covers = begin <= t < end
        steps = t - begin if t < begin else max(t - end + 1, 0)  # to where it covers all, below 0 before
        away = reach * steps / near
        cx = (box[0] + box[2]) / 2 + away * half_w * np.cos(angle)
        cy = (box[1] + box[3]) / 2 + away * half_h * np.sin(angle)
        patch = np.zeros((h, w), np.uint8)
        if is_round:
            cv2.ellipse(patch, ((cx, cy), (2 * half_w, 2 * half_h), 0.0), 1, -1)
        else:
            corners = [(round(cx - half_w), round(cy - half_h)), (round(cx + half_w), round(cy + half_h))]
            cv2.rectangle(patch, corners[0], corners[1], 1, -1)
        rows, columns = np.flatnonzero(patch.any(1)), np.flatnonzero(patch.any(0))
        if not len(rows):
            continue
        where = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        size_wh = (int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1))
        texture = cv2.resize(photo, size_wh, interpolation=cv2.INTER_AREA)
        inside = patch[where] > 0
        frames[t][where][inside] = texture[inside]
        masks[t][where][inside] = False
        if covers:
            masks[t] = False
