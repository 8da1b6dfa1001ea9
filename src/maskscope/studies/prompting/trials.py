"""What is tried: each trial is one way of saying which object is meant, and when it is said again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from maskscope.errors import SettingError
from maskscope.studies.prompting.clicks import Placement, Signs
from maskscope.studies.prompting.time_model import PromptKind

Axis = Literal["kind", "density", "jitter", "wrong"]
Change = Literal["shift", "grow", "shrink"]
Wrong = Literal["background", "neighbour"]

AXES: Final[tuple[Axis, ...]] = ("kind", "density", "jitter", "wrong")
JITTER_PERCENT: Final = (5, 10, 20, 30, 50)
EVERY: Final = (10, 30)


@dataclass(frozen=True)
class Trial:
    """One way of prompting.

    Attributes:
        axis: what is being varied.
        name: what tables call it; two trials of one axis differ in it, or in percent or seed.
        kind: of prompt.
        clicks: how many.
        placement: where each of them goes.
        signs: of clicks, see `maskscope.studies.prompting.clicks.next_click`.
        every: said again every so many frames, where the object is seen; None says it once.
        change: what is done to a box or click before it is given.
        percent: by how much of the object's sides.
        wrong: what is marked instead of the object.
        seed: of all that is drawn.
    """

    axis: Axis
    name: str
    kind: PromptKind
    clicks: int = 0
    placement: Placement = "centre"
    signs: Signs = "either"
    every: int | None = None
    change: Change | None = None
    percent: int = 0
    wrong: Wrong | None = None
    seed: int = 0

    @property
    def identity(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @property
    def share(self) -> float:
        """Of the object's sides, by which the prompt is off."""
        return self.percent / 100


@dataclass(frozen=True)
class TrialGrid:
    """Which trials there are.

    Attributes:
        percents: how far boxes and clicks are off, in percent of the object's sides, 1 to 100.
        every: intervals of repeated prompts, frames.
        seeds: of human clicks and of jitter; results are averaged over them.
    """

    percents: tuple[int, ...] = JITTER_PERCENT
    every: tuple[int, ...] = EVERY
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        if bad := [percent for percent in self.percents if not 1 <= percent <= 100]:
            raise SettingError(f"a jitter of {bad[0]} % is out of range", "give 1 to 100 percent of the side")
        if bad := [every for every in self.every if every < 1]:
            raise SettingError(f"a prompt every {bad[0]} frames means nothing", "give 1 or more")
        if not self.seeds:
            raise SettingError("no seed is named", "for example --seeds 0")
        if bad := [seed for seed in self.seeds if seed < 0]:
            raise SettingError(f"there is no seed {bad[0]}", "give whole numbers from 0")

    def of(self, axis: Axis, frames: int) -> tuple[Trial, ...]:
        """The trials of an axis for a clip of so many frames; intervals that are longer than it are left out."""
        made: dict[Axis, Iterator[Trial]] = {
            "kind": _kinds(self.seeds),
            "density": _densities([every for every in self.every if every < frames]),
            "jitter": _jitters(self.percents, self.seeds),
            "wrong": _wrongs(self.seeds),
        }
        return tuple(made[axis])


def _kinds(seeds: Sequence[int]) -> Iterator[Trial]:
    yield Trial("kind", "mask", "mask")
    yield Trial("kind", "box", "box")
    for clicks in (1, 3, 5):
        yield Trial("kind", _clicks(clicks), "clicks", clicks)
    for clicks in (1, 3):
        for seed in seeds:
            yield Trial("kind", f"{_clicks(clicks)}, human", "clicks", clicks, "human", seed=seed)
    yield Trial("kind", "3 clicks, positive only", "clicks", 3, signs="positive")
    yield Trial("kind", "1 click, 2 negative", "clicks", 3, signs="negative")


def _densities(every: Sequence[int]) -> Iterator[Trial]:
    for frames in sorted(every):
        for name, kind, clicks in (("3 clicks", "clicks", 3), ("box", "box", 0), ("mask", "mask", 0)):
            yield Trial("density", f"{name}, every {frames} frames", kind, clicks, every=frames)  # type: ignore[arg-type]


def _jitters(percents: Sequence[int], seeds: Sequence[int]) -> Iterator[Trial]:
    for percent in sorted(percents):
        for seed in seeds:
            yield Trial("jitter", "box shifted", "box", change="shift", percent=percent, seed=seed)
            yield Trial("jitter", "click shifted", "clicks", 1, change="shift", percent=percent, seed=seed)
        yield Trial("jitter", "box too large", "box", change="grow", percent=percent)
        if percent < 100:
            yield Trial("jitter", "box too small", "box", change="shrink", percent=percent)


def _wrongs(seeds: Sequence[int]) -> Iterator[Trial]:
    yield Trial("wrong", "click on the background", "clicks", 1, wrong="background")
    for seed in seeds:
        yield Trial("wrong", "box on the background", "box", wrong="background", seed=seed)
    yield Trial("wrong", "click on a neighbour", "clicks", 1, wrong="neighbour")
    yield Trial("wrong", "mask of a neighbour", "mask", wrong="neighbour")


def direction(seed: int) -> float:
    """Angle in radians in which a prompt is off; seeds are spread evenly, by the golden angle."""
    return 0.6 + seed * math.pi * (3 - math.sqrt(5))


def _clicks(count: int) -> str:
    return "1 click" if count == 1 else f"{count} clicks"
