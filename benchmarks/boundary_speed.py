"""Time of F a frame, against the same measure written plainly over whole frames; both give the same numbers.

    python benchmarks/boundary_speed.py --dataset DIR

Each mask of a DAVIS-layout folder is scored against the one four frames later, on one thread.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.data.davis import DavisDataset
from maskscope.errors import MaskscopeError
from maskscope.evaluate.boundary import boundary_f, tolerance_radius_px

Mask = NDArray[np.bool_]


def plain_outline(mask: Mask) -> NDArray[np.uint8]:
    edge = np.zeros(mask.shape, dtype=bool)
    edge[:, :-1] |= mask[:, :-1] ^ mask[:, 1:]
    edge[:-1] |= mask[:-1] ^ mask[1:]
    edge[:-1, :-1] |= mask[:-1, :-1] ^ mask[1:, 1:]
    return edge.astype(np.uint8)


def plain_f(prediction: Mask, truth: Mask) -> float:
    """The definition, over every pixel of the frame."""
    radius = int(tolerance_radius_px(*truth.shape))
    reach = np.arange(-radius, radius + 1)
    disk = (reach[:, None] ** 2 + reach[None, :] ** 2 <= radius**2).astype(np.uint8)
    guess, true = plain_outline(prediction), plain_outline(truth)
    if not guess.any() or not true.any():
        return float(guess.any() == true.any())
    precision = (guess & np.asarray(cv2.dilate(true, disk), dtype=np.uint8)).sum() / guess.sum()
    recall = (true & np.asarray(cv2.dilate(guess, disk), dtype=np.uint8)).sum() / true.sum()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True, metavar="DIR", help="folder in the layout of DAVIS")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    measures: dict[str, Callable[[Mask, Mask], object]] = {"plain": plain_f, "boundary_f": boundary_f}
    seconds: dict[str, list[float]] = {name: [] for name in measures}
    try:
        for sequence in DavisDataset(options.dataset, single_object=True):
            for index in range(0, sequence.num_frames - 4, 4):
                pair = sequence.masks(index + 4) == 1, sequence.masks(index) == 1
                scores = []
                for name, measure in measures.items():
                    begin = time.perf_counter()
                    scores.append(measure(*pair))
                    seconds[name].append(time.perf_counter() - begin)
                assert scores[0] == scores[1], f"{sequence.name} {index}: {scores}"
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")
    for name, taken in seconds.items():
        low, median, high = statistics.quantiles([1000 * each for each in taken], n=4)
        print(f"{name:<12} {median:6.3f} ms a frame (quartiles {low:.3f} to {high:.3f}, {len(taken)} frames)")
    print(f"{statistics.median(seconds['plain']) / statistics.median(seconds['boundary_f']):.1f} times as fast")


if __name__ == "__main__":
    main()
