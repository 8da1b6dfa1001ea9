"""A small data set in the layout of DAVIS, written on the fly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from clips import moving_disc_clip
from numpy.typing import NDArray
from PIL import Image

from maskscope.palette import davis_palette

FRAMES, SIZE = 5, (48, 64)


def write_davis(root: Path, names: tuple[str, ...] = ("cow", "dog"), frames: int = FRAMES) -> Path:
    """Sequences of a disc and a square; `cow` has two void pixels on its second mask."""
    for name in names:
        clip = moving_disc_clip(frames, SIZE, name, objects=2)
        images, masks = root / "JPEGImages" / "480p" / name, root / "Annotations" / "480p" / name
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        for t, (image, labels) in enumerate(zip(clip.frames, clip.labels, strict=True)):
            if name == "cow" and t == 1:
                labels[0, :2] = 255
            Image.fromarray(image).save(images / f"{t:05d}.jpg", quality=90)
            write_labels(masks / f"{t:05d}.png", labels)
    return root


def write_labels(path: Path, labels: NDArray[np.uint8]) -> None:
    picture = Image.fromarray(labels)
    picture.putpalette(davis_palette().tobytes())
    picture.save(path)


def files_below(root: Path) -> dict[str, bytes]:
    """Every file, hidden ones too, by its path below `root`."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
