"""Speed: other moments of the clip, or several in one frame. Removes frames; masks stay exact.

Frame 0 is the source's frame 0, sharp, with one exception: "reverse" runs the clip backwards from its last frame, so
the prompt is given there, and the target has to be on it.

Every shown moment keeps its own image, masks and source time. Only "blur" makes new pictures: the mean, in linear
light, of the frames around a centre frame. Its truth is the centre frame's mask; pixels whose label is not the same in
all of these frames (the union of the masks without their intersection) are void. Near both ends of the clip fewer
frames are averaged, evenly on both sides, so the first and the last frame stay sharp.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from maskscope.errors import DatasetError
from maskscope.transforms.base import Clip, ClipFrame, Material, Plan, clip_generator
from maskscope.transforms.families.common import UnchangedPlan, check_length, check_request, first_that_fits, ladder
from maskscope.transforms.families.exposure_time import ExposureTime
from maskscope.transforms.families.motion import relative_displacement

_LEAST_FRAMES: Final = 3
"""That a resampled clip has: with fewer there is no motion to follow."""

_RATE_PERIOD_FRAMES: Final = (16.0, 32.0)


@dataclass(frozen=True)
class ResamplePlan:
    """Moments of the source in another order or number.

    Attributes:
        moments: index of the source frame that each frame shows.
        parameters: for manifests.
    """

    moments: tuple[int, ...]
    parameters: Mapping[str, Any]

    @property
    def num_frames(self) -> int:
        """Of the resampled clip."""
        return len(self.moments)

    def sources(self, t: int) -> tuple[int, ...]:
        """The frame that is shown and, where another one was shown before, that one for the displacement."""
        if t == 0 or self.moments[t - 1] == self.moments[t]:
            return (self.moments[t],)
        return self.moments[t], self.moments[t - 1]

    def apply(self, t: int, frames: Sequence[ClipFrame]) -> ClipFrame:
        """The shown frame as it is, with the target's displacement since the frame before."""
        shown = frames[0]
        moved = relative_displacement(frames[1].visible_hw, shown.visible_hw) if len(frames) == 2 else 0.0
        return shown.with_strength(moved)


class Speed:
    """The family; see `Family`. Its variants:

    - "decimate" keeps every k-th frame;
    - "slow" shows every frame k times, the whole clip;
    - "variable" plays at a rate that swings smoothly between 1/k and k;
    - "freeze" stands still for k frames, twice where the clip is long enough, while the scene goes on;
    - "reverse" runs backwards at k times the pace;
    - "blur" averages k consecutive frames.

    The realised strength grows with severity on the mean over frames for "decimate", "variable", "reverse" and "blur",
    on the largest over frames for "freeze", and falls for "slow".
    """

    name: str = "speed"
    unit: str = (
        "displacement of the objects' centroid since the previous processed frame over the square root of their area; "
        "for blur, while the frame was exposed"
    )
    on_masks: str = "removes frames"
    variants: tuple[str, ...] = ("decimate", "slow", "variable", "freeze", "reverse", "blur")
    table: Mapping[int, Mapping[str, Any]] = ladder(
        decimate_factor=(2, 3, 4, 8, 16),
        slow_repeats=(2, 3, 4, 6, 8),
        variable_factor=(1.5, 2.0, 3.0, 4.5, 7.0),
        freeze_frames=(2, 4, 8, 12, 16),
        reverse_factor=(1, 2, 3, 4, 8),
        blur_frames=(3, 5, 7, 9, 11),
    )

    def plan(self, clip: Clip, severity: int, seed: int, material: Material, variant: str | None = None) -> Plan:
        """See `Family`; without a variant, the first in the seed's order that the clip is long enough for.

        Raises:
            SettingError: an unknown severity or variant.
            DatasetError: the clip is too short, or its last frame is without a target and it is to run backwards.
        """
        check_request(self.name, severity, variant, self.variants)
        if severity == 0:
            return UnchangedPlan(clip.num_frames, self.name)
        if variant is not None:
            return self._plan(clip, severity, seed, variant)
        order = clip_generator(seed, self.name, clip.name)
        return first_that_fits(order, self.variants, lambda one: self._plan(clip, severity, seed, one))

    def _plan(self, clip: Clip, severity: int, seed: int, variant: str) -> Plan:
        row, n = self.table[severity], clip.num_frames
        rng = clip_generator(seed, self.name, variant, clip.name)
        request = {"family": self.name, "severity": severity, "variant": variant}
        drawn: dict[str, Any]
        moments: Sequence[int]
        match variant:
            case "decimate":
                drawn = {"factor": row["decimate_factor"]}
                self._check(variant, clip, 1 + (_LEAST_FRAMES - 1) * drawn["factor"])
                moments = range(0, n, drawn["factor"])
            case "slow":
                drawn = {"repeats": row["slow_repeats"]}
                self._check(variant, clip, 2)
                moments = [i for i in range(n) for _ in range(drawn["repeats"])]
            case "variable":
                drawn = {"factor": row["variable_factor"], "period_frames": rng.uniform(*_RATE_PERIOD_FRAMES)}
                drawn["phase_turns"] = rng.uniform()
                self._check(variant, clip, 1 + int(np.ceil((_LEAST_FRAMES - 1) * drawn["factor"])))
                moments = _variable_moments(n, **drawn)
            case "freeze":
                drawn = {"frames": row["freeze_frames"]}
                self._check(variant, clip, drawn["frames"] + 3)
                drawn["starts"] = _freeze_starts(n, drawn["frames"], rng.uniform(0, 1, 2).tolist())
                held = {start + i: start - 1 for start in drawn["starts"] for i in range(drawn["frames"])}
                moments = [held.get(i, i) for i in range(n)]
            case "reverse":
                drawn = {"factor": row["reverse_factor"]}
                self._check(variant, clip, 1 + (_LEAST_FRAMES - 1) * drawn["factor"])
                if not clip.at(n - 1).visible_hw.any():
                    raise DatasetError(
                        f"{clip.name} cannot run backwards: no object is on its last frame to give a prompt for",
                        "take another variant of speed",
                    )
                moments = range(n - 1, -1, -drawn["factor"])
            case _:
                drawn = {"frames": row["blur_frames"]}
                self._check(variant, clip, drawn["frames"])
                return ExposureTime(n, drawn["frames"] // 2, {**request, **drawn})
        return ResamplePlan(tuple(moments), {**request, **drawn})

    def _check(self, variant: str, clip: Clip, least_frames: int) -> None:
        check_length(self.name, variant, clip, least_frames)


def _variable_moments(n: int, factor: float, period_frames: float, phase_turns: float) -> list[int]:
    """Source frames at a rate factor ** sin(...) per frame, from the first to the last one that is reached."""
    position, moments = 0.0, []
    while round(position) < n:
        moments.append(round(position))
        swing = np.sin(2 * np.pi * (len(moments) / period_frames + phase_turns))
        # Rounded, so that no last bit of a sine decides which of two frames is nearer.
        position += round(float(factor**swing), 6)
    return moments


def _freeze_starts(n: int, frames: int, places: Sequence[float]) -> list[int]:
    """First frozen frames: one, or two in the halves of a clip that is four times as long as a freeze."""
    spans = [(1, n)] if n < 4 * frames + 8 else [(1, n // 2), (n // 2 + 1, n)]
    # The frame before a freeze and the one behind it are in the span, too.
    return [low + round(place * (high - low - frames - 1)) for (low, high), place in zip(spans, places, strict=False)]


SPEED: Final = Speed()
