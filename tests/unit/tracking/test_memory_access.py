"""Weights of what is read change keys, and nothing else."""

from __future__ import annotations

import torch

from maskscope.memory.bank import FrameMemory, FrameSummary, MemoryBank
from maskscope.memory.policy import PointerRead, Selection, SpatialRead
from maskscope.tracking.memory_access import layout_of, read_memories
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


def masked_bank() -> MemoryBank:
    """Two frames of 4 x 4 cells, the object in the left half of the first and nowhere in the second."""
    bank, generator = MemoryBank(), torch.Generator().manual_seed(0)
    for t in (1, 2):
        features, pointer = torch.randn(64, 4, 4, generator=generator), torch.randn(128, generator=generator)
        mask = torch.full((16, 16), -1.0)
        if t == 1:
            mask[:, :8] = 1.0
        bank.write(FrameMemory(FrameSummary(t, False, 1.0, 0.9, 0.1), pointer, features, mask))
    return bank


def test_thin_memories_are_a_part_of_whole_ones() -> None:
    model, bank = random_model(), masked_bank()
    whole = Selection((SpatialRead(1, 1), SpatialRead(2, 0)), (PointerRead(2, 1),), 16)
    part = Selection((SpatialRead(1, 1, share=0.5), SpatialRead(2, 0)), (PointerRead(2, 1),), 16)
    with torch.inference_mode():
        a, b = (read_memories(model, [bank], [selection]) for selection in (whole, part))
    assert a is not None
    assert b is not None
    assert a.kept_bs is None
    assert b.kept_bs is not None
    assert b.kept_bs.shape == (1, 8 + 16)
    assert b.values_bnk.shape[1] == 8 + 16 + 128 // 64
    kept = torch.cat((b.kept_bs[0], torch.tensor([32, 33])))
    assert torch.equal(b.values_bnk[0], a.values_bnk[0, kept])
    assert torch.equal(b.positions_bnk[0], a.positions_bnk[0, kept])
    assert torch.equal(b.kept_bs[0, 8:], torch.arange(16, 32))


def test_thin_keys_are_turned_by_their_own_place() -> None:
    """What attention makes of a thinned memory is what it makes of the whole one, asked about those keys alone."""
    model, bank = random_model(), masked_bank()
    read = Selection((SpatialRead(1, 1, share=0.5), SpatialRead(2, 0)), (PointerRead(2, 1),), 16)
    full = Selection((SpatialRead(1, 1), SpatialRead(2, 0)), (PointerRead(2, 1),), 16)
    layer = model.memory_attention.layers[0].cross_attn_image  # type: ignore[attr-defined,union-attr]
    queries = torch.randn(1, 16, 128, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        a, b = (read_memories(model, [bank], [selection]) for selection in (full, read))
        assert a is not None
        assert b is not None
        keys = [
            layer.rotary(queries, m.values_bnk + m.positions_bnk, (4, 4), m.num_pointer_tokens, m.kept_bs)[1]
            for m in (a, b)
        ]
    with torch.enable_grad():  # the other way to turn them
        again = layer.rotary(queries, b.values_bnk.clone() + b.positions_bnk, (4, 4), 2, b.kept_bs)[1]
    kept = torch.cat((b.kept_bs[0], torch.tensor([32, 33])))  # type: ignore[index]  # it is thinned
    torch.testing.assert_close(keys[1], keys[0][:, :, kept], atol=1e-5, rtol=0)
    torch.testing.assert_close(again, keys[1], atol=1e-5, rtol=0)


def test_objects_with_other_shares_are_other_batches() -> None:
    some = Selection((SpatialRead(1, 1, share=0.5), SpatialRead(2, 0)), (), 16)
    assert layout_of(some) != layout_of(Selection((SpatialRead(1, 1), SpatialRead(2, 0)), (), 16))
