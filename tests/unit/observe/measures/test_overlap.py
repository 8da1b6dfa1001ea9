"""Overlap on a grid, of masks and of maps whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from maskscope.errors import ShapeError
from maskscope.observe.grid import Regions
from maskscope.observe.measures.overlap import area_matched_iou, chance_iou, grid_iou

MASK = np.zeros((4, 4), bool)
MASK[:2, :2] = True
REGIONS = Regions.of(MASK, (4, 4))


def test_overlap_of_a_mask() -> None:
    assert grid_iou(MASK, REGIONS) == 1.0
    assert grid_iou(~MASK, REGIONS) == 0.0
    half = MASK.copy()
    half[0] = False
    half[3, :2] = True
    assert grid_iou(half, REGIONS) == pytest.approx(2 / 6)


def test_cells_without_truth_count_for_nothing() -> None:
    valid = np.ones((4, 4), bool)
    valid[0] = False
    regions = Regions.of(MASK, (4, 4), valid)
    predicted = MASK.copy()
    predicted[0] = True
    assert grid_iou(predicted, regions) == 1.0
    assert area_matched_iou(np.where(predicted, 1.0, 0.0), regions) == 1.0


def test_a_map_is_cut_at_the_objects_area() -> None:
    best = np.where(MASK, 3.0, np.arange(16).reshape(4, 4) / 100)
    assert area_matched_iou(best, REGIONS) == 1.0
    assert area_matched_iou(-best, REGIONS) == 0.0
    shifted = np.roll(best, 1, axis=1)
    assert area_matched_iou(shifted, REGIONS) == pytest.approx(2 / 6)
    assert area_matched_iou(1000 * best - 7, REGIONS) == 1.0, "no unit matters"


def test_a_flat_map_is_at_chance() -> None:
    assert chance_iou(REGIONS) == pytest.approx(0.25 / 1.75)
    assert area_matched_iou(np.full((4, 4), 0.1), REGIONS) == pytest.approx(chance_iou(REGIONS))


def test_chance_is_what_random_maps_have() -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((40, 40), bool)
    mask[10:30, 5:25] = True
    regions = Regions.of(mask, (40, 40))
    found = [area_matched_iou(rng.random((40, 40)), regions) for _ in range(50)]
    assert np.mean(found) == pytest.approx(chance_iou(regions), abs=0.01)


def test_nothing_to_compare_with() -> None:
    with pytest.raises(ShapeError, match="one size"):
        grid_iou(np.zeros((2, 2), bool), REGIONS)
    with pytest.raises(ShapeError, match="absent"):
        area_matched_iou(np.zeros((4, 4)), Regions.of(np.zeros((4, 4), bool), (4, 4)))
