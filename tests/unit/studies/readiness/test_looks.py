"""Look-alikes in an image embedding that is drawn by hand."""

import numpy as np
import torch

from maskscope.studies.readiness.clean import _Looks
from maskscope.tracking.observer import Observation


def embedding(*things):
    """(1, 3, 16, 16): a background of one direction, squares of 3 cells of another for each (row, column, vector)."""
    found = torch.zeros(1, 3, 16, 16)
    found[:, 0] = 1
    for row, column, vector in things:
        found[0, :, row : row + 3, column : column + 3] = torch.tensor(vector)[:, None, None]
    return found


def labels(row=4, column=4):
    found = np.zeros((64, 64), np.uint8)
    found[4 * row : 4 * row + 12, 4 * column : 4 * column + 12] = 1
    return found


def compared(*things):
    looks = _Looks((1,))
    looks.observe(Observation("image_embedding", 0, (), embedding(*things)))
    return looks.compare(labels())


def test_a_twin_resembles_the_object_as_much_as_it_does_itself():
    own, other = compared((4, 4, (0.0, 1.0, 0.0)), (11, 11, (0.0, 1.0, 0.0)))
    assert own == other == 1


def test_without_a_twin_nothing_does():
    own, other = compared((4, 4, (0.0, 1.0, 0.0)), (11, 11, (0.0, 0.0, 1.0)))
    assert own == 1
    assert other < 0.1


def test_what_touches_the_object_is_no_other_place_and_an_unseen_object_is_not_compared():
    looks = _Looks((1,))
    looks.observe(Observation("image_embedding", 0, (), embedding((4, 4, (0.0, 1.0, 0.0)))))
    assert looks.compare(np.zeros((64, 64), np.uint8)) is None
    assert looks.compare(labels())[1] < 0.1
    assert looks.compare(np.ones((64, 64), np.uint8)) is None
