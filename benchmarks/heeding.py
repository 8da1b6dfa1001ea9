"""Whether clicks and boxes are heeded: J of each of several animals in one picture, by the prompt that means it.

    python benchmarks/heeding.py [--model NAME|FILE] [--pictures N] [--json FILE]

Drawn scenes with three animals, often alike, none hidden. A click lies at the innermost point of the outline; of its
three candidates the one of best predicted IoU counts, and, as "best of three", the one that really is best; each of the
three by itself shows whether they are alternatives, or one has learned everything. A box is the outline's, to the
pixel. The pictures are drawn from seeds that nothing else uses.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from _table import command_line
from maskscope.data.synthetic import SyntheticConfig, synthesize_clip
from maskscope.evaluate.region import region_similarity
from maskscope.model.checkpoints import load_model
from maskscope.model.precision import default_device, preferred_dtype
from maskscope.tracking.image import ImagePredictor

FIRST_SEED = 600
LEAST_PX = 200


def innermost(mask: np.ndarray) -> tuple[float, float]:
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return float(x), float(y)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="compact", metavar="NAME|FILE")
    parser.add_argument("--pictures", type=int, default=12, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    device = default_device()
    predictor = ImagePredictor(load_model(options.model, device=device, dtype=preferred_dtype(device)))
    rows, candidates = [], []
    for seed in tqdm(range(FIRST_SEED, FIRST_SEED + options.pictures), unit="picture"):
        clip = synthesize_clip(SyntheticConfig(seed=seed, num_frames=1, num_objects=3, occlusion="none"))
        predictor.set_image(clip.frames[0])
        for number in clip.object_ids:
            truth = clip.visible_masks[0] == number
            if truth.sum() < LEAST_PX:
                continue
            ys, xs = np.nonzero(truth)
            clicked = predictor.predict([innermost(truth)])
            regions = [region_similarity(mask, truth) for mask in clicked.masks]
            corners = tuple(float(v) for v in (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1))
            boxed = predictor.predict((), (), corners, multimask=False)
            chosen = regions[int(clicked.predicted_iou.argmax())]
            candidates.append(regions)
            rows.append((chosen, max(regions), region_similarity(boxed.masks[0], truth)))
    click, best, box = (round(float(value), 4) for value in np.mean(rows, axis=0))
    print(
        f"{len(rows)} animals: J {100 * click:.1f} by a click (best of three {100 * best:.1f}), "
        f"{100 * box:.1f} by a box"
    )
    each = np.array(candidates)
    of_each = [round(float(value), 4) for value in each.mean(0)]
    wins = [round(float(value), 4) for value in np.bincount(each.argmax(1), minlength=each.shape[1]) / len(each)]
    told = (f"{100 * j:.1f} (best in {100 * share:.0f} %)" for j, share in zip(of_each, wins, strict=True))
    print(f"J of the candidates of a click, each by itself: {', '.join(told)}")
    if options.json:
        record = {"command": command_line(), "animals": len(rows), "click": click, "best_of_three": best, "box": box}
        record |= {"each_of_three": of_each, "each_is_best": wins}
        options.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
