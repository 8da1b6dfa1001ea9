"""What a data set's metadata says of evaluation: which objects count, on which frames, and of which category."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskscope.data.metadata import find_metadata
from maskscope.errors import DatasetError
from maskscope.evaluate.rules import Protocol

UNSEEN_LIST = "unseen_videos.txt"
"""Where LVOS lists the videos of categories that its training set lacks."""


@dataclass(frozen=True)
class Metadata:
    """Objects of sequences, by name.

    Attributes:
        objects: sequence -> object -> numbers of its frames, None where the masks say them.
        categories: sequence -> object -> category, where it is told.
        unseen: sequences and categories unseen in training; None where nothing says it.
    """

    objects: Mapping[str, Mapping[int, range | None]]
    categories: Mapping[str, Mapping[int, str]]
    unseen: frozenset[str] | None = None

    def is_unseen(self, sequence: str, object_id: int) -> bool:
        """Whether the object is of a category unseen in training."""
        names = {sequence, self.categories.get(sequence, {}).get(object_id, "")}
        return not names.isdisjoint(self.unseen or ())


def read_metadata(root: Path, rules: Protocol, unseen: Path | None = None) -> Metadata:
    """Read what lies beside the masks: `meta.json` or `<split>_meta.json`, and a list of what is unseen.

    Args:
        root: the data set's folder.
        rules: only the protocols of MOSE, LVOS and YouTube-VOS go by metadata.
        unseen: a file that names sequences or categories, one a line; else `unseen_videos.txt` in the folder.

    Raises:
        DatasetError: a file cannot be read, or is laid out otherwise.
    """
    if not (rules.averages_unseen or rules.moses):
        return Metadata({}, {})
    listed = unseen or root / UNSEEN_LIST
    names = _read_names(listed) if unseen or listed.is_file() else None
    path = find_metadata(root) if root.is_dir() else None
    if path is None:
        return Metadata({}, {}, names)
    try:
        videos = {str(name): _objects(video["objects"]) for name, video in _read(path)["videos"].items()}
        return Metadata(
            {name: {number: _frames(of, rules) for number, of in objects.items()} for name, objects in videos.items()},
            {
                name: {number: str(of["category"]) for number, of in objects.items() if "category" in of}
                for name, objects in videos.items()
            },
            names,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{path} does not list objects of videos ({type(error).__name__}: {error})",
            'expected {"videos": {name: {"objects": {"1": {...}}}}}',
        ) from error


def _objects(listed: Any) -> dict[int, dict[str, Any]]:
    """MOSE lists numbers alone, others say more of each."""
    if isinstance(listed, dict):
        return {int(number): dict(facts) for number, facts in listed.items()}
    return {int(number): {} for number in listed}


def _frames(facts: Mapping[str, Any], rules: Protocol) -> range | None:
    """The frames that LVOS's program goes through: the end itself is not among them."""
    if rules.step_frames == 1 or "frame_range" not in facts:
        return None
    return range(int(facts["frame_range"]["start"]), int(facts["frame_range"]["end"]), rules.step_frames)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(f"cannot read {path} ({error.strerror})", "check the path and its access rights") from error


def _read_names(path: Path) -> frozenset[str]:
    try:
        return frozenset(line.strip() for line in path.read_text(encoding="utf-8").splitlines()) - {""}
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"cannot read {path} ({error})", "expected a name of a sequence or category a line"
        ) from error
