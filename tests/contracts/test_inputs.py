"""Precisions and sizes: float64 throughout, bfloat16 near float32, and any sides that are multiples of 32."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from maskscope.model import PRESETS, SAM2
from maskscope.tracking.observer import Observation
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.tracker import Tracker
from random_models import moving_square, random_model, small_config, square_mask

POINT = Prompt(1, points_xy_px=[(45, 45)])
MASK = Prompt(2, mask=square_mask(0))


def observed(
    model: SAM2, options: SessionOptions, length: int = 3, prompts: tuple[Prompt, ...] = (POINT, MASK)
) -> list[Observation]:
    seen: list[Observation] = []
    tracker = Tracker(model, options=options, observers=[seen.append])
    for index, frame in enumerate(moving_square(length)):
        tracker.step(frame, prompts if index == 0 else ())
    return seen


def test_float64_is_float64_everywhere() -> None:
    exact_model = random_model().set_precision(torch.float64)
    exact = observed(exact_model, SessionOptions(memory_dtype=torch.float64))
    assert {seen.output.dtype for seen in exact} == {torch.float64}
    # The mask of a click enters memory as zeros and ones: a logit on the other side of zero is no small difference.
    exact = observed(exact_model, SessionOptions(memory_dtype=torch.float64), prompts=(MASK,))
    coarse = observed(random_model(), SessionOptions(memory_dtype=torch.float32), prompts=(MASK,))
    assert len(coarse) == len(exact)
    for a, b in zip(coarse, exact, strict=True):
        assert a.output.dtype == torch.float32
        worst = (a.output.double() - b.output).abs().max().item()
        assert 0 < worst < 0.02, f"{a.stage} of frame {a.frame_index} differs by {worst:.2g}"


def test_float64_has_no_part_in_float32() -> None:
    """A change far below float32's resolution is seen through the whole model."""
    model = random_model().set_precision(torch.float64)
    images = torch.randn(1, 3, 128, 128, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def decoded(pixels: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            features = model.encode_image(pixels)
            memory = model.encode_memory(features, features.fine_bchw[:, :1], torch.ones(1), binarize=False)
            tokens = model.lay_out_memory(memory[:, None], [[0]], memory.new_ones(1, 1, 128), memory.new_ones(1, 1))
            prompt = model.encode_prompts(None, None, None, batch=1)
            out = model.decode_masks(model.condition_on_memory(features, tokens), prompt, multimask=True)
            return out.mask_logits_bmhw

    small, smaller = ((decoded(images + step) - decoded(images)).abs().mean().item() for step in (1e-9, 5e-10))
    assert small / smaller == pytest.approx(2, rel=1e-3)


def test_bfloat16_stays_near() -> None:
    model = random_model(gain=0.7)
    reference = observed(model, SessionOptions())
    coarse = observed(random_model(gain=0.7).set_precision(torch.bfloat16), SessionOptions())
    for a, b in zip(reference, coarse, strict=True):
        x, y = a.output.double().flatten(), b.output.double().flatten()
        similarity = torch.nn.functional.cosine_similarity(x, y, dim=0).item()
        assert similarity > 0.98, f"{a.stage} of frame {a.frame_index}: {similarity:.3f}"


@pytest.mark.parametrize("size", [(32, 32), (96, 160), (160, 96), (64, 224), (128, 128)])
def test_rectangles(size: tuple[int, int]) -> None:
    """The video keeps its own size whatever the model's."""
    height, width = 100, 170
    tracker = Tracker(random_model(small_config(image_size=size)))
    mask = square_mask(0, height, width)
    for index, frame in enumerate(moving_square(4, height, width)):
        prompts = [Prompt(1, mask=mask), Prompt(2, points_xy_px=[(80, 40)])] if index == 0 else ()
        result = tracker.step(frame, prompts)
        assert result.masks.shape == (2, height, width)
        assert result.objects[1].mask_logits_hw.shape == (size[0] // 4, size[1] // 4)
        assert torch.isfinite(result.mask_logits_nhw).all()
        if index == 0 and min(size) >= 96:
            overlap = (result.masks[0] & mask).sum() / (result.masks[0] | mask).sum()
            assert overlap > 0.85


def test_a_rectangle_of_one_square_twice_is_no_other_model() -> None:
    """Nothing depends on the configured size but the default: the same weights at another size, given by hand."""
    model = random_model(small_config(image_size=(96, 160)))
    other = SAM2(replace(model.config, image_size=(128, 128)))
    other.load_state_dict(model.state_dict(), strict=True)
    images = torch.randn(1, 3, 96, 160)
    with torch.inference_mode():
        assert torch.equal(model.encode_image(images).embedding_bchw, other.eval().encode_image(images).embedding_bchw)


def test_the_compact_preset_follows_the_aspect() -> None:
    torch.manual_seed(0)
    model = SAM2(PRESETS["compact"]).requires_grad_(False).eval()
    tracker = Tracker(model)
    frame = np.random.default_rng(0).integers(0, 255, (90, 60, 3), dtype=np.uint8)
    result = tracker.step(frame, [Prompt(1, points_xy_px=[(30, 40)])])
    assert tracker.session.input_size == (576, 384)
    assert result.masks.shape == (1, 90, 60)
