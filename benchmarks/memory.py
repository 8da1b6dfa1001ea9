"""Does a long stream keep its memory flat? Follows an object through thousands of synthetic frames and weighs itself.

    python benchmarks/memory.py                # 2,000 frames of the compact model
    python benchmarks/memory.py --frames 300   # a quick look

Resident memory is printed at 200, 500, 1000 and 2000 frames. Exit code 1: it grew by more than 20 MB after frame 200.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from maskscope.errors import CheckpointError, MaskscopeError
from maskscope.model import PRESETS, SAM2
from maskscope.model.checkpoints import load_model
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.tracker import Tracker

MARKS = (200, 500, 1000, 2000)
LIMIT_MB = 20.0
HEIGHT, WIDTH, SIDE = 144, 256, 48
CORRECT_EVERY = 150  # frames; corrections must not pile up either


def resident_mb() -> float:
    """What this process holds in physical memory now, not at its peak."""
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def frames(count: int) -> Iterator[tuple[npt.NDArray[np.uint8], tuple[int, int]]]:
    """(H, W, 3) frames and the (top, left) of a bright square that wanders over noise."""
    rng = np.random.default_rng(0)
    background = rng.integers(0, 120, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for t in range(count):
        top = int((HEIGHT - SIDE) * (0.5 + 0.4 * np.sin(t / 23)))
        left = int((WIDTH - SIDE) * (0.5 + 0.4 * np.cos(t / 31)))
        frame = np.roll(background, t, axis=1)
        frame[top : top + SIDE, left : left + SIDE] = (230, 190, 60)
        yield frame, (top, left)


def model_of(name: str) -> SAM2:
    """The model with its weights; the compact one with random weights where it comes without (memory is the same)."""
    try:
        return load_model(name, device="cpu")
    except CheckpointError:
        if name != "compact":
            raise
        print("the compact model's weights are not here: random ones")
        torch.manual_seed(0)
        return SAM2(PRESETS[name]).requires_grad_(False).eval()


def measure(model: SAM2, count: int) -> dict[int, float]:
    """Resident megabytes by number of frames."""
    tracker, weights = Tracker(model), {}
    begin = time.perf_counter()
    for index, (frame, (top, left)) in enumerate(frames(count)):
        middle = (left + SIDE / 2, top + SIDE / 2)
        tracker.step(frame, [Prompt(1, points_xy_px=[middle])] if index == 0 else ())
        if index % CORRECT_EVERY == CORRECT_EVERY - 1:
            tracker.correct([Prompt(1, points_xy_px=[middle])])
        if index + 1 in MARKS or index + 1 == count:
            weights[index + 1] = resident_mb()
            rate = (index + 1) / (time.perf_counter() - begin)
            print(f"{index + 1:>6} frames {weights[index + 1]:>8.1f} MB {rate:>6.1f} frames/s", flush=True)
    return weights


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=MARKS[-1], help="how many [%(default)s]")
    parser.add_argument("--model", default="compact", help="name or file of the weights [%(default)s]")
    options = parser.parse_args(arguments)
    if options.frames <= MARKS[0]:
        parser.error(f"--frames is {options.frames}, expected more than {MARKS[0]}")
    if not Path("/proc/self/status").is_file():
        parser.error("needs /proc, that is Linux")
    try:
        weights = measure(model_of(options.model), options.frames)
    except MaskscopeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    growth = max(weights.values()) - weights[MARKS[0]]
    print(f"growth after frame {MARKS[0]}: {growth:.1f} MB, allowed {LIMIT_MB:.0f} MB")
    return 1 if growth > LIMIT_MB else 0


if __name__ == "__main__":
    sys.exit(main())
