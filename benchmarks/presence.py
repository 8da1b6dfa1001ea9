"""Whether the object score tells visible from absent: AUC over synthetic clips in which the object is wholly hidden.

    python benchmarks/presence.py [--model NAME|FILE] [--policy NAME] [--clips N] [--first-seed N] [--json FILE]
    python benchmarks/presence.py --adapt 40    # adapted to each clip's first frame before it is tracked

The first mask is given and every frame tracked. A frame counts as visible when at least a fifth of the object's outline
is seen and as absent when nothing of it is; frames in between count as neither. Also given: J over visible frames, and
how often the score's sign is right. The clips are drawn from seeds that nothing else uses; to develop by, take others
(`--first-seed 400`).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from _adapting import Adapting, add_adapt_option
from _table import command_line
from maskscope.data.synthetic import SyntheticConfig, synthesize_clip
from maskscope.errors import MaskscopeError
from maskscope.evaluate.region import region_similarity
from maskscope.memory.policies import registry
from maskscope.model.precision import default_device, preferred_dtype
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.tracker import Tracker

FIRST_SEED = 300
SEEN = 0.2  # share of the outline from which on the object counts as visible


def auc(visible: np.ndarray, absent: np.ndarray) -> float:
    """How often a visible frame has the higher score, ties counting half."""
    higher = visible[:, None] - absent[None, :]
    return float((higher > 0).mean() + 0.5 * (higher == 0).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="compact", metavar="NAME|FILE")
    parser.add_argument("--policy", default="stock", metavar="NAME[:key=value,...]", help="see `maskscope policies`")
    parser.add_argument("--clips", type=int, default=8, metavar="N")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, metavar="N", help="[%(default)s]")
    parser.add_argument("--json", type=Path, metavar="FILE")
    add_adapt_option(parser)
    options = parser.parse_args()
    try:
        registry.policy(options.policy)
        device = default_device()
        models = Adapting(options.model, options.adapt, device, preferred_dtype(device))
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")
    scores: dict[bool, list[float]] = {True: [], False: []}
    rows: list[dict[str, float]] = []
    for number, seed in enumerate(tqdm(range(options.first_seed, options.first_seed + options.clips), unit="clip")):
        clip = synthesize_clip(SyntheticConfig(seed=seed, num_frames=48, num_objects=1 + number % 2, occlusion="full"))
        share = np.nan_to_num(clip.visible_share(1))
        model = models.to(clip.frames[0], (clip.visible_masks[0] == 1).astype(np.uint8))
        tracker, regions = Tracker(model, options.policy), []
        own: dict[bool, list[float]] = {True: [], False: []}
        for index, frame in enumerate(clip.frames):
            truth = clip.visible_masks[index] == 1
            result = tracker.step(frame, [Prompt(1, mask=truth)] if index == 0 else ())
            if index == 0:
                continue
            if share[index] >= SEEN or share[index] == 0:
                own[bool(share[index])].append(float(result.object_score_logits[0]))
            if share[index] >= SEEN:
                regions.append(float(region_similarity(result.masks[0], truth)))
        for kind, found in own.items():
            scores[kind] += found
        rows.append({"seed": seed, "j_visible": float(np.mean(regions)), "absent": len(own[False])})
    visible, absent = (np.array(scores[kind]) for kind in (True, False))
    right = float(np.concatenate((visible > 0, absent <= 0)).mean())
    figures = {
        "auc": auc(visible, absent),
        "sign_right": right,
        "j_visible": float(np.mean([row["j_visible"] for row in rows])),
        "visible_frames": len(visible),
        "absent_frames": len(absent),
    }
    for row in rows:
        print(f"seed {row['seed']}: J {100 * row['j_visible']:.1f} where visible, absent on {row['absent']} frames")
    print(
        f"AUC {figures['auc']:.3f} over {len(visible)} visible and {len(absent)} absent frames; "
        f"sign right on {100 * right:.1f} % of them; J {100 * figures['j_visible']:.1f} where visible"
    )
    if options.json:
        record = {
            "command": command_line(),
            "policy": options.policy,
            "adapt_steps": options.adapt,
            **figures,
            "clips": rows,
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
