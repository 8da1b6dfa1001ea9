"""Who computes which job, said by files in a folder that several processes, also of several machines, work on.

A claim is a file that only one process can create. Its time of change is renewed while the process lives; a claim whose
process is gone (seen at once on the same machine, elsewhere by its time standing still) is taken over. At worst a job
is computed twice: results are put in place whole, so that nothing breaks.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from maskscope.errors import OutputError

BEAT_S: Final = 10.0
STALE_S: Final = 60.0
"""A claim that nobody has renewed for so long is nobody's."""


@dataclass
class Claims:
    """The claims of this process; a context that renews them and gives them all up in the end.

    Args:
        folder: where the files are; made if need be.
        beat_s: how often claims are renewed.
        stale_s: how long another process's claim may stand still.
    """

    folder: Path
    beat_s: float = BEAT_S
    stale_s: float = STALE_S
    _token: str = field(default_factory=lambda: uuid.uuid4().hex)
    _held: set[str] = field(default_factory=set)
    _seen: dict[str, tuple[object, float]] = field(default_factory=dict)  # claim of others -> its state, and since when
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(self.folder, error) from error
        threading.Thread(target=self._beat, name="claims", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for name in sorted(self._held):
            self.release(name)

    def take(self, name: str) -> bool:
        """Whether the job is this process's now; False while another one computes it.

        Raises:
            OutputError: the folder cannot be written.
        """
        if self._create(name):
            return True
        if self._is_live(name):
            return False
        self._remove_stale(name)
        return self._create(name)

    def release(self, name: str) -> None:
        """Give a claim up, unless somebody has taken it over."""
        with self._guard:
            self._held.discard(name)
        path = self._path(name)
        if _token(path) == self._token:
            with contextlib.suppress(OSError):
                path.unlink()

    def tidy(self, name: str) -> None:
        """Remove a claim that a process left behind; a live one stays."""
        if self._path(name).exists() and not self._is_live(name):
            self._remove_stale(name)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.claim"

    def _create(self, name: str) -> bool:
        try:
            file = os.open(self._path(name), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return False
        except OSError as error:
            raise _unusable(self.folder, error) from error
        content = {"host": this_machine(), "pid": os.getpid(), "token": self._token}
        try:
            os.write(file, json.dumps(content).encode())
        finally:
            os.close(file)
        with self._guard:
            self._held.add(name)
        self._seen.pop(name, None)
        return True

    def _is_live(self, name: str) -> bool:
        path = self._path(name)
        try:
            modified_ns = path.stat().st_mtime_ns
        except OSError:
            return False
        said = _read(path)
        if said.get("host") == this_machine() and not process_lives(said.get("pid")):
            return False
        # By this machine's clock alone: clocks of two machines may differ by more than any limit.
        state = (said.get("token"), modified_ns)
        before, since = self._seen.get(name, (None, 0.0))
        now = time.monotonic()
        if before != state:
            self._seen[name] = (state, now)
            return True
        return now - since < self.stale_s

    def _remove_stale(self, name: str) -> None:
        """Move the claim out of the way by a rename, which only one of several processes achieves."""
        stale = _token(self._path(name))
        aside = self.folder / f".{name}.{uuid.uuid4().hex[:12]}.stale"
        try:
            os.rename(self._path(name), aside)
        except OSError:
            return  # another process was faster
        if _token(aside) != stale:  # it was, and has claimed the job meanwhile: back with its claim
            with contextlib.suppress(OSError):
                os.link(aside, self._path(name))
        with contextlib.suppress(OSError):
            aside.unlink()

    def _beat(self) -> None:
        while not self._over.wait(self.beat_s):
            with self._guard:
                held = sorted(self._held)
            for name in held:
                with contextlib.suppress(OSError):
                    os.utime(self._path(name))


@lru_cache(maxsize=1)
def this_machine() -> str:
    """What tells machines apart, and on one machine the containers that number their processes anew."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def process_lives(number: object) -> bool:
    """Whether this machine has a process of that number; where that cannot be told, yes."""
    if not isinstance(number, int) or sys.platform == "win32":  # where asking would end the process
        return True
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _read(path: Path) -> dict[str, object]:
    """What a claim says; nothing where it is just being written."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _token(path: Path) -> object:
    return _read(path).get("token")


def _unusable(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"cannot write to {folder} ({error.strerror or error})", "check the folder and its access rights"
    )
