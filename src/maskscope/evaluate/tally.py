"""What is kept of a sequence while its frames go by, and what the rules then make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from maskscope.errors import MaskscopeError
from maskscope.evaluate.adaptive import outlines_pair
from maskscope.evaluate.boundary import box_around, outline, outlines_f, tolerance_radius_px
from maskscope.evaluate.frames import FrameObjects
from maskscope.evaluate.reach import disk
from maskscope.evaluate.rules import ALL_FRAMES, Protocol
from maskscope.evaluate.scores import ObjectScore

Measured = tuple[int, int, int, float, float]
"""Pixels of both masks, of the true one, of the predicted one; F and adaptive F."""

_BOTH_EMPTY: Measured = (0, 0, 0, 1.0, 1.0)


@dataclass
class Tally:
    """Measures of each frame by object, and which frames show and tell of whom; frames are indices of true masks.

    Args:
        rules: the protocol.
        listed: objects and the numbers of their frames, where metadata says them.
    """

    rules: Protocol
    listed: Mapping[int, range | None] | None = None
    _measures: list[dict[int, Measured]] = field(default_factory=list)
    _told: list[frozenset[int] | None] = field(default_factory=list)
    _predicted: list[frozenset[int] | None] = field(default_factory=list)
    _true_on: dict[int, list[int]] = field(default_factory=dict)
    _predicted_on: dict[int, list[int]] = field(default_factory=dict)

    @property
    def num_frames(self) -> int:
        """How many frames have gone by."""
        return len(self._measures)

    def add(self, predicted: FrameObjects | None, true: FrameObjects) -> None:
        """Measure the next frame; None where it was not predicted."""
        index = self.num_frames
        if predicted is None:
            predicted = FrameObjects({}, true.size_hw, shown=(), told=frozenset())
        for shown, where in ((true.shown, self._true_on), (predicted.shown, self._predicted_on)):
            for number in shown:
                where.setdefault(number, []).append(index)
        self._told.append(true.told)
        self._predicted.append(predicted.told)
        wanted = {*true.shown, *predicted.shown}
        if self.listed is not None:
            wanted &= self.listed.keys()
        elif self.rules.objects == "first-frame":
            wanted &= self._on_the_first()
        if index == 0 and self.rules.drops_first:  # it counts for nobody
            wanted = set()
        self._measures.append({number: _measure(predicted, true, number, self.rules) for number in sorted(wanted)})

    def objects(self) -> list[int]:
        """Objects that the rules score, ascending."""
        if self.listed is not None:
            return sorted(self.listed)
        return sorted(self._on_the_first() if self.rules.objects == "first-frame" else self._true_on)

    def counted(self, number: int, frame_numbers: Sequence[int]) -> list[int]:
        """The frames that count for an object."""
        indices = [index for index, told in enumerate(self._told) if told is None or number in told]
        listed = self.listed[number] if self.listed is not None else None
        if listed is not None:
            indices = [index for index in indices if frame_numbers[index] in listed]
        elif self.rules.start == "object":
            first, step = self._first_shown(number), self.rules.step_frames
            start = frame_numbers[first] if first < self.num_frames else 0
            indices = [i for i in indices if i >= first and (frame_numbers[i] - start) % step == 0]
        indices = indices[self.rules.drops_first : len(indices) - self.rules.drops_last]
        if self.rules.start == "first-seen":
            true_on, predicted_on = set(self._true_on.get(number, ())), set(self._predicted_on.get(number, ()))
            if true_on.isdisjoint(indices):
                return []
            first = next(index for index in indices if index in true_on | predicted_on)
            indices = [index for index in indices if index >= first]
        return indices

    def score(self, number: int, counted: Sequence[int], *, predicted: bool = True) -> ObjectScore:
        """An object on the frames that count, one or more; `predicted` as in `ObjectScore`."""
        rows = [self._measures[index].get(number, _BOTH_EMPTY) for index in counted]
        shared_px, true_px, predicted_px = np.array([row[:3] for row in rows], dtype=np.int64).T
        boundary, adaptive = np.array([row[3:] for row in rows], dtype=np.float64).T
        union_px, smoothing_px = true_px + predicted_px - shared_px, int(self.rules.moses)
        region = np.where(union_px == 0, 1.0, (shared_px + smoothing_px) / np.maximum(union_px + smoothing_px, 1))
        if not predicted and self.rules.missing_sequences == "zero":
            region, boundary, adaptive = np.zeros((3, len(counted)))
        return ObjectScore(
            object_id=number,
            frames=np.array(counted, dtype=np.int64),
            region=region,
            boundary=boundary,
            adaptive=adaptive if self.rules.moses else None,
            intersection_px=shared_px,
            truth_px=true_px,
            predicted_px=predicted_px,
            first_seen=self._first_shown(number),
            predicted=predicted,
        )

    def note_late_objects(self) -> str:
        """Objects of the truth that the rules do not score."""
        late = sorted(self._true_on.keys() - self.objects())
        return f"{name_objects(late)} not among those that {self.rules.name} scores, and left out" if late else ""

    def note_strangers(self, counted: Mapping[int, Sequence[int]]) -> str:
        """Predicted objects that truth lacks, on frames that count for some object.

        Raises:
            MaskscopeError: there are some, and the rules do not forgive them.
        """
        counting = frozenset[int]().union(*counted.values())
        known = self._true_on.keys() | counted.keys()
        found = {
            number: next((index for index in indices if index in counting), None)
            for number, indices in self._predicted_on.items()
            if number not in known
        }
        where = {number: index for number, index in sorted(found.items()) if index is not None}
        if where and self.rules.extra_objects == "refuse":
            number = min(where, key=lambda each: where[each])
            raise MaskscopeError(
                f"frame {where[number]} predicts label {number}, which no true mask holds "
                f"(they hold {sorted(self._true_on)})",
                "give predictions the truth's object labels and 0 elsewhere",
            )
        return f"predicted {name_objects(list(where))} not in the truth, and ignored" if where else ""

    def note_missing(self, counted: Mapping[int, Sequence[int]]) -> str:
        """Frames that count and were not predicted.

        Raises:
            MaskscopeError: there are some, and the rules do not forgive them.
        """
        missing = {
            (index, number)
            for number, indices in counted.items()
            for index in indices
            if (told := self._predicted[index]) is not None and number not in told
        }
        if not missing:
            return ""
        frames = sorted({index for index, _ in missing})
        if self.rules.missing_frames == "refuse":
            index, number = min(missing)
            raise MaskscopeError(
                f"protocol {self.rules.name} wants every frame that counts predicted, {len(frames)} of "
                f"{self.num_frames} are not (the first: frame {index}, object {number})",
                f"predict them, or use protocol {ALL_FRAMES.name}, which counts them as empty",
            )
        return f"{len(frames)} of {self.num_frames} frames not predicted, counted as empty"

    def _on_the_first(self) -> set[int]:
        return {number for number, indices in self._true_on.items() if indices[0] == 0}

    def _first_shown(self, number: int) -> int:
        return self._true_on[number][0] if number in self._true_on else self.num_frames


def name_objects(numbers: Sequence[int]) -> str:
    """The subject of a sentence: "object 3 is", "objects 3, 4 are"."""
    subject, verb = ("object", "is") if len(numbers) == 1 else ("objects", "are")
    return f"{subject} {', '.join(map(str, numbers))} {verb}"


def _measure(predicted: FrameObjects, true: FrameObjects, number: int, rules: Protocol) -> Measured:
    guess, truth = predicted.mask(number), true.mask(number)
    if rules.ignores_void and true.void_hw is not None:
        guess = guess & ~true.void_hw
    box = box_around(guess | truth)  # nothing of either mask or outline lies beyond
    guess, truth = guess[box], truth[box]
    true_px, predicted_px = int(np.count_nonzero(truth)), int(np.count_nonzero(guess))
    shared_px = int(np.count_nonzero(guess & truth))
    outlines = outline(guess), outline(truth)
    if rules.moses:
        f, adaptive = outlines_pair(*outlines, true_px, *true.size_hw)
    else:
        f = adaptive = outlines_f(*outlines, disk(tolerance_radius_px(*true.size_hw, rules.tolerance)))
    return shared_px, true_px, predicted_px, f, adaptive
