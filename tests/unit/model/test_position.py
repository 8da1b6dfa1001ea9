from __future__ import annotations

import math

import pytest
import torch

from maskscope.model.layers.position import (
    RandomFourierPosition,
    rotary_angles,
    rotate,
    rotate_in_place,
    sine_grid,
    sine_time,
)

CPU = torch.device("cpu")


def angles(
    height: int, width: int, dim: int = 16, dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, torch.Tensor]:
    return rotary_angles(dim, height, width, 10000.0, CPU, dtype)


def test_rotary_products_depend_on_the_offset_only() -> None:
    """What rotary positions are for: q at p times k at p' is a function of p - p', in x and in y."""
    height, width = 5, 7
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(16, dtype=torch.float64, generator=generator) for _ in range(2))
    everywhere = torch.ones(height * width, 1, dtype=torch.float64)
    rotated_q = rotate((everywhere * q)[None, None], angles(height, width))[0, 0]
    rotated_k = rotate((everywhere * k)[None, None], angles(height, width))[0, 0]
    products = (rotated_q @ rotated_k.T).reshape(height, width, height, width)
    for dy, dx in ((0, 0), (1, 2), (2, -3), (-1, 4)):
        values = [
            products[y, x, y + dy, x + dx].item()
            for y in range(height)
            for x in range(width)
            if 0 <= y + dy < height and 0 <= x + dx < width
        ]
        assert max(values) - min(values) < 1e-12
    assert abs(products[0, 0, 0, 1] - products[0, 0, 1, 0]) > 1e-3, "x and y are told apart"


def test_rotation_keeps_lengths_and_the_first_cell() -> None:
    x = torch.randn(2, 3, 35, 16, dtype=torch.float64)
    rotated = rotate(x, angles(5, 7))
    torch.testing.assert_close(rotated.norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(rotated[:, :, 0], x[:, :, 0])


def test_x_turns_the_first_half_of_the_channels_and_y_the_second() -> None:
    cos, sin = angles(2, 3, dim=8)
    assert cos.shape == sin.shape == (6, 4)
    place_x1_y0, place_x0_y1 = 1, 3
    assert sin[place_x1_y0, :2].tolist() == pytest.approx([math.sin(1), math.sin(0.01)])
    assert sin[place_x1_y0, 2:].tolist() == [0, 0]
    assert sin[place_x0_y1, :2].tolist() == [0, 0]
    assert sin[place_x0_y1, 2:].tolist() == pytest.approx([math.sin(1), math.sin(0.01)])


def test_angles_repeat_from_memory_to_memory() -> None:
    one = torch.randn(1, 1, 6, 8, dtype=torch.float64)
    three = torch.cat([one, one, one], dim=2)
    rotated = rotate(three, angles(2, 3, dim=8))
    assert torch.equal(rotated, torch.cat([rotate(one, angles(2, 3, dim=8))] * 3, dim=2))


def test_rotation_in_place_is_rotation() -> None:
    keys = torch.randn(2, 15, 16, dtype=torch.float64)  # (b, n, heads * d): heads lie beside each other
    expected = rotate(keys.reshape(2, 15, 2, 8).transpose(1, 2)[:, :, :12], angles(2, 3, dim=8))
    rest = keys[:, 12:].clone()
    rotate_in_place(keys.view(2, 15, 2, 8).transpose(1, 2)[:, :, :12], angles(2, 3, dim=8))
    torch.testing.assert_close(keys[:, :12].reshape(2, 12, 2, 8).transpose(1, 2), expected)
    assert torch.equal(keys[:, 12:], rest), "what has no place stays"


def test_sines_of_a_grid() -> None:
    grid = sine_grid(8, 3, 5, CPU, torch.float64)
    assert grid.shape == (8, 3, 5)
    y, x = 2 / (3 + 1e-6) * 2 * math.pi, 4 / (5 + 1e-6) * 2 * math.pi  # second row, fourth column, counted from 1
    expected = [f(place / scale) for place in (y, x) for scale in (1, 100) for f in (math.sin, math.cos)]
    assert grid[:, 1, 3].tolist() == pytest.approx(expected, abs=1e-12)


def test_sines_of_time() -> None:
    encoded = sine_time(torch.tensor([0.0, 0.5], dtype=torch.float64), 8)
    assert encoded[0].tolist() == [0] * 4 + [1] * 4
    scales = (1, 1, 100, 100)
    assert encoded[1].tolist() == pytest.approx([f(0.5 / s) for f in (math.sin, math.cos) for s in scales])


def test_sines_of_opposite_times_differ() -> None:
    ahead, behind = sine_time(torch.tensor([1.0, -1.0]), 8)
    assert torch.equal(ahead[:4], -behind[:4])
    assert torch.equal(ahead[4:], behind[4:])


def test_constants_are_made_in_float32_and_rounded_once() -> None:
    for dtype in (torch.bfloat16, torch.float16):
        exact = sine_grid(16, 4, 6, CPU, torch.float32)
        assert torch.equal(sine_grid(16, 4, 6, CPU, dtype), exact.to(dtype))
        for coarse, fine in zip(angles(4, 6, dtype=dtype), angles(4, 6, dtype=torch.float32), strict=True):
            assert torch.equal(coarse, fine.to(dtype))


def test_the_same_constant_is_the_same_tensor() -> None:
    assert sine_grid(8, 2, 2, CPU, torch.float32) is sine_grid(8, 2, 2, CPU, torch.float32)


def test_a_grid_of_random_fourier_features_is_that_of_its_centres() -> None:
    position = RandomFourierPosition(12)
    grid = position.grid(4, 6)
    assert grid.shape == (12, 4, 6)
    centre = torch.tensor([(2 + 0.5) / 6, (1 + 0.5) / 4])
    torch.testing.assert_close(grid[:, 1, 2], position(centre))
    middle = position(torch.tensor([0.5, 0.5]))
    assert middle.tolist() == [0] * 6 + [1] * 6
