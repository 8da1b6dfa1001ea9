"""A benchmark's record that grows job by job: whatever ends the run, what is done stays done."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _table import command_line, versions
from maskscope.errors import RecordError
from maskscope.records import write_whole


class JobRecord:
    """One JSON file: what was asked for, the result of each job, and last what comes out of them.

    Args:
        path: read if it is there, written after every job.
        benchmark: what it is of.
        request: what decides the results; a file of another request is refused. None takes what is there.
        keep: further keys of the file to keep.

    Raises:
        RecordError: the file is of something else, or damaged.
    """

    def __init__(self, path: Path, benchmark: str, request: Mapping[str, Any] | None, keep: Sequence[str] = ()) -> None:
        self.path, self.benchmark = path, benchmark
        self.content: dict[str, Any] = {}
        if path.exists():
            self._read(request)
        elif request is None:
            raise RecordError(f"there is no {path}", "run the benchmark first")
        if request is not None:
            machine = {"system": platform.system(), "processor": platform.machine()}
            about = {"benchmark": benchmark, "command": command_line(), "versions": versions(), "machine": machine}
            kept = {key: self.content[key] for key in keep if key in self.content}
            jobs = self.content.get("jobs", {})
            self.content = {**about, "request": json.loads(json.dumps(request)), **kept, "jobs": jobs}

    def _read(self, request: Mapping[str, Any] | None) -> None:
        try:
            self.content = json.loads(self.path.read_text(encoding="utf-8"))
            there, benchmark = self.content["request"], self.content["benchmark"]
            self.content["jobs"].items()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RecordError(f"{self.path} is no record of a benchmark ({error})", "name another file") from None
        plain = there if request is None else json.loads(json.dumps(request))
        if benchmark != self.benchmark or there != plain:
            keys = [key for key in there.keys() | plain.keys() if there.get(key) != plain.get(key)]
            raise RecordError(
                f"{self.path} holds results of another {' and '.join(sorted(keys)) or 'benchmark'}",
                "name another file with --json, or remove it",
            )

    @property
    def request(self) -> dict[str, Any]:
        """What decides the results."""
        asked: dict[str, Any] = self.content["request"]
        return asked

    @property
    def jobs(self) -> dict[str, Any]:
        """Results by the jobs' names."""
        done: dict[str, Any] = self.content["jobs"]
        return done

    def add(self, name: str, result: Any) -> None:
        """One more; it is on disk when this returns.

        Raises:
            OutputError: it cannot be written.
        """
        self.jobs[name] = result
        self.write()

    def write(self, **digest: Any) -> None:
        """Write all, with more fields if there are any.

        Raises:
            OutputError: it cannot be written.
        """
        self.content |= digest
        text = json.dumps(self.content, indent=1, allow_nan=False) + "\n"
        write_whole(self.path, text.encode())
