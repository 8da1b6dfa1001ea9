"""J and F of a model on a folder in the layout of DAVIS, with the first frame's masks given.

    python benchmarks/davis.py --dataset DIR [--model NAME|FILE] [--policy NAME] [--image-size HxW] [--json FILE]
    python benchmarks/davis.py --dataset DIR --adapt 40    # adapted to what is marked on the first frame, then tracked

Frames go through the streaming tracker one by one; frames a second include reading and resizing them. With --prompt the
objects are given by a box or a click instead of their mask; with --adapt, too, by what the model makes of it. Adapting
is not counted among the seconds of tracking; its own are told.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from _adapting import Adapting, add_adapt_option
from _davis_options import add_davis_options, dataset_of
from _table import Result, Timed, print_table, rows_of, write_record
from maskscope.data.davis import DavisSequence
from maskscope.data.label_maps import label_map
from maskscope.errors import MaskscopeError
from maskscope.evaluate.protocol import PROTOCOLS, Protocol, evaluate_sequence
from maskscope.memory.policies import registry
from maskscope.model import SAM2
from maskscope.model.precision import chosen_device, preferred_dtype
from maskscope.studies.adapt import marked
from maskscope.studies.track import DTYPES
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.tracker import Tracker


def prompt_of(labels: NDArray[np.uint8], object_id: int, kind: str) -> Prompt:
    """The object's mask, its bounding box, or one click where it is thickest."""
    mask = labels == object_id
    if kind == "mask":
        return Prompt(object_id, mask=mask)
    rows, columns = np.nonzero(mask)
    if kind == "box":
        corners = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        return Prompt(object_id, box_xyxy_px=tuple(float(side) for side in corners))
    framed = np.pad(mask.astype(np.uint8), 1)  # beyond the frame is outside the object
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return Prompt(object_id, points_xy_px=[(float(x), float(y))])


def predict(
    model: SAM2, policy: str, sequence: DavisSequence, prompts: Sequence[Prompt]
) -> Iterator[NDArray[np.uint8]]:
    """Label maps of all frames; the prompts are of the first."""
    tracker = Tracker(model, policy)
    for index in range(sequence.num_frames):
        result = tracker.step(sequence.frame(index), prompts if index == 0 else ())
        logits = result.mask_logits_nhw.cpu().numpy()
        yield label_map(logits > 0, result.object_ids, logits)


def run(models: Adapting, options: argparse.Namespace, sequence: DavisSequence, protocol: Protocol) -> Result:
    model, first = models.plain, sequence.masks(0)
    prompts = [prompt_of(first, i, options.prompt) for i in sequence.object_ids]
    if options.adapt:
        known = marked(model, sequence.frame(0), prompts)
        model = models.to(sequence.frame(0), known)
        prompts = [Prompt(i, mask=known == i) for i in sequence.object_ids]
    predictions = Timed(predict(model, options.policy, sequence, prompts))
    truths = (sequence.masks(index) for index in range(sequence.num_frames))
    score = evaluate_sequence(predictions, truths, protocol)
    return Result(sequence.name, score, predictions.count, predictions.seconds)


def size_of(text: str) -> tuple[int, int]:
    """HxW."""
    height, width = text.lower().split("x")
    return int(height), int(width)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_davis_options(parser)
    parser.add_argument("--model", default="compact", metavar="NAME|FILE")
    parser.add_argument("--policy", default="stock", metavar="NAME[:key=value,...]", help="see `maskscope policies`")
    parser.add_argument("--prompt", choices=("mask", "box", "click"), default="mask", help="how objects are given")
    parser.add_argument("--image-size", type=size_of, metavar="HxW", help="input of the model; default: as trained")
    parser.add_argument("--precision", choices=("auto", *DTYPES), default="auto")
    parser.add_argument("--device", help="default: the GPU if there is one")
    add_adapt_option(parser)
    parser.add_argument("--sequences", nargs="+", metavar="NAME", help="only these")
    options = parser.parse_args()
    try:
        registry.policy(options.policy)  # a mistake in it is told before anything is loaded
        device = chosen_device(options.device)
        dtype = preferred_dtype(device) if options.precision == "auto" else DTYPES[options.precision]
        models = Adapting(options.model, options.adapt, device, dtype, options.image_size)
        dataset = dataset_of(options)
        chosen = [dataset[name] for name in options.sequences or dataset.sequences]
        with tqdm(chosen, unit="sequence", disable=None, leave=False) as sequences:
            rows = rows_of([run(models, options, sequence, PROTOCOLS[options.protocol]) for sequence in sequences])
        facts = {
            "model": Path(options.model).name,
            "policy": options.policy,
            "prompt": options.prompt,
            "image_size": models.base.config.image_size,
            "precision": str(dtype).removeprefix("torch."),
            "device": device.type,
            "threads": torch.get_num_threads(),
        }
        if options.adapt:
            facts |= {"adapt_steps": options.adapt, "adapt_seconds": [round(s, 1) for s in models.seconds]}
        print_table(", ".join(f"{name} {value}" for name, value in facts.items()), rows)
        if options.json:
            write_record(options.json, "DAVIS", options.protocol, {"model": rows}, **facts)
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")


if __name__ == "__main__":
    main()
