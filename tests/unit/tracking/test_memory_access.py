"""Weights of what is read change keys, and nothing else."""

from __future__ import annotations

import torch

from maskscope.memory.bank import FrameMemory, FrameSummary, MemoryBank
from maskscope.memory.policy import PointerRead, Selection, SpatialRead
from maskscope.tracking.memory_access import read_memories
from random_models import random_model


def bank_of(*frames: int) -> MemoryBank:
    bank, generator = MemoryBank(), torch.Generator().manual_seed(0)
    for t in frames:
        features, pointer = torch.randn(64, 2, 3, generator=generator), torch.randn(128, generator=generator)
        bank.write(FrameMemory(FrameSummary(t, False, 1.0, 0.9, 0.1), pointer, features, None))
    return bank


def test_keys_are_multiplied_and_values_are_not() -> None:
    model, bank = random_model(), bank_of(1, 2)
    plain = Selection((SpatialRead(1, 1), SpatialRead(2, 0)), (PointerRead(2, 1),), 16)
    weighted = Selection((SpatialRead(1, 1, 0.5), SpatialRead(2, 0)), (PointerRead(2, 1, 2.0),), 16)
    with torch.inference_mode():
        a, b = (read_memories(model, [bank, bank], [plain, other]) for other in (plain, weighted))
    assert a is not None
    assert b is not None
    assert torch.equal(a.values_bnk, b.values_bnk)
    keys, others = a.values_bnk + a.positions_bnk, b.values_bnk + b.positions_bnk
    torch.testing.assert_close(keys[0], others[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(0.5 * keys[1, :6], others[1, :6], atol=1e-6, rtol=0)
    torch.testing.assert_close(keys[1, 6:12], others[1, 6:12], atol=1e-6, rtol=0)
    torch.testing.assert_close(2 * keys[1, 12:], others[1, 12:], atol=1e-5, rtol=0)
    assert keys.shape[1] == 12 + 128 // 64


def test_without_weights_nothing_is_touched() -> None:
    model, bank = random_model(), bank_of(1, 2)
    selection = Selection((SpatialRead(1, 1), SpatialRead(2, 0)), (), 16)
    with torch.inference_mode():
        tokens = read_memories(model, [bank], [selection])
        expected = model.lay_out_memory(
            torch.stack([bank.tracked[t].features_khw for t in (1, 2)])[None],  # type: ignore[misc]  # they are there
            [[1, 0]],
            torch.zeros(1, 0, 128),
            torch.zeros(1, 0),
            16,
        )
    assert tokens is not None
    assert torch.equal(tokens.positions_bnk, expected.positions_bnk)
