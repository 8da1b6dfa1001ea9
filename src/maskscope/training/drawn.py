"""Drawn scenes as training clips: animals that are hidden by a thicket or out of the picture, and come back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from maskscope.data.synthetic import SyntheticConfig, synthesize_clip
from maskscope.training.store import ArrayStore, Pixels, open_store, write_store

FIRST_SEED = 50_000
"""Seeds from here on are for training; tests, benchmarks and the clip that comes with the package use smaller ones."""

FRAMES, HEIGHT_PX, WIDTH_PX = 32, 288, 512
VERSION = 1
"""Of what is drawn; another number draws afresh."""


def open_scenes(cache: Path, count: int) -> ArrayStore:
    """Draw scenes once into `cache` and map them: `<seed>/frames` (t, h, w, 3) and `<seed>/masks` (t, h, w) labels.

    Raises:
        OutputError: no room for them.
    """
    folder = cache / f"scenes-{VERSION}-{count}"
    if not (folder / "index.json").is_file():
        seeds = range(FIRST_SEED, FIRST_SEED + count)
        write_store(folder, _drawn(tqdm(seeds, desc="drawing scenes", unit=" clips", disable=None)))
    return open_store(folder)


def scene(seed: int) -> SyntheticConfig:
    """What the scene of a seed shows: most have an object wholly hidden once or twice, or out of the picture."""
    rng = np.random.default_rng([seed, 0])
    leaves = rng.random() < 0.2
    first = int(rng.integers(8, 16))
    return SyntheticConfig(
        seed=seed,
        num_frames=FRAMES,
        height_px=HEIGHT_PX,
        width_px=WIDTH_PX,
        num_objects=int(rng.integers(1, 4)),
        object_height=float(rng.uniform(0.2, 0.5)),
        speed=float(rng.uniform(0.6, 2.0)),
        likeness=float(rng.uniform(0.3, 1.0)),
        occlusion=str(rng.choice(["none", "partial", "full"], p=[0.1, 0.2, 0.7])),  # type: ignore[arg-type]
        occlusion_share=float(rng.uniform(0.3, 0.8)),
        occlusion_frames=int(rng.integers(2, 8)),
        occlusion_start=first,
        disappear=(first, first + int(rng.integers(2, 8))) if leaves else None,
        camera_motion=float(rng.uniform(0.3, 1.5)),
        illumination_drift=float(rng.uniform(0, 0.3)),
        noise=float(rng.uniform(0, 4)),
    )


def _drawn(seeds: tqdm[int]) -> Iterator[tuple[str, Pixels]]:
    for seed in seeds:
        clip = synthesize_clip(scene(seed))
        yield f"{seed}/frames", clip.frames
        yield f"{seed}/masks", clip.visible_masks
