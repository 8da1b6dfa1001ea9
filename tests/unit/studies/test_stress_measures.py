"""What stress jobs measure beside scores, on clips whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from maskscope.evaluate.adaptive import ComeAndGo
from maskscope.evaluate.protocol import evaluate_sequence
from maskscope.memory.bank import FrameMemory, FrameSummary, MemoryBank
from maskscope.records import Record
from maskscope.studies import stress_measures
from maskscope.studies.stress_clip import stress_protocol
from maskscope.studies.stress_measures import Comings, Cost


def shown(there: bool, label: int = 1) -> np.ndarray:
    labels = np.zeros((40, 40), np.uint8)
    labels[8:28, 8:28] = label if there else 0
    return labels


def record(**row: Any) -> Record:
    return Record(run="r", clip="c", **row)


TRUTHS = [shown(there) for there in (True, True, False, False, True, True, True)]


def watched(guesses: list[np.ndarray], rules: str = "davis") -> dict[str, float | None]:
    comings = Comings(stress_protocol(rules))
    assert list(comings.watch(zip(guesses, TRUTHS, strict=True)))[2][1] is TRUTHS[2], "pairs pass unchanged"
    return {row.metric: row.value for row in comings.records(record)}


def test_absence_and_return_are_scored_apart() -> None:
    assert watched(TRUTHS) == {"disappearance": 1.0, "reappearance": 1.0}
    never_let_go = watched([shown(True)] * 7)
    assert never_let_go["disappearance"] == pytest.approx(0, abs=2e-3)
    assert never_let_go["reappearance"] == 1.0
    never_back = watched([shown(t < 2) for t in range(7)])
    assert never_back["disappearance"] == 1.0
    assert never_back["reappearance"] == pytest.approx(0, abs=2e-3)


def test_it_is_what_mose_says_which_measures_it_itself() -> None:
    guesses = [shown(t not in (2, 4)) for t in range(7)]
    score = evaluate_sequence(guesses, TRUTHS, stress_protocol("mose"))
    own = ComeAndGo.of(score.objects[0])
    assert own.disappearance is not None
    assert own.reappearance is not None
    found = watched(guesses)
    assert found == {
        "disappearance": own.disappearance.j_and_f_adaptive, "reappearance": own.reappearance.j_and_f_adaptive
    }  # fmt: skip
    assert watched(guesses, "mose") == {}, "its rows come with the other scores"


def test_a_clip_without_absence_has_no_such_rows() -> None:
    comings = Comings(stress_protocol("davis"))
    assert len(list(comings.watch([(shown(True), shown(True))] * 4))) == 4
    assert list(comings.records(record)) == []


def test_speed_is_of_the_median_frame_after_the_first_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0, 9, 10, 17, 20, 20.5, 30, 30.25, 40, 44])  # two frames of set-up, then 0.5, 0.25 and 4 s
    monkeypatch.setattr(stress_measures.time, "perf_counter", lambda: next(moments))
    monkeypatch.setattr(stress_measures, "_held_bytes", iter([1 << 20, 5 << 20, 3 << 20, 0, 0]).__next__)
    cost = Cost()
    for _ in range(5):
        with cost.frame():
            pass
    assert {row.metric: row.value for row in cost.records(record)} == {"fps": 2.0, "memory_mb": 5.0}


def test_what_is_remembered_is_counted_tensor_by_tensor() -> None:
    """What two pathways share counts once, and the most of all frames is told."""
    shared = FrameMemory(FrameSummary(0, True, 5.0, 0.9, 0.1), torch.zeros(1 << 18), None, None)
    own = FrameMemory(
        FrameSummary(1, False, 5.0, 0.9, 0.1), torch.zeros(1 << 18), torch.zeros(1 << 18).bfloat16(),
        torch.zeros(1 << 18), {"note": torch.zeros(1 << 17)},
    )  # fmt: skip
    banks = [MemoryBank({0: shared}), MemoryBank({0: shared}, {1: own})]
    cost = Cost()
    for remembered in (banks[:1], banks, banks[:1]):
        cost.remembers(remembered)
    assert {row.metric: row.value for row in cost.records(record)} == {"remembered_mb": 1 + 1 + 0.5 + 1 + 0.5}


def test_what_cannot_be_measured_has_no_row() -> None:
    assert list(Cost(seconds=[1.0, 1.0]).records(record)) == []
