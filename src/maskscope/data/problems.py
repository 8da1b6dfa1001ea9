"""What can be wrong with a data set, one line for each finding."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Kinds of problems, as tables call them."""

    no_frames = "no frames"
    no_masks = "no masks"
    missing_sequence = "missing sequence"
    unlisted_sequence = "sequence outside the list"
    missing_frame = "missing frame"
    doubled_frame = "two files for a frame"
    missing_mask = "frame without mask"
    frame_size = "frame size changes"
    mask_size = "mask size differs"
    mask_mode = "no label map"
    palette = "palette"
    id_gap = "ids jump"
    unlisted_id = "id outside the list"
    missing_object = "object never shown"
    first_frame = "first appearance differs"
    empty_mask = "empty mask"
    unreadable = "unreadable file"
    metadata = "metadata"
    stray_file = "stray file"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding.

    Attributes:
        sequence: whose; None for the data set as a whole.
        kind: what kind of problem.
        detail: what came and what was expected, in one line.
        frame: stem of the frame's file, or the frame's number in a video; None where no frame is meant.
        harmless: may be meant so (an object that is out of sight leaves an empty mask); does not make a data set bad.
    """

    sequence: str | None
    kind: Kind
    detail: str
    frame: str | None = None
    harmless: bool = False
