"""Which frames a run visits, in which order, and what is left after each."""

from __future__ import annotations

import pytest

from maskscope.studies.passes import Direction, Pass, plan_passes


def visited(passes: list[Pass]) -> list[int]:
    frames = []
    for part in passes:
        assert part.count is not None
        step = -1 if part.reverse else 1
        frames += list(range(part.first, part.first + step * part.count, step))
    return frames


@pytest.mark.parametrize(
    ("frame", "direction", "max_frames", "expected"),
    [
        (0, "forward", None, [0, 1, 2, 3, 4, 5]),
        (4, "forward", None, [4, 5]),
        (4, "forward", 1, [4]),
        (3, "backward", None, [3, 2, 1, 0]),
        (3, "backward", 2, [3, 2]),
        (2, "both", None, [2, 3, 4, 5, 1, 0]),
        (2, "both", 2, [2, 3, 1]),
        (2, "both", 1, [2]),
        (0, "both", None, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_frames_in_order(frame: int, direction: Direction, max_frames: int | None, expected: list[int]) -> None:
    assert visited(plan_passes(frame, direction, 6, max_frames)) == expected


def test_a_stream_has_no_end() -> None:
    assert plan_passes(3, "forward", None, None) == [Pass(3, None)]
    assert plan_passes(3, "forward", None, 5) == [Pass(3, 5)]


def test_what_is_left_counts_frames_that_were_missing() -> None:
    assert Pass(3, 7).after(3) == Pass(4, 6)
    assert Pass(3, 7).after(5) == Pass(6, 4)
    assert Pass(3, None).after(5) == Pass(6, None)
    assert Pass(3, 4, reverse=True).after(2) == Pass(1, 2, reverse=True)
