"""Scores of objects, sequences and data sets, and how one becomes the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskscope.errors import MaskscopeError
from maskscope.evaluate.rules import Protocol

_SUCCESS = 0.5


@dataclass(frozen=True)
class Statistics:
    """One measure over frames: fractions in 0..1, decay in -1..1, lower is better. Never NaN."""

    mean: float
    recall: float
    decay: float

    @classmethod
    def of(cls, values: ArrayLike) -> Statistics:
        """Mean, share strictly above 0.5, and mean of the first quarter less mean of the last, as in DAVIS.

        Quarters share their border frames. Up to 256 frames this equals the official tool; beyond, the tool's frame
        numbers wrap around at 8 bits and its decay means nothing.

        Args:
            values: `(n_frames,)` scores of one object in order of time.

        Raises:
            MaskscopeError: no value, or one that is not a number.
        """
        scores = np.asarray(values, dtype=np.float64)
        if scores.ndim != 1 or scores.size == 0 or not np.isfinite(scores).all():
            raise MaskscopeError(f"statistics need one finite score or more in a row, got an array {scores.shape}")
        # The small addend sends halves up where numpy would send them to the even neighbour.
        borders = np.round(np.linspace(1, scores.size, 5) + 1e-10).astype(np.int64) - 1
        first, last = scores[borders[0] : borders[1] + 1], scores[borders[3] : borders[4] + 1]
        return cls(
            mean=float(scores.mean()),
            recall=float((scores > _SUCCESS).mean()),
            decay=float(first.mean() - last.mean()),
        )

    @classmethod
    def average(cls, parts: Sequence[Statistics]) -> Statistics:
        """Mean of each number, every part counted once.

        Raises:
            MaskscopeError: no part at all.
        """
        if not parts:
            raise MaskscopeError("there is nothing to average: no object was scored")
        return cls(*np.mean([(part.mean, part.recall, part.decay) for part in parts], axis=0).tolist())


@dataclass(frozen=True, eq=False)
class ObjectScore:
    """One object on the frames that count for it, in order of time; arrays are `(n_frames,)`.

    Attributes:
        object_id: its label.
        frames: int64 numbers of the frames, from 0, in the sequence of true masks.
        region: float64 J in 0..1, 1 where truth and prediction both lack the object.
        boundary: float64 F, the same.
        adaptive: float64 F under a tolerance that adapts to the object's size; None where the protocol has none.
        intersection_px: int64 pixels of both masks.
        truth_px: int64 pixels of the true mask, 0 where the object is absent.
        predicted_px: int64 pixels of the predicted mask.
        first_seen: number of the frame on which truth first shows it, counted or not.
        predicted: whether its sequence was predicted at all.
    """

    object_id: int
    frames: NDArray[np.int64]
    region: NDArray[np.float64]
    boundary: NDArray[np.float64]
    adaptive: NDArray[np.float64] | None
    intersection_px: NDArray[np.int64]
    truth_px: NDArray[np.int64]
    predicted_px: NDArray[np.int64]
    first_seen: int
    predicted: bool = True

    @cached_property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union, 1 where both masks are empty; `region` unless the protocol smooths that."""
        union = self.truth_px + self.predicted_px - self.intersection_px
        return np.where(union == 0, 1.0, self.intersection_px / np.maximum(union, 1))

    @cached_property
    def j(self) -> Statistics:
        """J over the frames."""
        return Statistics.of(self.region)

    @cached_property
    def f(self) -> Statistics:
        """F over the frames."""
        return Statistics.of(self.boundary)

    @property
    def f_adaptive(self) -> Statistics | None:
        """Adaptive F over the frames."""
        return None if self.adaptive is None else Statistics.of(self.adaptive)

    @property
    def j_and_f(self) -> float:
        """Mean of the two means."""
        return (self.j.mean + self.f.mean) / 2

    @property
    def variation(self) -> float:
        """Standard deviation of (J + F) / 2 over the frames: V of LVOS."""
        return float(np.std((self.region + self.boundary) / 2))


@dataclass(frozen=True, eq=False)
class SequenceScore:
    """All objects of one sequence.

    Attributes:
        protocol: the rules these scores follow.
        objects: by ascending label.
        name: the sequence's; empty where it was not given.
        notes: what the rules left out or filled in, one sentence each.
    """

    protocol: Protocol
    objects: tuple[ObjectScore, ...]
    name: str = ""
    notes: tuple[str, ...] = ()

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Labels of the scored objects."""
        return tuple(score.object_id for score in self.objects)

    @cached_property
    def frames(self) -> NDArray[np.int64]:
        """Numbers of the frames that count for one object or more, ascending."""
        return np.unique(np.concatenate([score.frames for score in self.objects]))

    @property
    def region(self) -> NDArray[np.float64]:
        """`(n_objects, n_frames)` J on `frames`; NaN where a frame does not count for an object."""
        return self._table([score.region for score in self.objects])

    @property
    def boundary(self) -> NDArray[np.float64]:
        """The same of F."""
        return self._table([score.boundary for score in self.objects])

    def object_region(self, object_id: int) -> Statistics:
        """J of one object over the frames that count for it."""
        return self.objects[self.object_ids.index(object_id)].j

    def object_boundary(self, object_id: int) -> Statistics:
        """F of one object over the frames that count for it."""
        return self.objects[self.object_ids.index(object_id)].f

    @property
    def j(self) -> Statistics:
        """J averaged over objects: DAVIS's J-Mean, J-Recall and J-Decay."""
        return Statistics.average([score.j for score in self.objects])

    @property
    def f(self) -> Statistics:
        """F averaged over objects."""
        return Statistics.average([score.f for score in self.objects])

    @property
    def f_adaptive(self) -> Statistics | None:
        """Adaptive F averaged over objects."""
        return average_adaptive(self.objects)

    @property
    def j_and_f(self) -> float:
        """Mean of the two means, the headline number of DAVIS."""
        return (self.j.mean + self.f.mean) / 2

    def _table(self, rows: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        table = np.full((len(self.objects), len(self.frames)), np.nan)
        for row, (score, values) in enumerate(zip(self.objects, rows, strict=True)):
            table[row, np.searchsorted(self.frames, score.frames)] = values
        return table


@dataclass(frozen=True)
class Group:
    """J and F of the objects of one kind, such as those of categories unseen in training."""

    name: str
    num_objects: int
    j: Statistics
    f: Statistics


@dataclass(frozen=True)
class DatasetScore:
    """J and F over sequences, every object counted once however long its sequence.

    Attributes:
        protocol: the rules.
        num_objects: how many.
        j: J averaged over objects, or over `groups` where there are some.
        f: F, the same.
        f_adaptive: adaptive F, where the protocol has it.
        groups: seen and unseen, where the protocol averages them.
        notes: what the average leaves out.
    """

    protocol: Protocol
    num_objects: int
    j: Statistics
    f: Statistics
    f_adaptive: Statistics | None = None
    groups: tuple[Group, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def j_and_f(self) -> float:
        """Mean of the two means."""
        return (self.j.mean + self.f.mean) / 2

    @property
    def j_and_f_adaptive(self) -> float | None:
        """Mean of J and adaptive F: the headline number of MOSEv2."""
        return None if self.f_adaptive is None else (self.j.mean + self.f_adaptive.mean) / 2


def average_adaptive(objects: Sequence[ObjectScore]) -> Statistics | None:
    """Adaptive F averaged over objects; None where the protocol has none."""
    parts = [part for score in objects if (part := score.f_adaptive) is not None]
    return Statistics.average(parts) if parts else None
