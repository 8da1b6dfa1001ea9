"""The baselines benchmark, run as a reader runs it, on a clip whose answer is known."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SIDE, SPEED, FRAMES = 40, 4, 8


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "baselines.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def sliding_square(tmp_path: Path) -> Path:
    """A textured square that moves right over a textured background, four pixels a frame."""
    rng = np.random.default_rng(3)
    textures = rng.uniform(0, 255, (2, 120, 200)).astype(np.float32)
    background, square = (cv2.GaussianBlur(texture, (0, 0), 2) for texture in textures)
    for part in ("JPEGImages", "Annotations"):
        (tmp_path / "data" / part / "480p" / "slide").mkdir(parents=True)
    for index in range(FRAMES):
        left = 30 + SPEED * index
        frame, mask = background.copy(), np.zeros(background.shape, dtype=np.uint8)
        frame[30 : 30 + SIDE, left : left + SIDE] = 255 - square[:SIDE, :SIDE]
        mask[30 : 30 + SIDE, left : left + SIDE] = 255
        stretched = np.clip((frame - 127.5) * 4 + 127.5, 0, 255).astype(np.uint8)
        Image.fromarray(stretched).save(tmp_path / "data/JPEGImages/480p/slide" / f"{index:05d}.jpg", quality=95)
        Image.fromarray(mask).save(tmp_path / "data/Annotations/480p/slide" / f"{index:05d}.png")
    return tmp_path


def test_flow_follows_what_a_copy_leaves_behind(sliding_square: Path) -> None:
    record_path = sliding_square / "record.json"
    done = run("--dataset", str(sliding_square / "data"), "--json", str(record_path))
    assert done.returncode == 0, done.stderr
    lines = [line.split()[:3] for line in done.stdout.splitlines()]
    assert lines.count(["slide", "1", str(FRAMES)]) == 2
    assert lines.count(["mean", "1", str(FRAMES)]) == 2

    record = json.loads(record_path.read_text(encoding="utf-8"))
    copied, flowed = record["tables"]["copy"][0], record["tables"]["flow"][0]
    overlaps = [(SIDE - SPEED * index) / (SIDE + SPEED * index) for index in range(1, FRAMES - 1)]
    assert copied["j"]["mean"] == pytest.approx(np.mean(overlaps), abs=1e-12)
    assert flowed["j"]["mean"] > copied["j"]["mean"] + 0.15
    assert record["protocol"] == "davis"
    assert record["command"] == "python benchmarks/baselines.py --dataset data --json record.json"
    assert str(sliding_square) not in record_path.read_text(encoding="utf-8")


def test_a_wrong_folder_is_one_line_and_exit_two(tmp_path: Path) -> None:
    done = run("--dataset", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: no such folder")
    assert len(done.stderr.splitlines()) == 1
