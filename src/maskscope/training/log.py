"""The log of a run: a JSON object a line, also after a kill."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskscope.data.output import writing


@dataclass(frozen=True)
class RunLog:
    """Lines with at least a `step`, in order of steps."""

    path: Path

    def write(self, line: dict[str, Any]) -> None:
        """Add a line.

        Raises:
            OutputError: it cannot be written.
        """
        with writing(self.path), open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def lines(self) -> list[dict[str, Any]]:
        """All whole lines; a kill may have cut the last one."""
        found: list[dict[str, Any]] = []
        if self.path.is_file():
            for text in self.path.read_text(encoding="utf-8").splitlines():
                try:
                    found.append(json.loads(text))
                except json.JSONDecodeError:
                    continue
        return found

    def cut(self, step: int) -> None:
        """Drop what was logged after `step`, from where the run goes on."""
        kept = [line for line in self.lines() if line["step"] <= step]
        partial = self.path.with_name(f".{self.path.name}.partial")
        with writing(self.path):
            partial.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
            partial.replace(self.path)

    def has(self, step: int, key: str) -> bool:
        """Whether some line of this step says `key`."""
        return any(line["step"] == step and key in line for line in self.lines())
