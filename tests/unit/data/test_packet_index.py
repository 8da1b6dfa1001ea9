"""Frames from packets, in compact columns."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from maskscope.data.packet_index import scan_packets


def scanned(*packets: tuple[int, int, bool], torn_last: bool = False) -> Any:
    """What a container with these `(pts, dts, is key)` gives."""
    stream: Any = SimpleNamespace(index=0, frames=0, codec_context=SimpleNamespace(name="h264", has_b_frames=True))
    rows = [
        SimpleNamespace(
            size=9,
            pts=pts,
            dts=dts,
            duration=1,
            time_base=None,
            stream_index=0,
            is_discard=False,
            is_corrupt=torn_last and place == len(packets) - 1,
            is_keyframe=key,
        )
        for place, (pts, dts, key) in enumerate(packets)
    ]
    container: Any = SimpleNamespace(
        demux=lambda: iter(rows), duration=None, start_time=None, format=SimpleNamespace(name="mp4")
    )
    return scan_packets(container, stream)


B_FRAMES = ((30, 0, True), (10, 5, False), (60, 10, False), (50, 20, False), (90, 30, True), (80, 40, False))


def test_frames_are_sorted_and_those_before_the_first_key_left_out() -> None:
    index = scanned(*B_FRAMES).index
    assert index.pts.tolist() == [30, 50, 60, 80, 90]
    assert index.key_frames.tolist() == [0, 4]
    assert index.key_dts.tolist() == [0, 30]


def test_the_torn_packet_is_no_frame() -> None:
    scan = scanned(*B_FRAMES, torn_last=True)
    assert scan.index.pts.tolist() == [30, 50, 60, 90]
    assert (scan.packets, scan.torn_dts) == (5, 40)


@pytest.mark.parametrize("packets", [(), ((0, 0, False), (1, 1, False)), ((0, 0, True), (5, 1, False), (5, 2, False))])
def test_without_a_key_or_with_a_time_twice_there_is_no_index(packets: tuple[tuple[int, int, bool], ...]) -> None:
    assert scanned(*packets).index is None


def test_a_day_of_packets_stays_small() -> None:
    from maskscope.data.packet_index import _Rows

    rows = _Rows()
    for number in range(10_000):
        rows.append(number * 512 + 10**9, number * 512 + 10**9, number % 50 == 0)
    assert sum(sys.getsizeof(column) for column in vars(rows).values()) < 25 * 10_000
