"""Clips as plants have them, with truth by construction: a conveyor, a hall, a hand-held inspection.

Drawn rather than photographed, with texture and shading enough for a segmenter to hold on to. Everything follows from
the seed and the number of the frame, so clips are of any length and every frame can be drawn by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.data.synthetic.plant_scenes import SCENE_KINDS, Drawn, PlantScene
from maskscope.data.synthetic.scene import SyntheticFrame
from maskscope.errors import VideoError

SceneName = Literal["conveyor", "hall", "inspection"]
SCENES: Final[tuple[SceneName, ...]] = ("conveyor", "hall", "inspection")


@dataclass(frozen=True, kw_only=True)
class PlantConfig:
    """One clip, wholly determined by these values.

    Attributes:
        scene: "conveyor" (look-alike parts, short occlusions by a gantry), "hall" (people and carts, long occlusions by
            a rack, changing light) or "inspection" (a hand-held camera with blur and zoom).
        seed: draws textures, parts and motion.
        num_frames: length.
        height_px: picture height, 96 to 2160; all scales with it. Pictures are 16:9.
        fps: frames a second; sets how far things move between frames.
        noise: standard deviation of the sensor's noise in levels of 255.

    Raises:
        VideoError: a value outside its range.
    """

    scene: SceneName = "conveyor"
    seed: int = 0
    num_frames: int = 250
    height_px: int = 480
    fps: float = 25.0
    noise: float = 2.0

    def __post_init__(self) -> None:
        if self.scene not in SCENES:
            raise VideoError(f"there is no scene {self.scene!r}", f"choose one of {', '.join(SCENES)}")
        bounds = {"num_frames": (1, 1_000_000), "height_px": (96, 2160), "fps": (1, 1000), "seed": (0, 2**63 - 1)}
        for name, (low, high) in (*bounds.items(), ("noise", (0, 50))):
            value = getattr(self, name)
            if not low <= value <= high:
                raise VideoError(f"{name} is {value}", f"choose one from {low} to {high}")

    @property
    def width_px(self) -> int:
        """Picture width, even."""
        return round(self.height_px * 16 / 9 / 2) * 2


def iter_plant(config: PlantConfig) -> Iterator[SyntheticFrame]:
    """Draw a clip frame by frame; memory does not grow with its length.

    Object 1 is the one to be followed; 2 and more are those that resemble it.
    """
    scene: PlantScene = SCENE_KINDS[config.scene](config.seed, config.height_px, config.width_px, config.fps)
    for index in range(config.num_frames):
        drawn = scene.draw(index)
        yield SyntheticFrame(index, _developed(drawn, config, index), _visible(drawn), _whole(drawn))


def _developed(drawn: Drawn, config: PlantConfig, index: int) -> NDArray[np.uint8]:
    """Blur, noise and rounding, as a camera does them."""
    rgb: NDArray[np.float32] = drawn.rgb
    if drawn.blur_px:
        rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), drawn.blur_px), np.float32)
    rng = np.random.default_rng([config.seed, 9, index])
    noise = rng.standard_normal(rgb.shape, dtype=np.float32) * np.float32(config.noise)
    developed: NDArray[np.uint8] = np.rint(np.clip(rgb + noise, 0, 255)).astype(np.uint8)
    return developed


def _visible(drawn: Drawn) -> NDArray[np.uint8]:
    """What is seen: each pixel belongs to what covers most of it, in the order of drawing."""
    labels = np.zeros(drawn.rgb.shape[:2], np.uint8)
    for label, cover in drawn.layers:
        labels[cover > 0.5] = label
    return labels


def _whole(drawn: Drawn) -> dict[int, NDArray[np.bool_]]:
    """Whole outlines of objects, as if nothing stood before them; all objects of the scene are named."""
    size = drawn.rgb.shape[:2]
    whole = {label: np.zeros(size, np.bool_) for label in drawn.object_ids}
    for label, cover in drawn.layers:
        if label:
            whole[label] |= cover > 0.5
    return whole
