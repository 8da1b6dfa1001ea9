"""Which input size suits the compact model: J&F on material that neither training nor the test set contains.

    python benchmarks/input_size.py                   # four synthetic clips of 854 x 480
    python benchmarks/input_size.py --held-out DIR    # the sequences that training left out, in its data folder DIR
    python benchmarks/input_size.py --held-out DIR --sizes 352x640 --policy stock:thin=0.25
    python benchmarks/input_size.py --held-out DIR --sizes 352x640 --adapt 40    # adapted to each clip's first frame
    python benchmarks/input_size.py --plants --sizes 352x640    # scenes as plants have them, drawn
    python benchmarks/input_size.py --trained-on DIR --sizes 352x640    # those that it was trained on

The first mask is given, every frame goes through the streaming tracker; frames a second are of the tracker alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from _adapting import Adapting, add_adapt_option
from maskscope.data.synthetic import SyntheticConfig, synthesize_clip
from maskscope.data.synthetic.plant import SCENES as PLANTS
from maskscope.data.synthetic.plant import PlantConfig, iter_plant
from maskscope.errors import MaskscopeError
from maskscope.evaluate.protocol import DAVIS, evaluate_sequence
from maskscope.memory.policies import registry
from maskscope.model.precision import default_device, preferred_dtype
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.tracker import Tracker
from maskscope.training.corpus import HELD_OUT

SIZES = ((288, 512), (352, 640), (416, 736))
SCENES = ((11, 1, "none"), (12, 2, "none"), (13, 2, "partial"), (14, 1, "partial"))  # seed, animals, occlusion
Clip = tuple[str, list[np.ndarray], list[np.ndarray]]  # name, frames, label maps


def synthetic_clips() -> Iterator[Clip]:
    for seed, n, occlusion in SCENES:
        clip = synthesize_clip(
            SyntheticConfig(seed=seed, num_frames=32, height_px=480, width_px=854, num_objects=n, occlusion=occlusion)
        )
        yield f"synthetic {seed}", list(clip.frames), [(labels == 1).astype(np.uint8) for labels in clip.visible_masks]


def plant_clips() -> Iterator[Clip]:
    for scene in PLANTS:
        drawn = list(iter_plant(PlantConfig(scene=scene, seed=77, num_frames=100, height_px=360)))
        yield scene, [frame.rgb for frame in drawn], [(frame.visible == 1).astype(np.uint8) for frame in drawn]


def davis_clips(data: Path, held_out: bool) -> Iterator[Clip]:
    """Of DAVIS's training sequences those that training left out, or the others."""
    for folder in sorted((data / "video" / "davis_train").iterdir()):
        name = folder.name
        if (name in HELD_OUT) != held_out:
            continue
        frames = [np.asarray(Image.open(path).convert("RGB")) for path in sorted((folder / "frames").iterdir())]
        truth = [(np.asarray(Image.open(path)) > 0).astype(np.uint8) for path in sorted((folder / "masks").iterdir())]
        yield name, frames, truth


def size_hw(text: str) -> tuple[int, int]:
    sides = [int(side) if side.isdecimal() else 0 for side in text.split("x")]
    if len(sides) != 2 or any(side < 32 or side % 32 for side in sides):
        raise argparse.ArgumentTypeError(f"{text!r} is no input size, expected HxW in multiples of 32, such as 352x640")
    return sides[0], sides[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="compact", metavar="NAME|FILE")
    given = parser.add_mutually_exclusive_group()
    for option in ("--held-out", "--trained-on"):
        given.add_argument(option, type=Path, metavar="DIR", help="training data; default: synthetic clips")
    given.add_argument("--plants", action="store_true", help="scenes as plants have them, drawn")
    parser.add_argument("--sizes", nargs="+", type=size_hw, default=SIZES, metavar="HxW", help="of the model's input")
    parser.add_argument("--policy", default="stock", metavar="NAME", help="of memory [%(default)s]")
    add_adapt_option(parser)
    parser.add_argument(
        "--last-third", action="store_true", help="follow from its first mask; adapted to the clip's first frame still"
    )
    parser.add_argument("--control", action="store_true", help="adapt to the first frame of the next clip instead")
    options = parser.parse_args()
    try:
        registry.policy(options.policy)
    except MaskscopeError as error:
        parser.error(str(error))
    if options.control and not options.adapt:
        parser.error("--control is of --adapt")
    data = options.held_out or options.trained_on
    if data and not (data / "video" / "davis_train").is_dir():
        parser.error(f"there is no video/davis_train in {data}")
    drawn = plant_clips() if options.plants else synthetic_clips()
    clips = list(davis_clips(data, bool(options.held_out)) if data else drawn)
    device = default_device()
    for size in options.sizes:
        models = Adapting(options.model, options.adapt, device, preferred_dtype(device), size)
        scores, seconds, followed = {}, 0.0, 0
        for number, (name, frames, truth) in enumerate(clips):
            _, seen, known = clips[(number + options.control) % len(clips)]
            tracker, found = Tracker(models.to(seen[0], known[0]), options.policy), []
            if options.last_third:
                frames, truth = (part[2 * len(part) // 3 :] for part in (frames, truth))
            start = time.perf_counter()
            for index, frame in enumerate(frames):
                result = tracker.step(frame, [Prompt(1, mask=truth[0])] if index == 0 else ())
                found.append(result.masks[0].astype(np.uint8))
            seconds += time.perf_counter() - start
            followed += len(frames)
            scores[name] = evaluate_sequence(found, truth, DAVIS).j_and_f
        each = ", ".join(f"{name} {100 * score:.1f}" for name, score in scores.items())
        rate = followed / seconds
        mean = 100 * float(np.mean(list(scores.values())))
        how = ", ".join(part for part in (f"{size[1]} x {size[0]}", options.policy, models.told()) if part)
        how += " to another clip" if options.control else ""
        how += ", last thirds" if options.last_third else ""
        print(f"{how}: J&F {mean:.1f} at {rate:.1f} frames/s ({each})", flush=True)


if __name__ == "__main__":
    main()
