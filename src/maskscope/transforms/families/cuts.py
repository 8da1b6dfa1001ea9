"""Plans that cut a clip: to foreign footage and back, over a stretch of time, to a mirrored or a nearer picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.transforms.base import ClipFrame, Material
from maskscope.transforms.families.common import Derived


@dataclass(frozen=True)
class InterludePlan(Derived):
    """Foreign footage between two parts of a clip. No object is on its frames, a look-alike is none.

    Attributes:
        source_frames: number of frames of the clip.
        size_hw: of the clip.
        first: index of the first foreign frame, 1 or more.
        foreign_frames: how many.
        time_passes: whether the clip goes on behind the footage; else it resumes where it was left.
        material: of the footage.
        footage_seed: of the footage.
        sway_turns: phase of a look-alike's sway, in turns; None for footage without one.
        parameters: for manifests.
    """

    source_frames: int
    size_hw: tuple[int, int]
    first: int
    foreign_frames: int
    time_passes: bool
    material: Material
    footage_seed: int
    sway_turns: float | None
    parameters: Mapping[str, Any]

    @property
    def num_frames(self) -> int:
        """The clip's, and the footage's where time stands still behind it."""
        return self.source_frames + (0 if self.time_passes else self.foreign_frames)

    def sources(self, t: int) -> tuple[int, ...]:
        """The shown frame; none for footage, or the last one before it, whose objects are pasted as look-alikes."""
        if t < self.first:
            return (t,)
        if t < self.first + self.foreign_frames:
            return () if self.sway_turns is None else (self.first - 1,)
        return (t if self.time_passes else t - self.foreign_frames,)

    def apply(self, t: int, frames: Sequence[ClipFrame]) -> ClipFrame:
        """The clip's frame with strength 0, or a foreign one with the number of foreign frames so far."""
        shown = t - self.first
        if not 0 <= shown < self.foreign_frames:
            return frames[0].with_strength(0.0)
        image = self._footage[shown]
        if self.sway_turns is not None:
            image = _with_lookalike(image, frames[0], self.sway_turns + shown / 48)
        nothing = np.zeros(self.size_hw, np.uint8)
        return ClipFrame(image, nothing, nothing, strengths=(float(shown + 1),))

    @cached_property
    def _footage(self) -> list[NDArray[np.uint8]]:
        return self.material.footage(np.random.default_rng(self.footage_seed), self.foreign_frames, self.size_hw)


def _with_lookalike(image_hwc: NDArray[np.uint8], last: ClipFrame, turns: float) -> NDArray[np.uint8]:
    """Foreign footage with the objects of `last` cut out and pasted near their place, swaying."""
    height, width = image_hwc.shape[:2]
    dx = round(0.05 * width * float(np.sin(2 * np.pi * turns)))
    dy = round(0.03 * height * float(np.cos(2 * np.pi * turns)))
    shift = np.array([[1, 0, dx], [0, 1, dy]], np.float64)
    opacity = cv2.GaussianBlur((last.visible_hw > 0).astype(np.uint8) * 255, (0, 0), max(height / 480, 0.5))
    # Whole pixels: nothing is resampled, the cut-out is the target's own picture.
    opacity = cv2.warpAffine(opacity, shift, (width, height), flags=cv2.INTER_NEAREST)
    objects = cv2.warpAffine(last.image_hwc, shift, (width, height), flags=cv2.INTER_NEAREST)
    x, y, w, h = cv2.boundingRect(opacity)
    part = np.s_[y : y + h, x : x + w]
    share = opacity[part][..., None].astype(np.uint16)
    pasted = image_hwc.copy()
    pasted[part] = ((objects[part] * share + image_hwc[part] * (255 - share) + 127) // 255).astype(np.uint8)
    return pasted


@dataclass(frozen=True)
class JumpPlan:
    """A jump cut: a stretch of the clip is left out.

    Attributes:
        source_frames: number of frames of the clip.
        first: index of the first frame after the cut.
        skipped_frames: how many are left out.
        parameters: for manifests.
    """

    source_frames: int
    first: int
    skipped_frames: int
    parameters: Mapping[str, Any]

    @property
    def num_frames(self) -> int:
        """What is left."""
        return self.source_frames - self.skipped_frames

    def sources(self, t: int) -> tuple[int, ...]:
        """The shown frame."""
        return (t if t < self.first else t + self.skipped_frames,)

    def apply(self, t: int, frames: Sequence[ClipFrame]) -> ClipFrame:
        """The frame as it is; on the first after the cut with the number of skipped frames."""
        return frames[0].with_strength(self.skipped_frames if t == self.first else 0)


@dataclass(frozen=True)
class FlipPlan:
    """Cuts from which on the picture is mirrored left to right, and back at the next one.

    Attributes:
        num_frames: of the clip.
        cuts: indices of the first frames after each cut, ascending.
        parameters: for manifests.
    """

    num_frames: int
    cuts: tuple[int, ...]
    parameters: Mapping[str, Any]

    def sources(self, t: int) -> tuple[int, ...]:
        """The same frame."""
        return (t,)

    def apply(self, t: int, frames: Sequence[ClipFrame]) -> ClipFrame:
        """The frame, mirrored behind an odd number of cuts; with the number of cuts so far."""
        (frame,) = frames
        cuts = sum(cut <= t for cut in self.cuts)
        if cuts % 2 == 0:
            return frame.with_strength(cuts)
        mirror = np.array([[-1.0, 0, frame.image_hwc.shape[1] - 1], [0, 1, 0], [0, 0, 1]])
        return frame.with_strength(
            cuts,
            image_hwc=np.ascontiguousarray(frame.image_hwc[:, ::-1]),
            visible_hw=np.ascontiguousarray(frame.visible_hw[:, ::-1]),
            amodal_hw=np.ascontiguousarray(frame.amodal_hw[:, ::-1]),
            void_hw=None if frame.void_hw is None else np.ascontiguousarray(frame.void_hw[:, ::-1]),
            to_source=mirror if frame.to_source is None else frame.to_source @ mirror,
        )


@dataclass(frozen=True)
class CloseupPlan:
    """A cut to a camera that is nearer and follows the target; the window never leaves the picture.

    Attributes:
        num_frames: of the clip.
        first: index of the first frame after the cut.
        zoom: factor of the scale.
        centres: (x, y) of the wanted middle of each frame from `first` on, in pixels of the source.
        parameters: for manifests.
    """

    num_frames: int
    first: int
    zoom: float
    centres: tuple[tuple[float, float], ...]
    parameters: Mapping[str, Any]

    def sources(self, t: int) -> tuple[int, ...]:
        """The same frame."""
        return (t,)

    def apply(self, t: int, frames: Sequence[ClipFrame]) -> ClipFrame:
        """The enlarged part, masks by the nearest pixel under the same map; with log2 of the scale."""
        (frame,) = frames
        if t < self.first:
            return frame.with_strength(0.0)
        height, width = frame.image_hwc.shape[:2]
        x, y = self.centres[t - self.first]
        step = 1 / self.zoom
        # Coordinates are of the centres of pixels: the picture begins half a pixel before the first one.
        left = np.clip(x + 0.5 - width * step / 2, 0, width - width * step) + step / 2 - 0.5
        top = np.clip(y + 0.5 - height * step / 2, 0, height - height * step) + step / 2 - 0.5
        to_source = np.array([[step, 0, left], [0, step, top], [0, 0, 1]])
        image = cv2.warpAffine(
            frame.image_hwc,
            to_source[:2],
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        columns = np.clip(np.rint(left + step * np.arange(width)), 0, width - 1).astype(np.intp)
        rows = np.clip(np.rint(top + step * np.arange(height)), 0, height - 1).astype(np.intp)
        moved = {
            name: labels.take(columns, axis=1).take(rows, axis=0)
            for name in ("visible_hw", "amodal_hw", "void_hw")
            if (labels := getattr(frame, name)) is not None
        }
        return frame.with_strength(
            np.log2(self.zoom),
            image_hwc=np.asarray(image),
            to_source=to_source if frame.to_source is None else frame.to_source @ to_source,
            **moved,
        )
