"""Work for tests of grids: quick, and importable in other processes."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maskscope.errors import DatasetError
from maskscope.records import Record
from maskscope.studies.jobs import Job, Tick


@dataclass(frozen=True)
class Square:
    """One row: the number's square. Every time it is computed leaves a line in a diary."""

    number: int
    diary: Path
    steps: int = 1
    step_s: float = 0.0

    def __call__(self, run: str, tick: Tick) -> list[Record]:
        write(self.diary, f"begun {self.number}")
        for _ in range(self.steps):
            tick()
            time.sleep(self.step_s)
        write(self.diary, f"done {self.number}")
        return [Record(run=run, clip=f"clip{self.number}", metric="square", value=float(self.number**2))]


@dataclass(frozen=True)
class Refused:
    """A mistake of the user."""

    def __call__(self, run: str, tick: Tick) -> list[Record]:
        raise DatasetError("the target fills the frame\nand cannot be hidden", "take another clip")


@dataclass(frozen=True)
class Broken:
    """A mistake of ours."""

    def __call__(self, run: str, tick: Tick) -> list[Record]:
        raise ZeroDivisionError("by nothing")


@dataclass(frozen=True)
class Deadly:
    """Ends its process the first `times` it is tried."""

    diary: Path
    times: int

    def __call__(self, run: str, tick: Tick) -> list[Record]:
        write(self.diary, "tried")
        if lines(self.diary).count("tried") <= self.times:
            os.kill(os.getpid(), 9)
        return [Record(run=run, clip="survivor", metric="square", value=0.0)]


def squares(count: int, diary: Path, steps: int = 1, step_s: float = 0.0) -> list[Job]:
    """Jobs for the numbers from 0 on."""
    return [Job(f"square {i}", {"square": i}, Square(i, diary, steps, step_s), size=10) for i in range(count)]


def write(diary: Path, line: str) -> None:
    """One line with the process's number, whole also when several write."""
    file = os.open(diary, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(file, f"{line} in {os.getpid()}\n".encode())
    os.close(file)


def lines(diary: Path) -> Sequence[str]:
    """What was written, without processes."""
    return [line.partition(" in ")[0] for line in diary.read_text().splitlines()] if diary.exists() else []


def processes(diary: Path, line: str) -> list[int]:
    """Who wrote that."""
    found = [entry.partition(" in ") for entry in diary.read_text().splitlines()] if diary.exists() else []
    return [int(number) for said, _, number in found if said == line]
