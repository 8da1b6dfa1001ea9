"""Clips of any length with long absences: a clip back and forth, or a made-up one that is drawn on and on.

A tracker forgets, drifts and loses its way over thousands of frames, which no annotated clip has. So a clip is shown
forwards and backwards, again and again, and motion never breaks; now and then the film cuts to other footage, behind
which time passes, and comes back. Nothing is held but a few frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Final

from maskscope.errors import DatasetError, SettingError
from maskscope.studies.drawn_clips import DrawnSequence
from maskscope.transforms.base import Clip, ClipFrame, Material, SourceClip, TransformedClip, clip_generator
from maskscope.transforms.families.common import Derived
from maskscope.transforms.families.cuts import InterludePlan

FAMILY: Final = "long"
"""Of its records, whose severity says how long the absences are."""

ABSENCE_FRAMES: Final[Mapping[int, int]] = {1: 8, 2: 16, 3: 32, 4: 64, 5: 128}
"""Severity -> frames of each absence; a memory of sixteen frames is gone after the second."""

SEEN_FRAMES: Final = (90, 210)
"""Between two absences: at least, and below."""

_FOOTAGE_FRAMES: Final = 32  # of one absence at most: longer ones show theirs back and forth


@dataclass(frozen=True)
class LongSpec:
    """What is made of each clip.

    Attributes:
        num_frames: of the long clip.
        severity: 1 to 5, see `ABSENCE_FRAMES`.
        seed: of where absences lie and what they show.

    Raises:
        SettingError: a severity or seed out of range, or too few frames for an absence.
    """

    num_frames: int
    severity: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.severity not in ABSENCE_FRAMES:
            raise SettingError(f"severity {self.severity} of long clips is out of range", "expected 1 to 5")
        if self.seed < 0:
            raise SettingError(f"seed {self.seed} of long clips is negative", "expected 0 or more")
        least = SEEN_FRAMES[1] + self.absence_frames + 1
        if self.num_frames < least:
            raise SettingError(
                f"a long clip of {self.num_frames} frames has no room for an absence of {self.absence_frames}",
                f"give {least} frames or more",
            )

    def __str__(self) -> str:
        return f"{FAMILY}-{self.num_frames}:{self.severity}" + (f"@{self.seed}" if self.seed else "")

    @property
    def absence_frames(self) -> int:
        """Of each absence."""
        return ABSENCE_FRAMES[self.severity]

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides the clip, besides its source and material, as JSON values."""
        return {**asdict(self), "absence_frames": self.absence_frames, "seen_frames": list(SEEN_FRAMES)}


def long_clip(source: SourceClip, spec: LongSpec, material: Material) -> Clip:
    """A clip of the wanted length, drawn when asked.

    A drawn sequence goes on being drawn: its target walks on, behind one thicket after the other, and once the camera
    looks elsewhere. Any other is shown back and forth, with cuts to foreign footage.

    Args:
        source: of annotated frames.
        spec: length and absences.
        material: of foreign footage.

    Raises:
        DatasetError: a clip of one frame, which cannot be shown back and forth.
    """
    drawn = getattr(source.sequence, "sequence", source.sequence)
    if isinstance(drawn, DrawnSequence):
        return _Timeless(SourceClip(drawn.prolonged(spec.num_frames, spec.absence_frames, SEEN_FRAMES[0])))
    return TransformedClip(source, LoopPlan.of(source, spec, material), str(spec))


@dataclass(frozen=True)
class LoopPlan(Derived):
    """A clip back and forth, with stretches of foreign footage behind which time passes.

    Attributes:
        source_frames: of the clip, 2 or more.
        size_hw: of the clip.
        num_frames: of the long one.
        absences: index of the first foreign frame of each stretch, ascending.
        absence_frames: length of each.
        material: of the footage.
        footage_seed: of the first stretch; the others count on.
        parameters: for manifests.
    """

    source_frames: int
    size_hw: tuple[int, int]
    num_frames: int
    absences: tuple[int, ...]
    absence_frames: int
    material: Material
    footage_seed: int
    parameters: Mapping[str, Any]

    @classmethod
    def of(cls, clip: Clip, spec: LongSpec, material: Material) -> LoopPlan:
        """The plan for a clip.

        Raises:
            DatasetError: it has one frame.
        """
        if clip.num_frames < 2:
            raise DatasetError(f"{clip.name} has 1 frame, there is nothing to show back and forth", "take a longer one")
        rng = clip_generator(spec.seed, FAMILY, clip.name)
        footage_seed, absences = int(rng.integers(2**62)), []
        first = int(rng.integers(*SEEN_FRAMES))
        while first + spec.absence_frames < spec.num_frames:
            absences.append(first)
            first += spec.absence_frames + int(rng.integers(*SEEN_FRAMES))
        drawn = {"absences": absences, "absence_frames": spec.absence_frames, "footage_seed": footage_seed}
        return cls(
            clip.num_frames, clip.size, spec.num_frames, tuple(absences), spec.absence_frames, material, footage_seed,
            {"family": FAMILY, "severity": spec.severity, "num_frames": spec.num_frames, **drawn},
        )  # fmt: skip

    def sources(self, t: int) -> tuple[int, ...]:
        """The frame of the clip at that moment of going back and forth; none in an absence."""
        return () if self._absence(t) is not None else (back_and_forth(t, self.source_frames),)

    def apply(self, t: int, frames: Sequence[ClipFrame]) -> ClipFrame:
        """The clip's frame with strength 0, or a foreign one with the number of foreign frames so far."""
        number = self._absence(t)
        if number is None:
            return frames[0].with_strength(0.0)
        interlude = self._interludes(number)
        shown = t - interlude.first
        foreign = interlude.apply(interlude.first + back_and_forth(shown, interlude.foreign_frames), ())
        return replace(foreign, strengths=(float(shown + 1),))

    def _absence(self, t: int) -> int | None:
        """Which one frame `t` lies in."""
        found = [k for k, first in enumerate(self.absences) if first <= t < first + self.absence_frames]
        return found[0] if found else None

    @cached_property
    def _interludes(self) -> Callable[[int], InterludePlan]:
        """Number of the absence -> its footage, of which only the last is kept."""
        return lru_cache(maxsize=1)(self._interlude)

    def _interlude(self, number: int) -> InterludePlan:
        count = min(self.absence_frames, _FOOTAGE_FRAMES)
        first, seed = self.absences[number], self.footage_seed + number
        return InterludePlan(self.num_frames, self.size_hw, first, count, True, self.material, seed, None, {})


def back_and_forth(t: int, count: int) -> int:
    """0, 1, ... `count - 1`, ... 1, 0, 1 and so on; no index twice in a row."""
    if count == 1:
        return 0
    place = t % (2 * (count - 1))
    return min(place, 2 * (count - 1) - place)


@dataclass(frozen=True)
class _Timeless:
    """A clip none of whose frames is a moment of the short clip of the same name."""

    clip: SourceClip

    @property
    def name(self) -> str:
        return self.clip.name

    @property
    def num_frames(self) -> int:
        return self.clip.num_frames

    @property
    def size(self) -> tuple[int, int]:
        return self.clip.size

    def at(self, index: int) -> ClipFrame:
        return replace(self.clip.at(index), source_time=None)
