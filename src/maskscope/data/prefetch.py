"""Decode the next frames while this one is being worked on."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

STUCK_S = 5.0  # how long to wait for a source that hangs in a read before leaving its thread behind


def prefetch(frames: Iterable[T], depth: int = 4) -> Generator[T, None, None]:
    """The same items, produced by a thread of their own up to `depth` items ahead.

    The thread starts with the first item asked for and ends with the items, on an error (raised again here, after the
    items before it), or when this iterator is closed or dropped.

    Args:
        frames: anything to iterate over; it is iterated in the other thread only.
        depth: how many items may wait, at least 1; each frame waiting holds its pixels in memory.
    """
    if depth < 1:
        raise ValueError(f"depth must be at least 1, got {depth}")
    return _consume(frames, depth)


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def _consume(frames: Iterable[T], depth: int) -> Generator[T, None, None]:
    items: queue.Queue[T | _End] = queue.Queue(depth)
    stopped = threading.Event()
    thread = threading.Thread(target=_produce, args=(frames, items, stopped), name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item = items.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stopped.set()
        # The producer may be waiting for room; it looks at the flag after each item, so emptying once is enough.
        with contextlib.suppress(queue.Empty):
            while True:
                items.get_nowait()
        thread.join(STUCK_S)


def _produce(frames: Iterable[T], items: queue.Queue[T | _End], stopped: threading.Event) -> None:
    error: BaseException | None = None
    iterator: Iterator[T] | None = None
    try:
        iterator = iter(frames)
        for item in iterator:
            items.put(item)
            if stopped.is_set():
                break
    except BaseException as caught:  # all of it belongs to the consumer
        error = caught
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()
        if not stopped.is_set():
            items.put(_End(error))
