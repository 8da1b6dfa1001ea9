"""Periodic noise and the patterns made of it. All tiles wrap at their edges, so a scene can go on for ever."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskscope.data.synthetic.config import Coat

Floats: TypeAlias = NDArray[np.float32]


def band_noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    *,
    longest_px: float,
    shortest_px: float,
    slope: float = 1.0,
    stretch: tuple[float, float] = (1.0, 1.0),
) -> Floats:
    """Noise that holds only wavelengths within a band, and wraps at the edges.

    Args:
        rng: source of the white noise that is filtered.
        shape: `(rows, columns)` of the tile.
        longest_px: longest wavelength kept.
        shortest_px: shortest wavelength kept.
        slope: the amplitude falls as frequency to this power; 0 gives all of the band the same weight.
        stretch: pulls the grain longer along (rows, columns).

    Returns:
        `shape` float32 of mean 0 and standard deviation 1.
    """
    rows, columns = shape
    spectrum = np.fft.rfft2(rng.standard_normal(shape, dtype=np.float32))
    fy = np.fft.fftfreq(rows)[:, None] * stretch[0]
    fx = np.fft.rfftfreq(columns)[None, :] * stretch[1]
    frequency = np.hypot(fy, fx)
    frequency[0, 0] = 1.0
    low, high = 1.0 / max(longest_px, 2.0), 1.0 / max(shortest_px, 1.0)
    # Soft band edges: a hard one would ring.
    keep = 1.0 / (1.0 + (low / frequency) ** 6) / (1.0 + (frequency / high) ** 6) * frequency**-slope
    keep[0, 0] = 0.0
    noise = np.fft.irfft2(spectrum * keep, s=shape)
    return np.asarray(noise / max(float(noise.std()), 1e-9), dtype=np.float32)


def line_noise(rng: np.random.Generator, length: int, *, longest_px: float, shortest_px: float, slope: float) -> Floats:
    """One periodic row of `band_noise`, `(length,)` float32."""
    band = band_noise(rng, (1, length), longest_px=longest_px, shortest_px=shortest_px, slope=slope)
    return np.asarray(band[0], dtype=np.float32)


def smoothstep(low: float, high: float, values: ArrayLike) -> Floats:
    """0 up to `low`, 1 from `high`, a smooth rise between; either may be the larger."""
    t = np.clip((np.asarray(values, dtype=np.float32) - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), dtype=np.float32)


def mix(a: ArrayLike, b: ArrayLike, share: Floats) -> Floats:
    """`a` where `share` is 0, `b` where it is 1; colours `(3,)` against a share of any shape give `(..., 3)`."""
    first, second = np.asarray(a, dtype=np.float32), np.asarray(b, dtype=np.float32)
    weight = share[..., None] if max(first.ndim, second.ndim) != share.ndim or first.shape[-1:] == (3,) else share
    return np.asarray(first + (second - first) * weight, dtype=np.float32)


def coat_tile(
    rng: np.random.Generator, kind: Coat, base: ArrayLike, marks: ArrayLike, *, size: int = 256, units: float = 1.0
) -> Floats:
    """Fur: a wrapping square of albedo, rows around the limb, columns along it.

    Args:
        rng: draws the pattern.
        kind: form of the marks.
        base: colour between the marks, RGB 0..255.
        marks: colour of the marks.
        size: edge of the tile in texels.
        units: body lengths the edge spans; sets the size of the marks.

    Returns:
        `(size, size, 3)` float32, RGB 0..255.
    """
    unit = size / units
    warp = band_noise(rng, (size, size), longest_px=0.7 * unit, shortest_px=0.12 * unit, slope=1.2)
    if kind == "stripes":
        count = round(size / (0.17 * unit))
        phase = 2 * np.pi * count * np.arange(size, dtype=np.float32)[None, :] / size
        share = smoothstep(0.0, 0.55, np.sin(phase + 1.3 * warp) + 0.35 * warp - 0.15)
    elif kind == "spots":
        dots = band_noise(rng, (size, size), longest_px=0.2 * unit, shortest_px=0.1 * unit, slope=0.0)
        share = smoothstep(0.65, 1.05, dots + 0.15 * warp)
    else:
        blots = band_noise(rng, (size, size), longest_px=0.8 * unit, shortest_px=0.3 * unit, slope=0.5)
        share = smoothstep(0.1, 0.3, blots + 0.12 * warp)
    hair = band_noise(rng, (size, size), longest_px=0.05 * unit, shortest_px=2.0, slope=0.3, stretch=(1.0, 4.0))
    tone = band_noise(rng, (size, size), longest_px=0.6 * unit, shortest_px=0.05 * unit, slope=1.0)
    fur = mix(base, marks, share) * (1.0 + 0.075 * hair + 0.06 * tone)[..., None]
    return np.asarray(np.clip(fur, 4, 250), dtype=np.float32)


def ground_tile(rng: np.random.Generator, shape: tuple[int, int], metres: tuple[float, float]) -> Floats:
    """A meadow seen from above: grass of several greens, bare earth, pebbles and flowers; wraps at the edges.

    Args:
        rng: draws it.
        shape: `(rows, columns)` in texels; rows run into the depth.
        metres: `(depth, width)` the tile covers.

    Returns:
        `shape + (3,)` float32, RGB 0..255.
    """
    per_m = shape[1] / metres[1]
    squeeze = (metres[0] / shape[0]) * per_m  # texels are longer into the depth: keep the grain round in the world
    scale = (1.0 / squeeze, 1.0)

    def noise(longest_m: float, shortest_m: float, slope: float) -> Floats:
        return band_noise(
            rng, shape, longest_px=longest_m * per_m, shortest_px=shortest_m * per_m, slope=slope, stretch=scale
        )

    broad, patchy, fine = noise(5.0, 0.6, 1.0), noise(2.5, 0.08, 1.3), noise(0.12, 0.012, 0.4)
    clumps = noise(0.5, 0.05, 0.8)
    grass = mix((74, 94, 40), (122, 128, 58), smoothstep(-1.4, 1.4, broad + 0.4 * clumps))
    grass = mix(grass, np.array((150, 142, 84)), 0.55 * smoothstep(0.6, 1.9, clumps + 0.5 * broad))
    ground = mix(grass, np.array((126, 104, 78)), smoothstep(0.75, 1.25, patchy + 0.25 * clumps))
    relief = np.roll(clumps + 0.8 * fine, 1, axis=1) - np.roll(clumps + 0.8 * fine, -1, axis=1)
    ground *= (1.0 + 0.10 * fine + 0.05 * clumps + 0.05 * relief)[..., None]
    _scatter_pebbles(rng, ground, per_m, squeeze)
    return np.clip(ground, 0, 255)


def _scatter_pebbles(rng: np.random.Generator, ground: Floats, per_m: float, squeeze: float) -> None:
    rows, columns = ground.shape[:2]
    for _ in range(260):
        centre = (int(rng.integers(columns)), int(rng.integers(rows)))
        across = float(rng.uniform(0.012, 0.05)) * per_m
        axes = (max(round(across), 1), max(round(across / squeeze * rng.uniform(0.6, 1.0)), 1))
        shade = float(rng.uniform(0.75, 1.2))
        colour = (150 * shade, 144 * shade, 132 * shade) if rng.random() < 0.7 else (214, 196, 96 + 110 * shade)
        below = (centre[0] + max(axes[0] // 3, 1), centre[1] + max(axes[1] // 3, 1))
        cv2.ellipse(ground, below, axes, 0, 0, 360, (48, 52, 34), -1, cv2.LINE_AA)
        cv2.ellipse(ground, centre, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
