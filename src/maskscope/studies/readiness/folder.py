"""The folder that a readiness run writes to, and goes on in."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from maskscope.data.output import writing
from maskscope.errors import OutputError
from maskscope.readiness.result import PAGE_NAME, RESULT_NAME
from maskscope.records import Record, write_records, write_whole
from maskscope.report.page.diagnosis import RECORDS_NAME

PASSES_NAME: Final = "passes"
_REQUEST_NAME: Final = "request.json"


class ReadinessFolder:
    """`records.parquet`, `readiness.json`, `readiness.html`, and `passes/` with what an interrupted run goes on from.

    Args:
        path: the folder; need not exist.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.records, self.result = self.path / RECORDS_NAME, self.path / RESULT_NAME
        self.page, self.passes = self.path / PAGE_NAME, self.path / PASSES_NAME

    def examine(self, overwrite: bool) -> None:
        """Refuse to write where a finished result is; changes nothing.

        Raises:
            OutputError: the folder holds a result and `overwrite` is not set, or it is no folder.
        """
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path} is a file, expected a folder", "name another with --out")
        if overwrite:
            return
        foreign = self.records.exists() and not self.passes.is_dir()
        if self.result.exists() or self.page.exists() or foreign:
            raise OutputError(
                f"{self.path} holds results already", "name another folder with --out, or add --overwrite"
            )

    def begin(self, request: str, overwrite: bool) -> bool:
        """Make room; True where finished passes of the same request are there to go on from.

        Raises:
            OutputError: passes of another request are there and `overwrite` is not set.
        """
        file = self.passes / _REQUEST_NAME
        same = self._request(file) == request
        if self._finished_passes() and not same and not overwrite:
            raise OutputError(
                f"{self.path} holds an unfinished run of something else",
                "give the command that began it to go on, name another folder with --out, or add --overwrite",
            )
        with writing(self.path):
            for path in (self.records, self.result, self.page):
                path.unlink(missing_ok=True)
            for path in () if same else self.passes.glob("*.json"):
                path.unlink()
        if not same:
            write_whole(file, json.dumps({"request": request}).encode())
        return same

    def chosen(self) -> str | None:
        """The budget that `choose` was told for the request that was begun; None where it was not."""
        found = _content(self.passes / _REQUEST_NAME).get("chosen")
        return found if isinstance(found, str) else None

    def pace(self) -> float | None:
        """Seconds a frame that `choose` was told; None where it was not."""
        found = _content(self.passes / _REQUEST_NAME).get("seconds_a_frame")
        return found if isinstance(found, float) else None

    def choose(self, name: str, seconds_a_frame: float) -> None:
        """Keep a budget and the speed it was chosen by, so that a run that goes on has the same."""
        file = self.passes / _REQUEST_NAME
        kept = {**_content(file), "chosen": name, "seconds_a_frame": float(seconds_a_frame)}
        write_whole(file, json.dumps(kept).encode())

    def abandon(self) -> None:
        """Take back what `begin` made, unless there are finished passes: the command was a mistake."""
        if not self._finished_passes():
            with contextlib.suppress(OSError):
                (self.passes / _REQUEST_NAME).unlink(missing_ok=True)
                self.passes.rmdir()

    def write(self, records: Iterable[Record], facts: Mapping[str, Any]) -> None:
        """Write the records so far.

        Raises:
            OutputError: they cannot be written.
            SettingError: PyArrow is not installed.
        """
        write_records(records, self.records, facts)

    def _finished_passes(self) -> list[Path]:
        return [each for each in self.passes.glob("*.json") if each.name != _REQUEST_NAME]

    @staticmethod
    def _request(file: Path) -> str | None:
        found = _content(file).get("request")
        return found if isinstance(found, str) else None


def _content(file: Path) -> dict[str, Any]:
    """Of a JSON object; empty where the file is not there, or holds something else."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(file.read_text())
        return found if isinstance(found, dict) else {}
    return {}
