"""What of a diagnosis is done, so that one that was stopped goes on where it was.

Each part is one file in the folder `parts`, written whole; `request.json` beside them says what was asked for. When the
diagnosis is finished the folder goes: everything is in the records then.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from maskscope.data.output import writing
from maskscope.errors import RecordError
from maskscope.records import Record, read_facts, read_records, write_records, write_whole
from maskscope.studies.label_store import LabelStore
from maskscope.studies.looked_at import LookedAt

PARTS_NAME: Final = "parts"
_REQUEST, _LABELS = "request.json", "own-masks.npz"


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of work that is done.

    Attributes:
        rows: of the records.
        said: JSON values that are not rows, such as which pictures were written.
    """

    rows: tuple[Record, ...] = ()
    said: Mapping[str, Any] = field(default_factory=dict)


class Parts:
    """The parts of one diagnosis.

    Args:
        folder: of the diagnosis.
        request: JSON values; all that decides the results. Parts of another request are not these.
    """

    def __init__(self, folder: Path, request: Mapping[str, Any]) -> None:
        self.path = folder / PARTS_NAME
        self.request = json.loads(json.dumps(request, sort_keys=True, default=str))

    @property
    def begun(self) -> bool:
        """Whether this very request was begun here and not finished."""
        try:
            found = json.loads((self.path / _REQUEST).read_bytes())
        except (OSError, ValueError):
            return False
        return bool(found == self.request)

    def begin(self) -> None:
        """Note what is asked for.

        Raises:
            OutputError: it cannot be written.
        """
        write_whole(self.path / _REQUEST, json.dumps(self.request, indent=1).encode())

    def save(self, name: str, part: Part) -> Part:
        """Keep a part.

        Raises:
            OutputError: it cannot be written.
            SettingError: PyArrow is not installed.
        """
        write_records(part.rows, self.path / f"{name}.parquet", part.said)
        return part

    def load(self, name: str) -> Part | None:
        """A part; None where it is not done, or damaged: then it is done again."""
        file = self.path / f"{name}.parquet"
        try:
            return Part(tuple(read_records(file)), read_facts(file)) if file.exists() else None
        except RecordError:
            return None

    def save_labels(self, labels: LabelStore) -> None:
        """Keep the masks that stand in for truth.

        Raises:
            OutputError: they cannot be written.
        """
        write_whole(self.path / _LABELS, labels.to_bytes())

    def load_labels(self, num_frames: int) -> LabelStore | None:
        """The masks; None where they are not there, damaged, or not of all frames."""
        try:
            labels = LabelStore.from_bytes((self.path / _LABELS).read_bytes())
        except (OSError, ValueError):
            return None
        return labels if len(labels) == num_frames else None

    def clear(self) -> None:
        """Remove them, and nothing else.

        Raises:
            OutputError: they cannot be removed.
        """
        with writing(self.path):
            (self.path / _REQUEST).unlink(missing_ok=True)  # first: what is left without it is nobody's
            for pattern in ("*.parquet", _LABELS, ".*.part"):
                for file in self.path.glob(pattern):
                    file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # something else is in it, or it was never made
                self.path.rmdir()


def content_of(clip: LookedAt, frames: Sequence[int] | None = None) -> str:
    """SHA-256 over some frames' pixels, and masks where there are any: the first, the middle and the last by default.

    Names say too little of a clip: a file may have been replaced.
    """
    digest = hashlib.sha256()
    for t in frames or (0, clip.num_frames // 2, clip.num_frames - 1):
        digest.update(np.ascontiguousarray(clip.frame(t)).data)
        if clip.annotated:
            digest.update(np.ascontiguousarray(clip.masks(t)).data)
    return digest.hexdigest()
