"""Made-up clips as a data set in the layout of DAVIS, for every command that takes one and for who has none at hand."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from maskscope.assets import demo_clip
from maskscope.data.davis import USUAL_RESOLUTION
from maskscope.data.sequence_writer import SequenceWriter
from maskscope.data.synthetic import SyntheticConfig, iter_clip
from maskscope.data.video import open_video
from maskscope.errors import SettingError

BUNDLED: Final = "bundled"
"""Name of the sequence that comes with the package."""

_Frame = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

logger = logging.getLogger(__name__)


def write_davis(folder: Path, clips: int = 0, config: SyntheticConfig | None = None) -> list[str]:
    """Write the bundled clip as `bundled`, and drawn ones as `drawn-01` and so on, with visible and whole outlines.

    Args:
        folder: the data set's; made where it is missing.
        clips: how many to draw; each has another seed, half of them a thicket that hides the target, half a trunk.
        config: of the drawn clips, their seeds counting on from its own.

    Returns:
        Names of the sequences.

    Raises:
        SettingError: a negative number of clips.
        OutputError: a sequence is there already, or cannot be written.
    """
    if clips < 0:
        raise SettingError(f"{clips} clips cannot be drawn", "give 0 or more")
    config = config or SyntheticConfig()
    _write(folder, BUNDLED, _bundled())
    names = [BUNDLED]
    for number in range(1, clips + 1):
        names.append(f"drawn-{number:02d}")
        occlusion = config.occlusion if number % 2 else "partial"
        _write(folder, names[-1], _drawn(replace(config, seed=config.seed + number, occlusion=occlusion)))
    return names


def _write(folder: Path, name: str, frames: Iterable[_Frame]) -> None:
    with SequenceWriter(folder, USUAL_RESOLUTION, name) as writer:
        for frame in frames:
            writer.write(*frame)
        writer.commit()
    logger.info("wrote %s (%d frames)", name, len(writer.sha256))


def _bundled() -> Iterator[_Frame]:
    clip = demo_clip()
    for index, frame in enumerate(open_video(clip.video_path)):
        whole = np.stack([clip.amodal_masks[label][index] for label in clip.object_ids])
        yield frame.rgb, clip.masks[index], _whole(whole, clip.object_ids, clip.masks[index])


def _drawn(config: SyntheticConfig) -> Iterator[_Frame]:
    for frame in iter_clip(config):
        whole = np.stack(list(frame.amodal.values()))
        yield frame.rgb, frame.visible, _whole(whole, tuple(frame.amodal), frame.visible)


def _whole(
    outlines_nhw: NDArray[np.bool_], object_ids: tuple[int, ...], visible_hw: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """One label map of whole outlines; where they overlap, what is seen decides, then the lower number."""
    labels = np.zeros(visible_hw.shape, dtype=np.uint8)
    for label, outline in list(zip(object_ids, outlines_nhw, strict=True))[::-1]:
        labels[outline] = label
    return np.where(visible_hw > 0, visible_hw, labels).astype(np.uint8)
