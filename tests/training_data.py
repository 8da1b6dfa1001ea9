"""A training root small enough to make in a test: a red square that moves over grey, and pictures of every kind."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

RED, GREY = (200, 30, 30), (90, 90, 90)


def picture(left: int, top: int, side: int = 16) -> tuple[np.ndarray, np.ndarray]:
    image = np.full((64, 96, 3), GREY, np.uint8)
    mask = np.zeros((64, 96), np.uint8)
    image[top : top + side, left : left + side] = RED
    mask[top : top + side, left : left + side] = 1
    return image, mask


def save(path: Path, rgb: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if rgb.ndim == 3 and rgb.shape[2] == 4:
        rgb = cv2.cvtColor(rgb, cv2.COLOR_RGBA2BGRA)
    elif rgb.ndim == 3:
        rgb = rgb[..., ::-1]
    assert cv2.imwrite(str(path), rgb)


def make_root(root: Path) -> Path:
    for sequence in ("square", "swing"):
        for t in range(8):
            image, mask = picture(10 + 6 * t, 20)
            save(root / "video" / "own" / sequence / "frames" / f"{t:05d}.png", image)
            save(root / "video" / "own" / sequence / "masks" / f"{t:05d}.png", mask)
    image, mask = picture(40, 24, 24)
    save(root / "image" / "things" / "images" / "a.png", image)
    save(root / "image" / "things" / "masks" / "a.png", np.where(mask > 0, 255, 0).astype(np.uint8))
    save(root / "image" / "bsds500" / "images" / "b.png", image)
    save(root / "image" / "bsds500" / "masks" / "b_0.png", mask + 1)
    save(root / "image" / "bsds500" / "masks" / "b_1.png", mask + 1)
    disk = np.zeros((48, 48, 4), np.uint8)
    cv2.circle(disk, (24, 24), 20, (30, 200, 30, 255), -1)
    save(root / "cutouts" / "round" / "disk.png", disk)
    for t in range(3):
        save(root / "cutouts" / "moving" / "disk" / f"{t}.png", disk)
    save(root / "backgrounds" / "plain.png", np.full((64, 96, 3), (20, 20, 120), np.uint8))
    return root
