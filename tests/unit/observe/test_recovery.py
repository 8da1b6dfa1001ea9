from __future__ import annotations

import numpy as np
import pytest
import torch

from maskscope.errors import ShapeError
from maskscope.observe.counterpart import Counterpart
from maskscope.observe.patching import PatchStep
from maskscope.observe.recovery import ABSENCE, FALSE_ALARM, NOTHING_TO_BRING_BACK, Recovery, score
from maskscope.tracking.results import FrameResult, ObjectMasks


def result(logits_hw: torch.Tensor) -> FrameResult:
    masks = ObjectMasks(logits_hw, 0.9, 5.0, logits_hw[None], torch.tensor([0.9]), 0, torch.zeros(4))
    height, width = logits_hw.shape
    return FrameResult(0, {7: masks}, (height, width))


def columns(count: int, on: float = 6.0, off: float = -2.0) -> torch.Tensor:
    """(4, 4) logits: as many columns as the object."""
    logits = torch.full((4, 4), off)
    logits[:, :count] = on
    return logits


TRUTH = np.zeros((4, 4), bool)
TRUTH[:, :2] = True


@pytest.mark.parametrize(
    ("logits", "truth", "j", "margin", "state"),
    [
        (columns(2), TRUTH, 1.0, 8.0, None),
        (columns(1), TRUTH, 0.5, 4.0, None),  # half of the object: (6 - 2) / 2 - -2
        (columns(4), TRUTH, 0.5, 0.0, None),
        (torch.full((4, 4), -1024.0), TRUTH, 0.0, 0.0, None),  # silenced: no margin, not a thousand
        (columns(2, 1000.0, -1000.0), TRUTH, 1.0, 64.0, None),
        (columns(0), TRUTH & False, None, None, ABSENCE),
        (columns(1), TRUTH & False, None, None, FALSE_ALARM),
        (columns(4), TRUTH | True, 1.0, None, None),
    ],
)
def test_score(logits, truth, j, margin, state) -> None:
    scored = score(result(logits), 7, truth)
    assert (scored.j, scored.margin, scored.state) == (j, margin, state)
    assert scored.success == (j if j is not None else float(state == ABSENCE))


def test_truth_of_another_size_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"truth is \(3, 4\)"):
        score(result(columns(1)), 7, TRUTH[:3])


def step(t: int, donor: int | None, receiver: int, **patched: int) -> PatchStep:
    given = None if donor is None else result(columns(donor))
    return PatchStep(
        t,
        Counterpart(t if donor is not None else None),
        given,
        result(columns(receiver)),
        {stage: result(columns(count)) for stage, count in patched.items()},  # type: ignore[misc]
        {},
    )


def test_shares_by_hand() -> None:
    recovery = Recovery(7, lambda t: {7: TRUTH})
    first = recovery.add(step(0, 2, 0, image_embedding=1, memory_conditioned=2))
    assert {(r.metric, r.stage): r.value for r in first if r.metric.endswith("_j")} == {
        ("disturbed_j", None): 0.0,
        ("clean_j", None): 1.0,
        ("patched_j", "image_embedding"): 0.5,
        ("recovered_j", "image_embedding"): 0.5,
        ("patched_j", "memory_conditioned"): 1.0,
        ("recovered_j", "memory_conditioned"): 1.0,
    }
    recovery.add(step(1, 2, 1, image_embedding=0, memory_conditioned=2))  # J falls from 0.5 to 0: -1 of the gap
    assert not [r for r in recovery.add(step(2, 2, 2, image_embedding=0)) if r.metric == "recovered_j"]
    total = {r.stage: r.value for r in recovery.summary() if r.metric == "recovered_j"}
    assert total["image_embedding"] == pytest.approx((0.5 - 0.5) / (1 + 0.5))
    assert total["memory_conditioned"] == 1


def test_the_other_direction_has_names_of_its_own_and_absence_counts() -> None:
    there = iter([TRUTH, TRUTH, TRUTH & False, TRUTH & False])
    recovery = Recovery(7, lambda t: {7: next(there)}, direction="break")
    broken = recovery.add(step(0, 0, 2, object_pointer=1))  # the donor is the disturbed run, which lost it
    assert {(r.metric, r.value) for r in broken if r.metric.endswith("_j")} == {
        ("clean_j", 1.0),
        ("disturbed_j", 0.0),
        ("spoilt_j", 0.5),
        ("carried_j", 0.5),
    }
    absent = recovery.add(step(1, 1, 0, object_pointer=1))  # not there: the disturbed run has a false alarm
    assert {(r.metric, r.state) for r in absent if r.state} == {
        ("clean_j", ABSENCE),
        ("disturbed_j", FALSE_ALARM),
        ("spoilt_j", FALSE_ALARM),
    }
    assert [r.value for r in absent if r.metric == "carried_j"] == [1.0]


def test_nothing_to_bring_back_is_said() -> None:
    recovery = Recovery(7, lambda t: {7: TRUTH})
    recovery.add(step(0, 2, 2, memory_features=2))
    assert {r.state for r in recovery.summary()} == {NOTHING_TO_BRING_BACK}
    assert {r.metric for r in recovery.add(step(1, None, 2))} == {"disturbed_j", "disturbed_margin"}
    assert Recovery(7, lambda t: None).add(step(1, 2, 2)) == []


def test_what_the_picture_hides_is_left_out_of_what_comes_back() -> None:
    """Half of the object, two columns of four, is behind an occluder; clean activations show all of it."""
    whole, shown = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    whole[:, :2], shown[:, :1] = True, True
    given = step(3, 2, 0, image_embedding=2, memory_conditioned=4, object_pointer=0)
    behind = Recovery(7, lambda t: {7: shown}, lambda t: {7: whole}, receiver_hidden=lambda t: {7: whole & ~shown})
    found = {(r.metric, r.stage): r.value for r in behind.add(given) if r.metric.endswith("_j")}
    assert found == {
        ("disturbed_j", None): 0.0,
        ("disturbed_shown_j", None): 0.0,
        ("clean_j", None): 1.0,
        ("patched_j", "image_embedding"): 1.0,  # the clean run's mask: 0.5 of what is shown, if all pixels counted
        ("recovered_j", "image_embedding"): 1.0,
        ("patched_j", "memory_conditioned"): pytest.approx(1 / 3),  # beside the object it is wrong as ever
        ("recovered_j", "memory_conditioned"): pytest.approx(1 / 3),
        ("patched_j", "object_pointer"): 0.0,
        ("recovered_j", "object_pointer"): 0.0,
    }
    covered = {(r.metric, r.stage): r.value for r in behind.add(step(4, 2, 2)) if r.metric.endswith("_j")}
    assert covered["disturbed_j", None] == 0.5
    assert covered["disturbed_shown_j", None] == 1.0
    # Nothing hidden, or nothing shown: all pixels count, and no row is added.
    for truth in (whole, whole & False):
        recovery = Recovery(7, lambda t, truth=truth: {7: truth}, receiver_hidden=lambda t: {7: whole & False})
        assert "disturbed_shown_j" not in {r.metric for r in recovery.add(given)}
    gone = Recovery(7, lambda t: {7: whole & False}, lambda t: {7: whole}, receiver_hidden=lambda t: {7: whole})
    states = {r.stage: r.state for r in gone.add(given) if r.metric == "patched_j"}
    assert states["image_embedding"] == FALSE_ALARM
