"""Write in the background, so that encoding and disks overlap with the model's work."""

from __future__ import annotations

import logging
import queue
import threading
from types import TracebackType
from typing import Any, Protocol, Self

log = logging.getLogger(__name__)


class _Writes(Protocol):
    def close(self) -> None: ...

    @property
    def write(self) -> Any: ...


class AsyncWriter:
    """Run one writer in a thread of its own; several writers take one `AsyncWriter` each.

    `write` takes what the wrapped writer's `write` takes and returns at once, or waits while `depth` calls are
    pending. Do not change arrays after handing them over. The first error of the writer is raised by the next `write`
    or by `close`; calls after the failed one are dropped, and the wrapped writer is closed all the same.

    Args:
        writer: anything with `write(...)` and `close()`.
        depth: how many calls may be pending, at least 1.
    """

    def __init__(self, writer: _Writes, depth: int = 8) -> None:
        if depth < 1:
            raise ValueError(f"depth must be at least 1, got {depth}")
        self._writer = writer
        self._calls: queue.Queue[tuple[tuple[Any, ...], dict[str, Any]] | None] = queue.Queue(depth)
        self._error: BaseException | None = None
        self._raised = self._closed = False
        self._thread = threading.Thread(target=self._work, name=f"write-{type(writer).__name__}", daemon=True)
        self._thread.start()

    def write(self, *args: Any, **kwargs: Any) -> None:
        """Hand one call to the writer.

        Raises:
            ValueError: after `close`.
            OutputError: or whatever an earlier call has met.
        """
        if self._closed:
            raise ValueError("write after close")
        self._raise_error()
        self._calls.put((args, kwargs))

    def flush(self) -> None:
        """Wait until the pending calls are done.

        Raises:
            OutputError: or whatever one of them, or an earlier one, has met.
        """
        self._calls.join()
        self._raise_error()

    def close(self) -> None:
        """Finish the pending calls, close the writer, and raise what was not raised yet."""
        if not self._closed:
            self._closed = True
            self._calls.put(None)
            self._thread.join()
        if not self._raised:
            self._raise_error()

    def _raise_error(self) -> None:
        if self._error is not None:
            self._raised = True
            raise self._error

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            if self._error is None:
                try:
                    self._writer.write(*call[0], **call[1])
                except BaseException as error:  # it belongs to the thread that called
                    self._error = error
            self._calls.task_done()
        try:
            self._writer.close()
        except BaseException as error:
            self._error = self._error or error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except Exception as failure:
            if error is None:
                raise
            # What stopped the work matters more than what went wrong while tidying up after it.
            log.warning("while closing: %s", failure)
