"""Thin-plate splines: what defines them, and that pixels move as they say."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from maskscope.training.motion import deform
from maskscope.training.sprites import bend
from maskscope.training.thin_plate import control_points, sources, thin_plate, warp

SIZE = (90, 140)
GRIDS = [(3, 4), (4, 6)]


def random_grid(grid: tuple[int, int], spread: float = 5.0, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, spread, (2, *grid, 2))


def affine_grid(grid: tuple[int, int], size_hw: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Displacements (1, rows, columns, 2) of the control points by an affine map, and (h, w, 2) of all pixels."""
    linear, shift = np.array([[0.06, -0.11], [0.02, 0.09]]), np.array([3.0, -2.0])
    y, x = np.mgrid[: size_hw[0], : size_hw[1]]
    everywhere = np.stack([x, y], axis=-1) @ linear.T + shift
    return (control_points(grid, size_hw) @ linear.T + shift).reshape(1, *grid, 2), everywhere


def displacements(grid: NDArray[np.float64], size_hw: tuple[int, int]) -> NDArray[np.float64]:
    """(t, h, w, 2) by how much pixels move."""
    y, x = np.mgrid[: size_hw[0], : size_hw[1]]
    return np.asarray(sources(grid, size_hw) - np.stack([x, y], axis=-1))


def bending_energy(grid: NDArray[np.float64], size_hw: tuple[int, int]) -> float:
    """Integral of the squared second derivatives, from values in steps of a pixel."""
    y, x = np.mgrid[: size_hw[0], : size_hw[1]].astype(float)
    places = np.stack([x, y], axis=-1).reshape(-1, 2)
    field = thin_plate(grid, size_hw)(places).reshape(*size_hw, -1)
    xx, yy = np.diff(field, 2, axis=1)[1:-1], np.diff(field, 2, axis=0)[:, 1:-1]
    xy = np.diff(np.diff(field, axis=0), axis=1)
    return float((xx**2).sum() + 2 * (xy**2).sum() + (yy**2).sum())


@pytest.mark.parametrize("grid", GRIDS)
def test_control_points_move_exactly_as_asked(grid: tuple[int, int]) -> None:
    asked = random_grid(grid)
    moved = thin_plate(asked, SIZE)(control_points(grid, SIZE)).reshape(*grid, 2, 2).transpose(2, 0, 1, 3)
    np.testing.assert_allclose(moved, asked, atol=1e-9)


@pytest.mark.parametrize("grid", GRIDS)
def test_the_corners_of_a_picture_move_as_asked_to_a_fraction_of_a_pixel(grid: tuple[int, int]) -> None:
    asked = random_grid(grid)
    field = displacements(asked, SIZE)
    for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        np.testing.assert_allclose(field[:, *corner], asked[:, *corner], atol=0.3)


@pytest.mark.parametrize("size", [SIZE, (300, 520), (7, 5)])
def test_an_affine_displacement_is_reproduced_at_every_pixel(size: tuple[int, int]) -> None:
    asked, everywhere = affine_grid((3, 4), size)
    np.testing.assert_allclose(displacements(asked, size)[0], everywhere, atol=2e-4)


def test_what_is_affine_bends_nothing_and_what_is_not_bends_less_than_a_bicubic_map() -> None:
    affine, _ = affine_grid((3, 4), SIZE)
    assert bending_energy(affine, SIZE) < 1e-15
    asked = random_grid((3, 4))[:1]
    bicubic = cv2.resize(asked[0], SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    rough = np.diff(bicubic, 2, axis=1)[1:-1], np.diff(bicubic, 2, axis=0)[:, 1:-1]
    assert 1e-3 < bending_energy(asked, SIZE) < sum(float((part**2).sum()) for part in rough)


def test_between_its_nodes_the_field_keeps_to_the_spline() -> None:
    size = (300, 520)  # nodes 8 pixels apart
    asked = random_grid((4, 6), spread=8)
    y, x = np.mgrid[:300:17, :520:13]
    exact = thin_plate(asked, size)(np.stack([x, y], axis=-1).reshape(-1, 2).astype(float))
    near = displacements(asked, size)[:, y, x].transpose(1, 2, 0, 3).reshape(exact.shape)
    assert np.abs(near - exact).max() < 0.3


def test_a_picture_without_extent_can_be_bent() -> None:
    frames = bend(np.random.default_rng(0), np.full((1, 1, 4), 9, np.uint8), 3)
    assert [frame.shape for frame in frames] == [(1, 1, 4)] * 3


def test_a_pixel_shows_what_lies_at_its_source() -> None:
    picture = np.zeros((8, 10), np.uint8)
    picture[3, 6] = 255
    moved = warp(picture, sources(np.tile([2.0, -1.0], (1, 3, 4, 1)), (8, 10))[0])
    assert moved[4, 4] == 255
    assert (moved > 0).sum() == 1


def test_an_image_and_its_mask_bend_together_from_an_unbent_first_frame() -> None:
    mask = np.zeros(SIZE, np.uint8)
    mask[30:60, 40:100] = 1
    image = np.dstack([mask * 200] * 3)
    images, masks = deform(np.random.default_rng(3), ([image] * 5, [mask] * 5), spread=0.03)
    np.testing.assert_array_equal(images[0], image)
    assert not np.array_equal(masks[4], mask)
    bright = images[4][..., 0] > 100
    assert (bright & (masks[4] > 0)).sum() > 0.95 * bright.sum() > 500
    again, _ = deform(np.random.default_rng(3), ([image] * 5, [mask] * 5), spread=0.03)
    np.testing.assert_array_equal(images[4], again[4])


def test_deforming_folds_nothing_over() -> None:
    """Neighbours keep their order: a picture of x coordinates grows to the right after bending."""
    x = np.tile(np.linspace(20, 220, SIZE[1]).astype(np.uint8), (SIZE[0], 1))
    for seed in range(20):
        last = deform(np.random.default_rng(seed), ([x] * 6,))[0][5][10:-10, 30:-30].astype(int)
        assert np.diff(last, axis=1).min() >= -1, seed
