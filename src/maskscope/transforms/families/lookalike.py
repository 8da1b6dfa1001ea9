"""Look-alikes: the target's own picture, from another moment of the clip, walks about behind the target.

Nothing is hidden and nothing moves, so that truth stays as it is, visible and whole: what a tracker loses it loses by
taking another for its target. A look-alike shows the target at a moment some frames ahead, perhaps mirrored, so it
moves its limbs as the target does; it keeps its own way, which is the target's smoothed one with a detour beside it.
All objects of the clip stand before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from maskscope.errors import DatasetError
from maskscope.transforms.base import Clip, ClipFrame, Material, Plan, clip_generator
from maskscope.transforms.cutouts import cut_out, premultiplied
from maskscope.transforms.families.common import Derived, UnchangedPlan, check_request, first_that_fits, ladder
from maskscope.transforms.families.occluders import Bytes, Floats, blended, laid
from maskscope.transforms.families.targets import TargetTrack, bridged, smoothed, target_table

KINDS: Final = ("beside", "crossing")

_AHEAD_FRAMES: Final = (8, 20)  # moments that a look-alike is ahead of the target: at least, and below
_SMOOTH_FRAMES: Final = 6.0
_TRAVEL_FRAMES: Final = 48  # of one way past the target
_FARTHER: Final = 1.7  # where two are on one side, the second is so much farther from the target
_KEPT_SHARE: Final = 0.25  # of a look-alike's sides that may lie beyond the picture


class Lookalike:
    """The family; see `Family`. Its variants:

    - "beside" keeps look-alikes at a distance from the target, to its left and right;
    - "crossing" has them pass behind the target, from side to side and back.
    """

    name: str = "lookalike"
    unit: str = "pixels of look-alikes that are seen, over the target's median area"
    on_masks: str = "leaves"
    variants: tuple[str, ...] = KINDS
    table: Mapping[int, Mapping[str, Any]] = ladder(
        count=(1, 1, 2, 2, 3),
        distance_widths=(2.4, 1.8, 1.5, 1.2, 1.0),
        scale=(0.8, 0.9, 0.95, 1.0, 1.0),
    )

    def plan(self, clip: Clip, severity: int, seed: int, material: Material, variant: str | None = None) -> Plan:
        """See `Family`; nothing is taken from the material.

        Raises:
            SettingError: an unknown severity or variant.
            DatasetError: no object is seen on the first frame, or hardly ever.
        """
        check_request(self.name, severity, variant, self.variants)
        if severity == 0:
            return UnchangedPlan(clip.num_frames, self.name)
        if variant is not None:
            return self._plan(clip, severity, seed, variant)
        order = clip_generator(seed, self.name, clip.name)
        return first_that_fits(order, KINDS, lambda kind: self._plan(clip, severity, seed, kind))

    def _plan(self, clip: Clip, severity: int, seed: int, variant: str) -> Plan:
        row, track = self.table[severity], TargetTrack.read(clip)
        if clip.num_frames < 2:
            raise DatasetError(f"{clip.name} has 1 frame, {self.name} needs another moment of it", "take a longer clip")
        rng = clip_generator(seed, self.name, variant, clip.name)
        # Drawn for the most there can be: the first look-alike is the same at every severity.
        most = self.table[5]["count"]
        sides = (1 if rng.random() < 0.5 else -1) * np.array([1, -1, 1])[:most]
        heights, phases = rng.uniform(-0.25, 0.1, most), rng.uniform(0, 1, most)
        ahead = rng.integers(*_AHEAD_FRAMES, most)
        mirrored = rng.random(most) < 0.5
        actors = []
        for k in range(row["count"]):
            distance = row["distance_widths"] * (1 + 0.9 * (k // 2))  # a third one is farther out
            offsets = _offsets(clip.num_frames, variant, float(sides[k]), distance, float(phases[k]))
            path = _path(track, offsets, float(heights[k]), row["scale"])
            actors.append(_Actor(int(ahead[k]), bool(mirrored[k]), row["scale"], path))
        drawn = {
            "ahead_frames": [actor.ahead_frames for actor in actors],
            "mirrored": [actor.mirrored for actor in actors],
            "sides": [int(side) for side in sides[: row["count"]]],
        }
        area_px = float(np.median(track.areas_px[track.areas_px > 0]))
        request = {"family": self.name, "severity": severity, "variant": variant, **row}
        return LookalikePlan(clip.num_frames, clip.size, track.labels, tuple(actors), area_px, {**request, **drawn})


@dataclass(frozen=True)
class _Actor:
    """One look-alike.

    Attributes:
        ahead_frames: by how much the moment it shows is later; at the end of the clip time is turned round.
        mirrored: left to right.
        scale: of its picture.
        path: (x, y) of its middle on each frame, in pixels.
    """

    ahead_frames: int
    mirrored: bool
    scale: float
    path: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class LookalikePlan(Derived):
    """Where each look-alike is on each frame.

    Attributes:
        num_frames: of the clip.
        size_hw: of the clip.
        labels: objects that make up the target.
        actors: the look-alikes, the farthest first.
        area_px: the target's median area, of which strengths are shares.
        parameters: for manifests.
    """

    num_frames: int
    size_hw: tuple[int, int]
    labels: tuple[int, ...]
    actors: tuple[_Actor, ...]
    area_px: float
    parameters: Mapping[str, Any]

    def sources(self, t: int) -> tuple[int, ...]:
        """The same frame, and the moment that each look-alike shows."""
        return (t, *(self._moment(t, actor) for actor in self.actors))

    def apply(self, t: int, frames: Sequence[ClipFrame]) -> ClipFrame:
        """The frame with look-alikes behind its objects; with the share of them that is seen."""
        frame = frames[0]
        before = frame.amodal_hw > 0
        image, seen_px = frame.image_hwc, 0
        for actor, other in zip(self.actors, frames[1:], strict=True):
            drawn = self._drawn(actor, other, t)
            if drawn is None:
                continue
            (rows, columns), layer = drawn
            layer = layer * ~before[rows, columns][..., None]
            image = image.copy() if image is frame.image_hwc else image
            image[rows, columns] = blended(np.ascontiguousarray(image[rows, columns]), layer)
            seen_px += int(np.count_nonzero(layer[..., 3] >= 128))
        return frame.with_strength(seen_px / self.area_px, image_hwc=image)

    def _drawn(self, actor: _Actor, other: ClipFrame, t: int) -> tuple[tuple[slice, slice], Bytes] | None:
        """The look-alike as it lies in the picture; None where the target is not seen at its moment."""
        mask = self._table[other.visible_hw]
        if not mask.any():
            return None
        layer = premultiplied(cut_out(other.image_hwc, mask))
        layer = np.ascontiguousarray(layer[:, ::-1]) if actor.mirrored else layer
        x, y = actor.path[t]
        return laid(layer, np.array([x, y, actor.scale, 0.0]), self.size_hw)

    def _moment(self, t: int, actor: _Actor) -> int:
        place = (t + actor.ahead_frames) % (2 * self.num_frames - 2)
        return min(place, 2 * self.num_frames - 2 - place)

    @cached_property
    def _table(self) -> Any:
        return target_table(self.labels).astype(np.bool_)


def _offsets(n: int, variant: str, side: float, distance: float, phase: float) -> Floats:
    """(n,) places beside the target, in its widths; 0 is behind it, right is positive."""
    if variant == "beside":
        return np.full(n, side * distance)
    # From side to side and back at an even pace; on frame 0 never behind the target, which is being given there.
    turns = np.arange(n) / (2 * _TRAVEL_FRAMES) + 0.1 * phase
    return np.asarray(side * distance * (4 * np.abs(turns - np.floor(turns + 0.5)) - 1) * -1)


def _path(track: TargetTrack, offsets: Floats, height: float, scale: float) -> tuple[tuple[float, float], ...]:
    """Middles in pixels: the target's smoothed way and the offsets, mostly within the picture.

    An offset that would lead out of the picture is taken to the other side where there is more room, and farther out:
    another look-alike may be there.
    """
    middles = smoothed(bridged(track.middles()), _SMOOTH_FRAMES)
    size = np.asarray(np.median(bridged(track.extents()), axis=0))
    high, wide = track.size_hw
    margin = scale * size * (0.5 - _KEPT_SHARE)
    x = middles[:, 0] + offsets * size[0]
    y = middles[:, 1] + height * size[1]
    if np.all(offsets == offsets[0]):
        out = (x < margin[0]) | (x > wide - margin[0])
        flipped = middles[:, 0] - _FARTHER * offsets * size[0]
        if out.mean() > ((flipped < margin[0]) | (flipped > wide - margin[0])).mean():
            x = flipped
    x = np.clip(x, min(margin[0], wide / 2), max(wide - margin[0], wide / 2))
    y = np.clip(y, min(margin[1], high / 2), max(high - margin[1], high / 2))
    return tuple((round(float(a), 2), round(float(b), 2)) for a, b in zip(x, y, strict=True))


LOOKALIKE: Final = Lookalike()
