"""Which input size suits the compact model: J&F on four synthetic clips of 854 x 480, which no training has seen.

python benchmarks/input_size.py [--model NAME|FILE]
"""

from __future__ import annotations

import argparse

import numpy as np

from maskscope.data.synthetic import SyntheticConfig, synthesize_clip
from maskscope.evaluate.protocol import DAVIS, evaluate_sequence
from maskscope.model.checkpoints import load_model
from maskscope.model.precision import default_device, preferred_dtype
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.tracker import Tracker

SIZES = ((288, 512), (352, 640), (416, 736))
SCENES = ((11, 1, "none"), (12, 2, "none"), (13, 2, "partial"), (14, 1, "partial"))  # seed, animals, occlusion


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="compact", metavar="NAME|FILE")
    options = parser.parse_args()
    clips = [
        synthesize_clip(
            SyntheticConfig(seed=seed, num_frames=32, height_px=480, width_px=854, num_objects=n, occlusion=occlusion)
        )
        for seed, n, occlusion in SCENES
    ]
    device = default_device()
    for size in SIZES:
        model = load_model(options.model, device=device, dtype=preferred_dtype(device), image_size=size)
        scores = []
        for clip in clips:
            truth = [(labels == 1).astype(np.uint8) for labels in clip.visible_masks]
            tracker = Tracker(model)
            found = []
            for index, frame in enumerate(clip.frames):
                result = tracker.step(frame, [Prompt(1, mask=truth[0])] if index == 0 else ())
                found.append(result.masks[0].astype(np.uint8))
            scores.append(evaluate_sequence(found, truth, DAVIS).j_and_f)
        each = ", ".join(f"{100 * score:.1f}" for score in scores)
        print(f"{size[1]} x {size[0]}: J&F {100 * float(np.mean(scores)):.1f} ({each})", flush=True)


if __name__ == "__main__":
    main()
