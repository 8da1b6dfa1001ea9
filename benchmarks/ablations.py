"""What of the compact model matters: rows of one table, each with the difference to the first and its interval.

    python benchmarks/ablations.py --held-out DATA [--minutes N] [--write MODEL_CARD.md]
    python benchmarks/ablations.py --train DATA [--only base no_key] [--minutes N]     # the short runs, in turn
    python benchmarks/ablations.py --held-out DATA --trained [--minutes N] [--write MODEL_CARD.md]
    python benchmarks/ablations.py --page --write MODEL_CARD.md                         # from the records alone

Without --trained the shipped weights track with something taken away: a memory, the pointers, a part, pixels. That says
what the trained model leans on, not what training without it would give. With --trained, rows are short runs that
differ from each other in one thing: `benchmarks/recipes/*.toml`, made by --train; their logs are under
`benchmarks/records/ablations`.

Clips: the sequences that training left out, and drawn ones; the first --max-frames of each, the first mask given. The
record is written after every clip and row, so a run that ends early goes on where it stopped. It holds digests of the
weights and recipes: rows of others are measured again, and not told.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from _ablated import BASE, VARIANTS, Variant
from _job_record import JobRecord
from _labelling import FirstFrames, held_out_sequences
from _made_from import MADE_FROM, forget_stale, made_from, rows_to_tell
from _marked import write_marked
from _trained_variants import TRAINED, TRAINED_BASE, run
from maskscope.cli.step_bar import StepBar
from maskscope.data.dataset import AnnotatedSequence
from maskscope.data.synthetic import SyntheticConfig
from maskscope.errors import DatasetError, MaskscopeError, SettingError
from maskscope.evaluate.protocol import DAVIS, evaluate_sequence
from maskscope.evaluate.statistics import difference_interval
from maskscope.model import SAM2
from maskscope.model.checkpoints import load_model, locate
from maskscope.model.outputs import ImageFeatures
from maskscope.model.precision import default_device, preferred_dtype
from maskscope.studies.clip_identity import file_digest
from maskscope.studies.drawn_clips import DrawnDataset
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.tracker import Tracker

RESULTS = Path("benchmarks/results")
FIRST_SEED = 950
"""Of drawn clips; nothing else uses these."""

DRAWN = SyntheticConfig(
    seed=FIRST_SEED, num_frames=40, height_px=288, width_px=512, num_objects=2, occlusion_frames=5, blur_samples=1
)
TRAINED_SIZE = (224, 384)


class _Remembering(Tracker):
    """Takes image features from a dictionary that outlives it."""

    kept: dict[int, ImageFeatures]

    def _features_at(self, frame_index: int) -> ImageFeatures:
        if frame_index not in self.kept:
            self.kept[frame_index] = super()._features_at(frame_index)
        return self.kept[frame_index]


def j_and_f(model: SAM2, clip: FirstFrames, policy: str, features: dict[int, ImageFeatures]) -> float:
    """Of object 1, its first mask given."""
    truth = [(clip.masks(t) == 1).astype(np.uint8) for t in range(clip.num_frames)]
    tracker = _Remembering(model, policy)
    tracker.kept = features
    found = [tracker.step(clip.frame(t), [Prompt(1, mask=truth[0])] if not t else ()) for t in range(clip.num_frames)]
    return evaluate_sequence([one.masks[0].astype(np.uint8) for one in found], truth, DAVIS).j_and_f


class Rows:
    """Scores of every row on every clip, clip by clip, so that those of a clip share its features."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given, self.device = given, default_device()
        self.dtype = preferred_dtype(self.device)
        self._loaded: dict[str, SAM2] = {}
        self.made_from: dict[str, dict[str, str]] = {}
        if given.trained:
            there = [one for one in TRAINED if one.weights(given.runs).is_file()]
            if not there:
                raise SettingError(f"there are no weights of short runs in {given.runs}", "make them with --train DATA")
            self.files = {one.label: str(one.weights(given.runs)) for one in there}
            self.made_from = {one.label: made_from(one, given.runs) for one in there}
            self.rows = tuple(Variant(one.label, image_size=TRAINED_SIZE) for one in there)
            self.base = next(one.label for one in TRAINED if one.name == TRAINED_BASE)
        else:
            self.files = {each.label: given.model for each in VARIANTS}
            self.rows, self.base = VARIANTS, BASE

    def of_clip(self, clip: FirstFrames, done: Sequence[str]) -> Iterator[tuple[str, float]]:
        """Label and score of the rows that are not done."""
        features: dict[object, dict[int, ImageFeatures]] = {}
        for row in self.rows:
            if row.label not in done:
                shared = features.setdefault((self.files[row.label], row.image_size), {})
                yield row.label, round(j_and_f(self._model(row), clip, row.policy, shared), 5)

    def _model(self, row: Variant) -> SAM2:
        """Loaded afresh where parts are taken out; one is kept for all rows of the same weights and size."""
        name = f"{self.files[row.label]} {row.image_size} {row.label if row.change else ''}"
        if name not in self._loaded:
            model = load_model(self.files[row.label], device=self.device, dtype=self.dtype, image_size=row.image_size)
            if row.change:
                row.change(model)
            self._loaded[name] = model
        return self._loaded[name]


def clips_of(given: argparse.Namespace) -> list[FirstFrames]:
    sequences: list[AnnotatedSequence] = held_out_sequences(given.held_out) if given.held_out else []
    sequences += list(DrawnDataset(given.drawn, DRAWN))
    if not sequences:
        raise DatasetError("there are no clips", "give --held-out DATA or --drawn N")
    return [FirstFrames(each, min(each.num_frames, given.max_frames)) for each in sequences]


def measure(given: argparse.Namespace) -> JobRecord:
    clips, rows = clips_of(given), Rows(given)
    request = {
        "trained": given.trained,
        "model": None if given.trained else Path(given.model).name,
        "weights": None if given.trained else file_digest(locate(given.model)),
        "precision": str(rows.dtype).removeprefix("torch."),
        "clips": {clip.name: clip.num_frames for clip in clips},
    }
    record = JobRecord(given.json, "ablations", request, keep=(MADE_FROM,))
    if given.trained:
        forget_stale(record, rows.made_from)
    end = time.monotonic() + 60 * given.minutes
    for clip in tqdm(clips, unit=" clips", disable=None):
        done = record.jobs.get(clip.name, {})
        for label, score in rows.of_clip(clip, tuple(done)):
            done = {**done, label: score}
            record.add(clip.name, done)
            if time.monotonic() > end:
                print("time is over; the same command goes on")
                return _digested(record, rows)
    return _digested(record, rows)


def _digested(record: JobRecord, rows: Rows) -> JobRecord:
    labels = [row.label for row in rows.rows]
    whole = {clip: each for clip, each in record.jobs.items() if rows.base in each and set(labels) <= set(each)}
    if whole:
        found: list[dict[str, Any]] = []
        for label in labels:
            ours, base = ([[each[name]] for each in whole.values()] for name in (label, rows.base))
            gain = None if label == rows.base else asdict(difference_interval(ours, base))
            found.append({"label": label, "j_and_f": float(np.mean(ours)), "less_base": gain})
        record.write(digest={"clips": list(whole), "rows": found})
    return record


def page(records: Sequence[JobRecord]) -> str:
    """Tables of the records, as Markdown."""
    parts = []
    for record in records:
        digest, asked, rows = record.content["digest"], record.request, rows_to_tell(record)
        if not rows:
            continue
        frames = sum(asked["clips"][clip] for clip in digest["clips"])
        about = "Short runs, trained and tracked at 384 x 224" if asked["trained"] else "The shipped weights"
        lines = [
            f"{about}; J&F over {len(digest['clips'])} clips of {frames} frames in all "
            f"({', '.join(digest['clips'])}), {asked['precision']}, `{record.content['command']}`:",
            "",
            "| | J&F | difference (95 % interval over clips) |",
            "|---|---|---|",
        ]
        for row in rows:
            gain = row["less_base"]
            told = (
                "" if gain is None else "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * value for value in gain.values()))
            )
            lines.append(f"| {row['label']} | {100 * row['j_and_f']:.1f} | {told} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def records_of(given: argparse.Namespace) -> list[JobRecord]:
    """Those that are there, of the shipped weights first."""
    found = []
    for name in ("ablations.json", "ablations_trained.json"):
        path = given.json.parent / name
        if path.is_file() and "digest" in (record := JobRecord(path, "ablations", None)).content:
            found.append(record)
    return found


def train_all(given: argparse.Namespace) -> None:
    end = time.monotonic() + 60 * given.minutes
    wanted = [one for one in TRAINED if not given.only or one.name in given.only]
    if unknown := set(given.only or ()) - {one.name for one in TRAINED}:
        raise SettingError(f"no short run is called {min(unknown)}", f"there are: {', '.join(o.name for o in TRAINED)}")
    for one in wanted:
        begin = time.monotonic()
        with StepBar() as bar:
            done = run(one, given.train, given.cache, given.runs, bar, lambda: time.monotonic() > end)
        print(
            f"{one.name}: {'done' if done else 'stopped'} after {(time.monotonic() - begin) / 60:.1f} minutes",
            flush=True,
        )
        if not done:
            print("the same command goes on")
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held-out", type=Path, metavar="DATA", help="training data, of which four were left out")
    parser.add_argument("--drawn", type=int, default=4, metavar="N", help="drawn clips")
    parser.add_argument("--max-frames", type=int, default=40, metavar="N", help="only the first frames of each clip")
    parser.add_argument("--model", default="compact", metavar="NAME|FILE")
    parser.add_argument("--trained", action="store_true", help="rows are the short runs")
    parser.add_argument("--train", type=Path, metavar="DATA", help="make the short runs")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="of the short runs")
    parser.add_argument("--runs", type=Path, default=Path("runs/ablations"), metavar="DIR")
    parser.add_argument("--cache", type=Path, default=Path("cache"), metavar="DIR", help="of decoded data")
    parser.add_argument("--minutes", type=float, default=float("inf"), metavar="N", help="begin nothing after these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the record, which goes on")
    parser.add_argument("--page", action="store_true", help="compute nothing")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables between the marks of a page")
    given = parser.parse_args()
    given.json = given.json or RESULTS / ("ablations_trained.json" if given.trained else "ablations.json")
    try:
        if given.train:
            train_all(given)
            return
        if not given.page:
            measure(given)
        if not (records := records_of(given)):
            raise SettingError("no clip is complete yet, so there is nothing to tell", "run the benchmark")
        if not (text := page(records)):
            raise SettingError("no record is of the weights and recipes as they are now", "run the benchmark")
        print(text)
        if given.write:
            write_marked(given.write, "ablations", text)
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")


if __name__ == "__main__":
    main()
