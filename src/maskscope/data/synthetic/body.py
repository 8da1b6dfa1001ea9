"""Draws capsules as one smooth, furry, shaded body: a height field in the picture plane, with exact silhouette.

Picture frame: x right, y down, height towards the viewer, all in pixels of the raster (which may be finer than the
picture's).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.data.synthetic.animal import Material, Part, Vector
from maskscope.data.synthetic.textures import Floats, smoothstep

SUN = np.array([-0.52, 0.74, 0.43]) / np.linalg.norm([-0.52, 0.74, 0.43])  # towards it: x right, y up, z to the viewer
SUNLIGHT = np.array([1.0, 0.95, 0.84])
SKYLIGHT = np.array([0.86, 0.94, 1.0])


@dataclass(frozen=True)
class Placement:
    """Where and how large a body stands in the picture.

    Attributes:
        x_px: picture column of its origin on the ground, pixel centres at half integers.
        y_px: picture row of it.
        scale_px: pixels per body unit.
        heading: angle between its way and the picture's right, radians; positive turns away from the viewer.
        tilt: how far the camera looks down on it, radians.
        roll: turn of the picture, radians.
    """

    x_px: float
    y_px: float
    scale_px: float
    heading: float
    tilt: float
    roll: float = 0.0

    @cached_property
    def axes(self) -> NDArray[np.float64]:
        """`(3, 3)`: rows x right, y down, height; columns the body's x, y, z."""
        c, s = np.cos(self.heading), np.sin(self.heading)
        # Forward is right and away; the animal's left is away and left.
        yaw = np.array([[c, 0.0, -s], [0.0, 1.0, 0.0], [-s, 0.0, -c]])
        ct, st = np.cos(self.tilt), np.sin(self.tilt)
        tilt = np.array([[1.0, 0.0, 0.0], [0.0, -ct, st], [0.0, st, ct]])
        cr, sr = np.cos(self.roll), np.sin(self.roll)
        roll = np.array([[cr, -sr, 0.0], [sr, cr, 0.0], [0.0, 0.0, 1.0]])
        return np.asarray(roll @ tilt @ yaw)

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """`(..., 3)` body points to `(..., 3)` picture x, y, height, in pixels."""
        return np.asarray(points @ self.axes.T * self.scale_px + np.array([self.x_px, self.y_px, 0.0]))


@dataclass(frozen=True)
class Skin:
    """Albedo of a body: `coat` repeats every `coat_units` body units; `marks` colours socks, mask and tail tip."""

    coat: Floats
    coat_units: float
    marks: NDArray[np.float64]
    belly: NDArray[np.float64]


Window = tuple[int, int, int, int]  # x0, y0, x1, y1 in whole picture pixels, ends excluded


def extent(parts: Sequence[Part], placement: Placement) -> tuple[float, float, float, float]:
    """Smallest box `(x0, y0, x1, y1)` in pixels around the projected body."""
    ends = placement.project(np.array([[part.start, part.end] for part in parts]))
    radii = np.array([[part.start_radius, part.end_radius] for part in parts]) * placement.scale_px
    low, high = (ends[..., :2] - radii[..., None]).min((0, 1)), (ends[..., :2] + radii[..., None]).max((0, 1))
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def window_of(box: tuple[float, float, float, float], height_px: int, width_px: int) -> Window | None:
    """The whole pixels of the picture that a box touches, or None where it lies outside."""
    x0, y0 = max(int(np.floor(box[0])) - 1, 0), max(int(np.floor(box[1])) - 1, 0)
    x1, y1 = min(int(np.ceil(box[2])) + 1, width_px), min(int(np.ceil(box[3])) + 1, height_px)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def draw_body(
    parts: Sequence[Part], placement: Placement, skin: Skin | None, window: Window, supersample: int
) -> tuple[Floats | None, NDArray[np.bool_]]:
    """Colour and silhouette of a body within a window of the picture.

    Args:
        parts: the posed body.
        placement: where it stands.
        skin: its colours; None draws the silhouette alone, which is quicker.
        window: pixels of the picture to draw.
        supersample: samples per pixel and direction.

    Returns:
        `(h * supersample, w * supersample, 3)` float32 RGB 0..255 (None without skin) and the bool silhouette of the
        same size.
    """
    x0, y0, x1, y1 = window
    rows, columns = (y1 - y0) * supersample, (x1 - x0) * supersample
    canvas = _Canvas(rows, columns, coloured=skin is not None)
    unit = placement.scale_px * supersample
    ends = placement.project(np.array([[part.start, part.end] for part in parts]))
    ends = (ends - np.array([x0, y0, 0.0])) * supersample
    for part, part_ends in zip(parts, ends, strict=True):
        canvas.add(part, part_ends, unit, placement.axes, skin)
    colour = None if skin is None else canvas.shaded(unit)
    return colour, canvas.inside


class _Canvas:
    def __init__(self, rows: int, columns: int, *, coloured: bool) -> None:
        self.inside = np.zeros((rows, columns), dtype=np.bool_)
        depth = 1 if coloured else 0
        self.height = np.full((rows * depth, columns), -1e6, dtype=np.float32)
        self.normal = np.zeros((rows * depth, columns, 2), dtype=np.float32)
        self.albedo = np.zeros((rows * depth, columns, 3), dtype=np.float32)

    def add(self, part: Part, ends: Vector, unit: float, axes: NDArray[np.float64], skin: Skin | None) -> None:
        radii = np.float32(part.start_radius * unit), np.float32(part.end_radius * unit)
        (x0, y0, _), (x1, y1, _) = ends.tolist()
        rows, columns = self.inside.shape
        left, top = max(int(min(x0 - radii[0], x1 - radii[1])), 0), max(int(min(y0 - radii[0], y1 - radii[1])), 0)
        right = min(int(max(x0 + radii[0], x1 + radii[1])) + 2, columns)
        bottom = min(int(max(y0 + radii[0], y1 + radii[1])) + 2, rows)
        if left >= right or top >= bottom:
            return
        area = (slice(top, bottom), slice(left, right))
        px = (np.arange(left, right, dtype=np.float32) + np.float32(0.5 - ends[0, 0]))[None, :]
        py = (np.arange(top, bottom, dtype=np.float32) + np.float32(0.5 - ends[0, 1]))[:, None]
        bone = (ends[1] - ends[0]).astype(np.float32)
        flat = max(float(bone[0] ** 2 + bone[1] ** 2), 1e-3)
        t = np.clip((px * bone[0] + py * bone[1]) / flat, 0.0, 1.0)
        radius = radii[0] + (radii[1] - radii[0]) * t
        room = radius**2 - (px - t * bone[0]) ** 2 - (py - t * bone[1]) ** 2
        inside = room > 0
        self.inside[area] |= inside
        if skin is None:
            return
        # Where a bone points at the viewer, the sphere that is seen lies further along it than the nearest one.
        length = np.sqrt(flat + float(bone[2]) ** 2)
        t = np.clip(t + np.sqrt(np.maximum(room, 0)) * np.float32(bone[2] / (np.sqrt(flat) * length)), 0.0, 1.0)
        radius = radii[0] + (radii[1] - radii[0]) * t
        dx, dy = px - t * bone[0], py - t * bone[1]
        rise = np.sqrt(np.maximum(radius**2 - dx**2 - dy**2, 0.0))
        height = np.where(inside, np.float32(ends[0, 2]) + t * bone[2] + rise, np.float32(-1e6))
        albedo = _albedo(part, t, (dx, dy, rise), unit, axes, skin)
        self._blend(area, height, np.stack([dx / radius, dy / radius], axis=-1), albedo, part.blend * unit)

    def _blend(
        self, area: tuple[slice, slice], height: Floats, normal: Floats, albedo: Floats, softness: float
    ) -> None:
        """Smooth maximum of heights, in which normals and colours take the same part."""
        below = self.height[area]
        share = np.clip(0.5 + 0.5 * (height - below) / max(softness, 1e-3), 0.0, 1.0).astype(np.float32)
        weight = share[..., None]
        self.height[area] = below + (height - below) * share + softness * share * (1 - share)
        self.normal[area] += (normal - self.normal[area]) * weight
        self.albedo[area] += (albedo - self.albedo[area]) * weight

    def shaded(self, unit: float) -> Floats:
        nx, ny = self.normal[..., 0], -self.normal[..., 1]
        nz = np.sqrt(np.maximum(1.0 - nx**2 - ny**2, 0.0))
        sun = np.clip((nx * SUN[0] + ny * SUN[1] + nz * SUN[2] + 0.12) / 1.12, 0.0, 1.0)
        sky = 0.36 + 0.17 * ny
        # What lies behind the trunk's middle plane (the far legs) stands in the body's own shade.
        shade = 0.52 + 0.48 * smoothstep(-0.12 * unit, 0.10 * unit, self.height)
        light = sky[..., None] * SKYLIGHT.astype(np.float32) + (0.86 * sun * shade)[..., None] * SUNLIGHT.astype(
            np.float32
        )
        rim = (0.10 * (1.0 - nz) ** 3 * np.clip(ny + 0.3, 0, 1))[..., None] * 255
        return np.asarray(np.clip(self.albedo * light * (0.75 + 0.25 * shade)[..., None] + rim, 0, 255), np.float32)


def _albedo(
    part: Part, t: Floats, surface: tuple[Floats, Floats, Floats], unit: float, axes: NDArray[np.float64], skin: Skin
) -> Floats:
    if part.material is not Material.COAT:
        tone = np.array([22.0, 18.0, 17.0]) if part.material is Material.EYE else np.array([40.0, 34.0, 33.0])
        glint = smoothstep(0.55, 0.85, (surface[2] - surface[0] * 0.5 - surface[1]) / (1.5 * unit * part.start_radius))
        return np.asarray(tone + glint[..., None] * (150 if part.material is Material.EYE else 40), dtype=np.float32)
    bone = part.end - part.start
    length = math.sqrt(bone @ bone)
    along = bone / length
    # The seam of the coat runs along the underside: angles count from the part's upper side.
    up = np.array([0.0, 1.0, 0.0]) if abs(along[1]) < 0.8 else np.array([1.0, 0.0, 0.0])
    top = up - (along @ up) * along
    top /= math.sqrt(top @ top)
    ax, ay, az = along.tolist()
    tx, ty, tz = top.tolist()
    side = np.array([ay * tz - az * ty, az * tx - ax * tz, ax * ty - ay * tx])
    side_px, top_px = (axes @ side).astype(np.float32), (axes @ top).astype(np.float32)
    dx, dy, dz = surface
    angle = cv2.phase(
        np.ascontiguousarray(dx * top_px[0] + dy * top_px[1] + dz * top_px[2]),
        np.ascontiguousarray(dx * side_px[0] + dy * side_px[1] + dz * side_px[2]),
    )
    angle = np.where(angle > np.pi, angle - np.float32(2 * np.pi), angle)
    size = skin.coat.shape[0]
    texels = np.float32(size / skin.coat_units)
    girth = np.float32(0.5 * (part.start_radius + part.end_radius))
    axis_px = (axes @ along).astype(np.float32)
    beyond = (dx * axis_px[0] + dy * axis_px[1] + dz * axis_px[2]) / np.float32(unit)  # on the rounded ends
    u = (t * np.float32(length) + beyond + np.float32(part.offset[0])) * texels
    v = (angle * girth + np.float32(part.offset[1])) * texels
    coat = cv2.remap(skin.coat, u % size, v % size, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    if abs(along[1]) < 0.8:
        under = 0.75 * smoothstep(1.75, 2.7, np.abs(angle))
        coat = coat + (skin.belly.astype(np.float32) - coat) * under[..., None]
    if any(part.marks):
        marked = part.marks[0] + (part.marks[1] - part.marks[0]) * t
        tone = np.float32(0.9) + 0.1 * coat.mean(axis=-1, keepdims=True) / 128
        coat = coat + (skin.marks.astype(np.float32) * tone - coat) * marked[..., None]
    return np.asarray(coat, dtype=np.float32)
