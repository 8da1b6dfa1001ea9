"""An observer that reduces what it is shown to readings at once, and keeps nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from maskscope.observe.grid import Regions
from maskscope.observe.reading import Reading
from maskscope.stages import Stage

Masks = Mapping[int, NDArray[np.bool_]]
Truth = Callable[[int], Masks | None]
"""Frame index -> (H, W) bool of each object, an empty one where it is absent; None where nothing is known."""
Picture = Callable[[int], NDArray[np.uint8] | None]
"""Frame index -> (H, W, 3) uint8."""
Valid = Callable[[int], NDArray[np.bool_] | None]
"""Frame index -> (H, W) bool, False where there is no truth; None where all of it is known."""


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """One object at one place inside the model, on one frame: what a measure is shown.

    Attributes:
        stage: observation position.
        tap: finer place inside it, empty for the position itself.
        frame: position in the video.
        object: its number; None where no object is known of a feature map that all share.
        features: (c, h, w), or (c,) of `object_pointer`. Not to be changed, nor kept without need.
        regions: the object on the grid of the features; None for a vector, or without truth.
        mask_hw: (H, W) bool, the truth; None without.
        picture_hwc: (H, W, 3) uint8, the frame; None without.
    """

    stage: Stage
    tap: str
    frame: int
    object: int | None
    features: Tensor
    regions: Regions | None = None
    mask_hw: NDArray[np.bool_] | None = None
    picture_hwc: NDArray[np.uint8] | None = None

    def reading(self, metric: str, value: float | None = None, state: str | None = None) -> Reading:
        """A reading of this object, here and now."""
        return Reading(
            metric=metric,
            value=value,
            state=state,
            stage=self.stage,
            tap=self.tap,
            frame=self.frame,
            object=self.object,
        )


class Measure(Protocol):
    """Reduces features to readings, one sight after the other; may remember what is small."""

    def see(self, sight: Sight) -> Iterable[Reading]:
        """What there is to say of this sight; nothing for stages it does not measure."""
        ...
