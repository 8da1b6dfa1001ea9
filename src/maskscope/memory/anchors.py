"""Anchors: frames in which the object was told apart from a look-alike, kept and read like prompted ones.

Source: DAM4SAM, Videnovic, Lukezic, Kristan, CVPR 2025, arXiv 2411.17576, written from the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskscope.memory.bank import MemoryBank
from maskscope.memory.box_motion import box_iou, mask_box
from maskscope.memory.policy import Moment, Outcome
from maskscope.memory.ranked import past
from maskscope.memory.settings import ReadSettings, check_range

ANCHOR: Final = "anchor"  # note, empty: the frame may be read as an anchor


@dataclass(frozen=True)
class AnchorSettings(ReadSettings):
    """How many anchors are read, and the five tests that a frame must pass to be one.

    Attributes:
        anchors: read at once, in place of as many recent memories.
        min_iou: test 1, predicted IoU above this, 0..1.
        area_change: test 2, area over the median of recent areas differs from 1 by at most this, 0..1.
        area_frames: how many areas the median is of, this frame's included; test 3 is that there is an area.
        area_reach: frames; areas farther back do not count.
        spacing: test 4, more frames than this since the last anchor.
        max_overlap: test 5, IoU of the object's box and the box of object and look-alike is at most this, 0..1.
    """

    anchors: int = 3
    min_iou: float = 0.8
    area_change: float = 0.2
    area_frames: int = 10
    area_reach: int = 300
    spacing: int = 5
    max_overlap: float = 0.7

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("min_iou", "area_change", "max_overlap"):
            check_range(self, name, 0, 1)
        for name in ("area_frames", "area_reach", "spacing"):
            check_range(self, name, 1)
        check_range(self, "anchors", 0, 5)


def tells_apart(
    settings: AnchorSettings, outcome: Outcome, bank: MemoryBank, moment: Moment, usual_iou: float = 1.0
) -> bool:
    """Whether a tracked frame passes the five tests; `usual_iou` is what the first one counts in."""
    area = outcome.summary.area_fraction
    if outcome.summary.predicted_iou <= settings.min_iou * usual_iou or area == 0:
        return False
    frames = past(bank, moment)
    last = next((t for t in frames if is_anchor(bank, t)), None)
    if last is not None and abs(moment.frame_index - last) <= settings.spacing:
        return False
    near = (t for t in frames if abs(moment.frame_index - t) <= settings.area_reach)
    known = [m.summary.area_fraction for t in near if (m := bank.get(t)) is not None]
    areas = [area, *islice((a for a in known if a > 0), settings.area_frames - 1)]
    if abs(area / median(areas) - 1) > settings.area_change:
        return False
    return lookalike_overlap(outcome.candidates.mask_logits_mhw, outcome.chosen) <= settings.max_overlap


def newest_anchors(settings: AnchorSettings, bank: MemoryBank, frames: Sequence[int], moment: Moment) -> list[int]:
    """Of frames, newest first, the anchors to read; the previous frame is read as a recent one anyway."""
    previous = moment.frame_index - moment.step
    return list(islice((t for t in frames if t != previous and is_anchor(bank, t)), settings.anchors))


def is_anchor(bank: MemoryBank, frame_index: int) -> bool:
    """Whether a remembered frame has passed."""
    memory = bank.get(frame_index)
    return memory is not None and ANCHOR in memory.notes


def lookalike_overlap(mask_logits_mhw: Tensor, chosen: int) -> float:
    """How much of the picture the other candidates add: least IoU of the chosen mask's box with the box of both, 0..1.

    Of each other candidate (m, h, w) only the largest connected part outside of the chosen mask counts.
    """
    masks: NDArray[np.bool_] = (mask_logits_mhw > 0).cpu().numpy()
    own, least = masks[chosen], 1.0
    for index, other in enumerate(masks):
        if index == chosen:
            continue
        count, labels, statistics, _ = cv2.connectedComponentsWithStats((other & ~own).astype(np.uint8), connectivity=8)
        if count < 2:  # nothing but the outside
            continue
        largest = 1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())
        both = own | (labels == largest)
        least = min(least, box_iou(_box(own), _box(both)))
    return least


def _box(mask: NDArray[np.bool_]) -> tuple[float, float, float, float] | None:
    return mask_box(torch.from_numpy(mask).float())
