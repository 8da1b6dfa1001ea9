from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from maskscope.model.layers import attention
from maskscope.model.layers.attention import Attention, attend


def naive(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = q.double() @ k.double().transpose(-1, -2) / q.shape[-1] ** 0.5
    return scores.softmax(-1) @ v.double()


def inputs(queries: int, keys: int, width: int, value_width: int, dtype: torch.dtype) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = ((2, 3, queries, width), (2, 3, keys, width), (2, 3, keys, value_width))
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes]


SIZES = [(5, 7), (64, 64), (130, 700)]


@pytest.mark.parametrize(("queries", "keys"), SIZES)
@pytest.mark.parametrize("value_width", [16, 4])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5), (torch.bfloat16, 0.03)]
)
def test_softmax_of_products(queries: int, keys: int, value_width: int, dtype: torch.dtype, tolerance: float) -> None:
    q, k, v = inputs(queries, keys, 16, value_width, dtype)
    expected = naive(q, k, v)
    with torch.inference_mode():
        out = attend(q, k, v)
    assert out.shape == (2, 3, queries, value_width)
    assert out.dtype == dtype
    assert (out.double() - expected).abs().max() < tolerance
    torch.testing.assert_close(attend(q, k, v).double(), expected, rtol=0, atol=tolerance)  # with gradients allowed


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("read", ["_read_in_blocks", "_read_whole_rows"])
def test_pieces_equal_the_fused_kernel(monkeypatch: pytest.MonkeyPatch, read: str, dtype: torch.dtype) -> None:
    q, k, v = inputs(1100, 1000, 16, 16, dtype)
    k[:, :, 900:] *= 30  # the largest scores come last
    monkeypatch.setattr(attention, "_CHUNK_BYTES", 1000 * 64 * q.element_size())  # many pieces, the last not full
    monkeypatch.setattr(attention, "_BLOCK_KEYS", 300)
    monkeypatch.setattr(attention, "_read_in_blocks", getattr(attention, read))
    with torch.inference_mode():
        chunked = attention._attend_in_pieces(q, k, v)
        fused = F.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(chunked, fused, rtol=0, atol=1e-13 if dtype == torch.float64 else 2e-6)


def test_large_inputs_are_attended_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[int, ...]] = []

    def noted(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        called.append(tuple(q.shape))
        return F.scaled_dot_product_attention(q, k, v)

    monkeypatch.setattr(attention, "_attend_in_pieces", noted)
    large, small = inputs(1100, 1000, 16, 16, torch.float32), inputs(10, 10, 16, 16, torch.float32)
    with torch.inference_mode():
        attend(*large)
        attend(*small)
    attend(*large)
    assert called == [(2, 3, 1100, 16)], "neither small inputs nor training"


def test_gradients_flow() -> None:
    q, k, v = (x.requires_grad_() for x in inputs(6, 9, 4, 4, torch.float64))
    attend(q, k, v).square().sum().backward()
    assert all(x.grad is not None and x.grad.abs().sum() > 0 for x in (q, k, v))


def test_projected_attention_is_its_formula() -> None:
    torch.manual_seed(0)
    layer = Attention(12, num_heads=2, downsample=2).double().eval()
    q, k, v = (torch.randn(2, n, 12, dtype=torch.float64) for n in (5, 8, 8))
    with torch.inference_mode():
        out = layer(q, k, v)
        heads = []
        for head in range(2):
            part = slice(3 * head, 3 * head + 3)
            projected = [f(x)[..., part] for f, x in ((layer.q_proj, q), (layer.k_proj, k), (layer.v_proj, v))]
            heads.append(naive(*projected))
        torch.testing.assert_close(out, layer.out_proj(torch.cat(heads, dim=-1)))
