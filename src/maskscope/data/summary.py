"""What is in a data set: sizes of objects, how they move, how often and how long they are away."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.data.check import in_threads
from maskscope.data.dataset import AnnotatedSequence, Dataset


@dataclass(frozen=True, slots=True)
class ObjectSummary:
    """One object over the frames whose masks tell of it.

    Attributes:
        object_id: its label.
        first_frame: where it first appears.
        frames_known: frames whose masks say whether it is seen.
        frames_seen: of them, those on which it is.
        area_share: median of its area over that of the frame, 0..1; None if never seen.
        side_px: median of the square root of its area, in pixels.
        motion_median: median over frames of how far its centroid moves in one frame, over the square root of its area;
            None where no two neighbouring masks show it.
        motion_max: the largest such step.
        absences: how often it is away after its first appearance; None where masks do not tell.
        longest_absence_frames: frames from the first mask without it to the next with it, or to the last mask.
    """

    object_id: int
    first_frame: int
    frames_known: int
    frames_seen: int
    area_share: float | None
    side_px: float | None
    motion_median: float | None
    motion_max: float | None
    absences: int | None
    longest_absence_frames: int | None


@dataclass(frozen=True, slots=True)
class SequenceSummary:
    """One sequence: `None` where its masks do not tell.

    Attributes:
        name: the sequence's.
        frames: how many.
        annotated: how many of them have masks.
        height: in pixels.
        width: in pixels.
        fps: frames a second.
        objects: each of them.
    """

    name: str
    frames: int
    annotated: int
    height: int
    width: int
    fps: float | None
    objects: tuple[ObjectSummary, ...] = field(default=())

    @property
    def row(self) -> dict[str, Any]:
        """The sequence as one row: medians over its objects; the largest step, all absences, the longest one."""
        things = self.objects
        motion_max = [thing.motion_max for thing in things if thing.motion_max is not None]
        absences = [thing.absences for thing in things if thing.absences is not None]
        longest = [thing.longest_absence_frames for thing in things if thing.longest_absence_frames is not None]
        return {
            "name": self.name,
            "frames": self.frames,
            "annotated": self.annotated,
            "height": self.height,
            "width": self.width,
            "fps": self.fps,
            "objects": len(things),
            "area_share": _median([thing.area_share for thing in things]),
            "side_px": _median([thing.side_px for thing in things]),
            "motion_median": _median([thing.motion_median for thing in things]),
            "motion_max": max(motion_max, default=None),
            "absences": sum(absences) if absences else None,
            "longest_absence_frames": max(longest, default=None),
        }

    def as_dict(self) -> dict[str, Any]:
        """The row with its objects, as JSON values."""
        return {**self.row, "objects": [asdict(thing) for thing in self.objects]}


def summarise_dataset(dataset: Dataset, threads: int | None = None) -> Iterator[SequenceSummary]:
    """Summaries of all sequences, in order; all masks are read.

    Args:
        dataset: an open one.
        threads: how many sequences to read at a time; None for as many as there are processors, 8 at most.

    Raises:
        MaskscopeError: files that cannot be read or do not match; `check_dataset` tells all of them.
    """
    return in_threads(lambda name: summarise_sequence(dataset[name]), list(dataset.sequences), threads)


def summarise_sequence(sequence: AnnotatedSequence) -> SequenceSummary:
    """Sizes, motion and absences of one sequence's objects.

    A step is measured between neighbouring masks that both show the object, and divided by the frames between them and
    by the square root of the mean of its two areas, so that it does not depend on resolution.

    Raises:
        MaskscopeError: files that cannot be read or do not match.
    """
    height, width = sequence.size
    tracks: dict[int, list[tuple[int, float, float, float]]] = {key: [] for key in sequence.object_ids}
    for index in sequence.annotated_frames:
        for object_id, mask in sequence.object_masks(index).items():
            if object_id in tracks:
                tracks[object_id].append((index, *_area_and_centre(mask)))
    return SequenceSummary(
        sequence.name,
        sequence.num_frames,
        len(sequence.annotated_frames),
        height,
        width,
        sequence.fps,
        tuple(
            _summarise_object(object_id, sequence.first_frames[object_id], np.array(track), height * width, sequence)
            for object_id, track in tracks.items()
        ),
    )


def _summarise_object(
    object_id: int, first_frame: int, track: NDArray[np.float64], frame_area: int, sequence: AnnotatedSequence
) -> ObjectSummary:
    """One object from its rows of frame, area, x and y; an area of 0 says that it is away."""
    track = track.reshape(-1, 4)
    frames, areas, centres = track[:, 0], track[:, 1], track[:, 2:]
    seen = areas > 0
    both = seen[1:] & seen[:-1]
    steps = np.linalg.norm(np.diff(centres, axis=0), axis=1)[both]
    steps = steps / np.diff(frames)[both] / np.sqrt((areas[1:] + areas[:-1])[both] / 2)
    away = None if sequence.prompts_only else _absences(frames, seen)
    return ObjectSummary(
        object_id,
        first_frame,
        len(track),
        int(seen.sum()),
        float(np.median(areas[seen]) / frame_area) if seen.any() else None,
        float(np.median(np.sqrt(areas[seen]))) if seen.any() else None,
        float(np.median(steps)) if steps.size else None,
        float(steps.max()) if steps.size else None,
        None if away is None else len(away),
        None if away is None else max(away, default=0),
    )


def _absences(frames: NDArray[np.float64], seen: NDArray[np.bool_]) -> list[int]:
    """Length in frames of each stretch without the object, from its first appearance on."""
    lengths: list[int] = []
    left: float | None = None
    for frame, here in zip(frames[np.argmax(seen) :], seen[np.argmax(seen) :], strict=True):
        if not here and left is None:
            left = frame
        elif here and left is not None:
            lengths.append(int(frame - left))
            left = None
    if left is not None and seen.any():
        lengths.append(int(frames[-1] - left) + 1)
    return lengths


def _area_and_centre(mask_hw: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Area in pixels and centroid (x, y); zeros for an empty mask."""
    moments = cv2.moments(mask_hw.view(np.uint8), binaryImage=True)
    area = moments["m00"]
    return (area, moments["m10"] / area, moments["m01"] / area) if area else (0.0, 0.0, 0.0)


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
