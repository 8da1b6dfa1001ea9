"""Whether a labelled clip can teach anything: each mistake that data sets have, told in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskscope.errors import DatasetError

SAME_THING = 0.5
"""Two masks of neighbouring frames that overlap (IoU) by more than this show one thing."""

Labels = NDArray[np.uint8]


def check_clip(name: object, frames: Sequence[Labels], labels: Sequence[Labels], *, least: int = 2) -> None:
    """Refuse a clip that cannot be trained on.

    Args:
        name: what the messages call it.
        frames: (h, w, 3) each.
        labels: (h, w) each, 0 is background, in the order of `frames`.
        least: frames that it must have.

    Raises:
        DatasetError: too few frames, two sizes, no object on any mask, or an object whose number changes.
    """
    if len(frames) < least:
        raise DatasetError(
            f"{name} has {len(frames)} labelled frame{'s' * (len(frames) != 1)}, expected {least} or more",
            "remove it, or label more of it",
        )
    size = frames[0].shape[:2]
    for kind, pictures in (("frame", frames), ("mask", labels)):
        for t, picture in enumerate(pictures):
            if picture.shape[:2] != size:
                (height, width), (own_height, own_width) = size, picture.shape[:2]
                raise DatasetError(
                    f"{kind} {t} of {name} is {own_width}x{own_height}, its first frame is {width}x{height}",
                    "give frames and masks of a clip one size",
                )
    if not any(mask.any() for mask in labels):
        raise DatasetError(f"all masks of {name} are empty", "label an object, or remove the clip")
    for t in range(1, len(labels)):
        if renamed := renumbered(labels[t - 1], labels[t]):
            old, new = renamed
            raise DatasetError(
                f"object {old} of {name} is called {new} from frame {t} on", "give an object one number throughout"
            )


def renumbered(before: Labels, after: Labels) -> tuple[int, int] | None:
    """The first object, if any, whose place on the next frame bears another number, and that number.

    Objects that come, go or hide each other do not count: a thing keeps its outline from one frame to the next, so its
    old mask must overlap a mask of another number, and that number must have had no part in the place before.
    """
    if before.shape != after.shape:
        return None
    here, there = (set(np.unique(m).tolist()) - {0, 255} for m in (before, after))
    for old in sorted(here):
        was = before == old
        for new in sorted(there - {old}):
            if _iou(was, after == new) > SAME_THING and not _iou(before == new, after == new) > SAME_THING:
                return old, new
    return None


def _iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    either = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / either if either else 0.0


def matched(name: object, frames: Mapping[str, Path], masks: Mapping[str, Path]) -> tuple[list[Path], list[Path]]:
    """Frames and masks of equal stems, in order.

    Raises:
        DatasetError: some frame has no mask, or the reverse.
    """
    alone = sorted(frames.keys() ^ masks.keys())
    if alone or not frames:
        lacking = f" (without a partner: {', '.join(alone[:3])}{' ...' if len(alone) > 3 else ''})" if alone else ""
        raise DatasetError(
            f"{name} should have a mask for every frame, got {len(frames)} and {len(masks)}{lacking}",
            "name a frame's mask as the frame",
        )
    stems = sorted(frames)
    return [frames[stem] for stem in stems], [masks[stem] for stem in stems]
