"""A clip made worse in one way and by a stated amount: what each axis of a sweep does, in a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.readiness.limits import between
from maskscope.readiness.parts import Harder
from maskscope.transforms.base import Clip, Plan, TransformedClip
from maskscope.transforms.families.blurs import Jpeg
from maskscope.transforms.families.corruption import root_mean_square
from maskscope.transforms.families.effects import Effect, EffectPlan
from maskscope.transforms.families.exposure_time import MOST_FRAMES, ExposureTime
from maskscope.transforms.families.lights import Exposure, LowLight
from maskscope.transforms.families.speed import ResamplePlan

NAME: Final = "readiness"
"""Before the axis in the records' column `transform`."""

PHOTONS_AT_WHITE: Final = 1000.0
"""Of a pixel's channel in the light of the clip as it is: a small industrial sensor that is well lit (our choice)."""

LEAST_WIDTH_PX, LEAST_RATE = 24.0, 1.0
_LEAST_STEP: Final = 1.2  # a level nearer to the present than this factor teaches nothing
_NOISE_SEED: Final = 1


@dataclass(frozen=True)
class Downscale:
    """The picture as a camera of fewer pixels would give it, shown at its old size."""

    scale: float

    def draw(self, image_hwc: NDArray[np.uint8], share: float, t: int) -> NDArray[np.uint8]:
        """See `Effect`; the share is not used: a camera has one resolution."""
        height, width = image_hwc.shape[:2]
        small = max(1, round(width * self.scale)), max(1, round(height * self.scale))
        shrunk = cv2.resize(image_hwc, small, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


@dataclass(frozen=True)
class Axis:
    """One property that a sweep makes worse.

    Attributes:
        name: one of `maskscope.readiness.parts.AXES`.
        unit: of levels.
        harder: which levels are.
        logarithmic: levels differ by factors, not by differences.
        present: level of a clip (width in px, frames/s, number of frames) as it is.
        hardest: level that is tried at most.
        plan: (clip, present, level) -> the plan that makes it so.
        step: levels are whole multiples of it, counted from the present; 0 is any level.
    """

    name: str
    unit: str
    harder: Harder
    logarithmic: bool
    present: Callable[[int, float, int], float]
    hardest: Callable[[int, float, int], float]
    plan: Callable[[Clip, float, float], Plan]
    step: float = 0.0

    def levels(self, width_px: int, fps: float, num_frames: int) -> tuple[float, float | None]:
        """The present level, and the hardest to try; None where there is no room below the present."""
        present, hardest = self.present(width_px, fps, num_frames), self.hardest(width_px, fps, num_frames)
        if self.logarithmic:
            room = max(present, hardest) / min(present, hardest) >= _LEAST_STEP
            room &= (hardest < present) == (self.harder == "lower")
        else:
            room = present != hardest
        return present, self.rounded(hardest, present) if room else None

    def middle(self, mild: float, hard: float, present: float) -> float | None:
        """A level between two; None where there is none left."""
        found = self.rounded(between(mild, hard, 0.5, self.logarithmic), present)
        return None if any(math.isclose(found, each) for each in (mild, hard)) else found

    def rounded(self, level: float, present: float) -> float:
        """The nearest level that can be made."""
        return level if not self.step else present + self.step * round((level - present) / self.step)

    def spare(self, present: float, limit: float) -> float:
        """How far the present is from a limit: a factor where levels are, else a difference."""
        if not self.logarithmic:
            return abs(limit - present)
        return present / limit if self.harder == "lower" else limit / present


def degraded(axis: Axis, clip: Clip, present: float, level: float) -> Clip:
    """The clip at one level; itself where the level is the present one."""
    return clip if level == present else TransformedClip(clip, axis.plan(clip, present, level), label(axis, level))


def label(axis: Axis, level: float) -> str:
    """What records call a condition."""
    return f"{NAME}/{axis.name}:{level:.6g}"


def _always(effect: Effect, clip: Clip, parameters: Mapping[str, Any], shares: tuple[float, ...] = ()) -> EffectPlan:
    return EffectPlan(effect, shares or (1.0,) * clip.num_frames, root_mean_square, parameters)


def _narrower(clip: Clip, present: float, level: float) -> Plan:
    return _always(Downscale(level / present), clip, {"width_px": level})


def _slower(clip: Clip, present: float, level: float) -> Plan:
    factor = present / level
    moments: list[int] = []
    while round(len(moments) * factor) < clip.num_frames:
        moments.append(round(len(moments) * factor))
    return ResamplePlan(tuple(moments), {"frames_per_s": level})


def _darker(clip: Clip, present: float, level: float) -> Plan:
    photons = min(max(PHOTONS_AT_WHITE * 2.0**level, 1.0), 1000.0)
    return _always(LowLight(level, photons, _NOISE_SEED), clip, {"stops": level, "photons_at_white": photons})


def _brighter(clip: Clip, present: float, level: float) -> Plan:
    return _always(Exposure(level), clip, {"stops": level})


def _slower_shutter(clip: Clip, present: float, level: float) -> Plan:
    return ExposureTime(clip.num_frames, round(level) // 2, {"frame_intervals": level})


def _compressed(clip: Clip, present: float, level: float) -> Plan:
    return _always(Jpeg(round(level)), clip, {"jpeg_quality": level})


def _flickering(clip: Clip, present: float, level: float) -> Plan:
    shares = tuple(0.5 if t % 2 else -0.5 for t in range(clip.num_frames))
    return _always(Exposure(level), clip, {"swing_stops": level}, shares)


AXES: Final = (
    Axis("resolution", "px", "lower", True, lambda w, f, n: w, lambda w, f, n: max(w / 16, LEAST_WIDTH_PX), _narrower),
    Axis(
        "frame_rate", "frames/s", "lower", True, lambda w, f, n: f,
        lambda w, f, n: max(f / 16, LEAST_RATE, 5 * f / n), _slower,
    ),
    Axis("light_down", "stops", "lower", False, lambda w, f, n: 0.0, lambda w, f, n: -8.0, _darker),
    Axis("light_up", "stops", "higher", False, lambda w, f, n: 0.0, lambda w, f, n: 5.0, _brighter),
    Axis(
        "shutter", "intervals", "higher", True, lambda w, f, n: 1.0,
        lambda w, f, n: float(min(MOST_FRAMES, 2 * (n // 4) + 1)), _slower_shutter, step=2.0,
    ),
    Axis("compression", "quality", "lower", True, lambda w, f, n: 95.0, lambda w, f, n: 2.0, _compressed, step=1.0),
    Axis("flicker", "stops", "higher", False, lambda w, f, n: 0.0, lambda w, f, n: 4.0, _flickering),
)  # fmt: skip
"""In the order of `maskscope.readiness.parts.AXES`; columns: see `Axis`."""
