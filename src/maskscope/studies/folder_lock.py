"""One run at a time in a folder: a lock that the system gives up by itself when the process ends, however it ends."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from maskscope.data.output import writing
from maskscope.errors import OutputError

log = logging.getLogger(__name__)

LOCK_NAME: Final = ".lock"
_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL)  # of some network file systems


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the folder for this run; makes it if need be, and leaves no file behind.

    Raises:
        OutputError: another run holds it, or it cannot be written.
    """
    path = folder / LOCK_NAME
    made = not folder.exists()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = _taken(path)
        if file is None:
            raise OutputError(
                f"{folder} is being written by another run ({_holder(path)})",
                "wait for it to end, or name another folder with --out",
            )
    try:
        yield
    finally:
        if sys.platform == "win32":  # where a file that is open cannot be removed
            os.close(file)
            with contextlib.suppress(OSError):
                path.unlink()
        else:
            with contextlib.suppress(OSError):
                path.unlink()
            os.close(file)
        if made:
            with contextlib.suppress(OSError):  # there is something in it, as there should be
                folder.rmdir()


def _taken(path: Path) -> int | None:
    """The locked file, with the process's number in it; None when somebody else has it."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _lock(file):
                os.close(file)
                return None
            with contextlib.suppress(OSError):
                # Between opening and locking, the run before may have removed the file: then this is no lock.
                if os.path.samestat(os.fstat(file), path.stat()):
                    os.truncate(file, 0)
                    os.write(file, f"{os.getpid()}\n".encode())
                    return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _lock(file: int) -> bool:
    """Whether the file could be locked; also true where the file system knows no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(file, 1 << 20, os.SEEK_SET)  # beyond the number, which others may then read
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
            os.lseek(file, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
            return False
        if error.errno in _NO_LOCKS:
            log.info("no locks here (%s): do not start two runs in one folder", error.strerror)
            return True
        raise
    return True


def _holder(path: Path) -> str:
    try:
        return f"process {int(path.read_text())}"
    except (OSError, ValueError):
        return "just started"
