"""Plans that change pixel values and leave every mask where it is: an effect under a course of time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from maskscope.transforms.base import ClipFrame


class Effect(Protocol):
    """A change of a picture; holds numbers, may keep arrays that follow from them."""

    def draw(self, image_hwc: NDArray[np.uint8], share: float, t: int) -> NDArray[np.uint8]:
        """The picture with `share` of the full effect, as it is on frame `t`.

        Args:
            image_hwc: (h, w, 3) uint8 RGB, not written to.
            share: 0..1, of some effects -1..1; never 0.
            t: frame number of the clip.
        """
        ...


@dataclass(frozen=True)
class EffectPlan:
    """An effect with a share of its strength on each frame.

    Attributes:
        effect: what is done.
        shares: one per frame; 0 returns the frame's own arrays.
        measure: (before, after) -> realised strength; a function of a module, so that plans can be pickled.
        parameters: for manifests.
    """

    effect: Effect
    shares: tuple[float, ...]
    measure: Callable[[NDArray[np.uint8], NDArray[np.uint8]], float]
    parameters: Mapping[str, Any]

    @property
    def num_frames(self) -> int:
        """As many as the source has."""
        return len(self.shares)

    def sources(self, t: int) -> tuple[int, ...]:
        """The same frame."""
        return (t,)

    def apply(self, t: int, frames: Sequence[ClipFrame]) -> ClipFrame:
        """Frame `t` with its share of the effect; masks, void and maps as they were."""
        (frame,) = frames
        if self.shares[t] == 0:
            return frame.with_strength(0.0)
        image = self.effect.draw(frame.image_hwc, self.shares[t], t)
        return frame.with_strength(self.measure(frame.image_hwc, image), image_hwc=image)
