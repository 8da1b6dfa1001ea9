from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from maskscope.data.newest import newest


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "newest"]


def test_what_came_meanwhile_is_dropped() -> None:
    first_taken, ten_made, go_on = threading.Event(), threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        yield 0
        first_taken.wait(5)
        yield from range(1, 10)
        ten_made.set()
        go_on.wait(5)
        yield 10

    latest = newest(items())
    assert next(latest) == 0
    first_taken.set()
    assert ten_made.wait(5)
    assert next(latest) == 9
    go_on.set()
    assert list(latest) == [10]
    assert threads() == []


def test_the_first_is_never_dropped() -> None:
    for _ in range(20):
        taken = list(newest(range(500)))
        assert taken[0] == 0
        assert taken[-1] == 499
        assert taken == sorted(taken)


def test_an_error_comes_after_the_last_item() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    latest = newest(items())
    assert next(latest) == 1
    with pytest.raises(OSError, match="gone"):
        next(latest)
    assert threads() == []


def test_closing_ends_the_thread() -> None:
    def items() -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1

    latest = newest(items())
    assert next(latest) == 0
    latest.close()
    assert threads() == []
