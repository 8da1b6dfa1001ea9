"""Which frames to label: `label-next` against random and uniform choice, J&F of a clip by its number of labels.

    python benchmarks/labelling.py --dataset DIR [--labels 1 2 4 8] [--model NAME|FILE] [--max-frames N] [--json FILE]

Every clip begins with its first frame labelled. Each way of choosing then names more frames, whose true masks become
prompts; the tracker follows from them through all frames. Scores are over all frames but the first, a labelled frame
counting as right, for nobody has to correct it. `label-next` chooses all frames at once from what it knows after the
first label, and, as `label-next, one by one`, chooses each with all labels before it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from tqdm import tqdm

from _table import write_record
from maskscope.data.davis import DavisDataset, DavisSequence
from maskscope.data.label_maps import object_labels
from maskscope.errors import MaskscopeError
from maskscope.evaluate.boundary import boundary_f
from maskscope.evaluate.region import region_similarity
from maskscope.model import SAM2
from maskscope.model.checkpoints import load_model
from maskscope.model.precision import default_device, preferred_dtype
from maskscope.studies.clips_to_label import labelled_on
from maskscope.studies.label_next import label_next
from maskscope.studies.signs import ClipSigns, clip_signs
from maskscope.tracking.video_tracker import VideoTracker


@dataclass(frozen=True)
class Row:
    """Mean J&F over clips for one way of choosing, 0..1."""

    choice: str
    labels: int
    j_and_f: float
    each: dict[str, float]


def j_and_f(model: SAM2, clip: DavisSequence, labelled: Sequence[int]) -> float:
    """Mean over objects of the first frame and frames 1 to the end, labelled frames being right."""
    known = labelled_on(clip, sorted(labelled))
    tracker = VideoTracker(model, known.frames)
    for number, prompts in known.prompts.items():
        tracker.prompt(number, prompts)
    ids = object_labels(clip.masks(0))
    scores = []
    for result in tracker.propagate(0):
        if result.frame_index == 0:
            continue
        if result.frame_index in labelled:
            scores.append(1.0)
            continue
        truth, found = clip.masks(result.frame_index), dict(zip(result.object_ids, result.masks, strict=True))
        pairs = [(found[i], truth == i) for i in ids]
        scores.append(float(np.mean([(region_similarity(a, b) + boundary_f(a, b)) / 2 for a, b in pairs])))
    return float(np.mean(scores))


def signs_of(model: SAM2, clip: DavisSequence, labelled: Sequence[int]) -> ClipSigns:
    known = labelled_on(clip, sorted(labelled))
    return clip_signs(model, clip.name, known.frames, known.prompts, known.labelled)


def by_signs(model: SAM2, clip: DavisSequence, count: int) -> list[int]:
    return [0, *(s.frame for s in label_next([signs_of(model, clip, [0])], count))]


def one_by_one(model: SAM2, clip: DavisSequence, count: int) -> list[int]:
    labelled = [0]
    for left in range(count, 0, -1):
        labelled.append(label_next([signs_of(model, clip, labelled)], left)[0].frame)
    return labelled


def uniform(clip: DavisSequence, count: int) -> list[int]:
    """Evenly spread; the last one before the end by half a gap."""
    return [0, *(round(k * clip.num_frames / (count + 0.5)) for k in range(1, count + 1))]


def random(clip: DavisSequence, count: int, seed: int) -> list[int]:
    rng = np.random.default_rng([seed, clip.num_frames])
    return [0, *(int(n) for n in rng.choice(np.arange(1, clip.num_frames), count, replace=False))]


def labels_needed(rows: Sequence[Row], goal: float) -> float | None:
    """Labels at which the curve reaches a score, straight lines between; None where it does not."""
    points = sorted((row.labels, row.j_and_f) for row in rows)
    for (before, low), (after, high) in pairwise(points):
        if low < goal <= high:
            return before + (after - before) * (goal - low) / (high - low)
    return float(points[0][0]) if points[0][1] >= goal else None


def measure(model: SAM2, clips: Sequence[DavisSequence], labels: Sequence[int], seeds: int) -> list[Row]:
    ways: dict[str, Callable[[DavisSequence, int], list[list[int]]]] = {
        "label-next": lambda clip, n: [by_signs(model, clip, n)],
        "label-next, one by one": lambda clip, n: [one_by_one(model, clip, n)],
        "uniform": lambda clip, n: [uniform(clip, n)],
        "random": lambda clip, n: [random(clip, n, seed) for seed in range(seeds)],
    }
    first = {clip.name: j_and_f(model, clip, [0]) for clip in tqdm(clips, desc="no more labels", disable=None)}
    rows = []
    for name, choose in ways.items():
        rows.append(Row(name, 0, float(np.mean(list(first.values()))), first))
        for count in labels:
            each = {}
            for clip in tqdm(clips, desc=f"{name}, {count}", disable=None):
                each[clip.name] = float(np.mean([j_and_f(model, clip, chosen) for chosen in choose(clip, count)]))
            rows.append(Row(name, count, float(np.mean(list(each.values()))), each))
            print(f"{name:<24} {count:>3} labels  J&F {100 * rows[-1].j_and_f:5.1f}", flush=True)
    return rows


def saved(rows: Sequence[Row]) -> list[str]:
    """Labels that each way needs for the scores that uniform choice reaches."""
    by_choice: dict[str, list[Row]] = {}
    for row in rows:
        by_choice.setdefault(row.choice, []).append(row)
    lines = []
    for goal in [row for row in by_choice["uniform"] if row.labels]:
        needed = {name: labels_needed(mine, goal.j_and_f) for name, mine in by_choice.items() if name != "uniform"}
        told = ", ".join(f"{name} {'more' if n is None else f'{n:.1f}'}" for name, n in needed.items())
        lines.append(f"J&F {100 * goal.j_and_f:.1f}, which uniform choice reaches with {goal.labels}: {told}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True, metavar="DIR", help="folder in the layout of DAVIS")
    parser.add_argument("--labels", type=int, nargs="+", default=(1, 2, 4, 8), metavar="N", help="beside the first")
    parser.add_argument("--model", default="compact", metavar="NAME|FILE")
    parser.add_argument("--sequences", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--max-frames", type=int, metavar="N", help="only the first frames of each")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="of random choice")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as a record")
    options = parser.parse_args()
    try:
        device = default_device()
        dtype = preferred_dtype(device)
        model = load_model(options.model, device=device, dtype=dtype)
        dataset = DavisDataset(options.dataset)
        sequences = [dataset[name] for name in options.sequences or dataset.sequences]
        most = options.max_frames
        clips = [replace(s, frame_paths=s.frame_paths[:most], mask_paths=s.mask_paths[:most]) for s in sequences]
        rows = measure(model, clips, options.labels, options.seeds)
        print(*saved(rows), sep="\n")
        if options.json:
            facts = {
                "model": Path(options.model).name,
                "precision": str(dtype).removeprefix("torch."),
                "device": device.type,
                "max_frames": options.max_frames,
                "seeds": options.seeds,
            }
            write_record(options.json, "labelling", "all frames but the first", {"choices": rows}, **facts)
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")


if __name__ == "__main__":
    main()
