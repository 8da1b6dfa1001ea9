"""Scores as rows: of a data set, a sequence, an object, a frame; for the terminal, for files and as records."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from maskscope.evaluate.adaptive import ComeAndGo
from maskscope.evaluate.presence import Outcome, Presence, Returns, outcomes
from maskscope.evaluate.scores import DatasetScore, ObjectScore, SequenceScore, Statistics
from maskscope.records import Record

Row = dict[str, Any]
"""Names to numbers, names, or None where there is nothing to measure."""


def object_row(score: ObjectScore, sequence: str) -> Row:
    """All measures of one object."""
    return {
        "sequence": sequence,
        "object": score.object_id,
        "frames": len(score.frames),
        **_accuracy(score.j, score.f, score.f_adaptive),
        "variation": score.variation,
        **(_clips(ComeAndGo.of(score)) if score.adaptive is not None else {}),
        **asdict(Presence.of(score)),
        "returns": Returns.of(score).count,
    }


def sequence_row(score: SequenceScore) -> Row:
    """Means over the objects of one sequence."""
    return {
        "sequence": score.name,
        "objects": len(score.objects),
        "frames": len(score.frames),
        **_accuracy(score.j, score.f, score.f_adaptive),
        **(_clips(ComeAndGo.average(score.objects)) if score.protocol.moses else {}),
        **asdict(sequence_presence(score)),
        "returns": sum(Returns.of(each).count for each in score.objects),
    }


def dataset_row(dataset: DatasetScore, sequences: Sequence[SequenceScore]) -> Row:
    """Means over a data set: J and F over objects, or as the protocol says; presence over sequences, as VOT does."""
    objects = [each for score in sequences for each in score.objects]
    return {
        "sequence": "mean",
        "objects": dataset.num_objects,
        "frames": sum(len(score.frames) for score in sequences),
        **_accuracy(dataset.j, dataset.f, dataset.f_adaptive),
        **(_clips(ComeAndGo.average(objects)) if dataset.protocol.moses else {}),
        **{
            f"{measure}_{group.name}": getattr(group, measure).mean
            for group in dataset.groups
            for measure in ("j", "f")
        },
        **asdict(Presence.average(sequence_presence(score) for score in sequences)),
        "returns": sum(Returns.of(each).count for each in objects),
    }


def frame_rows(score: ObjectScore, sequence: str) -> Iterator[Row]:
    """J, F, overlap and kind of each frame that counts."""
    kinds = outcomes(score)
    for index, frame in enumerate(score.frames):
        yield {
            "sequence": sequence,
            "object": score.object_id,
            "frame": int(frame),
            "j": float(score.region[index]),
            "f": float(score.boundary[index]),
            **({} if score.adaptive is None else {"f_adaptive": float(score.adaptive[index])}),
            "iou": float(score.iou[index]),
            "outcome": Outcome(kinds[index]).name,
            "truth_px": int(score.truth_px[index]),
            "predicted_px": int(score.predicted_px[index]),
        }


def sequence_presence(score: SequenceScore) -> Presence:
    """Presence averaged over the objects of a sequence."""
    return Presence.average(Presence.of(each) for each in score.objects)


def records_of(score: SequenceScore, record: Callable[..., Record]) -> Iterator[Record]:
    """All measures of a sequence as records: of each frame and object, and of each object as a whole.

    Frames have "j", "f", "iou" (and "f_adaptive") with values, and "outcome" with a state; whole objects have the
    columns of `object_row`. What could not be measured has no record.

    Args:
        score: whose.
        record: makes a record of `object`, `metric` and `value` or `state`, perhaps `frame`; knows run, clip and what
            else all of them share.
    """
    for each in score.objects:
        for row in frame_rows(each, score.name):
            place = {"frame": row["frame"], "object": each.object_id}
            for metric in ("j", "f", "f_adaptive", "iou"):
                if metric in row:
                    yield record(**place, metric=metric, value=row[metric])
            yield record(**place, metric="outcome", state=row["outcome"])
        for metric, value in object_row(each, score.name).items():
            if metric not in ("sequence", "object") and value is not None:
                yield record(object=each.object_id, metric=metric, value=float(value))


def to_csv(rows: Iterable[Row]) -> str:
    """Rows, one or more, under the names of the first one's columns; empty where there is nothing to measure."""
    together = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(together[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(together)
    return text.getvalue()


def _accuracy(j: Statistics, f: Statistics, f_adaptive: Statistics | None) -> Row:
    adaptive: Mapping[str, Any] = {}
    if f_adaptive is not None:
        adaptive = {"f_adaptive": f_adaptive.mean, "j_and_f_adaptive": (j.mean + f_adaptive.mean) / 2}
    return {
        "j_and_f": (j.mean + f.mean) / 2,
        "j": j.mean,
        "j_recall": j.recall,
        "j_decay": j.decay,
        "f": f.mean,
        "f_recall": f.recall,
        "f_decay": f.decay,
        **adaptive,
    }


def _clips(clips: ComeAndGo) -> Row:
    return {
        "disappearance": clips.disappearance.j_and_f_adaptive if clips.disappearance else None,
        "reappearance": clips.reappearance.j_and_f_adaptive if clips.reappearance else None,
    }
