"""Annotated sequences in memory, for tests of what is done with labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskscope.data.synthetic import SyntheticClip, SyntheticConfig, synthesize_clip


@dataclass(frozen=True)
class MemorySequence:
    """A clip of a white square on grey; masks on the frames of `labels` only."""

    name: str
    num_frames: int
    labels: Mapping[int, NDArray[np.uint8]]
    size: tuple[int, int] = (48, 64)
    fps: float | None = None
    prompts_only: bool = False

    @property
    def annotated_frames(self) -> tuple[int, ...]:
        return tuple(sorted(self.labels))

    @property
    def object_ids(self) -> tuple[int, ...]:
        return tuple(self.first_frames)

    @property
    def first_frames(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for frame in self.annotated_frames:
            for label in np.unique(self.labels[frame]):
                if label not in (0, 255):
                    found.setdefault(int(label), frame)
        return found

    def frame(self, index: int) -> NDArray[np.uint8]:
        rgb = np.full((*self.size, 3), 90, np.uint8)
        rgb[square(index, size=self.size) > 0] = 240
        return rgb

    def masks(self, index: int) -> NDArray[np.uint8] | None:
        return self.labels.get(index)

    def object_masks(self, index: int) -> dict[int, NDArray[np.bool_]]:
        labels = self.masks(index)
        return {} if labels is None else {i: labels == i for i in self.object_ids}


def square(index: int, label: int = 1, size: tuple[int, int] = (48, 64)) -> NDArray[np.uint8]:
    """Label map of a square of 16 pixels that goes to the right by two a frame."""
    labels = np.zeros(size, np.uint8)
    labels[12:28, 8 + 2 * index : 24 + 2 * index] = label
    return labels


def moving(name: str, num_frames: int = 8, every: int = 1) -> MemorySequence:
    """The square, labelled on every frame or every so many."""
    return MemorySequence(name, num_frames, {t: square(t) for t in range(0, num_frames, every)})


def small_animals(**changes: Any) -> SyntheticClip:
    """A drawn clip of 160 x 96 pixels without occlusion or blur: little enough to train on in a test."""
    return synthesize_clip(
        SyntheticConfig(**{"height_px": 96, "width_px": 160, "occlusion": "none", "blur_samples": 1, **changes})
    )
