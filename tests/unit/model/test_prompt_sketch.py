"""Prompts drawn as maps: where they are, what they say, and that nothing is added without them."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from maskscope.model.config import SAM2Config
from maskscope.model.presets import COMPACT
from maskscope.model.prompt_encoder import (
    BOX_BOTTOM_RIGHT,
    BOX_TOP_LEFT,
    NEGATIVE,
    NOT_A_POINT,
    POSITIVE,
    PromptEncoder,
)
from maskscope.model.prompt_sketch import FAR_PX, NEAR_PX, PromptSketch, draw_prompts

SIZE = (24, 40)  # at stride 4: 96 x 160 pixels


def drawn(points: list[tuple[float, float]], labels: list[int]) -> torch.Tensor:
    return draw_prompts(torch.tensor([points]), torch.tensor([labels]), SIZE)[0]


def test_a_click_is_two_spots_in_the_maps_of_its_kind() -> None:
    maps = drawn([(101.5, 49.5), (20.0, 20.0)], [POSITIVE, NEGATIVE])
    assert maps.shape == (5, *SIZE)
    near, far = maps[0], maps[1]
    assert divmod(int(near.argmax()), SIZE[1]) == (12, 25)  # 50 = 4 * 12 + 2, 102 = 4 * 25 + 2
    assert near[12, 25] == pytest.approx(1.0)
    # eight pixels to the right
    assert near[12, 27] == pytest.approx(float(torch.exp(torch.tensor(-64 / (2 * NEAR_PX**2)))), rel=1e-4)
    assert far[12, 27] == pytest.approx(float(torch.exp(torch.tensor(-64 / (2 * FAR_PX**2)))), rel=1e-4)
    assert divmod(int(maps[2].argmax()), SIZE[1]) in {(4, 4), (5, 5), (4, 5), (5, 4)}
    assert not maps[4].any()


def test_a_box_is_its_inside() -> None:
    box = drawn([(20.0, 30.0), (99.0, 69.0)], [BOX_TOP_LEFT, BOX_BOTTOM_RIGHT])[4]
    truth = torch.zeros(SIZE, dtype=torch.bool)
    truth[8:17, 5:25] = True  # 4 i + 2 between 30.5 and 69.5, 4 j + 2 between 20.5 and 99.5
    assert torch.equal(box > 0.5, truth)
    assert box[12, 15] > 0.99
    assert box[0].max() < 1e-3


def test_nothing_is_added_without_a_prompt_nor_before_training() -> None:
    config = dataclasses.replace(COMPACT, dim=32)
    sketch = PromptSketch(config)
    points = torch.tensor([[[10.0, 10.0]], [[30.0, 20.0]]])
    labels = torch.tensor([[POSITIVE], [NOT_A_POINT]])
    assert not sketch(points, labels, (6, 10)).any()
    torch.nn.init.normal_(sketch.encoder[-1].weight)  # type: ignore[arg-type]
    added = sketch(points, labels, (6, 10))
    assert added.shape == (2, 32, 6, 10)
    assert added[0].any()
    assert not added[1].any()


def test_sam2_has_no_sketch_and_the_compact_model_adds_it_to_the_dense_prompt() -> None:
    assert PromptEncoder(SAM2Config()).sketch is None
    encoder = PromptEncoder(dataclasses.replace(COMPACT, dim=32))
    assert encoder.sketch is not None
    torch.nn.init.normal_(encoder.sketch.encoder[-1].weight)  # type: ignore[arg-type]
    points, labels = torch.tensor([[[40.0, 40.0]]]), torch.tensor([[POSITIVE]])
    mask = torch.zeros(1, 1, 24, 40)
    for given in (None, mask):
        with_click = encoder(points, labels, given, (96, 160)).dense_bchw
        without = encoder(points, torch.tensor([[NOT_A_POINT]]), given, (96, 160)).dense_bchw
        torch.testing.assert_close(with_click - without, encoder.sketch(points, labels, (6, 10)))
