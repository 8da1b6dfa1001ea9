"""When an object was lost: runs of frames whose mask is bad, or shows something that is not there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from maskscope.errors import SettingError
from maskscope.observe.reading import Reading
from maskscope.observe.recovery import ABSENCE, FALSE_ALARM
from maskscope.stages import Stage

LOST: Final = "lost"


@dataclass(frozen=True)
class LossRule:
    """What counts as a loss.

    Attributes:
        lost_j: a frame is lost where J is below.
        least_gap: the clean run holds the object where it is better by as much, and J is not below `lost_j` itself.
        bridge_frames: good frames between two losses that make them one.

    Raises:
        SettingError: a share outside 0..1, or a negative number of frames.
    """

    lost_j: float = 0.5
    least_gap: float = 0.2
    bridge_frames: int = 2

    def __post_init__(self) -> None:
        if not (0 <= self.lost_j <= 1 and 0 <= self.least_gap <= 1 and self.bridge_frames >= 0):
            raise SettingError(f"{self} has a share outside 0..1 or a negative number of frames")


@dataclass(frozen=True, slots=True)
class Loss:
    """One loss of an object.

    Attributes:
        object: whose.
        kind: "lost" or "false alarm".
        frames: lost frames, ascending; a good one in between is not among them.
        held: those of them on which the clean run holds the object, or shows nothing where nothing is.
    """

    object: int
    kind: str
    frames: tuple[int, ...]
    held: frozenset[int] = frozenset()

    @property
    def first(self) -> int:
        """Frame on which it begins."""
        return self.frames[0]

    @property
    def last(self) -> int:
        """Frame on which it ends."""
        return self.frames[-1]


@dataclass(frozen=True, slots=True, eq=False)
class Successes:
    """One object's J by frame; 1 for an absence that was seen and 0 for a false alarm.

    Attributes:
        clean: of the clean run, on frames of the disturbed one that have a counterpart.
        disturbed: of the disturbed run.
        patched: of the disturbed run patched at a position.
        absent: frames on which truth does not show the object.
        shown: of the disturbed run, on frames where a part of the object is hidden from it: without the hidden pixels,
            as `patched` is.
    """

    clean: Mapping[int, float]
    disturbed: Mapping[int, float]
    patched: Mapping[Stage, Mapping[int, float]]
    absent: frozenset[int] = field(default=frozenset())
    shown: Mapping[int, float] = field(default_factory=dict)

    @property
    def compared(self) -> Mapping[int, float]:
        """Of the disturbed run, what `patched` and `clean` are compared with."""
        return {**self.disturbed, **self.shown}

    @classmethod
    def of(cls, readings: Iterable[Reading], object_id: int) -> Successes:
        """From the readings of `maskscope.observe.recovery.Recovery`, direction "repair"."""
        clean, disturbed, shown = dict[int, float](), dict[int, float](), dict[int, float]()
        patched: dict[Stage, dict[int, float]] = {}
        absent = set()
        for reading in readings:
            if reading.object != object_id or reading.frame is None:
                continue
            value = reading.value
            if value is None:
                if reading.state not in (ABSENCE, FALSE_ALARM):
                    continue
                value = float(reading.state == ABSENCE)
            if reading.metric == "clean_j":
                clean[reading.frame] = value
            elif reading.metric == "disturbed_j":
                disturbed[reading.frame] = value
                if reading.value is None:
                    absent.add(reading.frame)
            elif reading.metric == "disturbed_shown_j":
                shown[reading.frame] = value
            elif reading.metric == "patched_j" and reading.stage is not None:
                patched.setdefault(reading.stage, {})[reading.frame] = value
        return cls(clean, disturbed, patched, frozenset(absent), shown)


def losses_of(successes: Successes, object_id: int, rule: LossRule | None = None) -> list[Loss]:
    """Losses of the disturbed run, in order of time."""
    rule = rule or LossRule()
    groups: list[list[int]] = []
    kinds: list[str] = []
    for t in sorted(successes.disturbed):
        if successes.disturbed[t] >= rule.lost_j:
            continue
        kind = FALSE_ALARM if t in successes.absent else LOST
        if groups and kinds[-1] == kind and t - groups[-1][-1] <= rule.bridge_frames + 1:
            groups[-1].append(t)
        else:
            groups.append([t])
            kinds.append(kind)

    compared = successes.compared

    def held(t: int) -> bool:
        clean = successes.clean.get(t)
        return clean is not None and clean >= max(rule.lost_j, compared[t] + rule.least_gap)

    return [
        Loss(object_id, kind, tuple(frames), frozenset(filter(held, frames)))
        for kind, frames in zip(kinds, groups, strict=True)
    ]
