"""Files that come with the package: a clip with its masks, to try everything on at once."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class DemoClip:
    """The bundled clip: an animal passes behind a thicket with another of its kind.

    Attributes:
        video_path: the film, H.264 in MP4.
        masks: `(T, H, W)` uint8 label maps of what is seen: 0 background, 1 the target, 2 the other animal.
        amodal_masks: for each object `(T, H, W)` bool: its whole outline, as if nothing stood before it.
        object_ids: `(1, 2)`.
    """

    video_path: Path
    masks: NDArray[np.uint8]
    amodal_masks: dict[int, NDArray[np.bool_]]
    object_ids: tuple[int, ...]


def folder() -> Path:
    """Where the bundled files are."""
    return Path(str(resources.files(__name__)))


def demo_clip() -> DemoClip:
    """The bundled clip; its frames are decoded from `video_path`, one for each of the masks."""
    with np.load(folder() / "demo_masks.npz", allow_pickle=False) as stored:
        masks = stored["visible"]
        object_ids = tuple(int(number) for number in stored["object_ids"])
        amodal = np.unpackbits(stored["amodal_bits"], axis=-1, count=masks.shape[-1]).astype(np.bool_)
    return DemoClip(folder() / "demo.mp4", masks, {label: amodal[i] for i, label in enumerate(object_ids)}, object_ids)
