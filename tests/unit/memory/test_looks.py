"""An object's look with numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch

from maskscope.memory.bank import FrameMemory, FrameSummary
from maskscope.memory.looks import LOOK, likeness, looks


def remembered(*look: float) -> FrameMemory:
    summary = FrameSummary(0, False, 1.0, 0.9, 0.1)
    return FrameMemory(summary, torch.zeros(2), None, None, {LOOK: torch.tensor(look)} if look else {})


def test_a_look_is_the_direction_of_what_the_mask_holds() -> None:
    embedding = torch.zeros(2, 2, 2)
    embedding[0, 0], embedding[1, 1] = 3.0, 4.0  # the upper half shows one thing, the lower another
    masks = torch.full((4, 8, 8), -1.0)
    masks[0, :4], masks[1, 4:], masks[2] = 1.0, 1.0, 1.0
    found = looks(embedding, masks)
    assert found.tolist() == [[1, 0], [0, 1], pytest.approx([0.6, 0.8]), [0, 0]]


def test_parts_of_a_cell_count_in_part() -> None:
    embedding = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    mask = torch.full((1, 4, 8), -1.0)
    mask[0, :, 3:8] = 1.0  # a quarter of the left cell, all of the right
    assert looks(embedding, mask)[0].tolist() == pytest.approx([0.25 / 1.0625**0.5, 1 / 1.0625**0.5])


def test_likeness_is_to_the_most_alike() -> None:
    known = [remembered(1.0, 0.0), remembered(), remembered(0.0, 1.0)]
    found = likeness(torch.tensor([[0.6, 0.8], [-1.0, 0.0], [0.0, 0.0]]), known)
    assert found.tolist() == pytest.approx([0.8, 0.0, 0.0])
    assert likeness(torch.tensor([[0.6, 0.8]]), []).tolist() == [1.0], "nothing to compare with"
