"""Where instruments listen: the tracker hands them every stage's output, and computes nothing for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from maskscope.stages import Stage


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """One stage's output for some objects of one frame.

    Attributes:
        stage: one of `maskscope.stages.STAGES`.
        frame_index: position in the video.
        object_ids: whose; empty for `image_embedding`, which is shared by all.
        output: (1 or b, c, h, w) features, or (b, c) for `object_pointer`.
    """

    stage: Stage
    frame_index: int
    object_ids: tuple[int, ...]
    output: Tensor


Observer = Callable[[Observation], None]
