"""Appearance keys: what they are, that memory carries them, and what memory attention makes of them."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from maskscope.model import SAM2
from maskscope.model.memory_attention import RotaryCrossAttention
from maskscope.model.outputs import MemoryTokens
from random_models import random_model, small_config

H, W, DIM, MEMORY, LOOK = 6, 10, 128, 64, 16


@pytest.fixture(scope="module")
def model() -> SAM2:
    config = small_config()
    memory = dataclasses.replace(config.memory, appearance_dim=LOOK)
    return random_model(dataclasses.replace(config, memory=memory)).set_precision(torch.float64)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(1, 3, 96, 160, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def test_memory_carries_the_frames_look_whatever_the_mask(model: SAM2, images: Tensor) -> None:
    image = model.encode_image(images)
    masks = torch.stack([torch.full((1, H, W), 5.0), torch.full((1, H, W), -5.0)]).double()
    memory = model.encode_memory(image, masks, torch.tensor([3.0, -3.0]).double(), binarize=False)
    assert memory.shape == (2, MEMORY + LOOK, H, W)
    assert model.appearance_key is not None
    look = memory[:, MEMORY:]
    assert torch.equal(look[0], look[1])
    assert torch.equal(look[:1], model.appearance_key(image.embedding_bchw))
    torch.testing.assert_close(look.norm(dim=1), torch.ones(2, H, W).double())
    assert not torch.equal(memory[0, :MEMORY], memory[1, :MEMORY])


@torch.inference_mode()
def test_tokens_of_pointers_have_no_look(model: SAM2) -> None:
    spatial = torch.randn(2, 3, MEMORY + LOOK, H, W).double()
    tokens = model.lay_out_memory(spatial, [[6, 0, 1]] * 2, torch.ones(2, 4, DIM).double(), torch.ones(2, 4).double())
    assert tokens.appearance_bna is not None
    places, pieces = 3 * H * W, 4 * DIM // MEMORY
    assert tokens.appearance_bna.shape == (2, places + pieces, LOOK)
    assert not tokens.appearance_bna[:, places:].any()
    assert torch.equal(tokens.appearance_bna[0, H * W + 3], spatial[0, 1, MEMORY:, 0, 3])
    assert torch.equal(tokens.values_bnk[0, H * W + 3], spatial[0, 1, :MEMORY, 0, 3])


@torch.inference_mode()
def test_likeness_is_added_to_the_scores() -> None:
    """softmax(q k^T / sqrt(d) + gain cos) by the plain formula."""
    torch.manual_seed(0)
    layer = RotaryCrossAttention(DIM, 1, 10000.0, MEMORY, appearance=True).double().eval()
    assert layer.sharpness is not None
    layer.sharpness.log_gain.fill_(1.5)
    x = torch.randn(2, H * W, DIM).double()
    values, positions = (torch.randn(2, H * W + 3, MEMORY).double() for _ in "ab")
    own, theirs = (torch.nn.functional.normalize(torch.randn(2, n, LOOK).double(), dim=-1) for n in (H * W, H * W + 3))
    memory = MemoryTokens(values, positions, 3, theirs)
    q, k = layer.rotary(x, values + positions, (H, W), 3)
    scores = q[:, 0] @ k[:, 0].mT / DIM**0.5
    blended = q[:, 0] @ k[:, 0].mT / (DIM + LOOK) ** 0.5 + torch.e**1.5 * own @ theirs.mT
    expected = layer.out_proj(layer.v_proj(blended.softmax(-1) @ values))
    torch.testing.assert_close(layer.attend_memory(x, memory, (H, W), own), expected)
    assert not torch.allclose(expected, layer.out_proj(layer.v_proj(scores.softmax(-1) @ values)))


@torch.inference_mode()
def test_a_sharp_look_finds_its_place(model: SAM2, images: Tensor) -> None:
    """With a large gain the current frame reads from its own picture in memory what lies at the same place."""
    layer = model.memory_attention.layers[0].cross_attn_image
    assert isinstance(layer, RotaryCrossAttention)
    assert layer.sharpness is not None
    before = layer.sharpness.log_gain.clone()
    layer.sharpness.log_gain.fill_(9.0)
    assert model.appearance_key is not None
    look = model.appearance_key(model.encode_image(images).embedding_bchw).flatten(2).mT
    values = torch.randn(1, H * W, MEMORY).double()
    memory = MemoryTokens(values, torch.zeros_like(values), 0, look)
    read = layer.attend_memory(torch.randn(1, H * W, DIM).double(), memory, (H, W), look)
    torch.testing.assert_close(read, layer.out_proj(layer.v_proj(values)))
    layer.sharpness.log_gain.copy_(before)
