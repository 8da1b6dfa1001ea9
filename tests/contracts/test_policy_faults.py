"""The contract of policies can be broken: for each clause a policy that breaks it, and the test that notices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from contracts.test_policies import TestEveryPolicy as Contract
from maskscope.memory.bank import Eviction, MemoryBank
from maskscope.memory.policies import registry
from maskscope.memory.policies.stock import StockPolicy
from maskscope.memory.policy import Candidates, Moment, Outcome, Selection, SpatialRead
from maskscope.memory.settings import PolicyKind


class Hoards(StockPolicy):
    """Forgets nothing."""

    def evict(self, bank: MemoryBank, moment: Moment, pivots: Collection[int]) -> Eviction:
        return Eviction()


class Marks(StockPolicy):
    """Changes the model's configuration."""

    def choose_mask(self, candidates: Candidates, bank: MemoryBank, moment: Moment) -> int:
        object.__setattr__(self.config, "max_pointers", 5)
        return 0


class Shares(StockPolicy):
    """One count for all objects of all videos."""

    asked: ClassVar[list[int]] = []

    def choose_mask(self, candidates: Candidates, bank: MemoryBank, moment: Moment) -> int:
        self.asked.append(moment.frame_index)
        return len(self.asked) // 7 % len(candidates.predicted_iou_m)


class Counts(StockPolicy):
    """Keeps a count of its own, and does not save it."""

    asked = 0

    def choose_mask(self, candidates: Candidates, bank: MemoryBank, moment: Moment) -> int:
        self.asked += 1
        return self.asked // 7 % len(candidates.predicted_iou_m)


class Numbers(StockPolicy):
    """Goes by the number of the frame, not by its distance."""

    def admit(self, outcome: Outcome, bank: MemoryBank, moment: Moment) -> bool:
        return moment.frame_index % 7 != 0


class Forgets(StockPolicy):
    """Drops what it would have read."""

    def evict(self, bank: MemoryBank, moment: Moment, pivots: Collection[int]) -> Eviction:
        return Eviction(frames=[t for t in bank.tracked if abs(t - moment.frame_index) > 2])


class Imagines(StockPolicy):
    """Always sees the object."""

    def believe(self, candidates: Candidates, chosen: int, bank: MemoryBank, moment: Moment) -> bool:
        return True


class Assumes(StockPolicy):
    """Reads the frame before, whether it is there or not."""

    def select(self, bank: MemoryBank, moment: Moment) -> Selection:
        plain = super().select(bank, moment)
        previous = moment.frame_index - moment.step
        kept = tuple(read for read in plain.spatial if read.frame_index != previous)
        return Selection((*kept, SpatialRead(previous, 0)), plain.pointers, plain.max_pointers)


CLAUSES: dict[str, tuple[type[StockPolicy], Callable[[Contract, str, Path], None]]] = {
    "bounded": (Hoards, lambda c, p, _: c.test_memory_is_bounded(p)),
    "the model": (Marks, lambda c, p, _: c.test_nothing_is_left_on_the_model(p)),
    "objects": (Shares, lambda c, p, _: c.test_objects_do_not_disturb_each_other(p)),
    "videos": (Shares, lambda c, p, _: c.test_videos_do_not_disturb_each_other(p)),
    "saved": (Counts, lambda c, p, path: c.test_a_saved_session_goes_on(p, 24, path)),
    "backwards": (Numbers, lambda c, p, _: c.test_backwards_is_forwards_of_the_reversed_video(p)),
    "any start": (Numbers, lambda c, p, _: c.test_it_can_start_at_any_frame(p)),
    "repeated": (Counts, lambda c, p, _: c.test_a_pass_can_be_repeated(p)),
    "forgetting": (Forgets, lambda c, p, _: c.test_forgetting_loses_nothing(p)),
    "late prompts": (Shares, lambda c, p, _: c.test_late_prompts_and_corrections(p)),
    "never seen": (Imagines, lambda c, p, _: c.test_an_object_that_is_never_seen(p)),
    "frames left out": (Assumes, lambda c, p, _: c.test_a_stream_that_leaves_frames_out(p)),
}


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_added", {})  # what others added stays theirs
    yield
    Shares.asked.clear()


@pytest.mark.parametrize("clause", CLAUSES)
def test_a_breach_is_noticed(clause: str, tmp_path: Path) -> None:
    build, check = CLAUSES[clause]
    registry.add(PolicyKind("faulty", "breaks a clause", "a test", build))
    with pytest.raises((AssertionError, KeyError)):
        check(Contract(), "faulty", tmp_path)
