"""Occlusion: a thing comes before the target, hides a share of it for a while, and goes. Hides masks, moves none.

The target is all objects of the first frame together. What is hidden of it is measured on its whole outline, against
the pixels where the occluder's alpha is at least one half; such pixels leave the visible mask of every object, while
the amodal mask stays. Void pixels stay void.

Frame 0 is always the clip's own. From the duration the share is held the occluder needs some frames to come and to go,
on which it hides less, or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.errors import DatasetError
from maskscope.transforms.base import Clip, ClipFrame, Material, Plan, clip_generator
from maskscope.transforms.cutouts import GROUP_STEP, cut_out, grouped, premultiplied, resized
from maskscope.transforms.families.common import (
    Derived,
    UnchangedPlan,
    check_length,
    check_request,
    first_that_fits,
    ladder,
)
from maskscope.transforms.families.occluders import (
    COVERS,
    blended,
    hidden_share,
    laid,
    least_scale,
    scales_over_time,
)
from maskscope.transforms.families.targets import TargetTrack, target_table
from maskscope.transforms.families.ways import STEP, drawn_way, over_target, with_ways

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]

FPS: Final = 24.0
"""Frames a second that durations are counted in; data sets of still frames do not tell their own."""

LONGEST_SHARE: Final = 0.5
"""Of a clip's frames: the longest time at full strength, so that there is a before and an after."""

LARGEST_HIDDEN: Final = 0.6
"""Share of the picture: what would hide more of it leaves no picture to follow the target in."""

_LEAST_SEEN: Final = 0.25  # of its median area: what the clip itself hides nearly whole is not hidden once more
_LEAD_FRAMES: Final = 24  # kept before and after where the clip is long enough: the way in and out
_GROUPS: Final = (1, 6, 12, 24)  # how many of a thing too thin to hide much by itself
_LARGEST_ALONE: Final = 1.6  # side of a cut-out over the target's, before a group of smaller ones takes its place
_LARGEST_OF_GROUP: Final = 1.15  # side of each of them over the target's
_COMPACT: Final = 0.6  # share of its box that a thing fills which hides best alone, however large
_LOOKS: Final = 5  # frames on which a size is tried out
_LIKE_FRAMES: Final = 12  # from which the look-alike's is chosen


@dataclass(frozen=True)
class OcclusionPlan(Derived):
    """One occluder and where it is on each frame.

    Attributes:
        parameters: what was decided.
        size_hw: of the picture, pixels.
        labels: of the target, for the share that is hidden.
        occluder: (h, w, 4) uint8, RGB times alpha, and alpha.
        poses: (n, 4) x, y in pixels, scale, turn in radians; NaN where there is no occluder.
    """

    parameters: Mapping[str, Any]
    size_hw: tuple[int, int]
    labels: tuple[int, ...]
    occluder: Bytes
    poses: Floats

    @property
    def num_frames(self) -> int:
        """The source's."""
        return len(self.poses)

    def sources(self, t: int) -> tuple[int, ...]:
        """The same frame."""
        return (t,)

    def apply(self, t: int, frames: Sequence[ClipFrame]) -> ClipFrame:
        """The frame behind the occluder; its strength is the share of the target's outline that is hidden."""
        frame = frames[0]
        found = laid(self.occluder, self.poses[t], self.size_hw)
        if found is None:
            return frame.with_strength(0.0)
        window, drawn = found
        image, visible = frame.image_hwc.copy(), frame.visible_hw.copy()
        image[window] = blended(image[window], drawn)
        covered = drawn[..., 3] >= COVERS
        visible[window][covered] = 0
        target = cv2.LUT(frame.amodal_hw, self._table)
        area = cv2.countNonZero(target)
        hidden = np.count_nonzero(target[window][covered])
        return frame.with_strength(hidden / area if area else 0.0, image_hwc=image, visible_hw=visible)

    @cached_property
    def _table(self) -> Bytes:
        return target_table(self.labels)


class Occlusion:
    """The family; see `Family`. Its variants:

    - "pass": something passes over the target on a way of its own;
    - "rest": something comes to lie on the target, moves with it, and is gone again;
    - "lookalike": the target's own picture from another frame, mirrored and slightly recoloured, passes over it.

    The share is reached on every held frame at severity 5 and on their mean below; the plan's parameters tell both.
    """

    name: str = "occlusion"
    unit: str = "share of the target's whole outline that is hidden"
    on_masks: str = "hides"
    variants: tuple[str, ...] = ("pass", "rest", "lookalike")
    table: Mapping[int, Mapping[str, Any]] = ladder(
        hidden_share=(0.10, 0.25, 0.50, 0.75, 1.00),
        duration_s=(0.25, 0.5, 1.0, 2.0, 4.0),
        duration_frames=(6, 12, 24, 48, 96),
    )

    def plan(self, clip: Clip, severity: int, seed: int, material: Material, variant: str | None = None) -> Plan:
        """See `Family`. Durations are capped at half of the clip's frames.

        Raises:
            SettingError: an unknown severity or variant.
            DatasetError: a clip of one frame, no object on the first frame or behind it, or a target too large to be
                hidden.
        """
        check_request(self.name, severity, variant, self.variants)
        if severity == 0:
            return UnchangedPlan(clip.num_frames, self.name)
        check_length(self.name, variant or self.variants[0], clip, 2)
        track = TargetTrack.read(clip)
        place = clip_generator(seed, self.name, clip.name, "when").random()
        held = _when(track, self.table[severity]["duration_frames"], place)
        share: float = self.table[severity]["hidden_share"]
        _check_size(track, held, share)
        request = {"family": self.name, "severity": severity}

        def plan_of(kind: str) -> Plan:
            rng = clip_generator(seed, self.name, clip.name, kind)
            return _plan(clip, track, held, share, kind, rng, material, {**request, "variant": kind})

        if variant is not None:
            return plan_of(variant)
        return first_that_fits(clip_generator(seed, self.name, clip.name), self.variants, plan_of)


OCCLUSION: Final = Occlusion()


def _when(track: TargetTrack, duration_frames: int, place: float) -> range:
    """Frames on which the share is held: of all places the clip has room for, one where the target is most seen.

    Raises:
        DatasetError: the target is on none of them.
    """
    n = track.num_frames
    length = max(min(duration_frames, int(LONGEST_SHARE * n)), 1)
    lead = min(_LEAD_FRAMES, (n - 1 - length) // 3)
    first, last = 1 + lead, n - length - max(lead, 1)
    known = track.areas_px[track.areas_px > 0]
    least = _LEAST_SEEN * float(np.median(known)) if len(known) else 0.0
    present = np.concatenate([[0], np.cumsum((track.areas_px > 0) & (track.areas_px >= least))])
    starts = np.arange(first, max(last, first) + 1)
    seen = present[starts + length] - present[starts]
    if not seen.max():
        raise DatasetError(
            f"the target of {track.clip_name} is on none of the frames it could be hidden on", "take a longer clip"
        )
    best = starts[seen == seen.max()]
    start = int(best[int(place * len(best))])
    return range(start, start + length)


def _check_size(track: TargetTrack, held: range, share: float) -> None:
    largest = float(track.areas_px[held.start : held.stop].max()) / (track.size_hw[0] * track.size_hw[1])
    if largest * share > LARGEST_HIDDEN:
        raise DatasetError(
            f"the target of {track.clip_name} covers {largest:.0%} of the picture, too large to hide {share:.0%} of it",
            "take a lower severity, or another clip",
        )


def _plan(
    clip: Clip,
    track: TargetTrack,
    held: range,
    share: float,
    kind: str,
    rng: np.random.Generator,
    material: Material,
    request: Mapping[str, Any],
) -> OcclusionPlan:
    way = drawn_way(kind, share, rng)
    poses = over_target(track, held, share, way)
    drawn: dict[str, Any]
    if kind == "lookalike":
        cutout, drawn = _likeness(clip, track, rng)
    else:
        cutout, drawn = _piece(track, poses, held, share, rng, material), {}
    cutout, count = _large_enough(cutout, track, poses, held, share, rng)
    alpha = np.ascontiguousarray(cutout[..., 3])
    scales = scales_over_time(alpha, poses, track, held, share)
    if np.isnan(scales[0]):
        raise _unreachable(track, share)
    # Up, so that no pixel shows again.
    poses[:, 2] = np.ceil(np.interp(np.arange(len(poses)), list(held), scales) / STEP) * STEP
    poses = with_ways(poses, track, held, way, 0.5 * float(np.hypot(*cutout.shape[:2])))
    shares = [hidden_share(alpha, poses[t], track, t) for t in held if track.areas_px[t]]
    parameters = {
        **request,
        "hidden_share": share,
        "held_frames": [held.start, held.stop],
        "shown_frames": [int(t) for t in np.flatnonzero(~np.isnan(poses[:, 0]))[[0, -1]] + (0, 1)],
        "held_mean_share": round(float(np.mean(shares)), 4),
        "held_least_share": round(min(shares), 4),
        "direction_deg": round(float(np.degrees(np.arctan2(way.direction[1], way.direction[0]))), 2),
        "occluder_px": [round(side * float(scales.max())) for side in cutout.shape[:2]],
        "occluders": count,
        "target_labels": list(track.labels),
        **drawn,
    }
    return OcclusionPlan(parameters, track.size_hw, track.labels, premultiplied(cutout), poses)


def _unreachable(track: TargetTrack, share: float) -> DatasetError:
    return DatasetError(
        f"no occluder hides {share:.0%} of the target of {track.clip_name}", "take another seed or a lower severity"
    )


def _looks(track: TargetTrack, held: range) -> list[int]:
    present = [t for t in held if track.areas_px[t]]
    return [present[i] for i in np.unique(np.linspace(0, len(present) - 1, _LOOKS).astype(int))]


def _needed(cutout: Bytes, track: TargetTrack, poses: Floats, held: range, share: float) -> float:
    """Scale the cut-out needs on the frames looked at, the largest; NaN where no scale is enough."""
    alpha = np.ascontiguousarray(cutout[..., 3])
    return float(np.max([least_scale(alpha, poses[t], track, t, share) for t in _looks(track, held)]))


def _longest(track: TargetTrack, held: range) -> float:
    return float(np.nanmax(track.extents()[held.start : held.stop]))


def _piece(
    track: TargetTrack, poses: Floats, held: range, share: float, rng: np.random.Generator, material: Material
) -> Bytes:
    """A cut-out of the material, drawn at about the size it will have."""
    wide, high = np.nanmedian(track.extents()[held.start : held.stop], axis=0)
    stretch = float(np.clip(high / wide, 0.5, 2.0)) ** 0.5 * rng.uniform(0.85, 1.18)
    side = np.sqrt(wide * high) * (1.25 if share >= 1 else np.sqrt(share))
    seed, longest = int(rng.integers(2**62)), _longest(track, held)
    for _ in range(3):
        size_hw = max(round(side * stretch), 8), max(round(side / stretch), 8)
        cutout = material.cutout(np.random.default_rng(seed), size_hw)
        scale = _needed(cutout, track, poses, held, share)
        if np.isnan(scale) or 0.85 <= scale <= 1.15:
            break
        side = min(side * scale, _LARGEST_ALONE * longest)
    return cutout


def _likeness(clip: Clip, track: TargetTrack, rng: np.random.Generator) -> tuple[Bytes, dict[str, Any]]:
    """The target's picture from a frame where it is large, compact and whole, mirrored and slightly recoloured."""
    height, width = track.size_hw
    inside = (track.boxes[:, :2] > 0).all(axis=1) & (track.boxes[:, 2] < width) & (track.boxes[:, 3] < height)
    # Compact poses hide more and need no group: the area counts once more over its box.
    boxes_px = np.maximum(np.prod(track.boxes[:, 2:] - track.boxes[:, :2], axis=1), 1)
    worth = track.areas_px * (track.areas_px / boxes_px) * np.where(inside, 1.0, 0.25)
    largest = np.argsort(-worth, kind="stable")[:_LIKE_FRAMES]
    chosen = int(rng.choice(largest[worth[largest] > 0.5 * worth.max()]))
    hue_deg, light = float(rng.choice([-1, 1]) * rng.uniform(8, 16)), float(rng.uniform(0.92, 1.08))
    frame = clip.at(chosen)
    mask = cv2.LUT(frame.amodal_hw, target_table(track.labels)).astype(bool)
    cutout = cut_out(frame.image_hwc, mask)[:, ::-1]
    hsv = cv2.cvtColor(np.ascontiguousarray(cutout[..., :3]), cv2.COLOR_RGB2HSV).astype(np.int16)
    hsv[..., 0] = (hsv[..., 0] + round(hue_deg / 2)) % 180
    hsv[..., 2] = np.clip(np.rint(hsv[..., 2] * light), 0, 255)
    recoloured = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)
    drawn = {"likeness_frame": chosen, "hue_shift_deg": 2 * round(hue_deg / 2), "value_gain": round(light, 4)}
    return np.dstack([recoloured, cutout[..., 3]]), drawn


def _large_enough(
    cutout: Bytes, track: TargetTrack, poses: Floats, held: range, share: float, rng: np.random.Generator
) -> tuple[Bytes, int]:
    """The cut-out, or a group of it where one would have to be far larger than the target, at about its final size.

    Returns:
        What hides the share, and of how many it consists.

    Raises:
        DatasetError: not even the largest group hides the share.
    """
    longest = _longest(track, held)
    found: list[tuple[float, float, int, Bytes]] = []
    for count in _GROUPS:
        if count > 1 and max(cutout.shape[:2]) > longest:
            shrink = longest / max(cutout.shape[:2])
            cutout = resized(cutout, (round(cutout.shape[0] * shrink), round(cutout.shape[1] * shrink)))
        group = grouped(cutout, *_arranged(count, cutout.shape[0] / cutout.shape[1], track, held), rng)
        scale = _needed(group, track, poses, held, share)
        if np.isnan(scale):
            continue
        found.append((scale * max(group.shape[:2]), scale, count, group))
        if scale * max(cutout.shape[:2]) <= longest * (_LARGEST_ALONE if count == 1 else _LARGEST_OF_GROUP):
            break
        if count == 1 and float(np.mean(cutout[..., 3] >= COVERS)) >= _COMPACT:
            break
    else:  # none of a fitting size: the smallest
        found.sort(key=lambda one: one[0])
        found = found[:1]
    if not found:
        raise _unreachable(track, share)
    _, scale, count, group = found[-1]
    if not 0.9 <= scale <= 1.1:
        height, width = (max(round(side * scale), 4) for side in group.shape[:2])
        group = resized(group, (height, width))
    return group, count


def _arranged(count: int, tallness: float, track: TargetTrack, held: range) -> tuple[int, int]:
    """Rows and columns of a group, for a shape like the target's; `tallness` is one thing's height over its width."""
    wide, high = np.nanmedian(track.extents()[held.start : held.stop], axis=0)
    wanted = high / wide / tallness
    pairs = [(rows, count // rows) for rows in range(1, count + 1) if count % rows == 0]
    pairs = [(rows, columns) for rows, columns in pairs if max(rows, columns) <= 2 * min(rows, columns)]  # no towers
    shapes = [(1 + GROUP_STEP[0] * (rows - 1)) / (1 + GROUP_STEP[1] * (columns - 1)) for rows, columns in pairs]
    return pairs[int(np.argmin([abs(np.log(shape / wanted)) for shape in shapes]))]
