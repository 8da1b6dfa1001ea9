"""What all writers share: one way to refuse and one way to fail."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from av.error import FFmpegError

from maskscope.errors import OutputError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's errors while writing `path` into one line that says what to do.

    Raises:
        OutputError: instead of any error of the system or of FFmpeg in the block.
    """
    try:
        yield
    except OutputError:
        raise
    except (OSError, FFmpegError) as error:
        raise _failure(path, error) from error


def new_file(path: Path, overwrite: bool) -> Path:
    """The path, once it is sure that writing there destroys nothing; makes the folders above it.

    Raises:
        OutputError: it exists and `overwrite` is not set, or the folder cannot be made.
    """
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already", "name another file, or allow overwriting")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _failure(path: Path, error: OSError | FFmpegError) -> OutputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(
            f"disk full while writing {path}; what was written before is readable",
            "make room, or write to another disk",
        )
    return OutputError(f"cannot write {path} ({error.strerror or error})", "check the folder and its access rights")
