"""Interjection: something else is shown, or the same thing from elsewhere. Removes frames, adds some, moves masks.

On foreign frames no object is present: the visible and the amodal mask are empty everywhere and nothing is void, also
where a look-alike of the target is pasted into the footage, which is not the target. They have no source time.
Frame 0 is always the clip's own, and the same cut is made at every severity of a seed that the clip has room for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from maskscope.errors import DatasetError
from maskscope.transforms.base import Clip, Material, Plan, clip_generator
from maskscope.transforms.families.common import UnchangedPlan, check_length, check_request, first_that_fits, ladder
from maskscope.transforms.families.cuts import CloseupPlan, FlipPlan, InterludePlan, JumpPlan
from maskscope.transforms.families.motion import centroid

KINDS: Final = ("cut", "delayed", "jump", "flip", "closeup", "lookalike")

FOREIGN: Final = ("cut", "delayed", "lookalike")
"""Kinds that show foreign footage."""

FOREIGN_FRAMES: Final = (1, 2, 4, 8, 16, 32)
"""Lengths that can be asked for by name, such as "cut-32": memories of seven frames and of sixteen lie between."""

_LEAST_LIKENESS: Final = 0.5  # of the objects' largest area before the cut: less of them is a piece
_LEAST_RETURN_FRAMES: Final = 2
_LOOK_EVERY_FRAMES: Final = 4  # at the target's place, for a camera that follows it


class Interjection:
    """The family; see `Family`. Its variants:

    - "cut" shows foreign footage and resumes the clip where it was left;
    - "delayed" the same, but the clip has gone on behind the footage;
    - "lookalike" a cut whose footage has the target's own picture pasted in;
    - "jump" leaves out a stretch of the clip;
    - "flip" mirrors the picture from a cut on, and back at the next;
    - "closeup" cuts to an enlarged picture that follows the target;
    - "cut-32" and the like (see `FOREIGN_FRAMES`): a given number of foreign frames at every severity above 0.
    """

    name: str = "interjection"
    unit: str = (
        "consecutive foreign frames so far; jump: frames skipped, at the cut; flip: flips so far; "
        "closeup: log2 of the scale"
    )
    on_masks: str = "removes frames"
    variants: tuple[str, ...] = (*KINDS, *(f"{kind}-{count}" for kind in FOREIGN for count in FOREIGN_FRAMES))
    table: Mapping[int, Mapping[str, Any]] = ladder(
        foreign_frames=(1, 2, 4, 8, 16),
        jump_frames=(2, 4, 8, 16, 24),
        flips=(1, 2, 3, 4, 6),
        closeup_zoom=(1.3, 1.6, 2.0, 2.8, 4.0),
    )

    def plan(self, clip: Clip, severity: int, seed: int, material: Material, variant: str | None = None) -> Plan:
        """See `Family`; without a variant, the first in the seed's order that the clip is long enough for.

        Raises:
            SettingError: an unknown severity or variant.
            DatasetError: the clip is too short, or no object is seen where the variant needs one.
        """
        check_request(self.name, severity, variant, self.variants)
        if severity == 0:
            return UnchangedPlan(clip.num_frames, self.name)
        if variant is not None:
            return self._plan(clip, severity, seed, material, variant)
        order = clip_generator(seed, self.name, clip.name)
        return first_that_fits(order, KINDS, lambda kind: self._plan(clip, severity, seed, material, kind))

    def _plan(self, clip: Clip, severity: int, seed: int, material: Material, variant: str) -> Plan:
        kind, _, count = variant.partition("-")
        row, n = self.table[severity], clip.num_frames
        rng = clip_generator(seed, self.name, kind, clip.name)
        place, sway_turns, footage_seed = rng.random(), rng.random(), int(rng.integers(2**62))
        request = {"family": self.name, "severity": severity, "variant": variant}
        match kind:
            case "jump":
                first = self._cut(clip, variant, place, row["jump_frames"] + _LEAST_RETURN_FRAMES)
                drawn = {"cut_frame": first, "skipped_frames": row["jump_frames"]}
                return JumpPlan(n, first, row["jump_frames"], {**request, **drawn})
            case "flip":
                # Three frames for each cut leave two between any of them.
                check_length(self.name, variant, clip, 3 * row["flips"] + 2)
                cuts = _spread(n, row["flips"], rng)
                return FlipPlan(n, cuts, {**request, "cut_frames": list(cuts)})
            case "closeup":
                first = self._cut(clip, variant, place, _LEAST_RETURN_FRAMES)
                centres = _followed(clip, first)
                drawn = {"cut_frame": first, "zoom": row["closeup_zoom"]}
                return CloseupPlan(n, first, row["closeup_zoom"], centres, {**request, **drawn})
        foreign_frames = int(count) if count else row["foreign_frames"]
        time_passes = kind == "delayed"
        behind = (foreign_frames if time_passes else 0) + _LEAST_RETURN_FRAMES
        first = self._cut(clip, variant, place, behind)
        if kind == "lookalike":
            first = _behind_a_sight(clip, first)
        drawn = {"cut_frame": first, "foreign_frames": foreign_frames, "footage_seed": footage_seed}
        sway = round(sway_turns, 6) if kind == "lookalike" else None
        return InterludePlan(
            n, clip.size, first, foreign_frames, time_passes, material, footage_seed, sway, {**request, **drawn}
        )

    def _cut(self, clip: Clip, variant: str, place: float, behind_frames: int) -> int:
        """Index of the first frame after a cut in the second quarter of the clip, earlier where it has to be.

        Raises:
            DatasetError: fewer than `behind_frames` are left behind every cut.
        """
        n = clip.num_frames
        check_length(self.name, variant, clip, 1 + behind_frames)
        last = max(min(n // 2, n - behind_frames), 1)
        first = min(max(n // 4, 1), last)
        return first + int(place * (last - first + 1))


def _spread(n: int, count: int, rng: np.random.Generator) -> tuple[int, ...]:
    """Cuts over the last three quarters of a clip, one somewhere in each of `count` equal stretches."""
    start = max(n // 4, 1)
    stretch = (n - 1 - start) / count
    return tuple(start + int((index + 0.5 * rng.random()) * stretch) for index in range(count))


def _followed(clip: Clip, first: int) -> tuple[tuple[float, float], ...]:
    """The objects' place on each frame from `first` on, looked at now and then and smoothed.

    Raises:
        DatasetError: they are never seen.
    """
    seen = {}
    for index in range(first, clip.num_frames, _LOOK_EVERY_FRAMES):
        if (found := centroid(clip.at(index).visible_hw)) is not None:
            seen[index] = found[:2]
    if not seen:
        raise DatasetError(
            f"{clip.name} shows no object from frame {first} on, where the close-up begins", "take another variant"
        )
    times = np.arange(first - 4, clip.num_frames + 4)
    smoothed = [
        np.convolve(np.interp(times, list(seen), [place[axis] for place in seen.values()]), np.full(9, 1 / 9), "valid")
        for axis in (0, 1)
    ]
    return tuple((round(float(x), 2), round(float(y), 2)) for x, y in zip(*smoothed, strict=True))


def _behind_a_sight(clip: Clip, first: int) -> int:
    """The last index up to `first` whose frame before shows the objects whole enough to be taken for themselves.

    Raises:
        DatasetError: no frame before shows one.
    """
    areas_px = [np.count_nonzero(clip.at(t).visible_hw) for t in range(first)]
    if not any(areas_px):
        raise DatasetError(
            f"{clip.name} shows no object before frame {first}, so there is no look-alike of it", "take another variant"
        )
    least = _LEAST_LIKENESS * max(areas_px)
    return 1 + max(t for t, area in enumerate(areas_px) if area >= least)


INTERJECTION: Final = Interjection()
