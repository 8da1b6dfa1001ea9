from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from maskscope.data.video import prefetch


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_items_come_in_order_from_another_thread() -> None:
    makers = []

    def items() -> Iterator[int]:
        for item in range(50):
            makers.append(threading.current_thread().name)
            yield item

    assert list(prefetch(items(), depth=3)) == list(range(50))
    assert set(makers) == {"prefetch"}
    assert threads() == []


def test_no_more_than_depth_items_wait() -> None:
    made = threading.Semaphore(0)
    count = 0

    def items() -> Iterator[int]:
        nonlocal count
        for item in range(100):
            count += 1
            made.release()
            yield item

    ahead = prefetch(items(), depth=2)
    assert next(ahead) == 0
    for _ in range(4):  # one taken, two waiting, one in the hands of the thread
        assert made.acquire(timeout=5)
    assert not made.acquire(timeout=0.1)
    assert count == 4
    ahead.close()  # type: ignore[attr-defined]


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("broken")

    ahead = prefetch(items())
    assert next(ahead) == 1
    with pytest.raises(KeyError, match="broken"):
        next(ahead)
    assert threads() == []


def test_stopping_early_ends_the_thread_and_closes_the_source() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(1_000_000)
        finally:
            closed.set()

    for item in prefetch(items(), depth=1):
        if item == 3:
            break
    assert closed.wait(5)
    assert threads() == []


def test_nothing_starts_before_the_first_item_is_asked_for() -> None:
    prefetch(range(3))
    assert threads() == []
    with pytest.raises(ValueError, match="at least 1, got 0"):
        prefetch(range(3), depth=0)
