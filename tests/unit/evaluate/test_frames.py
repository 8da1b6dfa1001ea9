from __future__ import annotations

import numpy as np
import pytest

from maskscope.evaluate.frames import FrameObjects
from maskscope.evaluate.reach import disk, neighbourhood_of


@pytest.mark.parametrize(
    "present", [[], [1], [255], [1, 2], [1, 255], [7, 8, 200, 254], [1, 2, 3, 4, 5], list(range(1, 256))]
)
@pytest.mark.parametrize("kind", [np.uint8, np.int32])
def test_objects_of_a_label_map_are_its_labels(present: list[int], kind: type) -> None:
    labels = np.zeros((20, 30), dtype=kind)
    labels.ravel()[: len(present)] = present
    before = labels.copy()
    for given in (labels, np.asfortranarray(labels), np.repeat(labels, 2, axis=1)[:, ::2]):
        assert FrameObjects.read(given, "map").shown == tuple(present)
        assert FrameObjects.read(given, "map", void_label=255).shown == tuple(
            label for label in present if label != 255
        )
    np.testing.assert_array_equal(labels, before)


def test_void_is_told_apart() -> None:
    frame = FrameObjects.read(np.array([[0, 1, 255]], dtype=np.uint8), "map", void_label=255)
    assert frame.void_hw is not None
    assert frame.void_hw.tolist() == [[False, False, True]]
    assert frame.mask(1).tolist() == [[False, True, False]]
    assert not frame.mask(9).any()
    assert frame.told is None


def test_masks_by_object_tell_of_absent_ones() -> None:
    frame = FrameObjects.read({3: np.ones((2, 2), bool), 1: np.zeros((2, 2), bool)}, "masks")
    assert frame.shown == (3,)
    assert frame.told == {1, 3}
    assert frame.mask(3).all()
    assert not frame.mask(7).any()


def test_disks_of_every_size_hold_the_pixels_within() -> None:
    for radius in (0, 0.5, 1, 1.5, 2, 5, 8, 12.3, 36):
        pixels = {(row, column) for row, first, last in disk(radius).runs for column in range(first, last + 1)}
        reach = range(-40, 41)
        assert pixels == {(y, x) for y in reach for x in reach if y * y + x * x <= radius**2}


def test_a_neighbourhood_need_not_hold_the_pixel_itself() -> None:
    aside = neighbourhood_of(np.array([[False, False, True, True, False]]))
    assert aside.runs == ((0, 0, 1),)
    assert neighbourhood_of(np.array([[True, False, False]])).runs == ((0, -1, -1),)
