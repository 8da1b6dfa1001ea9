"""Whether an object was found where it is, and left alone where it is not: kinds of failure, and coming back.

The kinds of a frame, P the predicted mask and G the true one:

    G shows the object   IoU above the threshold                        hit
                         P empty                                        miss
                         otherwise: P lies elsewhere, or hardly on it   drift
    G is empty           P empty                                        absence
                         otherwise                                      hallucination

With a threshold of 0 these are the frame classes of the VOT toolkit's long-term measures, and robustness, accuracy and
their kin are its own (Kristan et al., VOTS 2023). To tell failures apart a threshold of 0.1 is used, at which VOT's
short-term challenges call a target lost: a mask that happens to touch the target has not found it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from maskscope.evaluate.scores import ObjectScore

LOST_IOU = 0.1
"""Overlap up to which a prediction counts as being on something else."""

FOUND_IOU = 0.5
"""Overlap from which an object that returns counts as found again."""

THRESHOLDS = np.linspace(0, 1, 100)
"""Of the success plot, as in the VOT toolkit."""


class Outcome(IntEnum):
    """Kinds of a frame."""

    hit = 0
    miss = 1
    drift = 2
    absence = 3
    hallucination = 4


def outcomes(score: ObjectScore, threshold: float = LOST_IOU) -> NDArray[np.int8]:
    """The kind of each frame that counts, `(n_frames,)` int8 of `Outcome`."""
    there, said = score.truth_px > 0, score.predicted_px > 0
    kinds = np.where(said, Outcome.drift, Outcome.miss)
    kinds = np.where(score.iou > threshold, Outcome.hit, kinds)
    return np.where(there, kinds, np.where(said, Outcome.hallucination, Outcome.absence)).astype(np.int8)


@dataclass(frozen=True)
class FrameCounts:
    """Frames of each kind."""

    hit: int
    miss: int
    drift: int
    absence: int
    hallucination: int

    @classmethod
    def of(cls, score: ObjectScore, threshold: float = LOST_IOU) -> FrameCounts:
        """Of one object."""
        return cls(*np.bincount(outcomes(score, threshold), minlength=len(Outcome)).tolist())

    @property
    def visible(self) -> int:
        """Frames on which truth shows the object."""
        return self.hit + self.miss + self.drift

    @property
    def absent(self) -> int:
        """Frames on which it does not."""
        return self.absence + self.hallucination


@dataclass(frozen=True)
class Returns:
    """How an object that came back was found again.

    A return is a frame on which truth shows the object and the one before, of those that count, does not, after it was
    seen at some time. It is recovered where IoU reaches 0.5 before the object leaves again or the frames end.

    Attributes:
        latencies: for each return, counted frames from it until recovery, 0 for at once; None where it never came.
    """

    latencies: tuple[int | None, ...]

    @classmethod
    def of(cls, score: ObjectScore, found: float = FOUND_IOU) -> Returns:
        """Of one object, over the frames that count."""
        there = score.truth_px > 0
        begins = np.flatnonzero(there & ~np.concatenate(([True], there[:-1])))
        latencies: list[int | None] = []
        for begin in begins:
            if score.frames[begin] == score.first_seen:
                continue  # it appears for the first time
            leaves = np.flatnonzero(~there[begin:])
            stay = score.iou[begin : begin + leaves[0] if leaves.size else None]
            at = np.flatnonzero(stay >= found)
            latencies.append(int(at[0]) if at.size else None)
        return cls(tuple(latencies))

    @property
    def count(self) -> int:
        """How many returns."""
        return len(self.latencies)

    @property
    def recovered(self) -> float | None:
        """Share of returns that were recovered; None without returns."""
        return sum(each is not None for each in self.latencies) / self.count if self.count else None

    @property
    def latency_frames(self) -> float | None:
        """Mean frames until recovery, over the returns that were; None without any."""
        recovered = [each for each in self.latencies if each is not None]
        return float(np.mean(recovered)) if recovered else None


@dataclass(frozen=True)
class Presence:
    """Shares in 0..1; None where there is no frame to take a share of.

    The first four are of the frames on which truth shows the object, and the threshold is `LOST_IOU`.

    Attributes:
        hit: share found.
        miss: share on which nothing was predicted.
        drift: share on which the prediction was elsewhere.
        success: area under the success plot: share of frames with IoU above a threshold, averaged over thresholds.
        hallucination: share of the frames without the object on which something was predicted.
        robustness: VOT's R, share of visible frames with any overlap.
        accuracy: VOT's A, mean IoU of those.
        not_reported: VOT's NRE, share of visible frames without prediction.
        drifted: VOT's DRE, share of visible frames with a prediction and no overlap; R + NRE + DRE = 1.
        absence_detection: VOT's ADQ, share of frames without the object that were left empty.
        quality: VOT's Q, area under the success plot over all frames, where an absence found counts as IoU 1 and a
            hallucination as 0.
        recovered: share of returns that were recovered.
        latency_frames: mean frames until recovery.
    """

    hit: float | None
    miss: float | None
    drift: float | None
    success: float | None
    hallucination: float | None
    robustness: float | None
    accuracy: float | None
    not_reported: float | None
    drifted: float | None
    absence_detection: float | None
    quality: float | None
    recovered: float | None
    latency_frames: float | None

    @classmethod
    def of(cls, score: ObjectScore) -> Presence:
        """Of one object, over the frames that count."""
        lost, vot, returns = FrameCounts.of(score), FrameCounts.of(score, 0.0), Returns.of(score)
        visible = score.truth_px > 0
        touched = score.iou[visible & (score.iou > 0)]
        return cls(
            hit=_share(lost.hit, lost.visible),
            miss=_share(lost.miss, lost.visible),
            drift=_share(lost.drift, lost.visible),
            success=success_area(score.iou[visible]),
            hallucination=_share(lost.hallucination, lost.absent),
            robustness=_share(vot.hit, vot.visible),
            accuracy=float(touched.mean()) if touched.size else None,
            not_reported=_share(vot.miss, vot.visible),
            drifted=_share(vot.drift, vot.visible),
            absence_detection=_share(vot.absence, vot.absent),
            quality=success_area(score.iou),
            recovered=returns.recovered,
            latency_frames=returns.latency_frames,
        )

    @classmethod
    def average(cls, parts: Iterable[Presence]) -> Presence:
        """Mean of each number over the parts that have it: of objects for a sequence, of sequences for a data set."""
        together = list(parts)
        columns = {each.name: [getattr(part, each.name) for part in together] for each in fields(cls)}
        known = {name: [value for value in values if value is not None] for name, values in columns.items()}
        return cls(**{name: float(np.mean(values)) if values else None for name, values in known.items()})


def success_area(iou: NDArray[np.float64]) -> float | None:
    """Area under the success plot: mean over 100 thresholds in 0..1 of the share of frames with IoU above them.

    At the last threshold, 1, equality is enough, as in the VOT toolkit.

    Args:
        iou: `(n_frames,)` in 0..1; None is returned where there is none.
    """
    if iou.size == 0:
        return None
    ordered = np.sort(iou)
    above = len(ordered) - np.searchsorted(ordered, THRESHOLDS, side="right")
    above[-1] = np.count_nonzero(iou >= 1)
    return float(above.mean() / len(ordered))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
