"""Families small enough to be known by heart, to test what stands on families without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from maskscope.errors import DatasetError
from maskscope.transforms import registry
from maskscope.transforms.base import Clip, ClipFrame, Material, Plan, clip_generator


@dataclass(frozen=True)
class Added:
    """Grey levels added to every pixel, the same on all frames."""

    num_frames: int
    levels: int
    drawn: int

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"levels": self.levels, "drawn": np.int64(self.drawn), "pair": (1, np.float32(0.5))}

    def sources(self, t: int) -> tuple[int, ...]:
        return (t,)

    def apply(self, t: int, frames: Sequence[ClipFrame]) -> ClipFrame:
        (frame,) = frames
        if self.levels == 0:
            return frame.with_strength(0.0)
        return frame.with_strength(self.levels, image_hwc=frame.image_hwc + np.uint8(self.levels))


@dataclass(frozen=True)
class Tint:
    """Adds ten levels for each severity; draws a number it makes no use of."""

    name: str = "tint"
    unit: str = "levels: added to every channel"
    on_masks: str = "leaves"
    table: Mapping[int, Mapping[str, Any]] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.table is None:
            object.__setattr__(self, "table", {s: {"levels": 10 * s, "side_px": (s, 2 * s)} for s in range(1, 6)})

    def plan(self, clip: Clip, severity: int, seed: int, material: Material, variant: str | None = None) -> Plan:
        if clip.at(0).visible_hw.max() == 0:
            raise DatasetError(f"{clip.name} shows no object on its first frame", "take another clip")
        drawn = int(clip_generator(seed, clip.name, self.name).integers(1000))
        return Added(clip.num_frames, 5 if variant == "faint" else 10 * severity, drawn)


@dataclass(frozen=True)
class Inserted:
    """Grey frames behind the first, and void in the corner of the last."""

    length: int
    foreign: int
    size: tuple[int, int]

    @property
    def num_frames(self) -> int:
        return self.length + self.foreign

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"foreign_frames": self.foreign}

    def sources(self, t: int) -> tuple[int, ...]:
        if t == 0:
            return (0,)
        return () if t <= self.foreign else (t - self.foreign,)

    def apply(self, t: int, frames: Sequence[ClipFrame]) -> ClipFrame:
        if not frames:
            empty = np.zeros(self.size, np.uint8)
            return ClipFrame(np.full((*self.size, 3), 128, np.uint8), empty, empty).with_strength(float("nan"))
        (frame,) = frames
        if t + 1 < self.num_frames:
            return frame.with_strength(0.0)
        void = np.zeros(self.size, bool)
        void[:4, :4] = True
        return frame.with_strength(self.foreign, void_hw=void, to_source=np.diag([2.0, 2.0, 1.0]))


@dataclass(frozen=True)
class Cut:
    """Inserts as many foreign frames as its severity."""

    name: str = "cut"
    unit: str = "foreign frames"
    on_masks: str = "removes frames"

    @property
    def table(self) -> Mapping[int, Mapping[str, Any]]:
        return {severity: {"foreign_frames": severity} for severity in range(1, 6)}

    def plan(self, clip: Clip, severity: int, seed: int, material: Material, variant: str | None = None) -> Plan:
        return Inserted(clip.num_frames, severity, clip.size)


TINT, CUT = Tint(), Cut()


def use_tiny_families(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `tint` and `cut` the only families of the package."""
    ours = {"tint": f"{__name__}:TINT", "cut": f"{__name__}:CUT"}
    monkeypatch.setattr(registry, "BUILT_IN", ours)
