"""Coverage is exact whatever the sizes, and cells are divided as the definitions say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskscope.errors import ShapeError
from maskscope.observe.grid import Regions, coverage


def rectangle(top: int, left: int, bottom: int, right: int, size: tuple[int, int] = (32, 64)) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[top:bottom, left:right] = True
    return mask


def test_whole_cells_are_counted() -> None:
    shares = coverage(rectangle(0, 0, 24, 16), (2, 4))  # cells of 16 x 16 pixels
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares, [[1, 0, 0, 0], [0.5, 0, 0, 0]])


def test_pixels_that_straddle_cells_are_divided() -> None:
    """Three columns of pixels on two columns of cells: the middle one belongs to both by half."""
    mask = np.array([[False, True, True]])
    np.testing.assert_allclose(coverage(mask, (1, 2)), [[1 / 3, 1]], rtol=1e-6)
    np.testing.assert_allclose(coverage(mask, (2, 6)), [[0, 0, 1, 1, 1, 1]] * 2, atol=1e-6)


@pytest.mark.parametrize(("pixels", "cells"), [(100, 30), (480, 26), (854, 46), (49, 49)])
def test_a_cell_that_ends_with_a_pixel_has_nothing_of_the_next(pixels: int, cells: int) -> None:
    """Also where the cell's size is no binary fraction: such a cell is background, not outline."""
    for cell in range(1, cells):
        if pixels * cell % cells == 0:
            mask = np.zeros((1, pixels), bool)
            mask[:, pixels * cell // cells :] = True
            shares = coverage(mask, (1, cells))[0]
            assert not shares[:cell].any()
            np.testing.assert_allclose(shares[cell:], 1, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 12), st.integers(1, 12), st.integers(0, 999))
def test_the_mean_is_the_masks_mean(height: int, width: int, rows: int, columns: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.4
    shares = coverage(mask, (rows, columns))
    assert shares.shape == (rows, columns)
    assert shares.mean() == pytest.approx(mask.mean(), abs=1e-5)
    assert shares.min() >= 0
    assert shares.max() <= 1


def test_cells_on_the_outline_belong_to_nobody() -> None:
    regions = Regions.of(rectangle(0, 0, 32, 26), (2, 4))  # columns covered by 1, 0.625, 0, 0
    assert regions.state == "ok"
    assert regions.grid == (2, 4)
    np.testing.assert_array_equal(regions.object, [[True, True, False, False]] * 2)
    np.testing.assert_array_equal(regions.background, [[False, False, True, True]] * 2)
    partly = Regions.of(rectangle(0, 0, 32, 24), (2, 4))  # the second column by exactly half
    np.testing.assert_array_equal(partly.object, [[True, False, False, False]] * 2)
    np.testing.assert_array_equal(partly.background, [[False, False, True, True]] * 2)


def test_a_small_object_is_where_it_covers_most() -> None:
    regions = Regions.of(rectangle(4, 12, 12, 18), (2, 4))  # 8 x 4 and 8 x 2 pixels of two cells with 256
    assert regions.state == "ok"
    np.testing.assert_array_equal(np.argwhere(regions.object), [[0, 0]])
    assert not regions.background[0, 1]
    np.testing.assert_allclose(regions.shares[0, :2], [32 / 256, 16 / 256])


def test_objects_that_cannot_be_measured_have_a_state() -> None:
    assert Regions.of(rectangle(0, 0, 0, 0), (2, 4)).state == "absent"
    lost = Regions.of(rectangle(4, 4, 9, 9), (2, 4))  # 25 of 256 pixels are below a tenth
    assert lost.state == "lost at this stride"
    assert not lost.object.any()
    full = Regions.of(rectangle(0, 0, 32, 64), (2, 4))
    assert full.state == "fills the frame"
    assert full.object.all()
    assert not full.background.any()


def test_cells_without_truth_are_left_out() -> None:
    mask, valid = rectangle(0, 0, 32, 32), np.ones((32, 64), bool)
    valid[0, 0] = valid[31, 63] = False
    regions = Regions.of(mask, (2, 4), valid)
    np.testing.assert_array_equal(regions.valid, [[False, True, True, True], [True, True, True, False]])
    np.testing.assert_array_equal(regions.object, [[False, True, False, False], [True, True, False, False]])
    np.testing.assert_array_equal(regions.background, [[False, False, True, True], [False, False, True, False]])
    assert Regions.of(mask, (2, 4), ~mask).state == "lost at this stride", "only where nobody knows"


@pytest.mark.parametrize(
    ("mask", "grid"),
    [
        (np.zeros((4, 4)), (2, 2)),
        (np.zeros((1, 4, 4), bool), (2, 2)),
        (np.zeros((0, 4), bool), (2, 2)),
        (np.zeros((4, 4), bool), (0, 2)),
    ],
)
def test_what_is_no_mask_or_grid_is_refused(mask: np.ndarray, grid: tuple[int, int]) -> None:
    with pytest.raises(ShapeError, match=r"a mask is \(H, W\) bool|a grid has one row"):
        coverage(mask, grid)


def test_valid_pixels_are_of_the_masks_size() -> None:
    with pytest.raises(ShapeError, match=r"mask is \(32, 64\) and its valid pixels are \(32, 32\)"):
        Regions.of(rectangle(0, 0, 4, 4), (2, 4), np.ones((32, 32), bool))
