"""Cut-outs to paste: from alpha pictures, from labelled stills, and from labelled video (which moves by itself)."""

from __future__ import annotations

import cv2
import numpy as np

from maskscope.training.corpus import Corpus
from maskscope.training.motion import smooth_path
from maskscope.training.store import Pixels
from maskscope.training.thin_plate import sources, warp

MARGIN_PX = 3
MAX_SIDE_PX = 256


def cut_out(image: Pixels, mask: Pixels, box: tuple[int, int, int, int]) -> Pixels:
    """(h, w, 4) colour and soft alpha of one object; the edge is drawn in by a pixel, where background bleeds in.

    Args:
        image: (h0, w0, 3).
        mask: (h0, w0), 255 on the object.
        box: left, top, right, bottom to cut at.
    """
    left, top, right, bottom = box
    part = mask[top:bottom, left:right]
    alpha = cv2.blur(cv2.erode(part, np.ones((3, 3), np.uint8)), (3, 3))
    return np.dstack([image[top:bottom, left:right], alpha])


def mask_box(mask: Pixels, margin_px: int = MARGIN_PX) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of the non-zero pixels with a margin; None for an empty mask."""
    left, top, width, height = cv2.boundingRect(mask)
    if width == 0:
        return None
    return (
        max(left - margin_px, 0),
        max(top - margin_px, 0),
        min(left + width + margin_px, mask.shape[1]),
        min(top + height + margin_px, mask.shape[0]),
    )


def random_sprite(rng: np.random.Generator, corpus: Corpus, n_frames: int) -> list[Pixels]:
    """Per frame one (h, w, 4) cut-out; photographs of objects most often, rendered ones and video objects else.

    Empty where twenty draws in a row found nothing that can be cut out.
    """
    kinds = [("still", 0.45, corpus.objects), ("cutout", 0.25, corpus.cutouts), ("video", 0.3, corpus.videos)]
    kinds = [kind for kind in kinds if kind[2]]
    weights = np.array([weight for _, weight, _ in kinds])
    for _ in range(20):
        kind, _, names = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
        name = names[int(rng.integers(len(names)))]
        if kind == "cutout":
            frames = corpus.store[name]
            start, step = int(rng.integers(len(frames))), int(rng.integers(1, 4))
            return [frames[(start + t * step) % len(frames)] for t in range(n_frames)]
        sprites = _from_still(corpus, name) if kind == "still" else _from_video(rng, corpus, name, n_frames)
        if len(sprites) == 1:
            return bend(rng, sprites[0], n_frames) if rng.random() < 0.5 else sprites * n_frames
        if sprites:
            return sprites
    return []


def _shrink(sprite: Pixels) -> Pixels:
    side = max(sprite.shape[:2])
    if side <= MAX_SIDE_PX:
        return sprite
    factor = MAX_SIDE_PX / side
    return np.asarray(cv2.resize(sprite, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)


def _from_still(corpus: Corpus, name: str) -> list[Pixels]:
    mask = (corpus.store[f"{name}/mask"] > 0).astype(np.uint8) * 255
    box = mask_box(mask)
    if box is None or np.count_nonzero(mask) > 0.6 * mask.size:
        return []
    return [_shrink(cut_out(corpus.store[f"{name}/image"], mask, box))]


def _from_video(rng: np.random.Generator, corpus: Corpus, name: str, n_frames: int) -> list[Pixels]:
    """The object of a real video, with its own articulation; frames run back and forth if there are too few."""
    frames, labels = corpus.store[f"{name}/frames"], corpus.store[f"{name}/masks"]
    start, step = int(rng.integers(len(frames))), int(rng.integers(1, 4))
    cycle = [*range(len(frames)), *range(len(frames) - 2, 0, -1)] or [0]
    indices = [cycle[(start + t * step) % len(cycle)] for t in range(n_frames)]
    present = np.flatnonzero(np.bincount(labels[indices[0]].ravel(), minlength=2)[1:] > 64) + 1
    if not len(present):
        return []
    label = int(rng.choice(present))
    masks = [(labels[i] == label).astype(np.uint8) * 255 for i in indices]
    box = mask_box(np.maximum.reduce(masks))
    if box is None or np.count_nonzero(masks[0]) > 0.5 * masks[0].size:
        return []
    return [_shrink(cut_out(frames[i], mask, box)) for i, mask in zip(indices, masks, strict=True)]


def bend(rng: np.random.Generator, sprite: Pixels, n_frames: int, spread: float = 0.025) -> list[Pixels]:
    """Thin-plate deformation of one cut-out over time, the first frame as it is.

    Args:
        spread: displacement of the 4 x 4 control points a frame, as a fraction of the sprite's size.
    """
    height, width = sprite.shape[:2]
    paths = np.clip(smooth_path(rng, n_frames, spread, 32), -0.12, 0.12).reshape(n_frames, 4, 4, 2)
    return [warp(sprite, at) for at in sources(paths * np.array([width, height]), (height, width))]
