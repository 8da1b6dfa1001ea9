"""Writers that are flushed, and taken up where an earlier run left them."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from maskscope.data.async_writer import AsyncWriter
from maskscope.data.rle import RleWriter, read_rle
from maskscope.errors import OutputError


def test_flush_waits_for_what_was_handed_over() -> None:
    gate, done = threading.Event(), list[int]()

    class Slow:
        def write(self, number: int) -> None:
            gate.wait(5)
            done.append(number)

        def close(self) -> None:
            pass

    with AsyncWriter(Slow()) as writer:
        for number in range(4):
            writer.write(number)
        threading.Timer(0.05, gate.set).start()
        writer.flush()
        assert done == [0, 1, 2, 3]
        writer.flush()


def test_flush_raises_what_a_pending_call_met() -> None:
    class Full:
        def write(self) -> None:
            raise OutputError("disk full")

        def close(self) -> None:
            pass

    writer = AsyncWriter(Full())
    writer.write()
    with pytest.raises(OutputError, match="disk full"):
        writer.flush()
    writer.close()


def write_frames(writer: RleWriter, frames: range) -> None:
    for frame in frames:
        writer.write(frame, frame / 10, 1, np.eye(4, dtype=bool))


def test_lines_go_on_after_the_bytes_that_count(tmp_path: Path) -> None:
    path = tmp_path / "masks.jsonl"
    with RleWriter(path) as writer:
        write_frames(writer, range(3))
        kept = writer.written_bytes
        write_frames(writer, range(3, 5))
    assert kept < path.stat().st_size == writer.written_bytes
    with RleWriter(path, keep_bytes=kept) as writer:
        assert path.stat().st_size == kept
        write_frames(writer, range(10, 12))
        assert writer.written_bytes == path.stat().st_size
    assert [record.frame for record in read_rle(path)] == [0, 1, 2, 10, 11]


def test_a_file_that_lost_its_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "masks.jsonl"
    path.write_text("{}\n")
    with pytest.raises(OutputError, match="has lost its end"):
        RleWriter(path, keep_bytes=100)
    assert path.read_text() == "{}\n"
