from __future__ import annotations

import pytest
import torch
from torch import Tensor

from maskscope.model.config import HieraConfig
from maskscope.model.image_encoder import hiera
from maskscope.model.image_encoder.hiera import (
    GlobalBlock,
    Hiera,
    PooledBlock,
    WindowedBlock,
    from_windows,
    pool,
    to_windows,
)
from maskscope.model.layers import chunks


@pytest.mark.parametrize(("height", "width", "side"), [(8, 8, 4), (9, 13, 4), (3, 5, 8), (14, 28, 14), (1, 1, 1)])
def test_windows_there_and_back(height: int, width: int, side: int) -> None:
    x = torch.randn(2, height, width, 3)
    windows = to_windows(x, side)
    assert windows.shape == (2 * -(-height // side) * -(-width // side), side, side, 3)
    assert torch.equal(from_windows(windows, height, width), x)
    assert windows.sum().item() == pytest.approx(x.sum().item(), abs=1e-3), "padding is zero"


def test_which_token_goes_to_which_window() -> None:
    x = torch.arange(6 * 8.0).reshape(1, 6, 8, 1)
    windows = to_windows(x, 4)
    assert windows.shape == (4, 4, 4, 1)
    assert windows[1, 0, :, 0].tolist() == [4, 5, 6, 7]
    assert windows[2, :, 0, 0].tolist() == [32, 40, 0, 0]


def test_pooling_takes_the_largest_of_four() -> None:
    x = torch.randn(1, 4, 6, 2)
    assert torch.equal(pool(x)[0, 1, 2], x[0, 2:4, 4:6].reshape(4, 2).amax(0))


def randomised(block: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(0)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return block.double().eval().requires_grad_(False)


def plain_attention(block: GlobalBlock, tokens: Tensor) -> Tensor:
    """(n, dim_in) tokens of one window among themselves, by the formula."""
    heads = block.attn.num_heads
    q, k, v = block.attn.qkv(tokens).chunk(3, dim=-1)
    width = q.shape[-1] // heads
    parts = [slice(head * width, (head + 1) * width) for head in range(heads)]
    read = [(q[:, p] @ k[:, p].T / width**0.5).softmax(-1) @ v[:, p] for p in parts]
    return block.attn.proj(torch.cat(read, dim=-1))


def test_a_windowed_block_is_a_global_one_in_each_window() -> None:
    block = randomised(WindowedBlock(6, 6, num_heads=2, window=4))
    x = torch.randn(1, 8, 8, 6, dtype=torch.float64)
    window = x[:, 4:8, 0:4]
    tokens = block.norm1(window).reshape(16, 6)
    attended = window.reshape(16, 6) + plain_attention(block, tokens)
    expected = attended + block.mlp(block.norm2(attended))
    torch.testing.assert_close(block(x)[:, 4:8, 0:4].reshape(16, 6), expected)


def test_padding_tokens_take_part_as_zeros() -> None:
    """As in the reference: a window at the border attends to zeros, after the norm."""
    block = randomised(WindowedBlock(6, 6, num_heads=1, window=4))
    x = torch.randn(1, 5, 4, 6, dtype=torch.float64)
    tokens = torch.cat((block.norm1(x[0, 4]), torch.zeros(12, 6, dtype=torch.float64)))
    attended = x[0, 4] + plain_attention(block, tokens)[:4]
    expected = attended + block.mlp(block.norm2(attended))
    torch.testing.assert_close(block(x)[0, 4], expected)


def test_a_pooled_block_halves_the_grid() -> None:
    block = randomised(PooledBlock(6, 12, num_heads=2, window=4))
    assert block(torch.randn(2, 8, 12, 6, dtype=torch.float64)).shape == (2, 4, 6, 12)


@pytest.mark.parametrize("kind", [WindowedBlock, PooledBlock])
@pytest.mark.parametrize(("height", "width"), [(32, 12), (30, 10)])
def test_stripes_change_nothing(
    monkeypatch: pytest.MonkeyPatch, kind: type[WindowedBlock], height: int, width: int
) -> None:
    dim = 12 if kind is PooledBlock else 6
    block = randomised(kind(6, dim, num_heads=2, window=4))
    x = torch.randn(2, height, width, 6, dtype=torch.float64)
    with torch.inference_mode():
        whole = block(x)
        monkeypatch.setattr(chunks, "PIECE_TOKENS", 96)
        monkeypatch.setattr(hiera, "PIECE_TOKENS", 96)
        striped = block(x)
    torch.testing.assert_close(striped, whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 160), (224, 32)])
def test_four_levels(height: int, width: int) -> None:
    config = HieraConfig(embed_dim=8, num_heads=1, stages=(1, 1, 2, 1), global_blocks=(3,))
    levels = Hiera(config).eval()(torch.randn(1, 3, height, width))
    expected = [(1, c, height // s, width // s) for c, s in zip(config.channels, (4, 8, 16, 32), strict=True)]
    assert [tuple(level.shape) for level in levels] == expected


def test_kinds_of_blocks() -> None:
    """Tiny as released: one pooled block at each new stage, three global ones, windows of the stage (or before it)."""
    blocks = Hiera(HieraConfig()).blocks
    kinds = [(type(block).__name__, getattr(block, "window", None)) for block in blocks]
    assert kinds == [
        ("WindowedBlock", 8),
        ("PooledBlock", 8),
        ("WindowedBlock", 4),
        ("PooledBlock", 4),
        ("WindowedBlock", 14),
        ("GlobalBlock", None),
        ("WindowedBlock", 14),
        ("GlobalBlock", None),
        ("WindowedBlock", 14),
        ("GlobalBlock", None),
        ("PooledBlock", 14),
        ("WindowedBlock", 7),
    ]


def test_window_positions_repeat_and_the_background_is_stretched() -> None:
    trunk = Hiera(HieraConfig(embed_dim=4, position_grid=(3, 3)))
    with torch.no_grad():
        trunk.pos_embed_window.normal_()
        trunk.pos_embed.fill_(2.0)
    position = trunk.position_embedding(20, 12)
    assert position.shape == (1, 20, 12, 4)
    torch.testing.assert_close(position[0, 9, 3], 2 + trunk.pos_embed_window[0, :, 1, 3])
    torch.testing.assert_close(position[0, 17, 11], 2 + trunk.pos_embed_window[0, :, 1, 3])
