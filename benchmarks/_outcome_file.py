"""Outcomes as lines of JSON: what is done stays done, whatever ends the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from _planted_page import Outcome
from maskscope.errors import OutputError, RecordError
from maskscope.records import write_whole


class OutcomeFile:
    """One line that says of what, then one for each case; a last line that was cut off is dropped.

    Args:
        path: need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header: dict[str, Any] = {}
        self.done: dict[str, Outcome] = {}
        if path.exists():
            self._read()

    def _read(self) -> None:
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        lines = whole.decode("utf-8", "replace").splitlines()
        try:
            self.header = json.loads(lines[0]) if lines else {}
            for line in lines[1:]:
                found = json.loads(line)
                found["outcome"]["frames"] = tuple(found["outcome"]["frames"])
                self.done[found["case"]] = Outcome(**found["outcome"])
        except (ValueError, KeyError, TypeError) as error:
            raise RecordError(f"{self.path} is no file of outcomes ({error})", "name another, or remove it") from error
        if len(whole) < len(content):
            write_whole(self.path, whole)

    def begin(self, header: Mapping[str, Any]) -> None:
        """Say of what; of a file that is there, check that it is of the same.

        Raises:
            RecordError: it is of another request.
            OutputError: it cannot be written.
        """
        plain = json.loads(json.dumps(header))
        if not self.header:
            self.header = plain
            self._append(plain)
        elif self.header["request"] != plain["request"]:
            different = [key for key, value in plain["request"].items() if self.header["request"].get(key) != value]
            raise RecordError(
                f"{self.path} holds outcomes of another {' and '.join(different) or 'request'}", "name another file"
            )

    def add(self, case: str, outcome: Outcome) -> None:
        """One more; it is on disk when this returns.

        Raises:
            OutputError: it cannot be written.
        """
        self.done[case] = outcome
        self._append({"case": case, "outcome": asdict(outcome)})

    def _append(self, content: Mapping[str, Any]) -> None:
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(content) + "\n")
        except OSError as error:
            raise OutputError(
                f"cannot write {self.path} ({error.strerror})", "give a file in a folder that exists"
            ) from error
