"""How a clip looks: colour, light over time, motion blur, sensor noise, compression. Masks are not touched."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.training.motion import smooth_path
from maskscope.training.store import Pixels


@dataclass(frozen=True)
class AppearanceRange:
    """Probability and strength of each change."""

    colour: float = 0.8
    grey: float = 0.03
    light: float = 0.25
    blur: float = 0.12
    noise: float = 0.12
    compression: float = 0.12


def change_appearance(rng: np.random.Generator, frames: Pixels, ranges: AppearanceRange) -> None:
    """Alter (t, h, w, 3) frames in place; one draw for the clip, light alone drifts from frame to frame."""
    colour = _colour_matrix(rng, ranges)
    drift = np.exp(np.clip(smooth_path(rng, len(frames), 0.08, 1)[:, 0], -0.6, 0.6))
    drifts = rng.random() < ranges.light
    kernel = _motion_kernel(rng) if rng.random() < ranges.blur else None
    noise = _noise(rng, frames.shape[1:]) if rng.random() < ranges.noise else None
    quality = int(rng.integers(25, 80)) if rng.random() < ranges.compression else None
    for t, frame in enumerate(frames):
        matrix = colour * drift[t] if drifts else colour
        out = np.asarray(cv2.transform(frame, matrix), np.uint8)
        if kernel is not None:
            out = np.asarray(cv2.filter2D(out, -1, kernel), np.uint8)
        if noise is not None:
            shifted = np.roll(noise, int(rng.integers(0, noise.shape[0])), axis=0)
            out = np.asarray(cv2.add(out, shifted, dtype=cv2.CV_8U), np.uint8)
        if quality is not None:
            _, code = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, quality])
            out = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
        frame[:] = out


def _colour_matrix(rng: np.random.Generator, ranges: AppearanceRange) -> NDArray[np.float32]:
    """(3, 4) affine map of RGB: contrast, brightness, saturation and white balance in one pass over the pixels."""
    grey = np.full((3, 3), 1.0) * np.array([0.299, 0.587, 0.114])
    if rng.random() < ranges.grey:
        mix = grey
    elif rng.random() < ranges.colour:
        saturation = rng.uniform(0.5, 1.5)
        mix = saturation * np.eye(3) + (1 - saturation) * grey
        mix = np.diag(rng.uniform(0.88, 1.12, 3)) @ mix
        mix = mix * rng.uniform(0.65, 1.4)
    else:
        mix = np.eye(3)
    offset = 128.0 * (1 - mix.sum(1).mean()) * rng.uniform(0, 1) * np.ones(3)
    return np.concatenate([mix, offset[:, None]], axis=1).astype(np.float32)


def _motion_kernel(rng: np.random.Generator) -> NDArray[np.float32]:
    """A line of 3 to 9 pixels in a random direction, summing to one."""
    length, angle = int(rng.integers(3, 10)), rng.uniform(0, np.pi)
    kernel = np.zeros((9, 9), np.float32)
    reach = (length - 1) / 2
    for step in np.linspace(-reach, reach, 2 * length):
        kernel[round(4 + step * np.sin(angle)), round(4 + step * np.cos(angle))] += 1
    normalised: NDArray[np.float32] = kernel / kernel.sum()
    return normalised


def _noise(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.int16]:
    noise: NDArray[np.int16] = np.rint(rng.standard_normal(shape, dtype=np.float32) * rng.uniform(2, 10)).astype(
        np.int16
    )
    return noise
