"""Place and colour as features, and the control region: the object's shape where the object is not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maskscope.errors import ShapeError
from maskscope.observe.grid import Regions
from maskscope.observe.measures.baselines import Elsewhere, colour_features, place_features


def regions(top: int, left: int, height: int = 2, width: int = 3, valid: np.ndarray | None = None) -> Regions:
    """An L of whole cells in a grid of 6 x 10, its corner cell left out."""
    mask = np.zeros((6, 10), bool)
    mask[top : top + height, left : left + width] = True
    mask[top, left + 1 : left + width] = False
    return Regions.of(mask, (6, 10), valid)


def test_place_knows_where_a_cell_is() -> None:
    place = place_features((3, 5))
    assert place.shape == (5, 3, 5)
    torch.testing.assert_close(place[:, 0, 4], torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0]))
    assert not place[:, 1, 2].any()


def test_colour_is_the_cells_mean() -> None:
    picture = np.zeros((4, 8, 3), np.uint8)
    picture[:2, :2] = (255, 0, 0)
    picture[:2, 2:4] = (0, 255, 0)
    colour = colour_features(picture, (2, 2))
    assert colour.shape == (9, 2, 2)
    mean = 128 / 255  # rounded to whole values
    torch.testing.assert_close(colour[:3, 0, 0], torch.tensor([mean, mean, 0.0]))
    torch.testing.assert_close(colour[6, 0, 0], torch.tensor(mean**2))
    assert not colour[:, 1].any()
    with pytest.raises(ShapeError, match=r"\(H, W, 3\) uint8, it is \(4, 8\) uint8"):
        colour_features(picture[..., 0], (2, 2))


@pytest.mark.parametrize("seed", range(8))
def test_the_control_is_the_same_shape_elsewhere(seed: int) -> None:
    at = regions(2, 4)
    there = Elsewhere.find(at, seed)
    assert there is not None
    control = there.control(at)
    assert control.state == "ok"
    ours, theirs = np.argwhere(at.object), np.argwhere(control.object)
    np.testing.assert_array_equal(ours - ours.min(0), theirs - theirs.min(0))
    assert not (control.object & at.object).any()
    assert control.background[at.object].all(), "the object is part of the rest"
    assert not (control.object & control.background).any()


def test_the_control_stays_when_the_object_moves() -> None:
    there = Elsewhere(0.5, 0.25)
    first, later = there.control(regions(0, 6)), there.control(regions(4, 7))
    np.testing.assert_array_equal(first.object, later.object)
    assert first.object.sum() == 4
    larger = there.control(regions(0, 6, height=3, width=4))
    assert larger.object.sum() == 9


def test_the_object_keeps_its_cells_and_the_picture_cuts() -> None:
    met = Elsewhere(0.5, 0.5).control(regions(2, 4))
    assert met.state in ("absent", "ok")
    assert not (met.object & regions(2, 4).object).any()
    corner = Elsewhere(0.0, 0.0).control(regions(2, 4, height=4, width=4))
    assert 0 < corner.object.sum() < regions(2, 4, height=4, width=4).object.sum()


def test_an_object_that_leaves_no_room_has_no_control() -> None:
    assert Elsewhere.find(regions(0, 0, height=6, width=8)) is None
    nowhere = np.zeros((6, 10), bool)
    nowhere[2:4, 4:8] = True
    assert Elsewhere.find(regions(2, 4, valid=nowhere)) is None
    assert Elsewhere.find(Regions.of(np.zeros((6, 10), bool), (6, 10))) is None
