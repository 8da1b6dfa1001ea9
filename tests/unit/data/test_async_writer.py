from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from maskscope.data.async_writer import AsyncWriter
from maskscope.data.rle import RleWriter, read_rle
from maskscope.errors import OutputError


class Recorder:
    def __init__(self, fail_at: int | None = None) -> None:
        self.seen: list[tuple[int, str]] = []
        self.fail_at, self.closed = fail_at, 0
        self.gate = threading.Event()
        self.gate.set()

    def write(self, value: int, *, note: str = "") -> None:
        assert self.gate.wait(5)
        if value == self.fail_at:
            raise OutputError("disk full while writing here")
        self.seen.append((value, threading.current_thread().name))

    def close(self) -> None:
        self.closed += 1


def hand_over(writer: AsyncWriter, values: Iterable[int]) -> None:
    for value in values:
        writer.write(value)


def test_calls_arrive_in_order_in_another_thread_and_close_waits() -> None:
    inner = Recorder()
    with AsyncWriter(inner, depth=2) as writer:
        for value in range(40):
            writer.write(value, note="x")
    assert inner.seen == [(value, "write-Recorder") for value in range(40)]
    assert inner.closed == 1
    writer.close()
    assert inner.closed == 1
    with pytest.raises(ValueError, match="write after close"):
        writer.write(1)


def test_write_waits_while_the_queue_is_full() -> None:
    inner = Recorder()
    inner.gate.clear()
    writer = AsyncWriter(inner, depth=2)
    handed = []

    def values() -> Iterable[int]:
        for value in range(10):
            yield value
            handed.append(value)

    thread = threading.Thread(target=hand_over, args=(writer, values()))
    thread.start()
    thread.join(0.2)
    assert len(handed) <= 3, "one in the writer's hands, two waiting"
    inner.gate.set()
    thread.join(5)
    writer.close()
    assert [value for value, _ in inner.seen] == list(range(10))


def test_an_error_is_raised_by_a_later_call_and_the_writer_is_closed() -> None:
    inner = Recorder(fail_at=1)
    writer = AsyncWriter(inner, depth=1)
    with pytest.raises(OutputError, match="disk full"):
        hand_over(writer, range(50))
    writer.close()
    assert [value for value, _ in inner.seen] == [0], "nothing is written past the failure"
    assert inner.closed == 1


def test_an_error_in_the_last_call_is_raised_by_close() -> None:
    writer = AsyncWriter(Recorder(fail_at=0))
    writer.write(0)
    with pytest.raises(OutputError, match="disk full"):
        writer.close()


def test_the_error_that_stopped_the_work_is_not_hidden(caplog: pytest.LogCaptureFixture) -> None:
    def run() -> None:
        with AsyncWriter(Recorder(fail_at=0)) as writer:
            writer.write(0)
            raise KeyError("model")

    with caplog.at_level(logging.WARNING), pytest.raises(KeyError, match="model"):
        run()
    assert "while closing: disk full" in caplog.text


def test_an_interrupt_leaves_what_was_handed_over(tmp_path: Path) -> None:
    def run() -> None:
        with AsyncWriter(RleWriter(tmp_path / "a.jsonl")) as writer:
            for frame in range(5):
                writer.write(frame, 0.0, 1, np.ones((4, 4), bool))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert [record.frame for record in read_rle(tmp_path / "a.jsonl")] == list(range(5))


def test_depth_is_checked() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        AsyncWriter(Recorder(), depth=0)
