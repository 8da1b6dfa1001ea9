"""`maskscope evaluate`: how well predicted masks agree with true ones, whoever predicted them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Never

import typer
from tqdm import tqdm

if TYPE_CHECKING:
    from maskscope.studies.evaluate import Evaluation

_WHAT, _RESULTS = "What counts", "Results"
_MOST_NOTES = 12

HELP = """
Score predicted masks against true ones: J and F as the benchmarks count them, and what kinds of failure there are.

PREDICTIONS holds a folder for each sequence with a PNG for each frame, values being object numbers, or in it a folder \
for each object, as of SA-V; DIR is a data set or the folder of its annotations. Of results of `maskscope track`, give \
the folder above those that hold masks/.

\b
  hit        of the frames with the object, the share found (IoU above 0.1)
  miss       those on which nothing was predicted
  drift      those on which the prediction was elsewhere
  halluc     of the frames without it, those on which something was predicted
  R A Q ADQ  VOT's robustness, accuracy, quality and absence detection
  returns    how often it came back; found: share found again (IoU 0.5);
             after: frames until then

Examples:

\b
  maskscope evaluate predictions --ground-truth DAVIS --split 2017/val
  maskscope evaluate predictions --ground-truth DAVIS --csv scores.csv
  maskscope evaluate predictions --ground-truth sav_val --protocol sav
"""


class ProtocolChoice(StrEnum):
    """Names of `--protocol`."""

    davis = "davis"
    mose = "mose"
    sav = "sav"
    lvos = "lvos"
    ytvos = "ytvos"
    all_frames = "all-frames"


def evaluate(
    predictions: Annotated[Path, typer.Argument(metavar="PREDICTIONS", help="Folder of predicted masks.")],
    ground_truth: Annotated[
        Path, typer.Option(metavar="DIR", help="Data set, or folder of its true masks.", show_default=False)
    ],
    protocol: Annotated[
        ProtocolChoice,
        typer.Option(help="Which frames and objects count, and how they are averaged.", rich_help_panel=_WHAT),
    ] = ProtocolChoice.davis,
    single_object: Annotated[
        bool,
        typer.Option("--single-object", help="Merge all objects into one, as DAVIS 2016 does.", rich_help_panel=_WHAT),
    ] = False,
    sequences: Annotated[
        list[str] | None, typer.Option(metavar="NAME[,NAME]", help="Only these.", rich_help_panel=_WHAT)
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Only those of a list under ImageSets: 2017/val.", rich_help_panel=_WHAT),
    ] = None,
    unseen: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Names of sequences or categories unseen in training, for lvos and ytvos. (default: "
            "unseen_videos.txt in DIR)",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write everything as JSON.", rich_help_panel=_RESULTS)
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a row for each object.", rich_help_panel=_RESULTS)
    ] = None,
    parquet: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write records of every frame (needs PyArrow).", rich_help_panel=_RESULTS),
    ] = None,
    per_frame: Annotated[
        bool, typer.Option("--per-frame", help="Frames in CSV and JSON, too.", rich_help_panel=_RESULTS)
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files.", rich_help_panel=_RESULTS)] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", "-j", metavar="N", help="Processes. (default: as many as processors)", show_default=False
        ),
    ] = None,
) -> None:
    """Score predicted masks; see `HELP`."""
    from maskscope.data.output import new_file
    from maskscope.extras import load_extra
    from maskscope.studies.evaluate import EvaluateOptions, evaluate_folders, write_results

    for file in (json, csv, parquet):
        if file is not None:
            new_file(file, overwrite)
    if parquet is not None:
        load_extra("pyarrow", "tables", "Parquet files")
    names = None if sequences is None else tuple(name for text in sequences for name in text.split(",") if name)
    options = EvaluateOptions(
        protocol.value, single_object, names, split, unseen, jobs=_processors() if jobs is None else jobs
    )
    with _Bar() as bar:
        evaluation = evaluate_folders(predictions, ground_truth, options, progress=bar)
    write_results(evaluation, json_file=json, csv_file=csv, parquet_file=parquet, frames=per_frame)
    typer.echo(report(evaluation))


def report(evaluation: Evaluation) -> str:
    """Tables for the terminal: how well, and what goes wrong; then what the rules left out."""
    rows = evaluation.rows
    accuracy = {
        "J&F": "j_and_f",
        "J": "j",
        "J-rec": "j_recall",
        "J-dec": "j_decay",
        "F": "f",
        "F-rec": "f_recall",
        "F-dec": "f_decay",
    }
    if evaluation.protocol.moses:
        accuracy = {"J&Fdot": "j_and_f_adaptive", "Fdot": "f_adaptive", "gone": "disappearance", "back": "reappearance"}
        accuracy |= {"J&F": "j_and_f", "J": "j", "F": "f"}
    presence = {
        "hit": "hit",
        "miss": "miss",
        "drift": "drift",
        "halluc": "hallucination",
        "R": "robustness",
        "A": "accuracy",
        "Q": "quality",
        "ADQ": "absence_detection",
        "returns": "returns",
        "found": "recovered",
        "after": "latency_frames",
    }
    parts = [f"{evaluation.protocol.name}: {evaluation.protocol.about}", "", *_table(rows, accuracy)]
    groups = [
        f"{group.name:<7} {group.num_objects} objects, J {group.j.mean:.3f}, F {group.f.mean:.3f}"
        for group in evaluation.dataset.groups
    ]
    parts += ["", *groups] if groups else []
    parts += ["", *_table(rows, presence)]
    notes = evaluation.notes
    if len(notes) > _MOST_NOTES:
        notes = (*notes[:_MOST_NOTES], f"{len(notes) - _MOST_NOTES} more, all of them with --json")
    parts += ["", *(f"note: {note}" for note in notes)] if notes else []
    return "\n".join(parts)


def _table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> list[str]:
    """Aligned lines, the last row apart."""
    width = max(len("sequence"), *(len(row["sequence"]) for row in rows))
    lines = [f"{'sequence':<{width}} {'objects':>7} " + " ".join(f"{title:>7}" for title in columns)]
    rule = "-" * len(lines[0])
    for row in rows:
        cells = " ".join(f"{_cell(row[name]):>7}" for name in columns.values())
        lines.append(f"{row['sequence']:<{width}} {row['objects']:>7} {cells}")
    return [lines[0], rule, *lines[1:-1], rule, lines[-1]]


def _cell(value: float | int | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Bar:
    """Sequences done, on stderr; silent where that is no terminal."""

    def __init__(self) -> None:
        self._bar: tqdm[Never] | None = None

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = tqdm(
                desc="evaluating", total=total, unit=" sequences", file=sys.stderr, disable=None, dynamic_ncols=True
            )
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
