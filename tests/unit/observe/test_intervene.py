from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from maskscope.errors import SettingError, ShapeError
from maskscope.model import SAM2
from maskscope.observe.intervene import Intervened, MemoryReads, masks_from
from maskscope.stages import STAGES
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.tracker import Tracker
from planted import SIDE, course, tiny_model, upside_down
from scripted_model import Frames, ScriptedModel


@pytest.fixture(scope="module")
def model() -> SAM2:
    return tiny_model()


def track(model, length=4, observers=()):
    side = course(model, length)
    tracker = Tracker(model, observers=observers)
    for t in range(length):
        if isinstance(model, Intervened):
            model.frame_index = t
        yield tracker.step(side.frame(t), side.prompts.get(t, ()))


def logits(model, **more):
    return [result.mask_logits_nhw for result in track(model, **more)]


def test_replacing_nothing_leaves_every_bit(model: SAM2) -> None:
    seen = []

    def look(frame_index, output):
        seen.append(frame_index)
        return output

    standing_in = Intervened(model, dict.fromkeys(STAGES, look), reads=look, fine=look)
    for expected, came in zip(logits(model), logits(standing_in), strict=True):
        assert torch.equal(expected, came)
    # frame 0: image, pointer of the given mask, memory; later also reads, conditioned, fine and decoded
    assert [seen.count(t) for t in range(4)] == [3, 7, 7, 7]
    assert not standing_in.fired


@pytest.mark.parametrize("stage", STAGES)
def test_a_replacement_acts_from_its_frame_on_and_leaves_nothing_behind(model: SAM2, stage) -> None:
    clean = logits(model)
    standing_in = Intervened(model, {stage: lambda t, out: upside_down(out) if t == 2 else out})
    changed = [not torch.equal(a, b) for a, b in zip(clean, logits(standing_in), strict=True)]
    at_once = stage in ("image_embedding", "memory_conditioned", "prompt_attended")
    assert changed == [False, False, at_once, True]
    assert standing_in.fired == {(stage, 2): 1}
    for expected, came in zip(clean, logits(model), strict=True):
        assert torch.equal(expected, came)


@pytest.mark.parametrize(
    ("stage", "wrong", "said"),
    [
        ("memory_conditioned", lambda t, out: out[..., 1:], r"memory_conditioned on frame 1 has shape .*expected"),
        ("object_pointer", lambda t, out: out.double(), "float64"),
        ("image_embedding", lambda t, out: out.embedding_bchw, "is a Tensor, expected a ImageFeatures"),
        ("prompt_attended", lambda t, out: replace(out, predicted_iou_bm=out.predicted_iou_bm[:, :1]), "predicted_iou"),
    ],
)
def test_an_activation_of_another_form_is_refused(model: SAM2, stage, wrong, said) -> None:
    standing_in = Intervened(model, {stage: lambda t, out: wrong(t, out) if t else out})
    with pytest.raises(ShapeError, match=said):
        logits(standing_in, length=2)


def test_a_position_that_does_not_exist_is_refused(model: SAM2) -> None:
    with pytest.raises(SettingError, match="no position 'mask'; positions: image_embedding"):
        Intervened(model, {"mask": lambda t, out: out})  # type: ignore[dict-item]


def test_stand_ins_stand_in_for_each_other_and_know_the_frame(model: SAM2) -> None:
    inner = Intervened(model, {"object_pointer": lambda t, out: out + 1})
    outer = Intervened(inner.as_model, {"object_pointer": lambda t, out: out * t})
    outer.frame_index = 3
    token, score = torch.zeros(1, model.config.dim), torch.ones(1)
    assert inner.frame_index == 3
    torch.testing.assert_close(outer.point_to(token, score), 3 * (model.point_to(token, score) + 1))
    assert outer.config is model.config
    assert outer.mask_decoder is model.mask_decoder


def test_masks_follow_attended_tokens_as_in_the_decoder(model: SAM2) -> None:
    with torch.inference_mode():
        image = model.encode_image(torch.linspace(-1, 1, 3 * SIDE * SIDE).reshape(1, 3, SIDE, SIDE))
        conditioned = model.condition_on_memory(image, None)
        prompt = model.encode_prompts(None, None, None, batch=1, image_size=(SIDE, SIDE))
        decoded = model.decode_candidates(conditioned, prompt, multimask=True)
        same = masks_from(model, decoded, decoded.attended_bchw, image)
        assert torch.equal(same.mask_logits_bmhw, decoded.mask_logits_bmhw)
        assert torch.equal(same.upscaled_bchw, decoded.upscaled_bchw)

        standing_in = Intervened(model, {"prompt_attended": lambda t, out: out.attended_bchw * 0})
        flat = standing_in.decode_candidates(conditioned, prompt, multimask=True)
        assert not torch.equal(flat.mask_logits_bmhw, decoded.mask_logits_bmhw)
        assert torch.equal(flat.output_tokens_bmc, decoded.output_tokens_bmc)
        silenced = standing_in.decode_masks(conditioned, prompt, multimask=True)
        assert torch.equal(silenced.mask_logits_bmhw, flat.mask_logits_bmhw)  # visible, so nothing is silenced


def test_what_is_read_can_be_replaced_and_tells_prompted_from_recent() -> None:
    asked: list[MemoryReads] = []

    def read(frame_index: int, reads: MemoryReads) -> MemoryReads:
        asked.append(reads)
        return replace(reads, pointers_bpc=reads.pointers_bpc * 0)

    standing_in = Intervened(ScriptedModel(reads_matter=True), reads=read)  # type: ignore[arg-type]
    tracker, frames = Tracker(standing_in.as_model), Frames(3)
    for t in range(len(frames)):
        standing_in.frame_index = t
        tracker.step(frames[t], [Prompt(1, points_xy_px=[(20, 20)])] if t == 0 else ())
    assert [reads.prompted_bs for reads in asked] == [((True,),), ((True, False),)]
    assert standing_in.fired == {("reads", 1): 1, ("reads", 2): 1}
