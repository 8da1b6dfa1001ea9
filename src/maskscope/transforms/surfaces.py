"""Surfaces of made-up things: fur, rock, bark, woven cloth, meadow, leaves. Drawn from a generator, no files needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.data.synthetic.config import Coat
from maskscope.data.synthetic.sprites import foliage
from maskscope.data.synthetic.textures import Floats, band_noise, coat_tile, ground_tile, mix, smoothstep

Bytes = NDArray[np.uint8]
Surface = Callable[[np.random.Generator, tuple[int, int]], Floats]

_COATS: Final[tuple[Coat, ...]] = ("stripes", "spots", "patches")
_FURS: Final = (
    ((198, 142, 84), (62, 46, 38)),
    ((150, 140, 132), (54, 50, 52)),
    ((214, 204, 188), (112, 76, 52)),
    ((92, 74, 62), (196, 176, 150)),
)
_YARNS: Final = ((52, 74, 120), (128, 40, 46), (60, 92, 70), (196, 176, 140), (84, 70, 92), (168, 110, 60))
_LARGEST_PX: Final = 512  # of a drawn tile; larger surfaces are enlarged, their grain with them
_LEAST_PX: Final = 32


def surface(rng: np.random.Generator, size_hw: tuple[int, int]) -> Bytes:
    """(h, w, 3) uint8 RGB: one of `SURFACES`, chosen and drawn by the generator."""
    draw = SURFACES[int(rng.integers(len(SURFACES)))]
    longest = max(size_hw)
    shrink = min(_LARGEST_PX / longest, 1.0)
    # Even sides of some size: the noise is filtered by a Fourier transform.
    tile = tuple(max(2 * int(np.ceil(side * shrink / 2)), _LEAST_PX) for side in size_hw)
    drawn = np.rint(np.clip(draw(rng, (tile[0], tile[1])), 0, 255)).astype(np.uint8)
    if shrink < 1:
        return np.asarray(cv2.resize(drawn, size_hw[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)
    return np.ascontiguousarray(drawn[: size_hw[0], : size_hw[1]])


def leafy(rng: np.random.Generator, puffs: NDArray[np.float64], size_hw: tuple[int, int]) -> tuple[Bytes, Floats]:
    """Leaves on round puffs `(n, 3)` of x, y, radius: (h, w, 3) uint8 RGB and (h, w) float32 coverage 0..1."""
    green = np.array((78, 98, 44)) * rng.uniform(0.8, 1.15) * (rng.uniform(0.8, 1.5), 1.0, rng.uniform(0.8, 1.2))
    leaf_px = max(0.05 * min(size_hw), 3.0)
    painted, cover = foliage(rng, puffs, size_hw, leaf_px, green)
    return np.rint(np.clip(painted, 0, 255)).astype(np.uint8), cover


def _fur(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    base, marks = _FURS[int(rng.integers(len(_FURS)))]
    edge = max(shape)
    tile = coat_tile(rng, _COATS[int(rng.integers(3))], base, marks, size=edge, units=float(rng.uniform(1.0, 1.8)))
    return tile[: shape[0], : shape[1]]


def _rock(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    long, short = 0.6 * min(shape), 2.5
    layers = band_noise(rng, shape, longest_px=long, shortest_px=short, slope=1.3, stretch=(1.0, rng.uniform(1, 2.5)))
    grain = band_noise(rng, shape, longest_px=8, shortest_px=2, slope=0.3)
    lichen = band_noise(rng, shape, longest_px=0.4 * long, shortest_px=4, slope=0.7)
    tint = rng.uniform(0.9, 1.1, 3)
    grey = mix(np.array((96, 92, 86)) * tint, np.array((172, 164, 150)) * tint, smoothstep(-1.6, 1.6, layers))
    grey = mix(grey, np.array((140, 146, 92)), 0.6 * smoothstep(0.9, 1.6, lichen))
    return np.asarray(grey * (1 + 0.06 * grain + 0.10 * _relief(layers))[..., None], np.float32)


def _bark(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    width = min(shape)
    grain = band_noise(rng, shape, longest_px=width / 3, shortest_px=max(width / 40, 2), slope=0.6, stretch=(6, 1))
    ridges = np.asarray(1 - 1.2 * np.abs(grain), np.float32)
    moss = band_noise(rng, shape, longest_px=width, shortest_px=4, slope=1.0)
    bark = mix((58, 46, 38), (142, 120, 98), smoothstep(-0.8, 1.0, ridges))
    bark = mix(bark, np.array((96, 108, 52)), 0.6 * smoothstep(0.6, 1.6, moss))
    return np.asarray(bark * (1 + 0.12 * _relief(ridges))[..., None], np.float32)


def _cloth(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """A checked blanket with folds."""
    first, second, third = (np.array(_YARNS[i], np.float32) for i in rng.permutation(len(_YARNS))[:3])
    across = max(min(shape) / rng.uniform(4, 9), 6.0)
    folds = band_noise(rng, shape, longest_px=min(shape), shortest_px=min(shape) / 6, slope=1.0)
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    warp, weft = columns + 0.16 * across * folds, rows + 0.12 * across * np.roll(folds, 7, axis=1)
    bands = [smoothstep(-0.25, 0.25, np.sin(2 * np.pi * way / across)) for way in (warp, weft)]
    thin = smoothstep(0.9, 0.98, np.sin(2 * np.pi * warp / across)) * 0.7
    cloth = mix(mix(first, second, 0.5 * bands[0] + 0.5 * bands[1]), third, thin)
    threads = band_noise(rng, shape, longest_px=4, shortest_px=2, slope=0.0)
    return np.asarray(cloth * (1 + 0.05 * threads + 0.16 * folds)[..., None], np.float32)


def _meadow(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    metres = 5.0 / max(shape)
    return ground_tile(rng, shape, (shape[0] * metres, shape[1] * metres))


def _hedge(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    puff = 0.17 * max(shape)
    rows, columns = (max(round(side / (0.9 * puff)), 1) + 1 for side in shape)
    y, x = np.meshgrid(np.linspace(0, shape[0], rows), np.linspace(0, shape[1], columns), indexing="ij")
    places = np.stack([x, y], axis=-1).reshape(-1, 2) + rng.normal(0, 0.25 * puff, (rows * columns, 2))
    puffs = np.column_stack([places, rng.uniform(0.8, 1.3, len(places)) * puff])
    rgb, cover = leafy(rng, puffs[rng.permutation(len(puffs))], shape)
    return mix((30, 40, 20), rgb, cover)


def _relief(height: Floats) -> Floats:
    """What lies open to the upper left is lighter."""
    return np.asarray(height - np.roll(height, (2, 2), axis=(0, 1)), np.float32)


SURFACES: Final[tuple[Surface, ...]] = (_fur, _rock, _bark, _cloth, _meadow, _hedge)
