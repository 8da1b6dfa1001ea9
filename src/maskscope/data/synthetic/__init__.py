"""Clips with ground truth by construction: an animal walks through a landscape, is hidden, and comes out again.

Every picture is drawn from a plan, so the masks are not labelled but known: what is seen of each animal, and its whole
outline while something stands before it. The plan, the landscape and all noise follow from the seed alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskscope.data.synthetic.config import SyntheticConfig
from maskscope.data.synthetic.scene import Scene, SyntheticFrame

__all__ = ["SyntheticClip", "SyntheticConfig", "SyntheticFrame", "iter_clip", "synthesize_clip"]


@dataclass(frozen=True)
class SyntheticClip:
    """A whole clip in memory.

    Attributes:
        config: what it was made from.
        frames: `(T, H, W, 3)` uint8 RGB.
        visible_masks: `(T, H, W)` uint8 label maps of what is seen: 0 background, 1 the target, 2 and more distractors.
        amodal_masks: for each object `(T, H, W)` bool: its whole outline within the picture, as if nothing stood
            before it. Empty on a frame only where the object is out of the picture.
        object_ids: the objects, the target first.
    """

    config: SyntheticConfig
    frames: NDArray[np.uint8]
    visible_masks: NDArray[np.uint8]
    amodal_masks: dict[int, NDArray[np.bool_]]
    object_ids: tuple[int, ...]

    def visible_share(self, object_id: int = 1) -> NDArray[np.float64]:
        """Pixels seen over pixels of the whole outline, `(T,)` from 0 to 1; NaN where it is out of the picture."""
        whole = self.amodal_masks[object_id].sum(axis=(1, 2)).astype(np.float64)
        seen = (self.visible_masks == object_id).sum(axis=(1, 2))
        share = np.full(len(whole), np.nan)
        np.divide(seen, whole, out=share, where=whole > 0)
        return share


def iter_clip(config: SyntheticConfig, without: Collection[int] = ()) -> Iterator[SyntheticFrame]:
    """Draw a clip frame by frame; memory does not grow with its length.

    Args:
        config: what the clip shows.
        without: objects to leave out, with their shadows; every other pixel stays as it was.

    Yields:
        Frames 0 to `num_frames - 1`, each at its shutter's centre.
    """
    scene = Scene(config)
    for index in range(config.num_frames):
        yield scene.frame(index, without)


def synthesize_clip(config: SyntheticConfig, without: Collection[int] = ()) -> SyntheticClip:
    """Draw a whole clip into memory: about 3 MB a frame at 854x480 with two objects; see `iter_clip` for long ones.

    Args:
        config: what the clip shows.
        without: objects to leave out of pictures and masks.
    """
    drawn = list(iter_clip(config, without))
    object_ids = tuple(drawn[0].amodal)
    return SyntheticClip(
        config,
        np.stack([frame.rgb for frame in drawn]),
        np.stack([frame.visible for frame in drawn]),
        {label: np.stack([frame.amodal[label] for frame in drawn]) for label in object_ids},
        object_ids,
    )
