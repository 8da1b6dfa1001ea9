"""The bundled clip as an annotated sequence, to score models on like any other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from maskscope.assets import demo_clip
from maskscope.data.source import VideoSource
from maskscope.data.video import open_video


class BundledClip:
    """The clip that comes with the package, with masks on all frames."""

    name = "bundled"
    fps = None
    prompts_only = False

    @cached_property
    def _video(self) -> VideoSource:
        return open_video(demo_clip().video_path)

    @cached_property
    def _labels(self) -> NDArray[np.uint8]:
        return demo_clip().masks

    @property
    def num_frames(self) -> int:
        """How many frames."""
        return len(self._labels)

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)` in pixels."""
        return self._labels.shape[1], self._labels.shape[2]

    @property
    def annotated_frames(self) -> Sequence[int]:
        """All frames."""
        return range(self.num_frames)

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The target, and the other animal."""
        return demo_clip().object_ids

    @property
    def first_frames(self) -> dict[int, int]:
        """Both are there from the beginning."""
        return dict.fromkeys(self.object_ids, 0)

    def frame(self, index: int) -> NDArray[np.uint8]:
        """`(H, W, 3)` uint8 RGB; neighbours are read on, not sought again."""
        return self._video[index]

    def masks(self, index: int) -> NDArray[np.uint8]:
        """`(H, W)` uint8 label map of what is seen."""
        labels: NDArray[np.uint8] = self._labels[index]
        return labels

    def object_masks(self, index: int) -> dict[int, NDArray[np.bool_]]:
        """`(H, W)` bool of each animal."""
        return {i: self._labels[index] == i for i in self.object_ids}
