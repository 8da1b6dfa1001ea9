"""What the terminal shows while work goes on, and how it is told to stop."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Never, Protocol

import typer
from tqdm import tqdm

USER_ERROR, INTERRUPTED = 2, 130


class Progress(Protocol):
    """How far some work is, as the studies report it."""

    @property
    def stage(self) -> str:
        """What is being done."""
        ...

    @property
    def done(self) -> int:
        """Frames finished."""
        ...

    @property
    def total(self) -> int | None:
        """How many there will be; None if unknown."""
        ...


class _AboveTheBar(logging.Handler):
    """Log lines that do not tear the progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(f"{record.levelname.lower()}: {record.getMessage()}", file=sys.stderr)


def log_to_terminal(verbose: bool) -> None:
    """Send the library's warnings, or with `verbose` all it has to say, to stderr."""
    log = logging.getLogger("maskscope")
    log.handlers = [_AboveTheBar()]
    log.setLevel(logging.INFO if verbose else logging.WARNING)
    log.propagate = False


class ProgressBar:
    """Frames, rate and time left, on stderr; silent where that is no terminal."""

    def __init__(self) -> None:
        self._bar: tqdm[Never] | None = None
        self._stage = ""

    def __call__(self, progress: Progress) -> None:
        """Show how far the work is."""
        if self._bar is None or self._stage != progress.stage:
            self.close()
            self._stage = progress.stage
            self._bar = _bar(progress)
        self._bar.total = progress.total  # it may turn out to be less
        self._bar.update(progress.done - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it is and go to the next line."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _bar(progress: Progress) -> tqdm[Never]:
    return tqdm(
        desc=progress.stage,
        total=progress.total,
        initial=progress.done,
        unit=" frames",
        file=sys.stderr,
        disable=None,  # where stderr is no terminal
        dynamic_ncols=True,
    )


class Stop:
    """Whether the user, or the system, has asked to stop; remembers with which signal."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self) -> bool:
        """True once a signal has come."""
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """As shells count: 130 for Ctrl-C, 143 for a request to terminate."""
        return 128 + (self.signal or 0)


@contextmanager
def stopping(unit: str = "frame") -> Iterator[Stop]:
    """Turn the first Ctrl-C (or SIGTERM) into a flag, so that the frame (or `unit`) at hand can be finished and saved.

    A second one acts at once.
    """
    stop = Stop()
    earlier = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.signal = number
        restore()
        typer.echo(f"\nstopping after this {unit} (once more to stop at once)", err=True)

    def restore() -> None:
        for number, handler in earlier.items():
            signal.signal(number, handler)

    for number in earlier:
        signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        restore()
