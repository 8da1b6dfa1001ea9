"""Data sets of videos with masks, whatever their layout: what every reader offers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from maskscope.data.problems import Problem
from maskscope.errors import DatasetError


@runtime_checkable
class AnnotatedSequence(Protocol):
    """One video of which some or all frames have masks; nothing is read before it is asked for."""

    @property
    def name(self) -> str:
        """What tables call it; unique in its data set."""
        ...

    @property
    def num_frames(self) -> int:
        """How many frames."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)` in pixels of frames and masks."""
        ...

    @property
    def fps(self) -> float | None:
        """Frames a second; None where the data set does not say."""
        ...

    @property
    def annotated_frames(self) -> Sequence[int]:
        """Numbers of the frames that have masks, ascending, from 0."""
        ...

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Objects to follow, ascending, from 1 to 254."""
        ...

    @property
    def first_frames(self) -> Mapping[int, int]:
        """Object -> number of the frame where it first appears and is given."""
        ...

    @property
    def prompts_only(self) -> bool:
        """Whether masks show objects only where they are given, so that they cannot be scored against."""
        ...

    def frame(self, index: int) -> NDArray[np.uint8]:
        """`(H, W, 3)` uint8 RGB.

        Raises:
            MaskscopeError: it cannot be read, or has another size.
        """
        ...

    def masks(self, index: int) -> NDArray[np.uint8] | None:
        """`(H, W)` uint8 label map: 0 background, objects from 1, 255 void; None where the frame has no mask.

        Raises:
            DatasetError: it cannot be read, or has another size.
        """
        ...

    def object_masks(self, index: int) -> dict[int, NDArray[np.bool_]]:
        """The objects of which the frame tells whether they are seen, `(H, W)` bool each, overlaps kept.

        An empty mask says that the object is absent; an object that is left out may be there or not.
        """
        ...


@runtime_checkable
class Dataset(Protocol):
    """Sequences of one folder."""

    @property
    def layout(self) -> str:
        """Name of the layout, one of `maskscope.data.layouts.LAYOUTS`."""
        ...

    @property
    def sequences(self) -> Sequence[str]:
        """Their names, sorted."""
        ...

    def __len__(self) -> int:
        """How many sequences."""
        ...

    def __iter__(self) -> Iterator[AnnotatedSequence]:
        """All sequences in order of their names."""
        ...

    def __getitem__(self, name: str) -> AnnotatedSequence:
        """One sequence.

        Raises:
            DatasetError: no such sequence, or its files do not match.
        """
        ...

    def check_layout(self) -> list[Problem]:
        """What is wrong with the data set as a whole."""
        ...

    def check(self, name: str) -> list[Problem]:
        """What is wrong with the files of one sequence, all of which are read."""
        ...


@dataclass(frozen=True)
class AnnotatedFrames:
    """The frames of a sequence that have masks, as a clip of their own in which every frame has its truth.

    Args:
        sequence: whose masks are truth, not only prompts.

    Raises:
        DatasetError: its masks show objects only where they are given.
    """

    sequence: AnnotatedSequence

    prompts_only = False

    def __post_init__(self) -> None:
        if self.sequence.prompts_only:
            raise DatasetError(
                f"{self.sequence.name} has masks on {len(self.sequence.annotated_frames)} of its "
                f"{self.sequence.num_frames} frames, only where objects are given; expected their masks later on too",
                "use a split with public annotations",
            )

    def __len__(self) -> int:
        return self.num_frames

    @property
    def name(self) -> str:
        """The sequence's."""
        return self.sequence.name

    @cached_property
    def source_frames(self) -> tuple[int, ...]:
        """Their numbers in the sequence."""
        return tuple(self.sequence.annotated_frames)

    @property
    def num_frames(self) -> int:
        """How many frames have masks."""
        return len(self.source_frames)

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)` in pixels."""
        return self.sequence.size

    @property
    def fps(self) -> float | None:
        """Annotated frames a second; None where they come at uneven distances."""
        steps = {after - before for before, after in pairwise(self.source_frames)}
        return self.sequence.fps / steps.pop() if self.sequence.fps and len(steps) == 1 else None

    @property
    def annotated_frames(self) -> Sequence[int]:
        """All frames."""
        return range(self.num_frames)

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The sequence's."""
        return self.sequence.object_ids

    @property
    def first_frames(self) -> dict[int, int]:
        """Object -> the first annotated frame at or after its first appearance."""
        return {
            object_id: sum(number < first for number in self.source_frames)
            for object_id, first in self.sequence.first_frames.items()
        }

    def frame(self, index: int) -> NDArray[np.uint8]:
        """Annotated frame `index`, `(H, W, 3)` uint8 RGB."""
        return self.sequence.frame(self.source_frames[index])

    def masks(self, index: int) -> NDArray[np.uint8]:
        """Its label map, `(H, W)` uint8: 0 background, objects from 1, 255 void."""
        labels = self.sequence.masks(self.source_frames[index])
        assert labels is not None
        return labels

    def object_masks(self, index: int) -> dict[int, NDArray[np.bool_]]:
        """Its objects, `(H, W)` bool each."""
        return self.sequence.object_masks(self.source_frames[index])
