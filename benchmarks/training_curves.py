"""Curves of a training run, from its log: losses and IoU by step, and the held-out clips' J&F after each phase.

python benchmarks/training_curves.py --log RUN/log.jsonl --out docs/images/training.png
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt

SMOOTH = 10  # lines of the log that a point is the mean of
LOSSES = {"dice": "dice", "iou": "predicted IoU (absolute error)", "occlusion": "object score (cross-entropy)"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path, required=True, metavar="FILE")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    lines = [json.loads(line) for line in options.log.read_text(encoding="utf-8").splitlines()]
    trained = [line for line in lines if "total" in line]
    checked = [line for line in lines if "validation" in line]
    steps = np.array([line["step"] for line in trained])
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), constrained_layout=True)

    def smooth(name: str) -> np.ndarray:
        values = np.array([line[name] for line in trained])
        kernel = np.ones(SMOOTH)
        return np.convolve(values, kernel, mode="same") / np.convolve(np.ones_like(values), kernel, mode="same")

    for name, label in LOSSES.items():
        left.plot(steps, smooth(name), label=label)
    left.set(xlabel="step", ylabel="loss", title="Losses of training clips", ylim=(0, None))
    left.legend()
    right.plot(steps, smooth("true_iou"), label="training clips, IoU of the chosen mask")
    right.plot(
        [line["step"] for line in checked],
        [line["validation"]["mean"] for line in checked],
        "o",
        label="held-out sequences, J&F of the averaged weights",
    )
    right.set(xlabel="step", ylabel="0 to 1", title="How well masks agree", ylim=(0, 1))
    right.legend(loc="lower right")
    begins = [a["step"] for a, b in pairwise(trained) if a["shape"] != b["shape"]]
    for axes in (left, right):
        for step in begins:
            axes.axvline(step, color="0.8", zorder=0)  # a larger picture from here on
    options.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out, dpi=90)


if __name__ == "__main__":
    main()
