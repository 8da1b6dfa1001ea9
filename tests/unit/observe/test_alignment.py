"""Cells brought together through a homography, with maps whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maskscope.errors import ShapeError
from maskscope.observe.alignment import align

SIZE = (64, 96)  # of the frames: cells of 16 pixels
FEATURES = torch.arange(24.0).reshape(1, 4, 6)


def shift(x_px: float, y_px: float) -> np.ndarray:
    return np.array([[1.0, 0.0, x_px], [0.0, 1.0, y_px], [0.0, 0.0, 1.0]])


def test_without_a_map_the_features_themselves_come_back() -> None:
    aligned = align(FEATURES, None, SIZE)
    assert aligned.features_chw is FEATURES
    assert aligned.valid_hw.all()


def test_the_identity_changes_nothing() -> None:
    aligned = align(FEATURES, np.eye(3), SIZE)
    torch.testing.assert_close(aligned.features_chw, FEATURES)
    assert aligned.valid_hw.all()


def test_a_shift_by_a_cell_moves_columns_and_reveals_one() -> None:
    aligned = align(FEATURES, shift(16, 0), SIZE)
    torch.testing.assert_close(aligned.features_chw[0, :, :5], FEATURES[0, :, 1:])
    assert aligned.valid_hw[:, :5].all()
    assert not aligned.valid_hw[:, 5].any()


def test_half_a_cell_mixes_two() -> None:
    aligned = align(FEATURES, shift(0, 8), SIZE)
    torch.testing.assert_close(aligned.features_chw[0, :3], (FEATURES[0, :3] + FEATURES[0, 1:]) / 2)
    assert aligned.valid_hw.all(), "the centre of the last row lies on the border"


def test_a_turn_by_half_reverses_both_axes() -> None:
    turn = np.array([[-1.0, 0.0, SIZE[1] - 1], [0.0, -1.0, SIZE[0] - 1], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(align(FEATURES, turn, SIZE).features_chw, FEATURES.flip(1, 2))


def test_behind_the_camera_nothing_is_shown() -> None:
    assert not align(FEATURES, np.diag([1.0, 1.0, -1.0]), SIZE).valid_hw.any()


@pytest.mark.parametrize("matrix", [np.eye(2), np.full((3, 3), np.nan)])
def test_no_homography(matrix: np.ndarray) -> None:
    with pytest.raises(ShapeError, match="homography"):
        align(FEATURES, matrix, SIZE)


def test_no_grid() -> None:
    with pytest.raises(ShapeError, match=r"\(c, h, w\)"):
        align(torch.zeros(8), None, SIZE)
