"""The folder a run writes to: what is in it, whether a run may start there, or go on there."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from maskscope.data.output import writing
from maskscope.errors import OutputError

FORMAT: Final = "maskscope.run/1"
Status = Literal["running", "stopped", "broken", "failed", "finished"]
Json = dict[str, Any]


class ResultFolder:
    """Names and state of a run's results.

    `run.json` says what was asked for (`request`: two runs with the same request give the same masks), how far it
    came (`status`) and how it was done; `session.safetensors` is there while the run can be resumed.

    Status: `running` (also after the process was killed), `stopped` on request, `broken` when a live stream ended with
    an error, `failed` on any other error, `finished`.

    Args:
        path: the folder; need not exist.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.overlay = self.path / "overlay.mp4"
        self.masks = self.path / "masks"
        self.records = self.path / "masks.jsonl"
        self.ordered_records = self.path / ".masks.jsonl.part"
        self.run = self.path / "run.json"
        self.session = self.path / "session.safetensors"
        self.next_session = self.path / ".session.safetensors.part"

    def overlay_part(self, frame: int) -> Path:
        """The overlay from a frame on, of a run that was resumed there."""
        return self.path / f"overlay-{frame:05d}.mp4"

    def examine(self, request: Mapping[str, Any], overwrite: bool) -> Json | None:
        """Whether the run may write here; changes nothing.

        Args:
            request: what the run is asked for, as plain JSON values.
            overwrite: start afresh whatever is there.

        Returns:
            The content of `run.json` of an unfinished run of the same request, to go on with; None to start afresh.

        Raises:
            OutputError: the folder holds results that starting afresh would destroy, or is no folder.
        """
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path} is a file, expected a folder", "name another with --out")
        taken = [path.name for path in (self.run, self.overlay, self.masks, self.records) if path.exists()]
        if overwrite or not taken:
            return None
        remedy = "name another folder with --out, or add --overwrite"
        earlier = self._earlier()
        if earlier is None:
            raise OutputError(f"{self.path} holds {', '.join(taken)} that no known run has written", remedy)
        different = _different(earlier["request"], json.loads(json.dumps(request)))
        if different:
            raise OutputError(f"{self.path} holds the results of another run (other {', '.join(different)})", remedy)
        if earlier["status"] == "finished":
            raise OutputError(f"{self.path} holds the finished results of this very run", f"{remedy} to do it again")
        if self.session.exists():
            return earlier
        if self._holds_frames():
            raise OutputError(
                f"{self.path} holds the first part of this very run, which left no state to go on from", remedy
            )
        return None

    def holds(self, path: Path) -> bool:
        """Whether writing results would destroy what is at `path`."""
        ours = (self.overlay, self.masks, self.records, self.ordered_records, self.run, self.session)
        return path.resolve() in {mine.resolve() for mine in ours}

    def clear(self) -> None:
        """Remove what an earlier run has written, and nothing else."""
        with writing(self.path):
            for pattern in (
                "overlay.mp4",
                "overlay-[0-9]*.mp4",
                ".overlay.mp4.part",
            ):
                for path in self.path.glob(pattern):
                    path.unlink()
            for path in (self.records, self.ordered_records, self.session, self.next_session, self.run):
                path.unlink(missing_ok=True)
            if self.masks.is_dir():
                for path in (*self.masks.glob("[0-9]*.png"), *self.masks.glob(".[0-9]*.png.part")):
                    path.unlink()
                with contextlib.suppress(OSError):  # something else is in it
                    self.masks.rmdir()

    def tidy(self, parts: bool) -> None:
        """Remove what only an unfinished run needs: the session, and (`parts`) stretches of an overlay now whole."""
        with writing(self.path):
            for path in (self.session, self.next_session):
                path.unlink(missing_ok=True)
            for part in self.path.glob("overlay-[0-9]*.mp4") if parts else ():
                part.unlink()

    def write_run(self, status: Status, content: Mapping[str, Any]) -> None:
        """Write `run.json`, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        text = json.dumps({"format": FORMAT, "status": status, **content}, indent=2, ensure_ascii=False) + "\n"
        beside = self.run.with_name(f".{self.run.name}.part")
        with writing(self.run):
            self.path.mkdir(parents=True, exist_ok=True)
            beside.write_text(text, encoding="utf-8")
            os.replace(beside, self.run)

    def _holds_frames(self) -> bool:
        """Whether any frame's result is there; an empty file or folder is none."""
        files = (self.records, *self.path.glob("overlay*.mp4"), *self.masks.glob("[0-9]*.png"))
        return any(path.is_file() and path.stat().st_size > 0 for path in files)

    def _earlier(self) -> Json | None:
        try:
            content = json.loads(self.run.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            return None
        return content if {"status", "request", "resolved", "runs"} <= content.keys() else None


def _different(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Names of the settings that differ."""
    return [name.replace("_", " ") for name in {**earlier, **now} if earlier.get(name) != now.get(name)]
