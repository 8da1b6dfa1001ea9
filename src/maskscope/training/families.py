"""The stress bench's families as augmentation: the same plans that it tests with, on a clip of training's frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from maskscope.errors import DatasetError
from maskscope.training.scene import Masks
from maskscope.training.store import ArrayStore, Pixels
from maskscope.transforms.base import Material, SourceClip, TransformedClip
from maskscope.transforms.material import ClipMaterial
from maskscope.transforms.registry import family

FAMILIES: Final = ("occlusion", "illumination", "speed", "viewpoint", "interjection")

SEVERITIES: Final = (1, 5)
"""The mildest and the harshest that is drawn."""


@dataclass(frozen=True)
class HeldClip:
    """Frames with label maps in memory, as the families take them.

    Attributes:
        name: what draws depend on.
        frames: (t, h, w, 3) uint8 RGB.
        labels: (t, h, w) uint8.
    """

    name: str
    frames: Pixels
    labels: Pixels

    @property
    def num_frames(self) -> int:
        """How many."""
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.labels.shape[1], self.labels.shape[2]

    def frame(self, index: int) -> Pixels:
        """(h, w, 3)."""
        return np.asarray(self.frames[index])

    def masks(self, index: int) -> Pixels:
        """(h, w) label map."""
        return np.asarray(self.labels[index])


def material_of(store: ArrayStore, videos: Sequence[str]) -> Material:
    """Occluders and foreign footage from decoded videos; drawn ones without."""
    return ClipMaterial(
        tuple(SourceClip(HeldClip(name, store[f"{name}/frames"], store[f"{name}/masks"])) for name in videos)
    )


def under_family(rng: np.random.Generator, frames: Pixels, masks: Masks, material: Material) -> tuple[Pixels, Masks]:
    """The clip under one of the five families, at a severity of 1 to 5.

    Where the clip is too short for what was drawn, or the target would be gone from its first frame, it stays as it is.

    Args:
        rng: of the family, the severity and everything random in it.
        frames: (t, h, w, 3); a new array is returned.
        masks: (t, h, w) of the target's visible pixels.
        material: of occluders and foreign footage.
    """
    name, severity = str(rng.choice(FAMILIES)), int(rng.integers(SEVERITIES[0], SEVERITIES[1] + 1))
    clip, seed = SourceClip(HeldClip("training", frames, masks.astype(np.uint8))), int(rng.integers(2**31))
    try:
        plan = family(name).plan(clip, severity, seed, material)
    except DatasetError:
        return frames, masks
    if plan.num_frames < len(frames):
        return frames, masks
    transformed = TransformedClip(clip, plan)
    shown = [transformed.at(t) for t in range(len(frames))]
    seen = np.stack([one.visible_hw == 1 for one in shown])
    return (np.stack([one.image_hwc for one in shown]), seen) if seen[0].any() else (frames, masks)
