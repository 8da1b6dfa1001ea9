"""Which frames become anchors, and what is read beside them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch

from maskscope.memory.anchors import ANCHOR, AnchorSettings, lookalike_overlap, tells_apart
from maskscope.memory.bank import FrameMemory, FrameSummary, MemoryBank
from maskscope.memory.policies.distractor import DistractorPolicy, DistractorSettings
from maskscope.memory.policy import Candidates, Moment, Outcome
from maskscope.model.config import MemoryConfig
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.tracker import Tracker
from scripted_model import Box, ScriptedModel, Shown, box_mask, frame

OWN, APART = (2, 2, 6, 6), (12, 12, 15, 15)
PROMPT = Prompt(1, mask=box_mask(OWN))


def masks(*boxes: tuple[Box, ...]) -> torch.Tensor:
    out = torch.full((len(boxes), 16, 16), -1.0)
    for mask, parts in zip(out, boxes, strict=True):
        for left, top, right, bottom in parts:
            mask[top:bottom, left:right] = 1.0
    return out


def remembered(t: int, area: float = 0.1, anchor: bool = False, prompted: bool = False) -> FrameMemory:
    summary = FrameSummary(t, prompted, 5.0, 0.9, area)
    notes = {ANCHOR: torch.zeros(0)} if anchor else {}
    return FrameMemory(summary, torch.zeros(2), torch.zeros(1, 1, 1), torch.zeros(1, 1), notes)


def bank_of(tracked: Iterable[int], anchors: Iterable[int] = (), area: float = 0.1) -> MemoryBank:
    bank, marked = MemoryBank(), set(anchors)
    bank.write(remembered(0, area, prompted=True))
    for t in sorted({*tracked, *marked}):
        bank.write(remembered(t, area, anchor=t in marked))
    return bank


# -- the five tests of an anchor ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("others", "overlap"),
    [
        (((OWN,), (OWN,)), 1.0),
        (((OWN,), (OWN, APART)), 16 / 13**2),
        (((APART,), (OWN,)), 16 / 13**2),
        (((OWN,), ((2, 2, 6, 8),)), 16 / 24),
        (((OWN,), (OWN, (14, 14, 15, 15), (7, 2, 9, 6))), 16 / 28),  # only the larger of two parts counts
        (((), ()), 1.0),
    ],
)
def test_what_other_candidates_add(others: tuple[tuple[Box, ...], ...], overlap: float) -> None:
    assert lookalike_overlap(masks((OWN,), *others), 0) == pytest.approx(overlap)
    assert lookalike_overlap(masks(others[0], (OWN,), others[1]), 1) == pytest.approx(overlap)


def told_apart(bank: MemoryBank, now: int = 20, iou: float = 0.9, area: float = 0.1, apart: bool = True) -> bool:
    candidates = Candidates(
        now, masks((OWN,), (OWN, APART) if apart else (OWN,)), (iou, 0.1), 5.0, torch.zeros(1, 1, 1)
    )
    outcome = Outcome(FrameSummary(now, False, 5.0, iou, area), candidates, 0)
    return tells_apart(AnchorSettings(), outcome, bank, Moment(now))


def test_a_sure_frame_beside_a_lookalike_is_an_anchor() -> None:
    assert told_apart(bank_of(range(1, 20)))


@pytest.mark.parametrize("failing", [{"iou": 0.8}, {"area": 0.0}, {"area": 0.13}, {"area": 0.07}, {"apart": False}])
def test_every_test_must_be_passed(failing: dict[str, float]) -> None:
    assert not told_apart(bank_of(range(1, 20)), **failing)  # type: ignore[arg-type]  # as parametrized


@pytest.mark.parametrize(("last", "new"), [(14, True), (15, False), (19, False)])
def test_anchors_keep_a_distance(last: int, new: bool) -> None:
    assert told_apart(bank_of(range(1, 20), anchors=[last])) is new


def test_areas_far_back_do_not_count() -> None:
    """Ten times larger than it was, but that was more than 300 frames ago: only this frame's area is left."""
    bank = bank_of(range(1, 20), area=0.01)
    assert not told_apart(bank, now=30)
    assert told_apart(bank, now=320)


def test_the_median_is_of_the_latest_ten() -> None:
    bank = bank_of(range(1, 20), area=0.01)
    for t in range(15, 20):
        bank.write(remembered(t, area=0.1))
    assert told_apart(bank), "six of ten, this frame's included"


# -- what is written and read -------------------------------------------------------------------------------------


def reads(bank: MemoryBank, now: int, reverse: bool = False) -> list[tuple[int, int]]:
    selection = DistractorPolicy(MemoryConfig()).select(bank, Moment(now, reverse))
    return [(read.frame_index, read.slot) for read in selection.spatial]


def test_recent_memories_have_a_stride() -> None:
    assert reads(bank_of(range(1, 33)), 33) == [(0, 6), (10, 5), (15, 4), (20, 3), (25, 2), (30, 1), (32, 0)]
    assert reads(bank_of(range(1, 31)), 31) == [(0, 6), (5, 5), (10, 4), (15, 3), (20, 2), (25, 1), (30, 0)]


def test_backwards_the_stride_is_counted_the_other_way() -> None:
    bank = bank_of(range(8, 40))
    assert reads(bank, 7, reverse=True) == [(0, 6), (30, 5), (25, 4), (20, 3), (15, 2), (10, 1), (8, 0)]


def test_frames_without_the_object_leave_no_hole() -> None:
    bank = bank_of([*range(1, 12), *range(28, 33)])
    assert reads(bank, 33) == [(0, 6), (1, 5), (5, 4), (10, 3), (28, 2), (30, 1), (32, 0)]


def test_anchors_take_the_place_of_recent_memories() -> None:
    bank = bank_of(range(1, 33), anchors=[3, 9, 17, 24])
    assert reads(bank, 33) == [(0, 6), (24, 6), (17, 6), (9, 6), (25, 2), (30, 1), (32, 0)]
    assert reads(bank_of(range(1, 33), anchors=[31]), 33)[:2] == [(0, 6), (31, 6)]


def test_the_previous_frame_is_read_as_recent_even_if_an_anchor() -> None:
    assert reads(bank_of(range(1, 33), anchors=[32]), 33)[-1] == (32, 0)
    assert (32, 6) not in reads(bank_of(range(1, 33), anchors=[32]), 33)


def test_pointers_are_of_visible_frames_and_anchors() -> None:
    bank = bank_of([*range(1, 12), *range(28, 33)], anchors=[5])
    selection = DistractorPolicy(MemoryConfig()).select(bank, Moment(33))
    assert [(read.frame_index, read.distance) for read in selection.pointers] == [
        (0, 33), (5, 28), (32, 1), (31, 2), (30, 3), (29, 4), (28, 5),
    ]  # fmt: skip


def test_an_occlusion_and_a_lookalike() -> None:
    """Hidden frames are not written; a frame with a look-alike among the candidates is kept long after."""

    def script(t: int) -> Shown:
        second = APART if t == 10 else OWN
        return Shown(boxes=(OWN, second, OWN), ious=(0.9, 0.6, 0.5), score=-4.0 if 20 <= t < 60 else 4.0)

    tracker = Tracker(ScriptedModel(script), "distractor")
    for t in range(100):
        tracker.step(frame(t), [PROMPT] if t == 0 else ())
        bank = tracker.session.tracks[1].bank
        if 20 <= t < 60:
            assert max(bank.tracked) == 19
    assert 10 in bank.tracked
    assert ANCHOR in bank.tracked[10].notes
    assert not [u for u, memory in bank.tracked.items() if u != 10 and ANCHOR in memory.notes]
    assert len(bank) <= 1 + 16 + 6 + 4


def test_without_anchors() -> None:
    policy = DistractorPolicy(MemoryConfig(), DistractorSettings(anchors=0))
    selection = policy.select(bank_of(range(1, 33), anchors=[3, 9]), Moment(33))
    assert [read.slot for read in selection.spatial] == [6, 5, 4, 3, 2, 1, 0]
