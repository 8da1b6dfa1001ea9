from __future__ import annotations

import numpy as np
import pytest
import torch

from maskscope.errors import PromptError, SettingError
from maskscope.model import SAM2
from maskscope.observe.counterpart import BACKWARDS, NO_MOMENT, NO_PLACES, CannotAlign, Counterpart, in_place
from maskscope.observe.patching import Activations, Side, patch_positions
from maskscope.observe.recovery import Recovery
from maskscope.stages import STAGES
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.tracker import Tracker
from planted import LENGTH, course, faulty, tiny_model, truth
from scripted_model import SIZE, ScriptedModel, frame

FAULT_AT = 2


@pytest.fixture(scope="module")
def model() -> SAM2:
    return tiny_model()


@pytest.fixture(scope="module")
def clean(model: SAM2) -> list[torch.Tensor]:
    side, tracker = course(model), Tracker(model)
    return [tracker.step(side.frame(t), side.prompts.get(t, ())).mask_logits_nhw for t in range(LENGTH)]


def equal(results, expected, frames) -> bool:
    return all(torch.equal(results[t].mask_logits_nhw, expected[t]) for t in frames)


@pytest.mark.parametrize("at", range(len(STAGES)))
def test_patching_the_faulty_stage_brings_the_masks_back_bit_for_bit_and_patching_before_it_does_not(
    model: SAM2, clean: list[torch.Tensor], at: int
) -> None:
    stage = STAGES[at]
    steps = list(patch_positions(course(model), course(faulty(model, stage, (FAULT_AT,)))))
    assert [step.frame_index for step in steps] == list(range(LENGTH))
    assert not any(step.refused for step in steps)
    assert equal([step.donor for step in steps], clean, range(LENGTH))
    seen_at = FAULT_AT if at < 3 else FAULT_AT + 1  # what is written is read on the next frame
    later = range(seen_at, LENGTH)
    assert equal([step.receiver for step in steps], clean, range(seen_at))
    assert not any(torch.equal(steps[t].receiver.mask_logits_nhw, clean[t]) for t in later)
    patched = {each: [step.patched[each] for step in steps] for each in STAGES}
    assert equal(patched[stage], clean, range(LENGTH))
    received = [step.receiver.mask_logits_nhw for step in steps]
    if at > 0:  # nothing was wrong there
        assert equal(patched["image_embedding"], received, range(LENGTH))
    if at == 2:  # on the frame itself it comes too early; what the fault wrote is read clean
        assert equal(patched["memory_conditioned"], received, range(FAULT_AT + 1))
    if at >= 2:
        assert equal(patched["memory_conditioned"], clean, range(FAULT_AT + 1, LENGTH))
    others = {"object_pointer", "memory_features"} - {stage}
    for other in others:  # neither of the two writes repairs the other, nor the frame itself
        assert not torch.equal(patched[other][seen_at].mask_logits_nhw, clean[seen_at])


def test_the_reverse_breaks_the_clean_run_as_the_fault_does(model: SAM2) -> None:
    sick = course(faulty(model, "memory_conditioned", (FAULT_AT,)))
    steps = list(patch_positions(sick, course(model), stages=("image_embedding", "memory_conditioned")))
    for step in steps:
        broken = step.patched["memory_conditioned"].mask_logits_nhw
        # the patch holds on all frames, memory behind it follows from the same masks
        assert torch.equal(broken, step.donor.mask_logits_nhw)
        assert torch.equal(step.patched["image_embedding"].mask_logits_nhw, step.receiver.mask_logits_nhw)


def test_a_patch_on_chosen_frames_leaves_what_was_written_before_it(model: SAM2, clean: list[torch.Tensor]) -> None:
    sick = course(faulty(model, "memory_features", (1,)))
    steps = list(patch_positions(course(model), sick, stages=("memory_conditioned",), frames=lambda t: t == FAULT_AT))
    patched = [step.patched["memory_conditioned"] for step in steps]
    assert equal(patched, clean, (0, 1, FAULT_AT))
    assert not torch.equal(patched[FAULT_AT + 1].mask_logits_nhw, clean[FAULT_AT + 1])  # the bad memory is read again


def test_frames_are_encoded_once_and_activations_do_not_pile_up(model: SAM2) -> None:
    class Counting:
        calls = 0

        def __getattr__(self, name):
            return getattr(model, name)

        def encode_image(self, images):
            Counting.calls += 1
            return model.encode_image(images)

    for _ in patch_positions(course(Counting()), course(Counting()), stages=STAGES[:2]):  # type: ignore[arg-type]
        pass
    assert Counting.calls == 2 * LENGTH
    held = Activations(keep=2)
    record = held.recorders(("object_pointer",))["object_pointer"]
    for t in (0, 0, 1, 2):
        assert record(t, (out := object())) is out
    assert held.frames == (1, 2)
    assert len(held.at("object_pointer", 2)) == 1
    assert not held.at("object_pointer", 0)


def test_time_is_followed_and_what_has_no_counterpart_is_refused() -> None:
    model, prompts = ScriptedModel(reads_matter=True), {0: [Prompt(1, points_xy_px=[(20, 20)])]}
    shown = (0.0, 2.0, 2.0, None, 1.0, 4.0, 4.5, 9.0)
    donor = Side(model, frame, 6, prompts)  # type: ignore[arg-type]
    receiver = Side(model, lambda t: frame(50 + t), len(shown), prompts)  # type: ignore[arg-type]
    steps = list(patch_positions(donor, receiver, counterparts=lambda t: Counterpart.of(shown[t])))
    assert [step.donor and step.donor.frame_index for step in steps] == [0, 2, 2, None, None, 4, None, None]
    assert [step.refused.get("object_pointer", "") for step in steps] == [
        "", "", "", NO_MOMENT, BACKWARDS, "", "lies between two frames of the other clip",
        "lies beyond the end of the other clip",
    ]  # fmt: skip
    said = Recovery(1, lambda t: {1: np.ones((SIZE, SIZE), bool)}).add(steps[3])
    states = {reading.state for reading in said if reading.metric == "recovered_j"}
    assert states == {f"cannot be aligned: {NO_MOMENT}"}


def test_a_moved_activation_is_sampled_where_it_comes_from_and_vectors_are_refused() -> None:
    given, own = torch.arange(16.0).reshape(1, 1, 4, 4), torch.full((1, 1, 4, 4), -1.0)
    two_cells_right = np.array([[1.0, 0, 32], [0, 1, 0], [0, 0, 1]])
    there = Counterpart.of(3, two_cells_right)
    moved = in_place(given, own, there, (64, 64))
    assert moved[0, 0].tolist() == [[2, 3, -1, -1], [6, 7, -1, -1], [10, 11, -1, -1], [14, 15, -1, -1]]
    assert in_place(given, own, Counterpart.of(3, np.eye(3)), (64, 64)) is given
    with pytest.raises(CannotAlign, match=NO_PLACES):
        in_place(torch.ones(1, 8), torch.ones(1, 8), there, (64, 64))
    with pytest.raises(CannotAlign, match="another form"):
        in_place(given[..., :2], own, there, (64, 64))
    with pytest.raises(CannotAlign, match="shows nothing"):
        in_place(given, own, Counterpart.of(3, two_cells_right @ two_cells_right @ two_cells_right), (64, 64))


def test_one_object_and_known_positions_are_asked_for(model: SAM2) -> None:
    one, both = course(model), course(model)
    both = Side(model, both.frame, both.num_frames, {0: [*both.prompts[0], Prompt(2, points_xy_px=[(3, 3)])]})
    with pytest.raises(PromptError, match=r"one object, .* \[1, 2\]"):
        patch_positions(one, both)
    with pytest.raises(SettingError, match="no position 'mask'"):
        patch_positions(one, one, stages=("mask",))  # type: ignore[arg-type]


def test_recovery_of_planted_masks_is_one_at_the_fault_and_zero_before_it(model: SAM2) -> None:
    sick = course(faulty(model, "prompt_attended", (FAULT_AT,)))
    recovery, readings = Recovery(1, truth), []
    for step in patch_positions(course(model), sick, stages=("image_embedding", "prompt_attended")):
        readings += recovery.add(step)
    margins = {(r.stage, r.frame): r.value for r in readings if r.metric == "recovered_margin" and r.frame == FAULT_AT}
    assert margins == {("image_embedding", FAULT_AT): 0.0, ("prompt_attended", FAULT_AT): 1.0}
    total = {(r.stage, r.metric): r.value for r in recovery.summary()}
    assert total["prompt_attended", "recovered_margin"] == 1
    assert total["image_embedding", "recovered_margin"] == 0
