"""What tells one input of a run from another."""

from __future__ import annotations

from pathlib import Path

from maskscope.data.stream import without_password
from maskscope.studies.result_folder import Json


def identity(name: str) -> str | Json:
    """What tells an input from another: of a file path, size and time of change; of a folder its path."""
    path = Path(name).expanduser()
    if "://" in name or not path.exists():
        return without_password(name)
    if path.is_dir():
        return str(path.resolve())
    state = path.stat()
    return {"path": str(path.resolve()), "bytes": state.st_size, "modified_ns": state.st_mtime_ns}
