"""Growth of memory is told from what settles, on weights whose answer is known."""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
import pytest

import policy_memory
from policy_memory import FOREIGN, HIDDEN, PERIOD, Weight, grows, scene


def weights(remembered: tuple[float, ...], resident: tuple[float, ...]) -> list[Weight]:
    frames = (100, 500, 1000, 2000)
    return [Weight(t, mb, 20, process) for t, mb, process in zip(frames, remembered, resident, strict=True)]


@pytest.mark.parametrize(
    ("remembered", "resident", "grown"),
    [
        ((0.2, 0.4, 0.4, 0.42), (300, 320, 321, 319), False),
        ((0.2, 0.4, 0.6, 0.8), (300, 320, 321, 319), True),
        ((0.2, 0.4, 0.4, 0.4), (300, 320, 330, 345), True),
    ],
    ids=["settled", "remembers more and more", "process grows"],
)
def test_growth_is_what_comes_after_it_had_settled(
    remembered: tuple[float, ...], resident: tuple[float, ...], grown: bool
) -> None:
    assert grows(weights(remembered, resident)) is grown


def test_the_object_is_hidden_and_the_picture_changes() -> None:
    frames = list(scene(2 * PERIOD))
    away = [t for t, (_, mask) in enumerate(frames) if not mask.any()]
    assert away == [t for t in range(2 * PERIOD) if t % PERIOD in HIDDEN]
    steps = [np.abs(a[0].astype(int) - b[0].astype(int)).mean() for a, b in pairwise(frames)]
    cuts = [t + 1 for t, step in enumerate(steps) if step > 80]
    assert {PERIOD + FOREIGN.start, PERIOD + FOREIGN.stop} <= set(cuts)
    assert min(cuts) > PERIOD, "the first absence is in the same scene"


def test_an_unknown_policy_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["policy_memory.py", "--policies", "stock,none"])
    with pytest.raises(SystemExit, match="2"):
        policy_memory.main()
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "none" in line
