"""The newest item of a source that does not wait: what comes while one is being worked on replaces what is waiting."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


def newest(items: Iterable[T], stuck_s: float = 15.0) -> Generator[T]:
    """Of the items, which a thread of its own takes as they come, the latest each time one is asked for.

    The first item and the last are never dropped. The thread ends with the items, on an error (raised again here, after
    the last item), or at the next item once this iterator is closed or dropped.

    Args:
        items: anything to iterate over; it is iterated in the other thread only.
        stuck_s: how long closing waits for a source that hangs before it leaves the thread behind, in seconds.
    """
    slot: _Slot[T] = _Slot()
    thread = threading.Thread(target=_fill, args=(items, slot), name="newest", daemon=True)
    thread.start()
    try:
        while (item := slot.take()) is not None:
            yield item[0]
    finally:
        slot.close()
        thread.join(stuck_s)


class _Slot(Generic[T]):
    """Room for one item."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: tuple[T] | None = None
        self._error: BaseException | None = None
        self._ended = self._closed = self._started = False

    def put(self, item: T) -> bool:
        """Replace what is there; False when nobody wants it any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._started or self._item is None or self._closed)
            self._item = (item,)
            self._changed.notify_all()
            return not self._closed

    def end(self, error: BaseException | None) -> None:
        """No more will come."""
        with self._changed:
            self._error, self._ended = error, True
            self._changed.notify_all()

    def take(self) -> tuple[T] | None:
        """Wait for an item; None after the last."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._ended)
            item, self._item = self._item, None
            self._started = True
            self._changed.notify_all()
            if item is None and self._error is not None:
                raise self._error
            return item

    def close(self) -> None:
        """Nobody will take any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _fill(items: Iterable[T], slot: _Slot[T]) -> None:
    error: BaseException | None = None
    try:
        for item in items:
            if not slot.put(item):
                break
    except BaseException as caught:  # all of it belongs to the consumer
        error = caught
    slot.end(error)
