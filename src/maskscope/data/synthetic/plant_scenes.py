"""The three scenes: where everything is at the time of a frame, and what lies in front of what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.data.synthetic.plant_shapes import (
    Floats,
    Thing,
    lay,
    matrix_of,
    metal,
    ring,
    rough,
    rounded,
    shade,
    thing,
)


@dataclass(eq=False)
class Drawn:
    """A frame before the camera's noise.

    Attributes:
        rgb: (h, w, 3) float32, 0..255.
        object_ids: all objects of the scene.
        layers: (label, coverage (h, w)) in the order of drawing; label 0 is what hides and is none.
        blur_px: standard deviation of the blur of the whole picture.
    """

    rgb: Floats
    object_ids: tuple[int, ...]
    layers: list[tuple[int, Floats]] = field(default_factory=list)
    blur_px: float = 0.0

    def put(self, label: int, item: Thing, matrix: NDArray[np.float64], light: float = 1.0) -> None:
        """Draw a thing in front of all so far."""
        self.layers.append((label, lay(self.rgb, item, matrix, light)))


class PlantScene(Protocol):
    """Draws any frame by itself."""

    def draw(self, index: int) -> Drawn:
        """The frame with this number."""
        ...


class Conveyor:
    """A belt from left to right and parts on it; the followed one rides back and forth under a gantry.

    Part 1 is a cogwheel with five holes; 2 to 4 are cogwheels of the same size with another number of holes, or tone.
    """

    def __init__(self, seed: int, height: int, width: int, fps: float) -> None:
        rng = np.random.default_rng([seed, 1])
        self._size, self._fps = (height, width), fps
        self._floor = rough(rng, (height, width), (112, 116, 120))
        self._belt = rough(rng, (round(0.5 * height), 2 * width), (58, 62, 66), 0.16)
        side = round(0.34 * height)
        tones = ((176, 150, 96), (172, 148, 100), (150, 146, 140), (178, 152, 98))
        self._parts = [_cog(rng, side, tone, holes) for tone, holes in zip(tones, (5, 3, 5, 6), strict=True)]
        gantry = metal(rng, (height, round(0.22 * width)), (196, 150, 44), 0.3)
        stripes = (np.add.outer(np.arange(height), np.arange(gantry.shape[1])) // (height // 10)) % 2
        gantry[stripes > 0] *= 0.35
        self._gantry = Thing(gantry, np.ones(gantry.shape[:2], np.float32))
        self._phase = rng.uniform(0, 1)  # also of the ride

    def draw(self, index: int) -> Drawn:
        """The frame with this number."""
        height, width = self._size
        time_s = index / self._fps
        drawn = Drawn(self._floor.copy(), (1, 2, 3, 4))
        travel = 0.21 * width * time_s
        top = round(0.25 * height)
        drawn.rgb[top : top + self._belt.shape[0]] = np.roll(self._belt, round(travel), axis=1)[:, :width]
        for edge in (top, top + self._belt.shape[0]):
            cv2.line(drawn.rgb, (0, edge), (width, edge), (150, 152, 156), max(2, height // 90))
        # Parts come round for ever: each lap is one picture and the way back below the belt long.
        lap, size = 1.5 * width, 0.2 * height
        for label, part in enumerate(self._parts, start=1):
            x = (travel + (0.42 + 0.1 * self._phase - 0.33 * (label - 1)) * width) % lap - 0.25 * width
            y = 0.5 * height + 0.05 * height * np.sin(1.7 * label + self._phase)
            matrix = matrix_of(part, x, y, 1.7 * size, 0.5 * label + 0.25 * np.sin(0.6 * time_s + label))
            shade(drawn.rgb, part, matrix, (0.02 * height, 0.025 * height), 0.012 * height, 0.55)
            drawn.put(label, part, matrix)
        pillar = matrix_of(self._gantry, 0.69 * width, 0.5 * height, 0.13 * width)
        pillar[1] = (0.0, 1.0, 0.0)
        drawn.put(0, self._gantry, pillar)
        drawn.rgb *= np.float32(1 + 0.03 * np.sin(2.1 * time_s))
        return drawn


class Hall:
    """A fixed camera in a hall: a person in a vest walks past racks that hide him for long; carts and others pass."""

    def __init__(self, seed: int, height: int, width: int, fps: float) -> None:
        rng = np.random.default_rng([seed, 2])
        self._size, self._fps = (height, width), fps
        self._floor = _hall(rng, height, width)
        vests = ((230, 120, 40), (214, 196, 60), (226, 112, 44))
        self._people = [_person(rng, round(0.5 * height), vest) for vest in vests]
        self._cart = _cart(rng, round(0.4 * height))
        self._rack = _rack(rng, round(0.62 * height), round(0.24 * width))
        self._phase = rng.uniform(0, 2 * np.pi, 3)
        self._starts = rng.uniform(-0.04, 0.04, 3)

    def draw(self, index: int) -> Drawn:
        """The frame with this number."""
        height, width = self._size
        time_s = index / self._fps
        drawn = Drawn(self._floor.copy(), (1, 2, 3))
        walks = [(0.085, 0.14, 0.62, 0.92), (-0.075, 0.86, 0.56, 0.8), (0.06, 0.52, 0.78, 1.15)]
        order = sorted(range(3), key=lambda k: walks[k][2])
        for k in order:
            speed, start, foot, scale = walks[k]
            place = _to_and_fro(start + self._starts[k] + speed * time_s)
            item = self._people[k][round(time_s * 3.2 * 4 + k) % 8]
            tall = 0.42 * height * scale
            step = 0.006 * height * abs(np.sin(2 * np.pi * 1.6 * time_s + k))
            matrix = matrix_of(item, place * width, foot * height - tall / 2 + 0.14 * height - step, 0.5 * tall)
            shade(drawn.rgb, item, matrix, (0.02 * height, 0.01 * height), 0.02 * height, 0.3)
            drawn.put(k + 1, item, matrix)
            if k == 0:  # the rack stands before him, behind who is nearer
                for at in (0.42, 0.86):
                    drawn.put(0, self._rack, matrix_of(self._rack, at * width, 0.52 * height, 0.2 * width))
        cart = _to_and_fro(0.05 + 0.11 * time_s)
        matrix = matrix_of(self._cart, (1.5 * cart - 0.25) * width, 0.84 * height, 0.3 * height)
        shade(drawn.rgb, self._cart, matrix, (0.01 * height, 0.03 * height), 0.02 * height, 0.4)
        drawn.put(0, self._cart, matrix)
        drawn.rgb *= self._light(time_s)
        return drawn

    def _light(self, time_s: float) -> NDArray[np.float32]:
        """Daylight comes and goes, and lamps switch: a factor for each column and colour."""
        width = self._size[1]
        a, b, c = self._phase
        day = 1 + 0.28 * np.sin(2 * np.pi * time_s / 7.3 + a)
        lamp = 0.72 if np.sin(2 * np.pi * time_s / 9.1 + b) < -0.6 else 1.0
        x = np.linspace(0, 1, width)
        sun = 1 + 0.3 * np.exp(-(((x - 0.5 - 0.35 * np.sin(0.4 * time_s + c)) / 0.16) ** 2))
        warm = np.array([1.03, 1.0, 0.95])
        return np.asarray((day * lamp * sun)[None, :, None] * warm, np.float32)


class Inspection:
    """A camera in the hand goes over a machine and looks at a valve: shake, zoom, blur of motion and focus."""

    def __init__(self, seed: int, height: int, width: int, fps: float) -> None:
        rng = np.random.default_rng([seed, 3])
        self._size, self._fps = (height, width), fps
        self._wall = _machine(rng, round(1.9 * height), round(1.9 * width))
        self._valves = [
            _valve(rng, round(0.36 * height), tone) for tone in ((186, 44, 38), (176, 60, 44), (40, 92, 150))
        ]
        self._phase = rng.uniform(0, 2 * np.pi, 6)

    def draw(self, index: int) -> Drawn:
        """The frame with this number."""
        height, width = self._size
        time_s, phase = index / self._fps, self._phase
        middle = np.array([0.5 * self._wall.shape[1], 0.5 * self._wall.shape[0]])
        look, zoom, roll = self._view(time_s)
        before, zoom_before, _ = self._view(time_s - 0.5 / self._fps)
        view = zoom * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
        shift = np.array([width / 2, height / 2]) - view @ (middle + look)
        camera = np.concatenate([view, shift[:, None]], 1)
        rgb = cv2.warpAffine(self._wall, camera, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        drawn = Drawn(np.asarray(rgb, np.float32), (1, 2, 3))
        places = ((0.0, 0.0), (0.58, 0.1), (-0.5, -0.2))
        for label, (item, (x, y)) in enumerate(zip(self._valves, places, strict=True), start=1):
            at = view @ (middle + np.array([x, y]) * height) + shift
            turn = roll + (0.3 * np.sin(0.5 * time_s) if label == 1 else 0.4 * label)
            matrix = matrix_of(item, at[0], at[1], 0.3 * height * zoom, turn)
            shade(drawn.rgb, item, matrix, (0.02 * height * zoom, 0.03 * height * zoom), 0.015 * height * zoom, 0.5)
            drawn.put(label, item, matrix)
        moved = float(np.hypot(*(look - before)) * zoom + abs(zoom - zoom_before) * 0.5 * height)
        refocus = max(0.0, np.sin(2 * np.pi * time_s / 4.7 + phase[5])) ** 12
        drawn.blur_px = float(0.25 * moved + 0.009 * height * refocus)
        y, x = np.mgrid[:height, :width].astype(np.float32)
        far = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2)[..., None]
        drawn.rgb *= 1.12 - 0.7 * far  # the lamp on the camera
        return drawn

    def _view(self, time_s: float) -> tuple[NDArray[np.float64], float, float]:
        """Where the camera looks beside the middle (px of the wall), how near it is, and how it is turned."""
        height, phase = self._size[0], self._phase
        sway = [
            0.2 * np.sin(2 * np.pi * time_s / 5.3 + phase[0]) + 0.012 * np.sin(2 * np.pi * 2.7 * time_s + phase[1]),
            0.12 * np.sin(2 * np.pi * time_s / 3.9 + phase[2]) + 0.012 * np.sin(2 * np.pi * 3.1 * time_s + phase[3]),
        ]
        zoom = 1.15 * 1.75 ** np.sin(2 * np.pi * time_s / 6.7 + phase[4])
        return height * np.array(sway), float(zoom), float(0.07 * np.sin(2 * np.pi * time_s / 2.9))


def _to_and_fro(place: float) -> float:
    """0.08 to 0.92 and back again."""
    return 0.08 + 0.84 * (1 - abs(1 - place % 2.0))


def _cog(rng: np.random.Generator, side: int, tone: tuple[float, float, float], holes: int) -> Thing:
    rgb = metal(rng, (side, side), tone, 0.7)
    y, x = np.mgrid[:side, :side] / side - 0.5
    far = np.hypot(x, y)
    rgb[(far > 0.3) & (far < 0.33)] *= 0.6  # a groove
    rgb[far < 0.13] *= 1.18
    bores = [
        ring(24, 0.055, middle=(0.5 + 0.215 * np.cos(a), 0.5 + 0.215 * np.sin(a)))
        for a in 2 * np.pi * np.arange(holes) / holes
    ]
    return thing((side, side), [ring(80, 0.47, 0.14)], [*bores, ring(24, 0.06)], rgb)


def _person(rng: np.random.Generator, height: int, vest: tuple[int, int, int]) -> list[Thing]:
    """Eight phases of a walk."""
    width = height // 2
    phases = []
    cloth = rough(rng, (height, width), (1, 1, 1), 0.12)
    skin, hair, trousers = (206, 164, 138), (62, 46, 38), (48, 56, 82)
    for phase in range(8):
        swing = 0.13 * np.sin(2 * np.pi * phase / 8)
        tone = np.ones((height, width, 3), np.float32) * np.array(trousers, np.float32)
        rows = np.arange(height)[:, None] / height
        tone[: round(0.56 * height)] = vest
        tone[round(0.36 * height) : round(0.39 * height)] = (226, 228, 216)  # the vest's stripes
        tone[round(0.47 * height) : round(0.5 * height)] = (226, 228, 216)
        tone[: round(0.17 * height)] = skin
        tone[: round(0.085 * height)] = hair
        shading = 1.12 - 0.45 * np.abs(np.linspace(-1, 1, width) + 0.35)[None, :, None] - 0.1 * rows[..., None]
        legs = [
            np.array([[0.36, 0.52], [0.5, 0.52], [0.5 + swing * side, 0.98], [0.36 + swing * side, 0.98]])
            + np.array([0.07 * (side > 0), 0])
            for side in (-1, 1)
        ]
        arms = [
            np.array([[0.26, 0.24], [0.36, 0.22], [0.36 + swing * side, 0.56], [0.26 + swing * side, 0.56]])
            + np.array([0.38 * (side > 0), 0])
            for side in (-1, 1)
        ]
        body = [rounded(0.3, 0.18, 0.7, 0.58, 0.08), ring(32, 0.5) * [0.27, 0.155] + [0.365, 0.005]]
        phases.append(thing((height, width), [*legs, *arms, *body], [], np.asarray(tone * cloth * shading, np.float32)))
    return phases


def _cart(rng: np.random.Generator, side: int) -> Thing:
    size = (side, round(1.3 * side))
    rgb = metal(rng, size, (70, 110, 150), 0.5)
    rgb[round(0.1 * side) : round(0.55 * side), round(0.1 * size[1]) : round(0.85 * size[1])] = rough(
        rng, (round(0.55 * side) - round(0.1 * side), round(0.85 * size[1]) - round(0.1 * size[1])), (168, 130, 86)
    )
    rgb[round(0.72 * side) :] = (36, 36, 38)
    wheels = [ring(24, 0.5) * [0.2, 0.26] + [x - 0.1, 0.72] for x in (0.2, 0.78)]
    return thing(size, [rounded(0.08, 0.08, 0.87, 0.56, 0.02), rounded(0.03, 0.54, 0.97, 0.74, 0.03), *wheels], [], rgb)


def _rack(rng: np.random.Generator, height: int, width: int) -> Thing:
    rgb = metal(rng, (height, width), (64, 84, 120), 0.3)
    for row in range(4):
        top, bottom = round((0.04 + 0.24 * row) * height), round((0.22 + 0.24 * row) * height)
        left = round(0.04 * width)
        while left < 0.9 * width:
            wide = round(rng.uniform(0.16, 0.3) * width)
            right = min(left + wide, round(0.96 * width))
            tone = tuple(
                rng.uniform(0.8, 1.15) * np.array(((176, 138, 92), (150, 158, 166), (96, 120, 92))[rng.integers(3)])
            )
            if right - left > 4:
                rgb[top:bottom, left:right] = rough(rng, (bottom - top, right - left), tone, 0.1)
                rgb[top:bottom, right - 2 : right] *= 0.5
            left = right + 2
    return Thing(rgb, np.ones((height, width), np.float32))


def _hall(rng: np.random.Generator, height: int, width: int) -> Floats:
    canvas = rough(rng, (height, width), (148, 146, 140), 0.09)
    wall = round(0.42 * height)
    canvas[:wall] = rough(rng, (wall, width), (176, 182, 184), 0.05)
    for column in range(5):
        left = round((0.03 + 0.2 * column) * width)
        pane = canvas[round(0.05 * height) : round(0.22 * height), left : left + round(0.14 * width)]
        pane[:] = (206, 220, 230)
        pane[:, :: max(pane.shape[1] // 4, 1)] = (120, 124, 130)
    canvas[wall - max(height // 80, 2) : wall] *= 0.55
    y = np.linspace(0, 1, height - wall, dtype=np.float32)[:, None, None]
    canvas[wall:] *= 0.75 + 0.35 * y
    for k in range(2):
        start, end = (round((0.1 + 0.55 * k) * width), height), (round((0.32 + 0.3 * k) * width), wall)
        cv2.line(canvas, start, end, (206, 182, 70), max(height // 90, 2), cv2.LINE_AA)
    return canvas


def _machine(rng: np.random.Generator, height: int, width: int) -> Floats:
    canvas = rough(rng, (height, width), (120, 128, 126), 0.14)
    for _ in range(26):
        x, y = rng.integers(0, width), rng.integers(0, height)
        wide, tall = rng.integers(width // 14, width // 5), rng.integers(height // 14, height // 6)
        tone = np.array((110, 116, 122)) * rng.uniform(0.6, 1.4) + rng.uniform(-12, 12, 3)
        plate = canvas[y : y + tall, x : x + wide]
        plate[:] = metal(rng, plate.shape[:2], tuple(tone), 0.25) if min(plate.shape[:2]) > 4 else plate
        plate[:3] *= 1.25
        plate[-3:] *= 0.6
        for bx, by in ((x + 8, y + 8), (x + wide - 8, y + tall - 8)):
            cv2.circle(canvas, (int(bx), int(by)), max(height // 160, 2), (70, 72, 74), -1, cv2.LINE_AA)
    for _ in range(7):
        top, thick = int(rng.integers(0, height)), int(rng.integers(height // 50, height // 24))
        band = canvas[top : top + thick]
        across = np.linspace(-1, 1, len(band), dtype=np.float32)[:, None, None]
        band[:] = np.array(rng.uniform(90, 180, 3), np.float32) * (1.1 - 0.6 * across**2)
    return canvas


def _valve(rng: np.random.Generator, side: int, tone: tuple[float, float, float]) -> Thing:
    """A hand wheel: rim, spokes and hub."""
    rgb = metal(rng, (side, side), tone, 0.8)
    y, x = np.mgrid[:side, :side] / side - 0.5
    rgb *= (1.1 - 0.9 * np.abs(np.hypot(x, y) - 0.4))[..., None].astype(np.float32)
    gaps = []
    for k in range(5):
        turn = np.linspace(2 * np.pi * (k + 0.1) / 5, 2 * np.pi * (k + 0.9) / 5, 16)
        outer, inner = (0.5 + r * np.stack([np.cos(turn), np.sin(turn)], -1) for r in (0.37, 0.15))
        gaps.append(np.concatenate([outer, inner[::-1]]))
    return thing((side, side), [ring(80, 0.48)], gaps, rgb)


SCENE_KINDS: Final[Mapping[str, Callable[[int, int, int, float], PlantScene]]] = {
    "conveyor": Conveyor,
    "hall": Hall,
    "inspection": Inspection,
}
