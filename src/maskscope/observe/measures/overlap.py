"""How well a picture at a grid's resolution covers the object: overlap of a mask, and of a map without a threshold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maskscope.errors import ShapeError
from maskscope.observe.grid import Regions


def grid_iou(predicted_hw: NDArray[np.bool_], regions: Regions) -> float:
    """Intersection over union with the object's cells, 0..1; cells without truth count for nothing.

    Args:
        predicted_hw: (rows, columns) bool.
        regions: on the same grid, with at least one cell of the object.

    Raises:
        ShapeError: another grid, or no cell of the object.
    """
    truth = _truth(predicted_hw.shape, regions)
    predicted = predicted_hw & regions.valid
    return float(np.count_nonzero(predicted & truth) / np.count_nonzero(predicted | truth))


def area_matched_iou(map_hw: NDArray[np.floating], regions: Regions) -> float:
    """IoU of the object with as many of the map's highest cells as the object has, 0..1.

    No threshold has to be chosen and no unit matters. A map that knows nothing of the object has about
    `chance_iou`; cells of one value at the border of the choice count by the share of them that is chosen.

    Args:
        map_hw: (rows, columns), finite; higher is more.
        regions: on the same grid, with at least one cell of the object.

    Raises:
        ShapeError: another grid, or no cell of the object.
    """
    truth = _truth(map_hw.shape, regions)
    values, inside = map_hw[regions.valid], truth[regions.valid]
    wanted = int(inside.sum())
    threshold = np.sort(values)[-wanted]
    above, tied = values > threshold, values == threshold
    part = (wanted - np.count_nonzero(above)) / np.count_nonzero(tied)
    shared = np.count_nonzero(above & inside) + part * np.count_nonzero(tied & inside)
    return float(shared / (2 * wanted - shared))


def chance_iou(regions: Regions) -> float:
    """`area_matched_iou` of a map without any preference: a / (2 - a), a the object's share of the cells."""
    share = np.count_nonzero(regions.object) / np.count_nonzero(regions.valid)
    return float(share / (2 - share))


def _truth(shape: tuple[int, ...], regions: Regions) -> NDArray[np.bool_]:
    if shape != regions.grid:
        raise ShapeError(f"the picture is {shape} and the object's grid {regions.grid}, expected one size")
    if not regions.object.any():
        raise ShapeError(f"the object is {regions.state!r}, expected one cell of it or more")
    return regions.object
