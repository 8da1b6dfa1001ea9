"""Shadows on the meadow; they belong to no mask."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.data.synthetic.body import SUN, window_of
from maskscope.data.synthetic.camera import EYE_M, View
from maskscope.data.synthetic.plan import OCCLUDER_DEPTH_M, Actor
from maskscope.data.synthetic.textures import Floats


def cast_shadow(canvas: Floats, actor: Actor, view: View) -> None:
    """The shadow of a body: its bones thrown along the sun's rays onto the ground, then seen in perspective."""
    c, s = np.cos(actor.heading), np.sin(actor.heading)
    ends = np.array([[part.start, part.end] for part in actor.parts])
    # Body x, y, z to world right, up, away; then along the ray down to the ground.
    right, up, away = c * ends[..., 0] - s * ends[..., 2], ends[..., 1], s * ends[..., 0] + c * ends[..., 2]
    right, away = right - SUN[0] / SUN[1] * up, away + SUN[2] / SUN[1] * up
    radii = np.array([max(part.start_radius, part.end_radius) for part in actor.parts])
    per_unit = max(view.scale(actor.z_m) * actor.unit_m * 0.6, 12.0)
    pad = 0.45
    low = np.array([right.min(), away.min()]) - radii.max() - pad
    high = np.array([right.max(), away.max()]) + radii.max() + pad
    shape = np.ceil((high - low) * per_unit).astype(int)
    shadow = np.zeros((shape[1], shape[0]), dtype=np.float32)
    spots = (np.stack([right, away], axis=-1) - low) * per_unit
    for (start, end), radius in zip(np.rint(spots * 8).astype(int).tolist(), radii, strict=True):
        cv2.line(shadow, start, end, 1.0, max(round(2 * radius * per_unit), 1), cv2.LINE_8, 3)
    soft = np.asarray(cv2.GaussianBlur(shadow, (0, 0), 0.045 * per_unit), dtype=np.float32)
    _lay_shadow(canvas, soft, (low, per_unit), actor, view)


def _lay_shadow(
    canvas: Floats, shadow: Floats, raster: tuple[NDArray[np.float64], float], actor: Actor, view: View
) -> None:
    low, per_unit = raster
    rows, columns = shadow.shape

    def corner(u: float, v: float) -> tuple[float, float]:
        x_m = actor.x_m + (low[0] + u / per_unit) * actor.unit_m
        return view.place(x_m, 0.0, max(actor.z_m + (low[1] + v / per_unit) * actor.unit_m, 0.5))

    flat = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows)], dtype=np.float32)
    seen = np.array([corner(float(u), float(v)) for u, v in flat], dtype=np.float32)
    box = (*seen.min(axis=0).tolist(), *seen.max(axis=0).tolist())
    window = window_of((box[0], box[1], box[2], box[3]), view.height_px, view.width_px)
    if window is None:
        return
    x0, y0, x1, y1 = window
    matrix = cv2.getPerspectiveTransform(flat - 0.5, seen - np.array([x0 + 0.5, y0 + 0.5], dtype=np.float32))
    cast = cv2.warpPerspective(shadow, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    # The sky still lights a shadow, bluer than the sun.
    canvas[y0:y1, x0:x1] *= 1 - cast[..., None] * np.array([0.52, 0.47, 0.38], dtype=np.float32)


def shade_foot(canvas: Floats, x_m: float, width_m: float, view: View) -> None:
    """A soft shadow to the right of an occluder's foot."""
    x, y = view.place(x_m + 0.28 * width_m, 0.0, OCCLUDER_DEPTH_M + 0.12)
    scale = view.scale(OCCLUDER_DEPTH_M)
    half, deep = 0.75 * width_m * scale, 0.3 * scale * EYE_M / OCCLUDER_DEPTH_M + 0.08 * width_m * scale
    window = window_of((x - 1.4 * half, y - 2 * deep, x + 1.4 * half, y + 2 * deep), view.height_px, view.width_px)
    if window is None:
        return
    x0, y0, x1, y1 = window
    px = (np.arange(x0, x1, dtype=np.float32)[None, :] + 0.5 - x) / half
    py = (np.arange(y0, y1, dtype=np.float32)[:, None] + 0.5 - y) / deep
    cast = np.exp(-((px**2 + py**2) ** 1.5)).astype(np.float32)
    canvas[y0:y1, x0:x1] *= 1 - cast[..., None] * np.array([0.5, 0.45, 0.36], dtype=np.float32)
