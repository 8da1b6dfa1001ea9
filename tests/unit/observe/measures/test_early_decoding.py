"""The decoder applied before the end: at the end it says what the tracker says; a planted layer is found."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
import torch

from listened import FRAMES, OBJECTS, check_only_listens, model_with, track, truth
from maskscope.model import SAM2
from maskscope.observe.grid import Regions
from maskscope.observe.measures.early_decoding import (
    SCORE,
    WITHOUT_MEMORY,
    EarlyDecoding,
    J,
    early_features,
    twin_decoder,
)
from maskscope.observe.measures.overlap import grid_iou
from maskscope.observe.measures.passages import DecoderPassages
from maskscope.observe.taps import Taps

LAST = ("memory_conditioned", "memory_attention.1.mlp")
FIRST = ("memory_conditioned", "memory_attention.0.mlp")


@pytest.fixture(scope="module")
def model() -> SAM2:
    return model_with()


def test_tracking_is_the_same_with_it(model: SAM2) -> None:
    check_only_listens(model, lambda model: EarlyDecoding(model, truth))


def test_after_the_last_layer_it_is_what_the_tracker_answers(model: SAM2) -> None:
    listener = EarlyDecoding(model, truth)
    with listener:
        results = track(model, [listener])
    at = {(r.metric, r.frame, r.object, r.stage, r.tap): r.value for r in listener.readings}
    assert len(at) == 2 * (FRAMES - 1) * len(OBJECTS) * 3, "two metrics, three taps; the first frame is prompted"
    for t in range(1, FRAMES):
        for object_id in OBJECTS:
            answer = results[t].objects[object_id]
            predicted = (answer.mask_logits_hw > 0).numpy()
            expected = grid_iou(predicted, Regions.of(truth(t)[object_id], predicted.shape))
            assert at[J, t, object_id, *LAST] == pytest.approx(expected, abs=2e-3)
            assert at[SCORE, t, object_id, *LAST] == pytest.approx(answer.object_score_logit, abs=1e-3)
            assert at[SCORE, t, object_id, *FIRST] != pytest.approx(answer.object_score_logit, abs=1e-3)


def test_a_layer_that_does_nothing_is_told_from_one_that_does() -> None:
    """The second layer adds nothing: what is decoded after the first is what is decoded at the end."""
    model = model_with()
    idle = model.memory_attention.layers[1]
    with torch.no_grad():
        for part in (idle.self_attn.out_proj, idle.cross_attn_image.out_proj, idle.linear2):
            part.weight.zero_()
            part.bias.zero_()
    listener = EarlyDecoding(model, truth)
    with listener:
        track(model, [listener], frames=2)
    for metric in (J, SCORE):
        by_tap = {(r.stage, r.tap): r.value for r in listener.readings if r.metric == metric and r.object == 1}
        assert by_tap[FIRST] == by_tap[LAST]
    assert by_tap[WITHOUT_MEMORY] != by_tap[FIRST]


@torch.inference_mode()
def test_features_in_the_order_a_frame_passes_them(model: SAM2) -> None:
    torch.manual_seed(0)
    image = model.encode_image(torch.randn(1, 3, 128, 128))
    outputs = [torch.randn(1, 64, 128) for _ in range(2)]
    found = early_features(model, image, outputs)
    assert [tap for tap, _ in found] == [WITHOUT_MEMORY, FIRST, LAST]
    assert torch.equal(found[0][1], model.condition_on_memory(image, None).embedding_bchw)
    expected = model.memory_attention.norm(outputs[1]).mT.reshape(1, 128, 8, 8)
    assert torch.equal(found[2][1], expected)


def test_the_twin_shares_its_weights_and_nobody_hears_it(model: SAM2) -> None:
    heard: list[object] = []
    with Taps(model, heard.append):
        twin = twin_decoder(model)
        own = dict(model.mask_decoder.named_parameters())
        assert all(p.data_ptr() == own[name].data_ptr() for name, p in twin.named_parameters())
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in twin.modules())


def test_it_disturbs_no_other_listener(model: SAM2) -> None:
    """Taps and another pair of ears hear each frame's own decoding, and no other."""
    told: list[tuple[str, int]] = []
    taps = Taps(model, lambda tapped: told.append((tapped.tap.name, tapped.frame_index)), only=["mask_decoder.0"])
    ear = DecoderPassages(model)
    reads = []

    def count(observation):  # type: ignore[no-untyped-def]
        if observation.stage == "prompt_attended":
            passage = ear.led_to(observation)
            reads.append(len(passage.reads))

    listener = EarlyDecoding(model, truth)
    with ExitStack() as hooks, taps, listener:
        ear.attach(hooks)
        track(model, [listener, taps, count], frames=2)
    assert told == [("mask_decoder.0", 0)] * 2 + [("mask_decoder.0", 1)]
    assert reads == [3, 3, 3], "two objects prompted apart, then tracked together"


def test_absent_is_a_state_beside_the_score(model: SAM2) -> None:
    def nothing(frame: int) -> dict[int, np.ndarray]:
        return {1: np.zeros_like(truth(frame)[1])}

    listener = EarlyDecoding(model, nothing)
    with listener:
        track(model, [listener], frames=2)
    assert {r.state for r in listener.readings if r.metric == J} == {"absent"}
    assert all(r.value is not None for r in listener.readings if r.metric == SCORE)
    assert {r.object for r in listener.readings} == {1}
