"""Token thinning: J&F and speed against the share of older memories' tokens that is read.

    python benchmarks/thinning.py --dataset DIR [--model NAME|FILE] [--policy NAME] [--shares 1 0.5 0.25] [--json FILE]

Every frame is encoded once and then tracked by one tracker for each share, in turn, so that a drift of the machine's
speed hits all alike. Frames a second are of encoding and tracking together, frames read and resized beforehand; the
ratio to reading everything is of the seconds of one and the same frame, median over frames with a full memory. The
difference of J&F is paired by object, its interval over clips.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from _table import command_line
from maskscope.data.davis import DavisDataset, DavisSequence
from maskscope.data.label_maps import label_map
from maskscope.errors import MaskscopeError
from maskscope.evaluate.protocol import DAVIS, evaluate_sequence
from maskscope.evaluate.statistics import Interval, difference_interval
from maskscope.memory.policies import registry
from maskscope.model import SAM2
from maskscope.model.checkpoints import load_model
from maskscope.model.outputs import ImageFeatures
from maskscope.model.precision import chosen_device, preferred_dtype
from maskscope.studies.track import DTYPES
from maskscope.tracking.picture import frame_tensor, input_size
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.session import Session, SessionOptions

SHARES = (1.0, 0.75, 0.5, 0.25, 0.1)
MEMORY_FULL = 7  # frames after the prompt from which on memory has its full size


@dataclass(eq=False)
class Lane:
    """One share's tracking of one clip.

    Attributes:
        session: its memory.
        seconds: of each frame, encoding included.
        found: label map of each frame.
    """

    session: Session
    seconds: list[float] = field(default_factory=list)
    found: list[NDArray[np.uint8]] = field(default_factory=list)


@dataclass(frozen=True)
class Point:
    """One share of the curve: J&F in 0..1, with the paired difference to reading everything; frames a second."""

    share: float
    j_and_f: float
    difference: Interval
    fps: float
    times_as_fast: float


def told(policy: str, share: float) -> str:
    """The policy with that share: `stock` -> `stock:thin=0.5`."""
    return f"{policy}{',' if ':' in policy else ':'}thin={share:g}"


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@torch.inference_mode()
def track(model: SAM2, sequence: DavisSequence, policies: list[str]) -> list[Lane]:
    """All shares through one clip, frame by frame in turn; who begins changes from frame to frame."""
    size = input_size(model.config, *sequence.size)
    options = SessionOptions(num_frames=sequence.num_frames)
    lanes = [Lane(Session(model, registry.policy(text), sequence.size, size, options)) for text in policies]
    first = sequence.masks(0)
    for t in range(sequence.num_frames):
        pixels = frame_tensor(sequence.frame(t), size, model.device, model.fine_dtype)
        wait(model.device)
        begin = time.perf_counter()
        features = model.encode_image(pixels)
        wait(model.device)
        encoding = time.perf_counter() - begin

        def features_of(_: int, known: ImageFeatures = features) -> ImageFeatures:
            return known

        for lane in (*lanes[t % len(lanes) :], *lanes[: t % len(lanes)]):
            begin = time.perf_counter()
            if t == 0:
                said = [Prompt(i, mask=first == i) for i in sequence.object_ids]
                lane.session.prompt(0, features, said)
                lane.session.commit(features_of)
            result = lane.session.advance(t, features_of)
            wait(model.device)
            lane.seconds.append(encoding + time.perf_counter() - begin)
            logits = result.mask_logits_nhw.float().cpu().numpy()
            lane.found.append(label_map(logits > 0, result.object_ids, logits))
    return lanes


def curve(model: SAM2, sequences: list[DavisSequence], policy: str, shares: list[float]) -> list[Point]:
    """A point for each share, the first of which must be 1."""
    seconds: list[list[float]] = [[] for _ in shares]
    scores: list[list[NDArray[np.float64]]] = [[] for _ in shares]  # of each clip, J&F of its objects
    for sequence in tqdm(sequences, unit="clip", disable=None, leave=False):
        for n, lane in enumerate(track(model, sequence, [told(policy, share) for share in shares])):
            seconds[n] += lane.seconds[MEMORY_FULL + 1 :]
            score = evaluate_sequence(lane.found, (sequence.masks(t) for t in range(sequence.num_frames)), DAVIS)
            scores[n].append(np.array([each.j_and_f for each in score.objects]))
    return [
        Point(
            share,
            float(np.concatenate(scores[n]).mean()),
            difference_interval(scores[n], scores[0]),
            len(seconds[n]) / sum(seconds[n]),
            median(whole / part for whole, part in zip(seconds[0], seconds[n], strict=True)),
        )
        for n, share in enumerate(shares)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True, metavar="DIR", help="folder in the layout of DAVIS")
    parser.add_argument("--model", default="compact", metavar="NAME|FILE")
    parser.add_argument("--policy", default="stock", metavar="NAME[:key=value,...]", help="see `maskscope policies`")
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES, metavar="SHARE", help="beside 1")
    parser.add_argument("--precision", choices=("auto", *DTYPES), default="auto")
    parser.add_argument("--device", help="default: the GPU if there is one")
    parser.add_argument("--sequences", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as a record")
    options = parser.parse_args()
    shares = [1.0, *sorted({share for share in options.shares if share != 1}, reverse=True)]
    try:
        for share in shares:
            registry.policy(told(options.policy, share))  # a mistake is told before anything is loaded
        device = chosen_device(options.device)
        dtype = preferred_dtype(device) if options.precision == "auto" else DTYPES[options.precision]
        model = load_model(options.model, device=device, dtype=dtype)
        dataset = DavisDataset(options.dataset)
        chosen = [dataset[name] for name in options.sequences or dataset.sequences]
        chosen = [sequence for sequence in chosen if sequence.num_frames > MEMORY_FULL + 1]
        if not chosen:
            parser.error(f"no clip has more than {MEMORY_FULL + 1} frames, for memory to be full")
        points = curve(model, chosen, options.policy, shares)
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")
    print(f"{Path(options.model).name}, {options.policy}, {len(chosen)} clips, {device.type}")
    print(f"{'share':>6} {'J&F':>7} {'difference':>24} {'fps':>7} {'times as fast':>14}")
    for point in points:
        by = point.difference
        change = f"{100 * by.estimate:+.2f} [{100 * by.low:+.2f}, {100 * by.high:+.2f}]"
        speed = f"{point.fps:>7.1f} {point.times_as_fast:>14.3f}"
        print(f"{point.share:>6.2f} {100 * point.j_and_f:>7.2f} {change:>24} {speed}")
    if options.json:
        facts = {
            "benchmark": "token thinning",
            "command": command_line(),
            "model": Path(options.model).name,
            "policy": options.policy,
            "clips": [sequence.name for sequence in chosen],
            "precision": str(dtype).removeprefix("torch."),
            "device": device.type,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "points": [asdict(point) for point in points],
        }
        options.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
