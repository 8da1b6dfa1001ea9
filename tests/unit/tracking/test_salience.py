"""Which cells of a memory are kept, and how many."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from maskscope.tracking.salience import count_of, salient

GRID = (12, 20)
CELLS = 240


def mask_of(top: int, left: int, bottom: int, right: int) -> Tensor:
    """Logits at four times the grid; the box is in cells."""
    mask = torch.full((4 * GRID[0], 4 * GRID[1]), -3.0)
    mask[4 * top : 4 * bottom, 4 * left : 4 * right] = 3.0
    return mask


def kept(mask: Tensor, count: int) -> Tensor:
    """(h, w) bool."""
    found = torch.zeros(CELLS, dtype=torch.bool)
    found[salient(mask[None], GRID, count)[0]] = True
    return found.reshape(GRID)


@pytest.mark.parametrize(("share", "count"), [(1.0, 240), (0.5, 120), (0.25, 60), (0.01, 2), (0.001, 1)])
def test_as_many_as_stated(share: float, count: int) -> None:
    assert count_of(share, CELLS) == count
    cells = salient(torch.stack([mask_of(2, 3, 6, 9), mask_of(0, 0, 0, 0)]), GRID, count)
    assert cells.shape == (2, count)
    assert (cells.diff(dim=1) > 0).all(), "in rising order, each once"


def test_all_of_them_is_all_of_them() -> None:
    assert torch.equal(salient(mask_of(2, 3, 6, 9)[None], GRID, CELLS)[0], torch.arange(CELLS))


def test_the_outline_comes_before_the_inside_and_both_before_the_background() -> None:
    """A box of 8 x 10 cells: 36 on its edge and 40 around them, 48 - 4 = 44 inside of the edge's neighbours."""
    mask, box = mask_of(2, 5, 10, 15), torch.zeros(GRID, dtype=torch.bool)
    box[2:10, 5:15] = True
    around = torch.zeros(GRID, dtype=torch.bool)
    around[1:11, 4:16] = True
    core = torch.zeros(GRID, dtype=torch.bool)
    core[3:9, 6:14] = True
    outline = around & ~core
    assert int(outline.sum()) == 72
    some = kept(mask, 96)  # 24 for the background, 72 left: just the outline
    assert torch.equal(some & around, outline)
    assert int((some & ~around).sum()) == 24
    more = kept(mask, 160)  # 40 for the background, 72 of the outline, 48 inside
    assert bool((more & around == around).all())
    assert int((more & ~around).sum()) == 40


def test_too_long_an_outline_is_thinned_evenly() -> None:
    some = kept(mask_of(1, 1, 11, 19), 40)
    assert int(some[:6].sum()) in range(15, 26)
    assert int(some[:, :10].sum()) in range(15, 26)


def test_without_the_object_it_is_an_even_sample() -> None:
    some = kept(mask_of(0, 0, 0, 0), 60)
    quarters = [int(some[y : y + 6, x : x + 10].sum()) for y in (0, 6) for x in (0, 10)]
    assert sum(quarters) == 60
    assert all(12 <= quarter <= 18 for quarter in quarters)
    assert all(int(row.sum()) in range(3, 8) for row in some), "every row, about a quarter of it"


def test_a_mask_that_fills_the_picture_leaves_no_room_for_background() -> None:
    assert int(kept(mask_of(0, 0, 12, 20), 60).sum()) == 60


def test_other_sizes_of_mask() -> None:
    assert salient(torch.full((1, 30, 50), -1.0), GRID, 10).shape == (1, 10)
