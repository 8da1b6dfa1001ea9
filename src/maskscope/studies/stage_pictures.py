"""Strips of pictures: for chosen frames the frame, what each position makes of it, and the mask.

Features are shown by their three main directions as red, green and blue. The directions are fitted once, on the clean
clip's chosen frames, so that equal colours are equal features in all runs; between positions colours mean nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

from maskscope.data.output import writing
from maskscope.data.overlay import draw_overlay
from maskscope.observe.probe import Sight
from maskscope.report.page.diagnosis import Picture
from maskscope.stages import Stage
from maskscope.studies.diagnosis_folder import PICTURES_NAME
from maskscope.studies.observed_run import Seen

MOST_CELLS: Final = 32  # on each side; finer maps are averaged, a strip shows no more
MOST_OBJECTS: Final = 2
HEIGHT_PX: Final = 168
_RANGE: Final = (2.0, 98.0)  # percentiles of the clean clip that span the colours

Key = tuple[int, int, Stage]  # frame, object, position
Cell = TypeVar("Cell", np.uint8, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """Three directions of one position's features, and the range of colours along them.

    Attributes:
        mean_c: (c,) float32.
        axes_3c: (3, c) float32.
        low_3: (3,) what is shown black.
        high_3: (3,) what is shown full.
    """

    mean_c: NDArray[np.float32]
    axes_3c: NDArray[np.float32]
    low_3: NDArray[np.float32]
    high_3: NDArray[np.float32]

    @classmethod
    def fit(cls, maps_chw: Iterable[NDArray[np.float16]]) -> Basis:
        """The directions of largest variance over all cells of one map or more."""
        cells = np.concatenate([m.reshape(len(m), -1).T for m in maps_chw]).astype(np.float32)
        mean = cells.mean(0)
        _, _, axes = np.linalg.svd(cells - mean, full_matrices=False)
        axes = axes[:3] * np.sign(axes[:3].sum(1, keepdims=True) + 1e-12)  # which way an axis points is chance
        axes = np.pad(axes, ((0, 3 - len(axes)), (0, 0)))
        low, high = np.percentile((cells - mean) @ axes.T, _RANGE, axis=0).astype(np.float32)
        return cls(mean, axes.astype(np.float32), low, high)

    def colours(self, map_chw: NDArray[np.float16]) -> NDArray[np.uint8]:
        """(c, h, w) features as an (h, w, 3) uint8 picture."""
        _, h, w = map_chw.shape
        along = (map_chw.reshape(len(map_chw), -1).T.astype(np.float32) - self.mean_c) @ self.axes_3c.T
        shares = (along - self.low_3) / np.maximum(self.high_3 - self.low_3, 1e-6)
        picture: NDArray[np.uint8] = (255 * shares.clip(0, 1)).astype(np.uint8).reshape(h, w, 3)
        return picture


@dataclass(eq=False)
class Snapshots:
    """What strips of one run are made of; given to the run as sink and for its maps.

    Attributes:
        wanted: frames to keep; may grow while the run goes on.
        maps: (c, h, w) features of positions that have a grid.
        pointer_maps: (h, w) influence of the object's pointers, of the last layer that reads them.
        pictures: (height, width, 3) uint8 of each kept frame.
        drawn: the same with the objects' masks.
    """

    wanted: set[int] = field(default_factory=set)
    maps: dict[Key, NDArray[np.float16]] = field(default_factory=dict)
    pointer_maps: dict[tuple[int, int], NDArray[np.float32]] = field(default_factory=dict)
    pictures: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    drawn: dict[int, NDArray[np.uint8]] = field(default_factory=dict)

    def see(self, sight: Sight) -> None:
        """Keep a position's features."""
        if sight.tap or sight.object is None or sight.frame not in self.wanted or sight.features.ndim != 3:
            return
        features = sight.features.float()
        if max(features.shape[1:]) > MOST_CELLS:
            h, w = (min(side, MOST_CELLS) for side in features.shape[1:])
            features = F.adaptive_avg_pool2d(features, (h, w))
        self.maps[sight.frame, sight.object, sight.stage] = features.to(torch.float16).cpu().numpy()

    def point(self, frame: int, object_id: int, _tap: str, map_hw: NDArray[np.float32]) -> None:
        """Keep a map of influence; later layers write over earlier ones."""
        self.pointer_maps[frame, object_id] = map_hw

    def wants(self, frame: int) -> bool:
        """Whether the frame is kept."""
        return frame in self.wanted

    def take(self, frame: int, seen: Seen) -> None:
        """Keep a frame's picture and masks, if it is wanted."""
        if frame not in self.wanted:
            return
        image = seen.frame.image_hwc
        self.pictures[frame] = small(image)
        ids = list(seen.masks)
        self.drawn[frame] = small(draw_overlay(image, np.stack([seen.masks[i] for i in ids]), ids))

    def bases(self) -> dict[Stage, Basis]:
        """Fitted on all that was kept: the clean run's, for all runs."""
        by_stage: dict[Stage, list[NDArray[np.float16]]] = {}
        for (_, _, stage), features in self.maps.items():
            by_stage.setdefault(stage, []).append(features)
        return {stage: Basis.fit(maps) for stage, maps in by_stage.items()}


def small(picture_hwc: NDArray[np.uint8], height_px: int = HEIGHT_PX) -> NDArray[np.uint8]:
    """A picture no higher than so many pixels, its shape kept."""
    height, width = picture_hwc.shape[:2]
    if height <= height_px:
        return picture_hwc
    size = (max(1, round(width * height_px / height)), height_px)
    return np.asarray(cv2.resize(picture_hwc, size, interpolation=cv2.INTER_AREA), np.uint8)


def write_strips(
    folder: Path, clip: str, snapshots: Snapshots, bases: Mapping[Stage, Basis], family: str = "", severity: int = 0
) -> list[Picture]:
    """Write a run's panels as PNG.

    Args:
        folder: of the diagnosis; panels go into its `pictures`.
        clip: name.
        snapshots: of the run.
        bases: of the clean run.
        family: of the transformation; empty for the clip as it is.
        severity: likewise.

    Returns:
        What was written, for the facts.

    Raises:
        OutputError: it cannot be written.
    """
    written: list[Picture] = []
    objects = sorted({object_id for _, object_id, _ in snapshots.maps})[:MOST_OBJECTS]
    for frame, picture in sorted(snapshots.pictures.items()):
        for object_id in objects:
            panels: dict[str, NDArray[np.uint8]] = {"input": picture, "mask": snapshots.drawn[frame]}
            for stage, basis in bases.items():
                features = snapshots.maps.get((frame, object_id, stage))
                if features is not None:
                    panels[stage] = _enlarged(basis.colours(features), picture)
            influence = snapshots.pointer_maps.get((frame, object_id))
            if influence is not None:
                panels["object_pointer"] = _over(influence, picture)
            for panel, pixels in panels.items():
                name = f"{family.replace('/', '-') or 'clean'}-{severity}-{frame:05d}-{object_id}-{panel}.png"
                _write_png(folder / PICTURES_NAME / name, pixels)
                written.append(
                    Picture(
                        file=f"{PICTURES_NAME}/{name}",
                        kind="panel",
                        clip=clip,
                        family=family,
                        severity=severity,
                        panel=panel,
                        frame=frame,
                        object=object_id,
                    )
                )
    return written


def _enlarged(cells: NDArray[Cell], like: NDArray[np.uint8]) -> NDArray[Cell]:
    """Cells as blocks: what lies between them is not known."""
    size = (like.shape[1], like.shape[0])
    return np.asarray(cv2.resize(cells, size, interpolation=cv2.INTER_NEAREST), cells.dtype)


def _over(map_hw: NDArray[np.float32], picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A map of influence on the darkened grey frame: nothing at its least value, full colour at its largest.

    By the root, as a few cells have nearly all of it.
    """
    low, high = float(map_hw.min()), float(map_hw.max())
    strength = np.sqrt((map_hw - low) / max(high - low, 1e-12)).astype(np.float32)
    heat = cv2.cvtColor(cv2.applyColorMap((255 * strength).astype(np.uint8), cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    ground = 0.5 * cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    alpha = _enlarged(strength, picture)[..., None]
    mixed = (1 - alpha) * ground + alpha * _enlarged(np.asarray(heat, np.uint8), picture)
    return np.asarray(mixed.round().clip(0, 255), np.uint8)


def _write_png(path: Path, rgb: NDArray[np.uint8]) -> None:
    """With 256 colours: the page holds all pictures, and this is a third of the bytes."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rgb).quantize(256).save(path, optimize=True)
