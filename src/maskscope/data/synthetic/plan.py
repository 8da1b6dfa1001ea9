"""Who is where at every moment: the walks, the camera's way, and what stands where to hide the target.

All of it is settled before the first picture is drawn and costs a few numbers a frame, so any frame can be drawn by
itself, in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from maskscope.data.synthetic.animal import Part, Proportions, walking_pose
from maskscope.data.synthetic.body import Placement, draw_body, extent, window_of
from maskscope.data.synthetic.camera import EYE_M, FOCAL, View
from maskscope.data.synthetic.config import SyntheticConfig

TARGET_DEPTH_M = 6.0
OCCLUDER_DEPTH_M = 4.7
SWING_FRAMES = 18  # the camera's way out and back around `disappear`
_STEPS = 8  # moments kept per frame
_TOTAL_HEIGHT = 1.42  # of an animal with head and ears, in shoulder heights
_WALK = 2.0  # shoulder heights per second
_LEAD_M = (1.1, 2.1, -0.6, 3.0, 1.6)  # depth of the distractors behind the target
_START = (0.0, 2.4, 0.5, 2.9, 1.6)  # where each begins on its way from the tail to the head of the herd, radians
Series = NDArray[np.float64]


@dataclass(frozen=True)
class Occluder:
    """Something in the foreground at `(x_m, OCCLUDER_DEPTH_M)` that covers its width fully, up to its height."""

    kind: Literal["trunk", "thicket"]
    x_m: float
    width_m: float
    height_m: float


@dataclass(frozen=True)
class Actor:
    """One animal at one moment.

    Attributes:
        parts: its posed body.
        x_m: where it stands.
        z_m: depth at which it stands.
        heading: where it goes in the world, radians from the right, positive away from the camera.
        unit_m: metres per body unit.
    """

    parts: list[Part]
    x_m: float
    z_m: float
    heading: float
    unit_m: float

    def placement(self, view: View, *, steady: bool = False) -> Placement:
        """Where it stands in the picture; `steady` leaves out the camera's zoom, roll and shake."""
        x_px, y_px = (view.steady if steady else view.place)(self.x_m, 0.0, self.z_m)
        sight = np.arctan2(self.x_m - view.x_m, self.z_m)
        scale = view.focal_px / self.z_m if steady else view.scale(self.z_m)
        roll = 0.0 if steady else view.roll
        # Seen along the line of sight, which away from the middle is not the camera's.
        tilt = float(np.arctan(EYE_M / self.z_m))
        return Placement(x_px, y_px, scale * self.unit_m, self.heading + sight, tilt, roll)


class Plan:
    """The course of one clip.

    Args:
        config: what it shall show.
        rng: draws species and motions; used while building only.
    """

    def __init__(self, config: SyntheticConfig, rng: np.random.Generator) -> None:
        self.config = config
        self.unit_m = config.object_height * TARGET_DEPTH_M / FOCAL / _TOTAL_HEIGHT
        species = Proportions.draw(rng)
        self.bodies = [species.varied(rng) for _ in range(config.num_objects)]
        self.units_m = [self.unit_m * (1.0 if i == 0 else rng.uniform(0.9, 1.05)) for i in range(config.num_objects)]
        self.moods = rng.uniform(0, 2 * np.pi, config.num_objects)
        self.way = 1 if rng.random() < 0.5 else -1
        self.frames = np.arange(-_STEPS, (config.num_frames + 1) * _STEPS) / _STEPS
        self._walk(rng)
        self._film(rng)
        self.occluders = [self._occluder(start) for start in config.occlusion_starts()]

    def actor(self, index: int, frame: float) -> Actor:
        """The animal `index` (0 is the target) at a moment, in frames."""
        distance = float(np.interp(frame, self.frames, self._distance[index]))
        parts = walking_pose(self.bodies[index], distance, frame / self.config.fps, float(self.moods[index]))
        x_m, z_m, heading = (
            float(np.interp(frame, self.frames, series[index])) for series in (self._x, self._z, self._heading)
        )
        return Actor(parts, x_m, z_m, heading, self.units_m[index])

    def view(self, frame: float) -> View:
        """The camera at a moment, in frames."""
        x_m, zoom, roll, dx, dy = (float(np.interp(frame, self.frames, series)) for series in self._camera)
        return View(x_m, self.config.height_px, self.config.width_px, zoom, roll, (dx, dy))

    def _walk(self, rng: np.random.Generator) -> None:
        config, time_s = self.config, self.frames / self.config.fps
        pace = _WALK * config.speed * (1 + 0.1 * np.sin(2 * np.pi * time_s / 3.7 + rng.uniform(0, 6))) * self._pause()
        gone = np.cumsum(pace) / _STEPS / config.fps
        gone -= np.interp(0.0, self.frames, gone)
        self._x, self._z, self._heading, self._distance = [], [], [], []
        for index in range(config.num_objects):
            apart, depth, wander = np.zeros_like(gone), TARGET_DEPTH_M, min(0.42, 0.5 * self.unit_m)
            if index:
                beat, turn = 0.78 * config.speed / (1 + 0.3 * (index - 1)), _START[index - 1] + rng.uniform(-0.2, 0.2)
                apart = -(2.0 + 0.35 * (index - 1)) * np.cos(beat * time_s + turn)
                depth += _LEAD_M[index - 1]
                wander *= 0.5
            walked = gone + apart
            bend, start = 2 * np.pi / 11.0, rng.uniform(0, 2 * np.pi)
            aside = wander * np.sin(bend * walked + start)
            slope = wander / self.unit_m * bend * np.cos(bend * walked + start)
            self._x.append(self.way * walked * self.unit_m)
            self._z.append(depth + aside)
            angle = np.arctan(slope)
            self._heading.append(angle if self.way > 0 else np.pi - angle)
            steps = np.maximum(np.diff(walked, prepend=walked[0]) * np.hypot(1, slope), 0)
            self._distance.append(np.cumsum(steps) * self.unit_m / self.units_m[index])

    def _pause(self) -> Series:
        """Pace over the plain walk: the animal lingers where it is hidden for long, or no bush were wide enough."""
        config, pace = self.config, np.ones_like(self.frames)
        if config.occlusion != "full" or config.occlusion_frames <= 8:
            return pace
        slow, ramp = 6.0 / config.occlusion_frames, min(6.0, config.occlusion_frames / 4)
        for start in config.occlusion_starts():
            rise = np.clip((self.frames - start) / ramp, 0, 1)
            fall = np.clip((start + config.occlusion_frames - 1 - self.frames) / ramp, 0, 1)
            inside = np.minimum(rise, fall)
            pace *= 1 - (1 - slow) * inside**2 * (3 - 2 * inside)
        return pace

    def _film(self, rng: np.random.Generator) -> None:
        config, time_s = self.config, self.frames / self.config.fps
        lively = config.camera_motion
        picture_m = config.width_px * TARGET_DEPTH_M / (FOCAL * config.height_px)
        period_s = max(7.0, min(2.05 * config.num_frames / config.fps, 12.0))
        room = max(0.0, 0.5 * picture_m - 1.25 * self.unit_m)
        aside = -self.way * min(0.16 * picture_m, room) * lively * np.cos(2 * np.pi * time_s / period_s)
        phases = rng.uniform(0, 2 * np.pi, 9)

        def tremble(a: float, b: float, c: float, at: int) -> Series:
            waves = (
                weight * np.sin(2 * np.pi * rate * time_s + phase)
                for weight, rate, phase in zip((0.6, 0.3, 0.15), (a, b, c), phases[at : at + 3], strict=True)
            )
            return np.asarray(lively * np.sum(list(waves), axis=0))

        zoom = 1 + 0.03 * lively * np.sin(2 * np.pi * time_s / 5.3 + phases[0])
        shake = 0.004 * config.height_px
        x_m = self._x[0] - aside + self._swing(picture_m)
        self._camera = (
            x_m,
            zoom,
            0.006 * tremble(0.4, 0.9, 1.7, 0),
            shake * tremble(0.9, 2.1, 4.3, 3),
            shake * tremble(1.1, 2.4, 3.9, 6),
        )

    def _swing(self, picture_m: float) -> Series:
        """How far the camera looks away from the target, so that it is out of the picture where asked."""
        if self.config.disappear is None:
            return np.zeros_like(self.frames)
        first, end = self.config.disappear
        leave = max(min(SWING_FRAMES, first), 1)
        rise = np.clip((self.frames - (first - leave)) / leave, 0, 1)
        fall = np.clip((end - 1 + SWING_FRAMES - self.frames) / SWING_FRAMES, 0, 1)
        # Half a frame early and late: the shutter is open around the frame's moment.
        away = np.clip(np.minimum(rise, fall) * 1.06, 0, 1)
        return np.asarray(self.way * (0.76 * picture_m + 1.6 * self.unit_m) * away**2 * (3 - 2 * away))

    def _occluder(self, start: int) -> Occluder:
        if self.config.occlusion == "partial":
            return self._trunk_at(start)
        length = self.config.occlusion_frames
        moments = np.arange(start - 0.5, start + length - 0.25, 0.25)
        boxes = []
        for moment in moments:
            view, actor = self.view(moment), self.actor(0, moment)
            boxes.append((view, extent(actor.parts, actor.placement(view, steady=True))))
        view, box = boxes[len(boxes) // 2]
        x_m = view.x_m + ((box[0] + box[2]) / 2 - view.width_px / 2) * OCCLUDER_DEPTH_M / view.focal_px
        half = top = 0.0
        for view, box in boxes:
            x_px, y_px = view.steady(x_m, 0.0, OCCLUDER_DEPTH_M)
            half = max(half, x_px - box[0], box[2] - x_px)
            top = max(top, y_px - box[1])
        metres = OCCLUDER_DEPTH_M / boxes[0][0].focal_px
        margin = 1.5 + 0.004 * self.config.height_px
        return Occluder("thicket", float(x_m), 2 * (half + margin) * metres, (top + margin) * metres)

    def _trunk_at(self, frame: int) -> Occluder:
        view, actor = self.view(frame), self.actor(0, frame)
        placement = actor.placement(view, steady=True)
        window = window_of(extent(actor.parts, placement), 10 * view.height_px, 10 * view.width_px)
        assert window is not None
        _, inside = draw_body(actor.parts, placement, None, window, 1)
        columns = inside.sum(axis=0)
        before = np.concatenate([[0], np.cumsum(columns)]) / columns.sum()
        # The middle share of the body, counted from its left to its right end.
        edges = np.arange(len(before)) + window[0]
        left, right = (
            float(np.interp(0.5 + side * self.config.occlusion_share / 2, before, edges)) for side in (-1, 1)
        )
        metres = OCCLUDER_DEPTH_M / view.focal_px
        x_m = view.x_m + ((left + right) / 2 - view.width_px / 2) * metres
        # Beyond the picture's upper edge, however the camera is held.
        height_m = EYE_M + 1.25 * view.horizon_px * metres + 0.1
        return Occluder("trunk", float(x_m), (right - left) * metres, height_m)
