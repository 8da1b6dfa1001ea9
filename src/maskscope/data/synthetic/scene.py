"""Draws the frames of a plan: the picture as a camera would take it, and the masks as they are."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.data.synthetic import sprites
from maskscope.data.synthetic.body import Placement, Skin, Window, draw_body, extent, window_of
from maskscope.data.synthetic.camera import View
from maskscope.data.synthetic.config import Coat, SyntheticConfig
from maskscope.data.synthetic.plan import OCCLUDER_DEPTH_M, Actor, Plan
from maskscope.data.synthetic.scenery import Scenery, Standing, level_for, paste, sprite_matrix
from maskscope.data.synthetic.shadows import cast_shadow, shade_foot
from maskscope.data.synthetic.textures import Floats, coat_tile

MASK_SAMPLES = 3  # per pixel and direction: a pixel belongs to what covers most of nine samples
_COLOUR_SAMPLES = 2
_SHUTTER = 0.5  # share of the time between frames for which the shutter is open
_KEPT_OCCLUDERS = 3
_COATS: tuple[Coat, ...] = ("stripes", "spots", "patches")
# Pairs of (base, marks), warm browns and greys that differ from the meadow in tone rather than by a loud colour.
_FURS = (
    ((202, 138, 74), (58, 40, 32)),
    ((206, 176, 124), (84, 56, 38)),
    ((216, 206, 190), (118, 74, 48)),
    ((150, 140, 132), (54, 50, 52)),
    ((176, 110, 66), (232, 218, 196)),
)


@dataclass(frozen=True)
class SyntheticFrame:
    """One frame and its truth.

    Attributes:
        index: number of the frame, from 0.
        rgb: `(H, W, 3)` uint8 picture.
        visible: `(H, W)` uint8 label map of what is seen: 0 background, 1 target, 2 and more distractors.
        amodal: for each object `(H, W)` bool: its whole outline within the picture, as if nothing stood before it.
    """

    index: int
    rgb: NDArray[np.uint8]
    visible: NDArray[np.uint8]
    amodal: dict[int, NDArray[np.bool_]]


@dataclass(frozen=True)
class _Body:
    """An actor as placed in one picture."""

    label: int
    actor: Actor
    placement: Placement
    window: Window


@dataclass
class _Grown:
    """What stands at one place of occlusion; grown when it is first seen, and the oldest forgotten."""

    items: dict[int, list[Standing]] = field(default_factory=dict)


class Scene:
    """All of a clip, ready to draw any frame by itself.

    Building takes about two seconds at 854x480 and little at small sizes; memory does not grow with the length
    beyond a few numbers a frame.

    Args:
        config: what the clip shows.
    """

    def __init__(self, config: SyntheticConfig) -> None:
        self.config = config
        # Each part draws from a stream of its own, so that changing one leaves the others as they were.
        streams = [np.random.default_rng([config.seed, part]) for part in range(3)]
        self.plan = Plan(config, streams[0])
        self._scenery = Scenery(streams[1], config.height_px, config.width_px)
        self._skins = _skins(config, streams[2])
        self._light_phases = streams[2].uniform(0, 2 * np.pi, 3)
        self._grown = _Grown()

    def frame(self, index: int, without: Collection[int] = ()) -> SyntheticFrame:
        """Picture and masks of one frame.

        Args:
            index: 0 to `num_frames - 1`.
            without: objects to leave out of picture and masks; all else, also the noise, stays as it was.
        """
        return SyntheticFrame(index, self.picture(index, without), *self.masks(index, without))

    def picture(self, index: int, without: Collection[int] = ()) -> NDArray[np.uint8]:
        """`(H, W, 3)` uint8: mean over the open shutter, then light, then sensor noise."""
        config = self.config
        count = config.blur_samples
        total = self._instant(index + (0 - (count - 1) / 2) / count * _SHUTTER, without)
        for sample in range(1, count):
            total += self._instant(index + (sample - (count - 1) / 2) / count * _SHUTTER, without)
        total *= self._light(index) / np.float32(count)
        if config.noise:
            rng = np.random.default_rng([config.seed, 3, index])
            grain = rng.standard_normal(total.shape, dtype=np.float32)
            # Shot noise grows with the root of the light, above a floor of read-out noise.
            total += grain * np.sqrt(np.float32(0.3) + np.maximum(total, 0) * np.float32(0.7 / 128)) * config.noise
        return np.rint(np.clip(total, 0, 255)).astype(np.uint8)

    def masks(
        self, index: int, without: Collection[int] = ()
    ) -> tuple[NDArray[np.uint8], dict[int, NDArray[np.bool_]]]:
        """Visible label map and amodal outlines at the shutter's centre, by majority of 3x3 samples a pixel."""
        view = self.plan.view(index)
        size = (self.config.height_px, self.config.width_px)
        fine = np.zeros((size[0] * MASK_SAMPLES, size[1] * MASK_SAMPLES), dtype=np.uint8)
        amodal = {label: np.zeros(size, np.bool_) for label in self.object_ids if label not in without}
        bodies = self._bodies(index, view, without)
        for item in self._by_depth(index, view, bodies):
            if isinstance(item, Standing):
                if any(_may_touch(item, view, body.window) for body in bodies if body.actor.z_m > item.z_m):
                    _cut_out(fine, item, view)
                continue
            x0, y0, x1, y1 = item.window
            _, inside = draw_body(item.actor.parts, item.placement, None, item.window, MASK_SAMPLES)
            region = fine[y0 * MASK_SAMPLES : y1 * MASK_SAMPLES, x0 * MASK_SAMPLES : x1 * MASK_SAMPLES]
            region[inside] = item.label
            amodal[item.label][y0:y1, x0:x1] = _majority(inside)
        visible = np.zeros(size, dtype=np.uint8)
        for body in bodies:
            x0, y0, x1, y1 = body.window
            region = fine[y0 * MASK_SAMPLES : y1 * MASK_SAMPLES, x0 * MASK_SAMPLES : x1 * MASK_SAMPLES]
            visible[y0:y1, x0:x1][_majority(region == body.label)] = body.label
        return visible, amodal

    @property
    def object_ids(self) -> tuple[int, ...]:
        """1 for the target, 2 and more for the distractors."""
        return tuple(range(1, self.config.num_objects + 1))

    def _instant(self, moment: float, without: Collection[int]) -> Floats:
        view = self.plan.view(moment)
        canvas = self._scenery.backdrop(view)
        bodies = self._bodies(moment, view, without)
        if self.config.shadows:
            for body in bodies:
                cast_shadow(canvas, body.actor, view)
            for occluder in self.plan.occluders:
                left, right = view.span(OCCLUDER_DEPTH_M)
                if left - occluder.width_m < occluder.x_m < right + occluder.width_m:
                    shade_foot(canvas, occluder.x_m, occluder.width_m, view)
        for item in self._by_depth(moment, view, bodies):
            if isinstance(item, Standing):
                _draw_sprite(canvas, item, view)
            else:
                self._draw_actor(canvas, item)
        return canvas

    def _bodies(self, moment: float, view: View, without: Collection[int]) -> list[_Body]:
        bodies = []
        for label in self.object_ids:
            if label in without:
                continue
            actor = self.plan.actor(label - 1, moment)
            placement = actor.placement(view)
            window = window_of(extent(actor.parts, placement), view.height_px, view.width_px)
            if window is not None:
                bodies.append(_Body(label, actor, placement, window))
        return bodies

    def _by_depth(self, moment: float, view: View, bodies: list[_Body]) -> list[Standing | _Body]:
        """All that stands or walks, the farthest first."""
        items: list[tuple[float, Standing | _Body]] = [(item.z_m, item) for item in self._scenery.standing(view)]
        items += [(body.actor.z_m, body) for body in bodies]
        left, right = view.span(OCCLUDER_DEPTH_M)
        for number, occluder in enumerate(self.plan.occluders):
            if left - occluder.width_m < occluder.x_m < right + occluder.width_m:
                items += [(item.z_m, item) for item in self._occluder(number, view)]
        return [item for _, item in sorted(items, key=lambda pair: -pair[0])]

    def _occluder(self, number: int, view: View) -> list[Standing]:
        grown = self._grown.items
        if number not in grown:
            if len(grown) >= _KEPT_OCCLUDERS:
                grown.pop(next(iter(grown)))
            rng = np.random.default_rng([self.config.seed, 4, number])
            planned = self.plan.occluders[number]
            per_m = view.focal_px / OCCLUDER_DEPTH_M
            size = (int(np.ceil(planned.height_m * per_m)), int(np.ceil(planned.width_m * per_m)))
            if planned.kind == "trunk":
                sprite = sprites.trunk(rng, max(size[1], 2), size[0], planned.height_m)
            else:
                sprite = sprites.thicket(rng, size, planned.height_m)
            stands = Standing(sprite, planned.x_m, OCCLUDER_DEPTH_M)
            grown[number] = [stands, *self._scenery.tufts(rng, planned.x_m, OCCLUDER_DEPTH_M, planned.width_m)]
        return grown[number]

    def _draw_actor(self, canvas: Floats, body: _Body) -> None:
        x0, y0, x1, y1 = body.window
        skin = self._skins[body.label - 1]
        rgb, inside = draw_body(body.actor.parts, body.placement, skin, body.window, _COLOUR_SAMPLES)
        assert rgb is not None
        size = (x1 - x0, y1 - y0)
        cover = inside.astype(np.float32)[..., None]
        drawn = cv2.resize(rgb * cover, size, interpolation=cv2.INTER_AREA)
        alpha = cv2.resize(cover, size, interpolation=cv2.INTER_AREA)[..., None]
        region = canvas[y0:y1, x0:x1]
        region *= 1 - alpha
        region += drawn

    def _light(self, index: int) -> Floats:
        """Gain of red, green and blue: clouds pass, and the light turns a little warmer and cooler."""
        time_s, (a, b, c) = index / self.config.fps, self._light_phases
        brighter = 0.7 * np.sin(2 * np.pi * time_s / 6.1 + a) + 0.3 * np.sin(2 * np.pi * time_s / 2.3 + b)
        warmer = 0.25 * np.sin(2 * np.pi * time_s / 8.7 + c)
        drift = self.config.illumination_drift
        return np.asarray(1 + drift * (brighter + warmer * np.array([1.0, 0.0, -1.0])), dtype=np.float32)


def _skins(config: SyntheticConfig, rng: np.random.Generator) -> list[Skin]:
    kind = config.coat or _COATS[int(rng.integers(len(_COATS)))]
    first = int(rng.integers(len(_FURS)))
    skins = []
    for index in range(config.num_objects):
        own = np.array(_FURS[(first + index) % len(_FURS)], dtype=np.float64)
        fur = own + (np.array(_FURS[first], dtype=np.float64) - own) * config.likeness
        fur = fur * rng.uniform(0.95, 1.05, (2, 1))
        coat = coat_tile(rng, kind, fur[0], fur[1], units=1.6)
        skins.append(Skin(coat, 1.6, marks=fur[1], belly=0.4 * fur[0] + 0.6 * np.array((228, 216, 196))))
    return skins


def _majority(samples: NDArray[np.bool_]) -> NDArray[np.bool_]:
    rows, columns = samples.shape[0] // MASK_SAMPLES, samples.shape[1] // MASK_SAMPLES
    blocks = samples.reshape(rows, MASK_SAMPLES, columns, MASK_SAMPLES)
    return np.asarray(blocks.sum(axis=(1, 3), dtype=np.uint8) > MASK_SAMPLES**2 // 2)


def _sprite_window(item: Standing, view: View) -> Window | None:
    x, y = view.place(item.x_m, 0.0, item.z_m)
    scale = view.scale(item.z_m) * item.size
    high, half = scale * item.sprite.height_m, scale * item.sprite.width_m / 2
    lean = abs(np.sin(view.roll)) * (high + half) + 1
    return window_of((x - half - lean, y - high - lean, x + half + lean, y + lean), view.height_px, view.width_px)


def _may_touch(item: Standing, view: View, window: Window) -> bool:
    own = _sprite_window(item, view)
    return own is not None and own[0] < window[2] and window[0] < own[2] and own[1] < window[3] and window[1] < own[3]


def _warped(item: Standing, view: View, window: Window, supersample: int) -> NDArray[np.uint8]:
    level = level_for(item, view, supersample)
    matrix = sprite_matrix(item, level, view)
    matrix[:, 2] += matrix[:, :2] @ np.array([0.5, 0.5]) - np.array([window[0], window[1]])
    matrix *= supersample
    matrix[:, 2] -= 0.5  # picture places to pixel indices
    source = level if supersample == 1 else np.ascontiguousarray(level[..., 3])
    size = ((window[2] - window[0]) * supersample, (window[3] - window[1]) * supersample)
    return np.asarray(cv2.warpAffine(source, matrix, size, flags=cv2.INTER_LINEAR), dtype=np.uint8)


def _draw_sprite(canvas: Floats, item: Standing, view: View) -> None:
    window = _sprite_window(item, view)
    if window is not None:
        x0, y0, x1, y1 = window
        paste(canvas[y0:y1, x0:x1], _warped(item, view, window, 1))


def _cut_out(fine: NDArray[np.uint8], item: Standing, view: View) -> None:
    window = _sprite_window(item, view)
    if window is not None:
        x0, y0, x1, y1 = (edge * MASK_SAMPLES for edge in window)
        fine[y0:y1, x0:x1][_warped(item, view, window, MASK_SAMPLES) > 127] = 0
