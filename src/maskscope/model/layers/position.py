"""Positions: fixed sines for pictures and for time, random Fourier features for points, rotary angles for attention."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor, nn

P = ParamSpec("P")
T = TypeVar("T")


def _cached(make: Callable[P, T]) -> Callable[P, T]:
    """Cache constants; made outside inference mode, so that training may use what tracking made first."""

    remembered = lru_cache(maxsize=32)(make)

    @wraps(make)
    def ordinary(*args: P.args, **kwargs: P.kwargs) -> T:
        with torch.inference_mode(False), torch.no_grad():
            return remembered(*args, **kwargs)  # type: ignore[arg-type]  # all arguments are hashable

    return ordinary


@_cached
def sine_grid(
    channels: int, height: int, width: int, device: torch.device, dtype: torch.dtype, temperature: float = 10000.0
) -> Tensor:
    """Sine encoding of a grid, (channels, height, width): y in the first half of the channels, x in the second.

    Rows and columns are counted from 1 and scaled so that the last is 2 pi (Carion et al., arXiv 2005.12872, A.4).
    """
    half = channels // 2
    compute = torch.promote_types(dtype, torch.float32)
    index = torch.arange(half, device=device, dtype=compute)
    wavelength = temperature ** (2 * torch.div(index, 2, rounding_mode="floor") / half)

    def encode(length: int) -> Tensor:
        place = torch.arange(1, length + 1, device=device, dtype=compute) / (length + 1e-6) * (2 * math.pi)
        angle = place[:, None] / wavelength
        return torch.stack((angle[:, 0::2].sin(), angle[:, 1::2].cos()), dim=-1).flatten(1)

    y = encode(height).t()[:, :, None].expand(-1, -1, width)
    x = encode(width).t()[:, None, :].expand(-1, height, -1)
    return torch.cat((y, x)).to(dtype)


def sine_time(distance_n: Tensor, channels: int, temperature: float = 10000.0) -> Tensor:
    """Sine encoding of scalars (n,) -> (n, channels): sines in the first half, cosines in the second."""
    half = channels // 2
    index = torch.arange(half, device=distance_n.device, dtype=distance_n.dtype)
    wavelength = temperature ** (2 * torch.div(index, 2, rounding_mode="floor") / half)
    angle = distance_n[:, None] / wavelength
    return torch.cat((angle.sin(), angle.cos()), dim=-1)


class RandomFourierPosition(nn.Module):
    """Positions in 0..1 through a fixed random projection (Tancik et al., arXiv 2006.10739)."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, channels // 2))

    def forward(self, xy_norm: Tensor) -> Tensor:
        """(..., 2) x and y in 0..1 -> (..., channels)."""
        angle = 2 * math.pi * ((2 * xy_norm - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat((angle.sin(), angle.cos()), dim=-1)

    def grid(self, height: int, width: int) -> Tensor:
        """Encoding of every cell's centre, (channels, height, width)."""
        like = self.positional_encoding_gaussian_matrix
        y = (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5) / height
        x = (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5) / width
        xy = torch.stack((x[None, :].expand(height, -1), y[:, None].expand(-1, width)), dim=-1)
        encoded: Tensor = self(xy)
        return encoded.permute(2, 0, 1)


@_cached
def rotary_angles(
    head_dim: int, height: int, width: int, theta: float, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Cosine and sine of axial rotary positions, each (height * width, head_dim / 2): x in the first half, then y.

    Source: Heo et al., arXiv 2403.13298 (axial form), with row-major cells as SAM 2 has them.
    """
    compute = torch.promote_types(dtype, torch.float32)
    frequency = 1.0 / theta ** (torch.arange(0, head_dim, 4, device=device, dtype=compute)[: head_dim // 4] / head_dim)
    cell = torch.arange(height * width, device=device, dtype=compute)
    x = torch.outer(cell % width, frequency)
    y = torch.outer(torch.div(cell, width, rounding_mode="floor"), frequency)
    angle = torch.cat((x, y), dim=-1)
    return angle.cos().to(dtype), angle.sin().to(dtype)


def rotate(x_bhnd: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate neighbouring channel pairs of (b, heads, n, d) by the angles of their cells, (cells, d / 2).

    When n is a multiple of the number of cells (memories of several frames) the angles repeat frame by frame. Angles of
    each token's own, (b, n, d / 2), are what `angles_at` makes.
    """
    cos, sin = angles
    b, heads, n, d = x_bhnd.shape
    if x_bhnd.dtype == torch.bfloat16 and x_bhnd.device.type == "cpu" and not torch.is_grad_enabled():
        fine = x_bhnd.float()  # strided bfloat16 arithmetic is slower than there and back
        rotate_in_place(fine, (cos.float(), sin.float()))
        return fine.to(x_bhnd.dtype)
    cells = cos.shape[-2]
    pairs = x_bhnd.reshape(b, heads, n // cells, cells, d // 2, 2)
    even, odd = pairs[..., 0], pairs[..., 1]
    if cos.ndim == 3:
        cos, sin = cos[:, None, None], sin[:, None, None]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).reshape(b, heads, n, d)


def rotate_in_place(x_bhnd: Tensor, angles: tuple[Tensor, Tensor]) -> None:
    """The same into `x_bhnd` itself, in one pass over memory; float32 or float64, without gradients."""
    cos, sin = angles
    b, heads, n, d = x_bhnd.shape
    cells = cos.shape[-2]
    turned = torch.view_as_complex(x_bhnd.view(b, heads, n // cells, cells, d // 2, 2))
    by = torch.complex(cos, sin)
    turned.mul_(by[:, None, None] if by.ndim == 3 else by)


def angles_at(angles: tuple[Tensor, Tensor], places_bn: Tensor) -> tuple[Tensor, Tensor]:
    """Angles of tokens that lie in those cells: (b, n) int64 -> two (b, n, d / 2)."""
    cos, sin = angles
    return cos[places_bn], sin[places_bn]
