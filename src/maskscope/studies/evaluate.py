"""Score a folder of predicted masks, whoever made it, against a folder of true ones."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from maskscope import __version__
from maskscope.data.davis import DavisDataset
from maskscope.data.folders import listed
from maskscope.errors import DatasetError, MaskscopeError, SettingError
from maskscope.evaluate.folder import MaskFolder, MaskPair
from maskscope.evaluate.metadata import Metadata, read_metadata
from maskscope.evaluate.protocol import evaluate_sequence, summarise
from maskscope.evaluate.rules import DAVIS, Protocol, find_protocol
from maskscope.evaluate.scores import DatasetScore, SequenceScore
from maskscope.evaluate.tables import Row, dataset_row, frame_rows, object_row, records_of, sequence_row, to_csv
from maskscope.evaluate.truth import TrueFolder, expect_truth, open_truth
from maskscope.records import Record, encode_records, write_whole

FORMAT = "maskscope.evaluation/1"


@dataclass(frozen=True)
class EvaluateOptions:
    """What to score, and how.

    Attributes:
        protocol: one of `maskscope.evaluate.rules.PROTOCOLS`, by name.
        single_object: merge all objects into one, in truth and prediction, as DAVIS 2016 does.
        sequences: only these; None for all.
        split: only those of a list under `ImageSets`, such as "2017/val".
        unseen: file that names sequences or categories unseen in training, for protocols that average over them.
        jobs: processes that share the sequences; 1 works in this one.
    """

    protocol: str = DAVIS.name
    single_object: bool = False
    sequences: tuple[str, ...] | None = None
    split: str | None = None
    unseen: Path | None = None
    jobs: int = 1


@dataclass(frozen=True)
class Evaluation:
    """Scores of a folder of predictions.

    Attributes:
        protocol: the rules.
        sequences: by name.
        dataset: the mean, as the protocol takes it.
        notes: what the rules left out or filled in, one sentence each, sequences named.
        request: what was asked for, as JSON values.
    """

    protocol: Protocol
    sequences: tuple[SequenceScore, ...]
    dataset: DatasetScore
    notes: tuple[str, ...]
    request: dict[str, Any]

    @property
    def rows(self) -> list[Row]:
        """A row for each sequence, and last the mean."""
        return [*(sequence_row(score) for score in self.sequences), self.mean]

    @property
    def mean(self) -> Row:
        """The data set's row."""
        return dataset_row(self.dataset, self.sequences)

    @property
    def objects(self) -> list[Row]:
        """A row for each object."""
        return [object_row(each, score.name) for score in self.sequences for each in score.objects]

    @property
    def frames(self) -> list[Row]:
        """A row for each object on each frame that counts for it."""
        return [row for score in self.sequences for each in score.objects for row in frame_rows(each, score.name)]

    def records(self) -> Iterator[Record]:
        """Everything as records, one value each; the run is named by what was asked for."""
        run = hashlib.sha256(json.dumps(self.request, sort_keys=True).encode()).hexdigest()[:16]
        for score in self.sequences:
            yield from records_of(score, partial(Record, run=run, clip=score.name, protocol=self.protocol.name))

    def document(self, *, frames: bool = False) -> dict[str, Any]:
        """Everything as JSON values; with `frames` those, too."""
        return {
            "format": FORMAT,
            "maskscope_version": __version__,
            **self.request,
            "protocol": asdict(self.protocol),
            "notes": list(self.notes),
            "mean": self.mean,
            "sequences": self.rows[:-1],
            "objects": self.objects,
            **({"frames": self.frames} if frames else {}),
        }


def evaluate_folders(
    predictions: Path | str,
    ground_truth: Path | str,
    options: EvaluateOptions | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score predicted masks against true ones (layouts: see `maskscope.evaluate.folder`).

    With more than one job, sequences are shared out among processes that are started anew, so a script that calls
    this does so under `if __name__ == "__main__"`.

    Args:
        predictions: folder of predicted masks.
        ground_truth: folder of a data set, or of its masks.
        options: see `EvaluateOptions`.
        progress: called with the sequences done and their number, at the start and after each.

    Raises:
        DatasetError: a folder or file is missing, damaged, or laid out otherwise; sequences that the protocol wants.
        ShapeError: masks of another size.
        MaskscopeError: frames or objects that the protocol does not forgive.
        SettingError: an unknown protocol, or less than one job.
    """
    options = options or EvaluateOptions()
    rules = find_protocol(options.protocol)
    if options.jobs < 1:
        raise SettingError(f"{options.jobs} jobs leave nobody to work", "give 1 or more")
    metadata = read_metadata(Path(ground_truth), rules, options.unseen)
    pairs, notes = match_folders(predictions, ground_truth, rules, options)
    scores: list[SequenceScore] = []
    if progress:
        progress(0, len(pairs))
    for score in _score_all(pairs, rules, metadata, options.jobs):
        scores.append(score)
        if progress:
            progress(len(scores), len(pairs))
    dataset = summarise(scores, is_unseen=None if metadata.unseen is None else metadata.is_unseen)
    extra = sum(pair.extra_frames for pair in pairs)
    notes += [f"{extra} predicted frames without true mask ignored"] if extra else []
    notes += [f"{score.name}: {note}" for score in scores for note in score.notes]
    request = {
        "predictions": Path(predictions).name,
        "ground_truth": Path(ground_truth).name,
        "protocol": rules.name,
        "single_object": options.single_object,
        "sequences": [score.name for score in scores],
        "unseen": sorted(metadata.unseen) if metadata.unseen is not None else None,
    }
    return Evaluation(rules, tuple(scores), dataset, (*notes, *dataset.notes), request)


def write_results(
    evaluation: Evaluation, *, json_file: Path | None, csv_file: Path | None, parquet_file: Path | None, frames: bool
) -> None:
    """Write files, each whole or not at all.

    Args:
        evaluation: what to write.
        json_file: everything, as one document.
        csv_file: a row for each object.
        parquet_file: records, one value each (see `maskscope.records`), always with frames.
        frames: of CSV a row for each object on each frame instead; of JSON those, too.

    Raises:
        OutputError: a file cannot be written.
        SettingError: PyArrow is needed and not installed.
    """
    if json_file is not None:
        text = json.dumps(evaluation.document(frames=frames), indent=1, allow_nan=False, ensure_ascii=False)
        write_whole(json_file, f"{text}\n".encode())
    if csv_file is not None:
        write_whole(csv_file, to_csv(evaluation.frames if frames else evaluation.objects).encode())
    if parquet_file is not None:
        facts = {"format": FORMAT, "maskscope_version": __version__, **evaluation.request}
        write_whole(parquet_file, encode_records(evaluation.records(), facts))


def match_folders(
    predictions: Path | str, ground_truth: Path | str, rules: Protocol, options: EvaluateOptions
) -> tuple[list[MaskPair], list[str]]:
    """Truth and predictions of each sequence, and notes on what has no partner.

    Raises:
        DatasetError: nothing matches, or the protocol wants what is not there.
    """
    true, predicted = open_truth(ground_truth), MaskFolder.open(predictions)
    wanted = _wanted(true, Path(ground_truth), options)
    expect_truth(ground_truth, wanted)
    if (true.alone or predicted.alone) and len(wanted) == len(predicted.sequences) == 1:
        # A clip by itself: its folders may be called anything.
        guess = predicted[predicted.sequences[0]]
        return [MaskPair(wanted[0], true[wanted[0]], guess, options.single_object)], []
    missing = [name for name in wanted if name not in predicted.sequences]
    if len(missing) == len(wanted):
        raise DatasetError(
            f"{predicted.root} has masks of none of the sequences of {true.root}: it holds "
            f"{listed(list(predicted.sequences))}, expected {listed(wanted)}",
            "give the folder that holds a folder of masks a sequence",
        )
    if missing and rules.missing_sequences == "refuse":
        raise DatasetError(
            f"protocol {rules.name} wants every sequence predicted, {predicted.root} lacks {len(missing)} of "
            f"{len(wanted)}: {listed(missing)}",
            "predict them, or name those to score with --sequences or --split",
        )
    extra = [name for name in predicted.sequences if name not in wanted]
    narrowed = options.sequences is not None or options.split is not None
    if extra and rules.extra_sequences == "refuse" and not narrowed:
        raise DatasetError(
            f"protocol {rules.name} wants no sequence that truth lacks, {predicted.root} has {len(extra)}: "
            f"{listed(extra)}",
            "remove them, or name those to score with --sequences",
        )
    notes = [f"predicted sequences without truth ignored: {listed(extra)}"] if extra and not narrowed else []
    return [
        MaskPair(name, true[name], None if name in missing else predicted[name], options.single_object)
        for name in wanted
    ], notes


def _wanted(true: TrueFolder, root: Path, options: EvaluateOptions) -> list[str]:
    names = list(true.sequences) if options.split is None else DavisDataset(root, split=options.split).sequences
    if options.sequences is not None:
        names = [name for name in dict.fromkeys(options.sequences) if options.split is None or name in names]
    if unknown := [name for name in names if name not in true.sequences]:
        raise DatasetError(
            f"{true.root} has no masks of {listed(unknown)}", f"there are: {listed(list(true.sequences))}"
        )
    if not names:
        raise DatasetError("no sequence is left to score", "name sequences of the split")
    return names


def _score_all(pairs: Sequence[MaskPair], rules: Protocol, metadata: Metadata, jobs: int) -> Iterator[SequenceScore]:
    """Scores in the order of the pairs, as they come."""
    score = partial(_score, rules=rules, metadata=metadata)
    jobs = min(jobs, len(pairs))
    if jobs == 1:
        yield from map(score, pairs)
        return
    # Fresh processes: a copy of this one could inherit locks of its threads in a state that nobody ever ends.
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _start_worker)
    try:
        yield from pool.map(score, pairs)
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits for us
    cv2.setNumThreads(1)


def _score(pair: MaskPair, rules: Protocol, metadata: Metadata) -> SequenceScore:
    found = None
    if pair.prediction is not None:
        found = pair.predictions(drops_first=rules.drops_first, drops_last=rules.drops_last)
    objects = None if pair.single_object else metadata.objects.get(pair.name)
    try:
        return evaluate_sequence(
            found, pair.truths(), rules, name=pair.name, frame_numbers=pair.frame_numbers, objects=objects
        )
    except MaskscopeError as error:
        if isinstance(error, DatasetError):
            raise  # it names the file
        raise type(error)(f"{pair.name}: {error.problem}", error.remedy) from error
