"""Folders of files that belong together by their names."""

from __future__ import annotations

import difflib
from pathlib import Path

from maskscope.errors import DatasetError

MASK_SUFFIXES = frozenset({".png"})


def unknown_sequence(root: Path, name: str, sequences: list[str]) -> DatasetError:
    """The error for a name that is not among the sequences; near names are shown."""
    near = difflib.get_close_matches(name, sequences)
    return DatasetError(f"{root} has no sequence {name!r}", f"there are: {listed(near or sequences)}")


def folder_names(parent: Path) -> list[str]:
    """Names of the folders in a folder, sorted, hidden ones left out; none where there is no such folder."""
    if not parent.is_dir():
        return []
    return sorted(path.name for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))


def files_by_stem(folder: Path, suffixes: frozenset[str]) -> dict[str, Path]:
    """Files of these kinds by stem, in order of name; none where there is no such folder."""
    if not folder.is_dir():
        return {}
    kept = (path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith("."))
    return {path.stem: path for path in sorted(kept)}


def listed(names: list[str], most: int = 5) -> str:
    """A few names for a message."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown or "none"
