"""Taps are told in order, for whom and of what they are; no hook is left, and no mask changes."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from maskscope.errors import SettingError
from maskscope.model import SAM2
from maskscope.observe.taps import Tapped, Taps, taps_of
from maskscope.stages import STAGES
from maskscope.tracking.observer import Observation
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.tracker import Tracker
from maskscope.tracking.video_tracker import VideoTracker
from random_models import moving_square, random_model, square_mask

LENGTH = 3
FRAMES = moving_square(LENGTH)
PROMPTS = [Prompt(1, mask=square_mask(0)), Prompt(2, points_xy_px=[(45, 45)])]
ENCODER = [f"trunk.stride{s}" for s in (4, 8, 16, 32)] + [f"neck.stride{s}" for s in (4, 8, 16)]
MEMORY = [f"memory_attention.{layer}.{part}" for layer in (0, 1) for part in ("self", "cross", "mlp")]
DECODER = ["mask_decoder.0", "mask_decoder.1", "upscaled", "mask_logits"]


@pytest.fixture(scope="module")
def model() -> SAM2:
    return random_model()


def track(model: SAM2, *observers: object) -> list[FrameResult]:
    tracker = Tracker(model, observers=observers)  # type: ignore[arg-type]
    return [tracker.step(frame, PROMPTS if t == 0 else ()) for t, frame in enumerate(FRAMES)]


def hooks_of(model: SAM2) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_the_order_is_the_models() -> None:
    taps = taps_of(random_model())
    assert [tap.name for tap in taps] == ENCODER + MEMORY + DECODER
    assert [STAGES.index(tap.stage) for tap in taps] == [0] * 7 + [1] * 6 + [2] * 4


def test_each_tap_is_told_once_for_each_position_it_leads_to(model: SAM2) -> None:
    told: list[Tapped] = []
    seen: list[Observation] = []
    with Taps(model, told.append) as taps:
        track(model, taps, seen.append)
    counts = Counter((t.frame_index, t.tap.name, t.object_ids) for t in told)
    # frame 0: the image is observed once, objects are prompted apart (mask, click) and without memory
    expected = {(0, name, ()): 1 for name in ENCODER} | {(0, name, (i,)): 1 for name in DECODER for i in (1, 2)}
    for frame in (1, 2):
        expected |= {(frame, name, ()): 1 for name in ENCODER}
        expected |= {(frame, name, (1, 2)): 1 for name in MEMORY + DECODER}
    assert counts == expected
    of_last = [t.tap.name for t in told if t.frame_index == 2]
    assert of_last == ENCODER + MEMORY + DECODER


def test_taps_are_what_the_parts_compute(model: SAM2) -> None:
    told: list[Tapped] = []
    seen: list[Observation] = []
    with Taps(model, told.append) as taps:
        track(model, taps, seen.append)
    at = {(t.frame_index, t.tap.name): t.output for t in told}
    position = {(o.frame_index, o.stage): o.output for o in seen}
    assert torch.equal(at[2, "neck.stride16"], position[2, "image_embedding"])
    assert torch.equal(at[2, "mask_decoder.1"], position[2, "prompt_attended"])
    last = at[2, "memory_attention.1.mlp"].flatten(2).transpose(1, 2)
    normed = model.memory_attention.norm(last).transpose(1, 2).reshape(2, 128, 8, 8)
    assert torch.equal(normed, position[2, "memory_conditioned"])
    shapes = {name: tuple(at[2, name].shape) for name in ("trunk.stride4", "trunk.stride32", "upscaled", "mask_logits")}
    assert shapes == {
        "trunk.stride4": (1, 24, 32, 32),
        "trunk.stride32": (1, 192, 4, 4),
        "upscaled": (2, 16, 32, 32),
        "mask_logits": (2, 3, 32, 32),
    }
    layer = model.memory_attention.layers[1]
    before = at[2, "memory_attention.0.mlp"].flatten(2).transpose(1, 2)
    with torch.inference_mode():
        after_self = before + layer.self_attn.attend_within(layer.norm1(before), (8, 8))
    assert torch.allclose(at[2, "memory_attention.1.self"].flatten(2).transpose(1, 2), after_self, atol=1e-5)
    cross = at[2, "memory_attention.1.cross"].flatten(2).transpose(1, 2)
    with torch.inference_mode():
        after_mlp = cross + layer._mlp(layer.norm3(cross))
    assert torch.allclose(at[2, "memory_attention.1.mlp"].flatten(2).transpose(1, 2), after_mlp, atol=1e-5)


def test_masks_are_the_same_to_the_bit_and_nothing_is_left(model: SAM2) -> None:
    plain = track(model)
    with Taps(model, lambda _: None) as taps:
        assert hooks_of(model) > 0
        watched = track(model, taps)
    assert hooks_of(model) == 0
    assert taps._passages == {}
    for a, b in zip(plain, watched, strict=True):
        assert torch.equal(a.mask_logits_nhw, b.mask_logits_nhw)


def test_nothing_is_left_after_an_exception(model: SAM2) -> None:
    def fail(tapped: Tapped) -> None:
        raise RuntimeError(f"at {tapped.tap.name}")

    with pytest.raises(RuntimeError, match=r"at mask_decoder.0"), Taps(model, fail, {"mask_decoder.0"}) as taps:
        track(model, taps)
    assert hooks_of(model) == 0
    broken = random_model()
    del broken.mask_decoder.transformer.layers[1]
    broken.mask_decoder.transformer.layers.append(None)  # type: ignore[arg-type]
    with pytest.raises(AttributeError), Taps(broken, print):
        pass
    assert hooks_of(broken) == 0, "opening failed half way"


def test_only_what_is_wanted_is_told(model: SAM2) -> None:
    told: list[Tapped] = []
    wanted = {"trunk.stride8", "memory_attention.1.cross"}
    with Taps(model, told.append, wanted) as taps:
        track(model, taps)
    assert {t.tap.name for t in told} == wanted
    with pytest.raises(SettingError, match=r"no tap 'trunk.stride2'; it has trunk.stride4, "):
        Taps(model, told.append, {"trunk.stride2"})
    with pytest.raises(SettingError, match="open already"), Taps(model, told.append) as taps, taps:
        pass
    assert hooks_of(model) == 0


def test_a_listener_may_run_the_model(model: SAM2) -> None:
    """Its calls are no passage of a frame, and what waits of the frame's own is not mixed up with them."""
    told: list[str] = []

    def listen(tapped: Tapped) -> None:
        told.append(tapped.tap.name)
        if tapped.tap.name == "memory_attention.0.mlp":
            model.mask_decoder.transformer(torch.zeros(2, 3, 128), tapped.output, tapped.output)
            model.memory_attention.layers[0].norm2(torch.zeros(1, 4, 128))

    with Taps(model, listen, {"memory_attention.0.mlp", "mask_decoder.0"}) as taps:
        track(model, taps)
    assert told == ["mask_decoder.0"] * 2 + ["memory_attention.0.mlp", "mask_decoder.0"] * 2


def test_half_precision_is_told_as_computed() -> None:
    model = random_model(gain=0.7).set_precision(torch.bfloat16)
    told: list[Tapped] = []
    with Taps(model, told.append, {"neck.stride16", "memory_attention.1.mlp", "mask_decoder.1"}) as taps:
        track(model, taps)
    assert [t.tap.name for t in told if t.frame_index == 2] == [
        "neck.stride16",
        "memory_attention.1.mlp",
        "mask_decoder.1",
    ]
    assert {t.output.dtype for t in told if t.frame_index == 2} == {torch.bfloat16, torch.float32}


def test_a_video_whose_frames_are_encoded_again(model: SAM2) -> None:
    """Frames are encoded to be committed, too; that is not told of another frame."""
    told: list[Tapped] = []
    seen: list[Observation] = []
    with Taps(model, told.append, {"neck.stride16"}) as taps:
        tracker = VideoTracker(model, FRAMES, observers=[taps, seen.append])
        tracker.prompt(0, PROMPTS)
        tracker.prompt(2, PROMPTS[1:])
        list(tracker.propagate())
    images = {o.frame_index: o.output for o in seen if o.stage == "image_embedding"}
    assert [t.frame_index for t in told] == [0, 2, 1, 2]
    for t in told:
        assert torch.equal(t.output, images[t.frame_index])
