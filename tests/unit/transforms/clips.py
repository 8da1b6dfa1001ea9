"""Small clips whose truth is known by construction."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.transforms.base import VOID_LABEL, ClipFrame


@dataclass(frozen=True)
class ArrayClip:
    """A clip held in memory; 255 in a label map is void."""

    name: str
    frames: tuple[NDArray[np.uint8], ...]
    labels: tuple[NDArray[np.uint8], ...]

    @property
    def num_frames(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.frames[0].shape[:2]
        return height, width

    def at(self, index: int) -> ClipFrame:
        labels = self.labels[index]
        void = labels == VOID_LABEL
        visible = np.where(void, 0, labels).astype(np.uint8) if void.any() else labels
        return ClipFrame(self.frames[index], visible, visible, void if void.any() else None, float(index))


def moving_disc_clip(n: int = 24, size: tuple[int, int] = (96, 128), name: str = "disc", objects: int = 1) -> ArrayClip:
    """A mottled red disc that crosses a mottled grey-green ground from left to right, its centre at mid-height.

    With two objects a smaller blue square travels below it, the other way.
    """
    height, width = size
    rng = np.random.default_rng(5)
    coarse = rng.integers(60, 190, (height // 8, width // 8, 3), dtype=np.uint8)
    ground = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) // 2 + np.uint8([30, 60, 30])
    grain = rng.integers(0, 60, (height, width, 3), dtype=np.uint8)
    radius = 0.17 * height
    rows, columns = np.mgrid[:height, :width]
    frames, labels = [], []
    for t in range(n):
        share = t / max(n - 1, 1)
        x, y = width * (0.3 + 0.4 * share), height / 2
        label = ((columns - x) ** 2 + (rows - y) ** 2 <= radius**2).astype(np.uint8)
        if objects == 2:
            side = round(0.09 * height)
            left, top = round(width * (0.75 - 0.4 * share)), round(0.8 * height) - side
            label[top : top + 2 * side, left : left + 2 * side] = 2
        image = ground.copy()
        # The grain travels with the objects, so that their surface is theirs.
        skin = np.roll(grain, round(x), axis=1)
        image[label == 1] = skin[label == 1] + np.uint8([180, 30, 30])
        image[label == 2] = skin[label == 2] + np.uint8([30, 40, 180])
        frames.append(image)
        labels.append(label)
    return ArrayClip(name, tuple(frames), tuple(labels))
