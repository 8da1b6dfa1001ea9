"""Time of F, and of a whole evaluation without reading files, a frame; against F written plainly over whole frames.

    python benchmarks/boundary_speed.py --dataset DIR

Every fourth mask of a DAVIS-layout folder is scored against the next of these, on one thread; times are of the
processor, so that a busy machine changes them little. The plain F gives the same numbers.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median as median_of
from statistics import quantiles

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.data.davis import DavisDataset
from maskscope.errors import MaskscopeError
from maskscope.evaluate.boundary import boundary_f, tolerance_radius_px
from maskscope.evaluate.protocol import ALL_FRAMES, evaluate_sequence

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
    measures: dict[str, Callable[[Mask, Mask], float]] = {"plain F": plain_f, "boundary_f": boundary_f}
    protocols = {"J and F": ALL_FRAMES, "J, F and adaptive F": replace(ALL_FRAMES, moses=True)}
    seconds: dict[str, list[float]] = {name: [] for name in (*measures, *protocols)}
    try:
        for sequence in DavisDataset(options.dataset, single_object=True):
            maps = [sequence.masks(index) for index in range(0, sequence.num_frames, 4)]
            for guess, true in pairwise(maps):
                scores = []
                for name, measure in measures.items():
                    begin = time.thread_time()
                    scores.append(measure(guess == 1, true == 1))
                    seconds[name].append(time.thread_time() - begin)
                assert scores[0] == scores[1], f"{sequence.name}: {scores}"
            for name, protocol in protocols.items():
                begin = time.thread_time()
                evaluate_sequence(maps[1:], maps[:-1], protocol)
                seconds[name] += [(time.thread_time() - begin) / (len(maps) - 1)] * (len(maps) - 1)
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")
    for name, taken in seconds.items():
        low, median, high = quantiles([1000 * each for each in taken], n=4)
        print(f"{name:<20} {median:6.3f} ms a frame (quartiles {low:.3f} to {high:.3f}, {len(taken)} frames)")
    print(f"boundary_f is {median_of(seconds['plain F']) / median_of(seconds['boundary_f']):.1f} times as fast")


if __name__ == "__main__":
    main()
