"""`maskscope data`: what is wrong with a data set, and what is in it."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from tqdm import tqdm

if TYPE_CHECKING:
    from maskscope.data.dataset import Dataset
    from maskscope.data.problems import Problem

PROBLEMS = 1  # exit code; 2 says that it is no data set
NAMED = 4  # frames that a line of the table names

app = typer.Typer(no_args_is_help=True, help="Look into data sets of videos with masks.")

Thing = TypeVar("Thing")
Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder of a data set, or of one of its splits.", show_default=False)
]
Layout = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="davis, davis-test, youtube-vos, mose, lvos, sa-v, sa-v-train or video; else recognised by its files.",
        show_default=False,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]


@app.command("check")
def check(
    folder: Folder,
    layout: Layout = None,
    every: Annotated[bool, typer.Option("--every", help="One line for each finding, not for each kind.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all findings as JSON too.", show_default=False)
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Tell everything that is wrong with a data set.

    All frames and masks are read: missing frames and masks, sizes that change, masks that are no label maps, colours
    that clash, object numbers that jump or are not listed, empty masks, files that cannot be read. Masks that are empty
    because their object is out of sight are counted, and are no problem.

    Exit code 0: nothing is wrong; 1: something is; 2: not a data set.
    """
    from maskscope.data.check import check_dataset

    dataset = _opened(folder, layout)
    findings = [
        finding for found in _progress(check_dataset(dataset), 1 + len(dataset), "checking") for finding in found
    ]
    problems = [finding for finding in findings if not finding.harmless]
    harmless = len(findings) - len(problems)
    if problems:
        rows = _every_line(problems) if every else _lines_by_kind(problems)
        _print_table(("sequence", "problem", "count", "frames", "detail"), rows, numbers=(2,))
        typer.echo("")
    where = len({problem.sequence for problem in problems})
    told = f"{_many(len(problems), 'problem')} in {_many(where, 'sequence')}" if problems else "nothing is wrong"
    typer.echo(f"{told}, {len(dataset)} checked" + (f"; {_harmless(findings)}" if harmless else ""))
    if json_file is not None:
        _write_json(
            json_file,
            overwrite,
            {
                "layout": dataset.layout,
                "sequences": len(dataset),
                "problems": [_as_dict(problem) for problem in problems],
                "harmless": [_as_dict(finding) for finding in findings if finding.harmless],
            },
        )
    if problems:
        raise typer.Exit(PROBLEMS)


@app.command("summary")
def summary(
    folder: Folder,
    layout: Layout = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write it as JSON too, each object by itself.", show_default=False),
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the table as CSV too.", show_default=False)
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Tell what is in a data set: sizes of objects, how they move, how often they are away.

    Area is the share of the frame, side the square root of the area in pixels: medians over frames, then over objects.
    Motion is how far an object's centroid moves in one frame, over its side: median, and largest step. Absences are
    counted from an object's first appearance on; the longest is in frames. A dash: masks do not tell.
    """
    from maskscope.data.summary import summarise_dataset

    dataset = _opened(folder, layout)
    found = list(_progress(summarise_dataset(dataset), len(dataset), "reading masks"))
    rows = [sequence.row for sequence in found]
    header = ("sequence", "frames", "masks", "size", "fps", "objects", "area", "side px", "motion", "max", "absences")
    _print_table(
        (*header, "longest"),
        [
            (
                row["name"],
                str(row["frames"]),
                str(row["annotated"]),
                f"{row['width']}x{row['height']}",
                _number(row["fps"], "g"),
                str(row["objects"]),
                _number(row["area_share"], ".2%"),
                _number(row["side_px"], ".0f"),
                _number(row["motion_median"], ".3f"),
                _number(row["motion_max"], ".3f"),
                _number(row["absences"], "d"),
                _number(row["longest_absence_frames"], "d"),
            )
            for row in rows
        ],
        numbers=range(1, 12),
    )
    frames, objects = sum(row["frames"] for row in rows), sum(row["objects"] for row in rows)
    typer.echo(f"\n{_many(len(rows), 'sequence')}, {_many(frames, 'frame')}, {_many(objects, 'object')}")
    if json_file is not None:
        content = {"layout": dataset.layout, "sequences": [sequence.as_dict() for sequence in found]}
        _write_json(json_file, overwrite, content)
    if csv_file is not None:
        _write_csv(csv_file, overwrite, rows)


def _opened(folder: Path, layout: str | None) -> Dataset:
    """The data set; says on stderr as what it was recognised."""
    from maskscope.data.layouts import open_dataset, recognise

    if layout is None:
        found = recognise(folder)
        typer.echo(f"layout {found.layout}: {found.because}", err=True)
        layout = found.layout
    return open_dataset(folder, layout)


def _lines_by_kind(problems: Sequence[Problem]) -> Iterator[tuple[str, ...]]:
    """One row for each kind of problem of each sequence, with the detail of the first."""
    groups: dict[tuple[str | None, str], list[Problem]] = {}
    for problem in problems:
        groups.setdefault((problem.sequence, problem.kind), []).append(problem)
    for (sequence, kind), group in groups.items():
        frames = list(dict.fromkeys(problem.frame for problem in group if problem.frame is not None))
        named = ", ".join(frames[:NAMED]) + (" ..." if len(frames) > NAMED else "")
        yield sequence or "-", kind, str(len(group)), named or "-", group[0].detail


def _every_line(problems: Iterable[Problem]) -> Iterator[tuple[str, ...]]:
    for problem in problems:
        yield problem.sequence or "-", problem.kind, "1", problem.frame or "-", problem.detail


def _harmless(findings: Iterable[Problem]) -> str:
    """Findings that may be meant so, counted by kind."""
    counts: dict[str, int] = {}
    for finding in findings:
        if finding.harmless:
            counts[finding.kind] = counts.get(finding.kind, 0) + 1
    return "may be meant so: " + ", ".join(f"{kind} ({count})" for kind, count in counts.items())


def _as_dict(problem: Problem) -> dict[str, Any]:
    return {
        "sequence": problem.sequence,
        "kind": str(problem.kind),
        "frame": problem.frame,
        "detail": problem.detail,
    }


def _progress(work: Iterable[Thing], total: int, what: str) -> Iterable[Thing]:
    return tqdm(work, what, total, leave=False, file=sys.stderr, disable=None, unit=" sequences", dynamic_ncols=True)


def _print_table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int]) -> None:
    """Columns as wide as need be, those in `numbers` to the right."""
    right = set(numbers)
    table = [tuple(header), *map(tuple, rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    for row in table:
        cells = (
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        typer.echo("  ".join(cells).rstrip())


def _write_json(path: Path, overwrite: bool, content: dict[str, Any]) -> None:
    from maskscope.data.output import new_file, writing

    with writing(new_file(path, overwrite)):
        path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _write_csv(path: Path, overwrite: bool, rows: Sequence[dict[str, Any]]) -> None:
    from maskscope.data.output import new_file, writing

    with writing(new_file(path, overwrite)), path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _many(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")
