"""What the video benchmarks share: timing a method, one table per method, and a record that can be committed."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Generic, TypeVar

from maskscope.errors import OutputError
from maskscope.evaluate.protocol import SequenceScore, Statistics, summarise
from maskscope.studies.told_command import told_command

T = TypeVar("T")

PACKAGES = ("maskscope", "numpy", "opencv-python-headless", "pillow", "torch")


class Timed(Generic[T]):
    """Pass items on and add up the time spent making them, not the time spent using them."""

    def __init__(self, items: Iterable[T]) -> None:
        self.items = items
        self.seconds = 0.0
        self.count = 0

    def __iter__(self) -> Iterator[T]:
        source = iter(self.items)
        while True:
            begin = time.perf_counter()
            try:
                item = next(source)
            except StopIteration:
                return
            finally:
                self.seconds += time.perf_counter() - begin
            self.count += 1
            yield item


@dataclass(frozen=True)
class Result:
    """A method on one sequence: its score, and the seconds it took to make `num_frames` predictions."""

    sequence: str
    score: SequenceScore
    num_frames: int
    seconds: float


@dataclass(frozen=True)
class Row:
    """One line of a table; fractions in 0..1, `fps` frames a second."""

    sequence: str
    objects: int
    frames: int
    j: Statistics
    f: Statistics
    j_and_f: float
    fps: float


def rows_of(results: Sequence[Result]) -> list[Row]:
    """A row for each sequence, and last the mean: over objects for J and F, over all frames for fps."""
    rows = [
        Row(
            result.sequence,
            len(result.score.object_ids),
            result.num_frames,
            result.score.j,
            result.score.f,
            result.score.j_and_f,
            result.num_frames / result.seconds,
        )
        for result in results
    ]
    total = summarise(result.score for result in results)
    frames = sum(row.frames for row in rows)
    fps = frames / sum(result.seconds for result in results)
    return [*rows, Row("mean", total.num_objects, frames, total.j, total.f, total.j_and_f, fps)]


def print_table(title: str, rows: Sequence[Row]) -> None:
    """Aligned columns, J and F in percent as papers print them."""
    width = max(len("sequence"), *(len(row.sequence) for row in rows))
    rule = "-" * (width + 47)
    print(f"\n{title}")
    print(f"{'sequence':<{width}} {'objects':>8} {'frames':>7} {'J':>7} {'F':>7} {'J&F':>7} {'fps':>6}")
    print(rule)
    for number, row in enumerate(rows):
        if number == len(rows) - 1:
            print(rule)
        print(
            f"{row.sequence:<{width}} {row.objects:>8} {row.frames:>7} {100 * row.j.mean:>7.2f} "
            f"{100 * row.f.mean:>7.2f} {100 * row.j_and_f:>7.2f} {row.fps:>6.1f}"
        )


def write_record(path: Path, benchmark: str, protocol: str, tables: Mapping[str, Sequence[Row]], **facts: Any) -> None:
    """Everything the tables say, with what it takes to get it again.

    Args:
        path: JSON file to write.
        benchmark: what was measured.
        protocol: which frames and objects count.
        tables: rows by method.
        facts: more that the reader must know, such as the device.

    Raises:
        OutputError: the file cannot be written.
    """
    record = {
        "benchmark": benchmark,
        "command": command_line(),
        "protocol": protocol,
        "versions": versions(),
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
        **facts,
        "tables": {method: [asdict(row) for row in rows] for method, rows in tables.items()},
    }
    try:
        path.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"cannot write {path} ({error.strerror})", "give --json a file in a folder that exists"
        ) from error


def command_line() -> str:
    """The command that runs now, paths outside this folder cut to their last part, for readers elsewhere."""
    script, *arguments = sys.argv
    return shlex.join(["python", f"benchmarks/{Path(script).name}", *told_command(arguments)])


def versions() -> dict[str, str]:
    """Of Python and of the packages that figures depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # not every benchmark needs every package
            continue
    return found
