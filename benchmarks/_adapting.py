"""Adapting to a clip's first frame before it is tracked: `--adapt` of several benchmarks."""

from __future__ import annotations

import argparse
import copy
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from maskscope.model.checkpoints import load_model
from maskscope.model.sam2 import SAM2
from maskscope.studies.adapt import AdaptOptions, adapt


def add_adapt_option(parser: argparse.ArgumentParser) -> None:
    """`--adapt STEPS`."""
    parser.add_argument(
        "--adapt", type=int, default=0, metavar="STEPS", help="adapt to each clip's first frame first [%(default)s]"
    )


@dataclass
class Adapting:
    """A model, or for each clip what becomes of it in some steps on the clip's first frame.

    Attributes:
        steps: none leaves the model as it is.
        dtype: in which it tracks.
        seconds: that adapting took, a clip each.
    """

    name: str
    steps: int
    device: torch.device
    dtype: torch.dtype
    image_size: tuple[int, int] | None = None
    seconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.base = load_model(self.name, device=self.device, image_size=self.image_size)
        self.plain = copy.deepcopy(self.base).set_precision(self.dtype)

    def to(self, frame_rgb: NDArray[np.uint8], labels: NDArray[np.uint8]) -> SAM2:
        """The model for a clip that begins so: (H, W, 3) and its label map (H, W)."""
        if not self.steps:
            return self.plain
        begin = time.perf_counter()
        adapted = adapt(self.base, frame_rgb, labels, AdaptOptions(self.steps))
        assert adapted is not None, "nothing stops it"
        self.seconds.append(time.perf_counter() - begin)
        return copy.deepcopy(adapted.model).set_precision(self.dtype)

    def told(self) -> str:
        """For a table's title; empty without adapting."""
        if not self.steps:
            return ""
        median, most = np.median(self.seconds), max(self.seconds)
        return f"adapted in {self.steps} steps, {median:.0f} s a clip (at most {most:.0f})"
