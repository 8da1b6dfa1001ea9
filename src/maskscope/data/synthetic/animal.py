"""A four-legged animal of tapered capsules: its proportions, and the pose of every joint while it walks.

Body frame: x forward, y up, z to the animal's left; the unit is its height at the shoulder; the origin lies on the
ground below the middle of the trunk.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

STRIDE = 1.2  # distance of one full cycle of the four feet
_STANCE = 0.6  # share of the cycle a foot stands on the ground
_FOOT_PHASES = {"hind_left": 0.0, "fore_left": 0.25, "hind_right": 0.5, "fore_right": 0.75}  # a walk, not a trot


class Material(IntEnum):
    """What a part is covered with."""

    COAT = 0
    DARK = 1  # nose, claws
    EYE = 2


class Part(NamedTuple):
    """A capsule: a sphere swept along a bone while its radius changes."""

    start: Vector
    end: Vector
    start_radius: float
    end_radius: float
    marks: tuple[float, float] = (0.0, 0.0)  # share of the mark colour at either end, over the pattern
    offset: tuple[float, float] = (0.0, 0.0)  # where on the coat the part is cut from
    material: Material = Material.COAT
    blend: float = 0.05  # width of the soft joint with the parts before it


@dataclass(frozen=True)
class Proportions:
    """What tells one species from another; all in shoulder heights, except `socks`, `mask` and `tip` (0..1)."""

    length: float
    girth: float
    neck: float
    neck_rise: float
    head: float
    snout: float
    ear: float
    ear_width: float
    tail: float
    tail_rise: float
    leg_girth: float
    socks: float
    mask: float
    tip: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Proportions:
        """A species by chance, from fox-like to something between antelope and cat."""
        return cls(
            length=rng.uniform(0.95, 1.15),
            girth=rng.uniform(0.215, 0.26),
            neck=rng.uniform(0.30, 0.46),
            neck_rise=rng.uniform(0.75, 1.15),
            head=rng.uniform(0.135, 0.16),
            snout=rng.uniform(0.20, 0.30),
            ear=rng.uniform(0.10, 0.24),
            ear_width=rng.uniform(0.045, 0.075),
            tail=rng.uniform(0.5, 0.95),
            tail_rise=rng.uniform(-0.5, 0.6),
            leg_girth=rng.uniform(0.9, 1.15),
            socks=rng.choice([0.0, 0.9]),
            mask=rng.choice([0.0, 0.55]),
            tip=rng.choice([0.0, 1.0]),
        )

    def varied(self, rng: np.random.Generator, amount: float = 0.05) -> Proportions:
        """Another animal of the species: each measure changed by up to `amount` of itself."""
        values = (getattr(self, field.name) for field in fields(self))
        return Proportions(*(value * (1 + amount * rng.uniform(-1, 1)) for value in values))


def walking_pose(body: Proportions, distance: float, time_s: float, mood: float = 0.0) -> list[Part]:
    """The animal's parts, from the far inside outwards, in its body frame.

    Args:
        body: its proportions.
        distance: way walked since the clip began, in shoulder heights; moves the feet, so that they stand still on
            the ground while they carry.
        time_s: time in seconds; moves head, ears and tail.
        mood: phase in radians that sets animals apart which walk in step.

    Returns:
        About 30 parts; draw them in order.
    """
    cycle = distance / STRIDE + mood / (2 * np.pi)
    bob = 0.018 * np.sin(4 * np.pi * cycle)
    sway = 0.012 * np.sin(2 * np.pi * cycle)
    half = body.length / 2
    rump = np.array([-half + 0.1, 0.79 + bob * 0.6, sway])
    belly = np.array([0.0, 0.76 + bob, 0.0])
    chest = np.array([half - 0.1, 0.77 + bob, -sway])
    girth = body.girth
    parts = _tail(body, rump, time_s, mood)
    for side in (-1, 1):
        parts += _hind_leg(body, rump, side, cycle) + _fore_leg(body, chest, side, cycle)
    parts += [
        Part(rump, belly, girth * 0.94, girth * 0.92, offset=(0.0, 0.0), blend=0.12),
        Part(belly, chest, girth * 0.92, girth * 1.08, offset=(half, 0.0), blend=0.12),
    ]
    return parts + _neck_and_head(body, chest, cycle, time_s, mood)


def _neck_and_head(body: Proportions, chest: Vector, cycle: float, time_s: float, mood: float) -> list[Part]:
    nod = 0.05 * np.sin(4 * np.pi * cycle + 0.8) + 0.06 * np.sin(0.9 * time_s + mood)
    look = 0.28 * np.sin(0.7 * time_s + 2.1 * mood)
    rise = body.neck_rise + nod
    withers = chest + np.array([0.08, 0.10, 0.0])
    nape = withers + body.neck * _direction(rise, 0.4 * look)
    face, across = _direction(-0.42 + 0.6 * nod, look), np.array([-np.sin(look), 0.0, np.cos(look)])
    upward = np.cross(across, face)
    skull = nape + 0.07 * face + 0.02 * upward
    muzzle = skull + body.snout * face - 0.02 * upward
    head = body.head
    parts = [
        Part(withers, nape, body.girth * 0.74, head * 0.86, offset=(body.length, 0.0), blend=0.12),
    ]
    for side in (-1, 1):
        root = skull - 0.35 * head * face + 0.62 * head * upward + side * 0.58 * head * across
        flick = 0.1 * np.sin(1.7 * time_s + side + mood)
        tip = root + body.ear * (0.92 * upward - 0.22 * face + side * (0.34 + flick) * across)
        parts.append(Part(root, tip, body.ear_width, 0.018, marks=(0.0, 0.85), offset=(0.3, 0.0), blend=0.03))
    parts += [
        Part(skull, skull + 0.01 * face, head, head * 0.98, marks=(0.0, 0.0), offset=(0.55, 0.0), blend=0.08),
        Part(skull, muzzle, head * 0.74, head * 0.42, marks=(0.0, body.mask), offset=(0.55, 0.1), blend=0.06),
    ]
    nose = muzzle + (0.42 * head - 0.012) * face + 0.03 * upward
    parts.append(Part(nose, nose + 0.01 * face, 0.034, 0.034, material=Material.DARK, blend=0.0))
    for side in (-1, 1):
        eye = skull + head * (0.60 * face + 0.40 * upward + side * 0.62 * across)
        parts.append(Part(eye, eye + 0.004 * face, 0.034, 0.034, material=Material.EYE, blend=0.0))
    return parts


def _tail(body: Proportions, rump: Vector, time_s: float, mood: float) -> list[Part]:
    points = [rump + np.array([-0.13, 0.08, 0.0])]
    rise, bones = body.tail_rise - 0.5, 4
    for bone in range(bones):
        swing = 0.30 * np.sin(2.6 * time_s - 0.8 * bone + mood)
        rise += 0.22 + 0.05 * np.sin(1.3 * time_s + mood)
        points.append(points[-1] + body.tail / bones * np.array([-np.cos(rise), np.sin(rise), 1.2 * swing]))
    radii = np.array([0.062, 0.060, 0.062, 0.056, 0.022])
    marks = np.array([0.0, 0.0, 0.0, 0.4, 1.0]) * body.tip
    return [
        Part(
            points[i],
            points[i + 1],
            radii[i],
            radii[i + 1],
            marks=(marks[i], marks[i + 1]),
            offset=(0.2 * i, 0.35),
            blend=0.06,
        )
        for i in range(bones)
    ]


def _hind_leg(body: Proportions, rump: Vector, side: int, cycle: float) -> list[Part]:
    hip = rump + np.array([0.02, -0.06, side * 0.13])
    step, lift = _foot(cycle + _FOOT_PHASES["hind_left" if side > 0 else "hind_right"])
    foot = np.array([hip[0] + 0.02 + step, 0.045 + lift, side * 0.115])
    hock = foot + np.array([-0.10 - 0.35 * lift, 0.215 - 0.15 * lift, 0.0])
    return _leg(body, (hip, hock, foot), (0.37, 0.36), 1.0, (0.155, 0.088, 0.052, 0.045), (0.1, 0.6 + 0.17 * side))


def _fore_leg(body: Proportions, chest: Vector, side: int, cycle: float) -> list[Part]:
    shoulder = chest + np.array([0.0, -0.08, side * 0.13])
    step, lift = _foot(cycle + _FOOT_PHASES["fore_left" if side > 0 else "fore_right"])
    foot = np.array([shoulder[0] + 0.02 + step, 0.045 + lift, side * 0.105])
    wrist = foot + np.array([-0.015 + 0.25 * lift, 0.15 - 0.1 * lift, 0.0])
    radii = (0.125, 0.078, 0.052, 0.045)
    return _leg(body, (shoulder, wrist, foot), (0.335, 0.335), -1.0, radii, (0.9, 0.2 + 0.17 * side))


def _leg(
    body: Proportions,
    joints: tuple[Vector, Vector, Vector],
    bones: tuple[float, float],
    bend: float,
    radii: tuple[float, float, float, float],
    offset: tuple[float, float],
) -> list[Part]:
    top, ankle, foot = joints
    middle = _bent_joint(top, ankle, bones, bend)
    thick = [radius * body.leg_girth for radius in radii]
    toe = foot + np.array([0.085, -0.005, 0.0])
    u, v = offset
    socks = body.socks
    return [
        Part(top, middle, thick[0], thick[1], offset=(u, v), blend=0.1),
        Part(middle, ankle, thick[1], thick[2], marks=(0.0, 0.5 * socks), offset=(u + bones[0], v), blend=0.07),
        Part(ankle, foot, thick[2], thick[3], marks=(0.5 * socks, socks), offset=(u + sum(bones), v), blend=0.05),
        Part(foot, toe, thick[3] * 1.05, thick[3] * 0.95, marks=(socks, max(socks, 0.5)), offset=(u, v), blend=0.03),
    ]


def _foot(cycle: float) -> tuple[float, float]:
    """Forward offset and lift of a foot; while it stands it moves back exactly as the body moves on."""
    phase, reach = cycle % 1.0, STRIDE * _STANCE
    if phase < _STANCE:
        return reach * (0.5 - phase / _STANCE), 0.0
    swing = (phase - _STANCE) / (1.0 - _STANCE)
    forward = reach * (-0.5 + swing - np.sin(2 * np.pi * swing) / (2 * np.pi))
    return float(forward), float(0.15 * np.sin(np.pi * swing) ** 1.5)


def _bent_joint(top: Vector, bottom: Vector, bones: tuple[float, float], bend: float) -> Vector:
    """The knee or elbow between two joints, bent forward (`bend` 1) or back (-1)."""
    along = bottom - top
    span = float(np.linalg.norm(along))
    along = along / span
    reach = min(span, sum(bones) * 0.999)
    foot_of_height = (bones[0] ** 2 - bones[1] ** 2 + reach**2) / (2 * reach)
    height = np.sqrt(max(bones[0] ** 2 - foot_of_height**2, 0.0))
    forward = np.array([-along[1], along[0], 0.0])
    return np.asarray(top + along * foot_of_height * span / reach + bend * height * forward / np.linalg.norm(forward))


def _direction(rise: float, turn: float) -> Vector:
    """Unit vector forward, raised by `rise` and turned to the left by `turn`, in radians."""
    return np.array([np.cos(rise) * np.cos(turn), np.sin(rise), np.cos(rise) * np.sin(turn)])
