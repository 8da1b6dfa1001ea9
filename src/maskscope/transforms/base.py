"""What a transformation is: a plan made once for a clip, then a pure function of time.

A frame travels with everything that can be known of it: what is seen of each object, its whole outline, which pixels
mean nothing, which moment of the source it shows and where each of its pixels came from. Plans take such frames and
return such frames, so they chain without any of them knowing the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from maskscope.errors import DatasetError

VOID_LABEL = 255
"""Label of true pixels that belong to nobody, in label maps that come in."""

SEVERITIES = (0, 1, 2, 3, 4, 5)
"""0 leaves every byte as it is."""


@dataclass(frozen=True)
class ClipFrame:
    """One frame with its truth; h, w pixels.

    Attributes:
        image_hwc: (h, w, 3) uint8 RGB.
        visible_hw: (h, w) uint8 label map of what is seen: 0 background, objects from 1. No void label in it.
        amodal_hw: (h, w) uint8 label map as if nothing that was added stood before the objects; moved with them.
        void_hw: (h, w) bool, True where no truth exists (borders that a moving camera reveals, void labels); None for
            nowhere. Such pixels count for nothing in an evaluation.
        source_time: moment of the source clip that is shown, in frames; a fraction where frames were blended; None for
            foreign footage.
        to_source: (3, 3) homography from this frame's pixel coordinates (x right, y down, centres of pixels at whole
            numbers) to those of the source frame; None for identity.
        strengths: realised strength of each transformation on this frame, in the order they were applied and in the
            unit of each family's table.
    """

    image_hwc: NDArray[np.uint8]
    visible_hw: NDArray[np.uint8]
    amodal_hw: NDArray[np.uint8]
    void_hw: NDArray[np.bool_] | None = None
    source_time: float | None = None
    to_source: NDArray[np.float64] | None = None
    strengths: tuple[float, ...] = ()

    def with_strength(self, strength: float, **changes: Any) -> ClipFrame:
        """This frame with fields replaced and one more realised strength."""
        return replace(self, strengths=(*self.strengths, float(strength)), **changes)


@runtime_checkable
class LabelledSequence(Protocol):
    """A clip as data sets hold it, such as `maskscope.data.davis.DavisSequence`."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def num_frames(self) -> int:
        """How many frames, and label maps."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels of every frame."""
        ...

    def frame(self, index: int) -> NDArray[np.uint8]:
        """(h, w, 3) uint8 RGB."""
        ...

    def masks(self, index: int) -> NDArray[np.uint8]:
        """(h, w) uint8 label map: 0 background, objects from 1, 255 void."""
        ...


class Clip(Protocol):
    """Frames with their truth, at random; what plans are made for and what they make."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def num_frames(self) -> int:
        """How many."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        ...

    def at(self, index: int) -> ClipFrame:
        """Frame `index`, from 0; its arrays are not to be written to."""
        ...


class Plan(Protocol):
    """A transformation of one clip: everything random is decided, nothing is drawn yet.

    A plan holds numbers and small arrays, can be pickled, and gives the same bytes in every process.
    """

    @property
    def num_frames(self) -> int:
        """Of the transformed clip."""
        ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What was drawn and decided, as JSON values with units in their names; goes into manifests."""
        ...

    def sources(self, t: int) -> tuple[int, ...]:
        """Indices of the source frames that transformed frame `t` needs; none for foreign footage."""
        ...

    def apply(self, t: int, frames: Sequence[ClipFrame]) -> ClipFrame:
        """Transformed frame `t` from the frames that `sources(t)` names: a pure function, with one strength more."""
        ...


class Material(Protocol):
    """Where a plan takes what does not come from the clip itself; all draws follow from the generator."""

    def texture(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
        """(h, w, 3) uint8 RGB surface."""
        ...

    def cutout(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
        """(h, w, 4) uint8 RGB and alpha: an object of natural outline that fills about these sides."""
        ...

    def footage(self, rng: np.random.Generator, num_frames: int, size_hw: tuple[int, int]) -> list[NDArray[np.uint8]]:
        """(h, w, 3) uint8 RGB frames of moving pictures that have nothing to do with the clip."""
        ...


class Family(Protocol):
    """A kind of transformation: a table of severities and the plans that follow it.

    Attributes:
        name: on the command line and in records.
        unit: of the realised strength.
        table: severity -> parameters with units in their names.
        on_masks: what it does to masks, one of "leaves", "hides", "moves", "removes frames".
    """

    name: str
    unit: str
    table: Mapping[int, Mapping[str, Any]]
    on_masks: str

    def plan(self, clip: Clip, severity: int, seed: int, material: Material, variant: str | None = None) -> Plan:
        """Decide everything random for one clip.

        Args:
            clip: whose masks may be read, for a plan that has to reach a share of the target.
            severity: 0..5.
            seed: of this transformation; the clip's name is mixed in, so that clips differ.
            material: of occluders and foreign footage.
            variant: of the family; None lets the seed choose.

        Raises:
            DatasetError: the clip cannot be transformed so, in one line that says why.
        """
        ...


@dataclass(frozen=True)
class SourceClip:
    """A data set's sequence as a clip, with the last frames kept at hand.

    Args:
        sequence: read at random.
    """

    sequence: LabelledSequence
    _read: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_read", lru_cache(maxsize=16)(self._load))

    def __getstate__(self) -> dict[str, Any]:
        return {"sequence": self.sequence}

    def __setstate__(self, state: dict[str, Any]) -> None:
        object.__setattr__(self, "sequence", state["sequence"])
        self.__post_init__()

    @property
    def name(self) -> str:
        """The sequence's."""
        return self.sequence.name

    @property
    def num_frames(self) -> int:
        """The sequence's."""
        return self.sequence.num_frames

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.sequence.size

    def at(self, index: int) -> ClipFrame:
        """Frame `index`, from 0."""
        frame: ClipFrame = self._read(index)
        return frame

    def _load(self, index: int) -> ClipFrame:
        image, labels = self.sequence.frame(index), self.sequence.masks(index)
        if image.shape[:2] != labels.shape:
            raise DatasetError(
                f"frame {index} of {self.name} is {image.shape[1]}x{image.shape[0]}, "
                f"its mask {labels.shape[1]}x{labels.shape[0]}",
                "frames and masks have one size",
            )
        void = labels == VOID_LABEL
        visible = np.where(void, 0, labels).astype(np.uint8) if void.any() else labels
        return ClipFrame(image, visible, visible, void if void.any() else None, float(index))


@dataclass(frozen=True)
class TransformedClip:
    """A clip under a plan, drawn frame by frame when asked; itself a clip, so plans chain."""

    clip: Clip
    plan: Plan
    label: str = ""

    @property
    def name(self) -> str:
        """The source's, with the transformation's label behind an @."""
        return f"{self.clip.name}@{self.label}" if self.label else self.clip.name

    @property
    def num_frames(self) -> int:
        """The plan's."""
        return self.plan.num_frames

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels; no transformation changes it."""
        return self.clip.size

    def at(self, index: int) -> ClipFrame:
        """Transformed frame `index`, from 0."""
        return self.plan.apply(index, [self.clip.at(i) for i in self.plan.sources(index)])


def clip_generator(seed: int, *names: str | int) -> np.random.Generator:
    """Random numbers of one plan: the same in every process for the same seed and names."""
    words = [byte for name in names for byte in (*str(name).encode(), 0)]
    return np.random.default_rng([seed, *words])
