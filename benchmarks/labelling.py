"""Which frames to label: `label-next` against uniform and random choice, the score by the number of labels.

    python benchmarks/labelling.py --held-out DATA --drawn 4 [--minutes N] [--write docs/training.md]
    python benchmarks/labelling.py --held-out DATA --use finetune --json benchmarks/results/labelling_finetune.json
    python benchmarks/labelling.py --page --write docs/training.md          # from the record alone

Clips: the sequences that training left out (--held-out, the folder of training data), drawn ones (--drawn), any in the
layout of DAVIS (--dataset). Every clip begins with its first frame labelled; each way of choosing names more.

Two uses of a label. As `prompts`: its mask is given to the tracker, and all frames of the clip are scored but the
first, a labelled one counting as right, for nobody has to correct it. For `finetune`: labels come from the first two
thirds of all clips together, the model is trained on them, and scored on the last thirds. `label-next` chooses all
frames from what it knows after the first label; `label-next in rounds` labels, looks again, and labels as many more.

The record is written after every job, so a run that ends early goes on where it stopped.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from _job_record import JobRecord
from _labelling import (
    FirstFrames,
    Follower,
    Labels,
    Tuning,
    by_signs,
    fine_tuned,
    held_out_sequences,
    random,
    scores_on,
    signs_of,
    uniform,
)
from _labelling_page import OURS, Scores, complete, digest, page
from _marked import write_marked
from maskscope.cli.options import parse_size
from maskscope.data.dataset import AnnotatedSequence
from maskscope.data.davis import DavisDataset
from maskscope.data.synthetic import SyntheticConfig
from maskscope.errors import DatasetError, MaskscopeError, SettingError
from maskscope.model import SAM2
from maskscope.model.checkpoints import load_model, locate
from maskscope.model.precision import default_device, preferred_dtype
from maskscope.studies.clip_identity import file_digest
from maskscope.studies.drawn_clips import DrawnDataset

RECORD = Path("benchmarks/results/labelling.json")
ROUNDS = f"{OURS} in rounds"
FIRST_SEED = 900
"""Of drawn clips; nothing else uses these."""

DRAWN = SyntheticConfig(seed=FIRST_SEED, num_frames=64, height_px=288, width_px=512, num_objects=1, blur_samples=1)


@dataclass(frozen=True)
class Job:
    """One way of choosing so many labels; of one clip, or of all together (None)."""

    clip: str | None
    way: str
    labels: int
    seed: int = 0

    @property
    def name(self) -> str:
        """In the record."""
        return f"{self.clip or 'all clips'}, {self.way}, {self.labels} labels, seed {self.seed}"


def jobs_of(clip: str | None, labels: list[int], seeds: int, rounds: bool) -> Iterator[Job]:
    """All of one clip, the start that they share first."""
    yield Job(clip, "start", 0)
    for count in labels:
        yield Job(clip, OURS, count)
        if rounds:
            yield Job(clip, ROUNDS, count)
        yield Job(clip, "uniform", count)
        yield from (Job(clip, "random", count, seed) for seed in range(seeds))


class Prompting:
    """Labels as prompts of their own clip."""

    def __init__(self, model: SAM2, clips: list[FirstFrames], given: argparse.Namespace) -> None:
        self.model, self.clips, self.labels = model, {clip.name: clip for clip in clips}, given.labels
        self.follower: Follower | None = None
        self.rounds: dict[str, dict[int, Labels]] = {}
        self.signs: dict[str, Any] = {}
        self.jobs = [job for clip in clips for job in jobs_of(clip.name, given.labels, given.seeds, rounds=True)]

    def run(self, job: Job) -> dict[str, Any]:
        """What was labelled, and the scores."""
        assert job.clip is not None
        clip = self.clips[job.clip]
        if self.follower is None or self.follower.clip is not clip:
            self.follower = Follower(self.model, clip)
        labels = self._chosen(clip, job)
        frames = labels[clip.name]
        return {"frames": frames, "j_and_f": {clip.name: round(self.follower.j_and_f(frames), 5)}}

    def _chosen(self, clip: FirstFrames, job: Job) -> Labels:
        if job.way == "uniform":
            return uniform([clip], job.labels)
        if job.way == "random":
            return random([clip], job.labels, job.seed)
        if job.way == "start":
            return {clip.name: [0]}
        if clip.name not in self.signs:
            self.signs = {clip.name: signs_of(self.model, clip, [0])}  # of this clip alone: looks take room
        first = self.signs[clip.name]
        if job.way == OURS:
            return by_signs([first], job.labels)
        if clip.name not in self.rounds:
            chain = {0: {clip.name: [0]}}
            for before, count in pairwise([0, *self.labels]):
                known = chain[before][clip.name]
                signs = first if not before else signs_of(self.model, clip, known)
                chain[count] = by_signs([signs], count - before)
            self.rounds[clip.name] = chain
        return self.rounds[clip.name][job.labels]


class FineTuning:
    """Labels of all clips together to fine-tune on."""

    def __init__(self, model: SAM2, clips: list[FirstFrames], given: argparse.Namespace) -> None:
        self.model, self.given = model, given
        thirds = [2 * clip.num_frames // 3 for clip in clips]
        self.clips = [FirstFrames(clip.sequence, third) for clip, third in zip(clips, thirds, strict=True)]
        self.held_out = [
            FirstFrames(clip.sequence, clip.num_frames - third, third)
            for clip, third in zip(clips, thirds, strict=True)
        ]
        self.signs: list[Any] = []
        self.jobs = list(jobs_of(None, given.labels, given.seeds, rounds=False))

    def run(self, job: Job) -> dict[str, Any]:
        """What was labelled, and the scores."""
        labels = self._chosen(job)
        tuning = Tuning(self.given.steps, self.given.frames, self.given.image_size)
        model = self.model
        if job.labels:
            model = fine_tuned(model, self.clips, labels, tuning, self.given.model)
        return {
            "frames": labels,
            "j_and_f": {name: round(score, 5) for name, score in scores_on(model, self.held_out).items()},
        }

    def _chosen(self, job: Job) -> Labels:
        if job.way == "start":
            return {clip.name: [0] for clip in self.clips}
        if job.way == "uniform":
            return uniform(self.clips, job.labels)
        if job.way == "random":
            return random(self.clips, job.labels, job.seed)
        self.signs = self.signs or [signs_of(self.model, clip, [0]) for clip in self.clips]
        return by_signs(self.signs, job.labels)


def scores_of(record: JobRecord, jobs: list[Job]) -> Scores:
    """What is done, random choice averaged over its seeds; a clip counts where all seeds are done."""
    found: dict[tuple[str, int, str], list[float]] = {}
    for job in jobs:
        for clip, score in record.jobs.get(job.name, {"j_and_f": {}})["j_and_f"].items():
            found.setdefault((job.way, job.labels, clip), []).append(score)
    seeds = record.request["seeds"]
    ways = [way for way in dict.fromkeys(job.way for job in jobs) if way != "start"]
    scores: Scores = {way: {0: {}} | {count: {} for count in record.request["labels"]} for way in ways}
    for (way, count, clip), each in found.items():
        if way == "start":
            for own in ways:
                scores[own][0][clip] = each[0]
        elif len(each) == (seeds if way == "random" else 1):
            scores[way][count][clip] = float(np.mean(each))
    return scores


def clips_of(given: argparse.Namespace) -> list[FirstFrames]:
    sequences: list[AnnotatedSequence] = []
    if given.held_out:
        sequences += held_out_sequences(given.held_out)
    if given.dataset:
        dataset = DavisDataset(given.dataset)
        sequences += [dataset[name] for name in given.sequences or dataset.sequences]
    sequences += list(DrawnDataset(given.drawn, DRAWN))
    if not sequences:
        raise DatasetError("there are no clips", "give --held-out DATA, --dataset DIR or --drawn N")
    most = given.max_frames
    clips = [FirstFrames(each, min(each.num_frames, most or each.num_frames)) for each in sequences]
    for clip in clips:
        if clip.num_frames < 3 or not clip.object_ids:
            raise DatasetError(f"{clip.name} has {clip.num_frames} frames and no object on the first, or fewer than 3")
    return clips


def measure(given: argparse.Namespace) -> JobRecord:
    if min(given.labels, default=0) < 1 or given.seeds < 1:
        raise SettingError("labels and seeds are whole numbers of 1 or more", "such as --labels 1 2 4 8 --seeds 2")
    given.labels = sorted(set(given.labels))
    clips = clips_of(given)
    device = default_device()
    dtype = preferred_dtype(device) if given.use == "prompts" else torch.float32
    request = {
        "use": given.use,
        "model": Path(given.model).name,
        "weights": file_digest(locate(given.model)),
        "image_size": list(given.image_size),
        "precision": str(dtype).removeprefix("torch."),
        "labels": given.labels,
        "seeds": given.seeds,
        "clips": {clip.name: clip.num_frames for clip in clips},
    }
    if given.use == "finetune":
        request |= {"steps": given.steps, "frames": given.frames}
    record = JobRecord(given.json, "labelling", request)
    model = load_model(given.model, device=device, dtype=dtype, image_size=given.image_size)
    kind: Callable[..., Prompting | FineTuning] = Prompting if given.use == "prompts" else FineTuning
    experiment = kind(model, clips, given)
    left = [job for job in experiment.jobs if job.name not in record.jobs]
    end = time.monotonic() + 60 * given.minutes
    for done, job in enumerate(tqdm(left, unit=" jobs", disable=None)):
        if time.monotonic() > end:
            print(f"{len(left) - done} of {len(experiment.jobs)} jobs are left; the same command goes on")
            break
        record.add(job.name, experiment.run(job))
    scores = scores_of(record, experiment.jobs)
    if complete(scores)[OURS][0]:
        record.write(digest=digest(scores))
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held-out", type=Path, metavar="DATA", help="training data, of which these were left out")
    parser.add_argument("--dataset", type=Path, metavar="DIR", help="folder in the layout of DAVIS")
    parser.add_argument("--sequences", nargs="+", metavar="NAME", help="only these of --dataset")
    parser.add_argument("--drawn", type=int, default=0, metavar="N", help="drawn clips")
    parser.add_argument("--use", choices=("prompts", "finetune"), default="prompts")
    parser.add_argument("--labels", type=int, nargs="+", default=[1, 2, 4, 8], metavar="N", help="beside the first")
    parser.add_argument("--seeds", type=int, default=2, metavar="N", help="of random choice")
    parser.add_argument("--model", default="compact", metavar="NAME|FILE")
    parser.add_argument("--image-size", type=parse_size, default=(256, 448), metavar="HxW")
    parser.add_argument("--max-frames", type=int, metavar="N", help="only the first frames of each clip")
    parser.add_argument("--steps", type=int, default=40, metavar="N", help="of fine-tuning")
    parser.add_argument("--frames", type=int, default=3, metavar="N", help="of a training clip")
    parser.add_argument("--minutes", type=float, default=float("inf"), metavar="N", help="begin no job after these")
    parser.add_argument("--json", type=Path, default=RECORD, metavar="FILE", help="the record, which goes on")
    parser.add_argument("--page", action="store_true", help="compute nothing")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the result between the marks of a page")
    given = parser.parse_args()
    try:
        record = JobRecord(given.json, "labelling", None) if given.page else measure(given)
        if "digest" not in record.content:
            raise SettingError("no clip is complete yet, so there is nothing to tell", "run the same command to go on")
        text = page(record.content)
        print(text)
        if given.write:
            write_marked(given.write, f"labelling {record.request['use']}", text)
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")


if __name__ == "__main__":
    main()
