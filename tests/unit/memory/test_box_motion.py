"""A filter of boxes against numbers worked out by hand and against the general Kalman equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maskscope.memory.box_motion import BoxMotion, Coordinate, box_iou, mask_box


def test_a_box_around_a_mask() -> None:
    mask = torch.full((8, 10), -1.0)
    mask[2:5, 3:9] = 1.0
    assert mask_box(mask) == (6.0, 3.5, 6.0, 3.0)
    assert mask_box(torch.full((4, 4), -1.0)) is None
    mask[7, 0] = 0.1
    assert mask_box(mask) == (4.5, 5.0, 9.0, 6.0), "every pixel counts"


def test_overlap_of_boxes() -> None:
    a, b = (2.0, 2.0, 4.0, 4.0), (4.0, 2.0, 4.0, 4.0)
    assert box_iou(a, a) == 1
    assert box_iou(a, b) == pytest.approx(8 / 24)
    assert box_iou(a, (9.0, 2.0, 4.0, 4.0)) == 0
    assert box_iou(a, None) == 0


def test_a_box_at_rest_stays() -> None:
    motion = BoxMotion.seen_once((50.0, 40.0, 20.0, 10.0))
    for _ in range(5):
        motion = motion.predicted().updated((50.0, 40.0, 20.0, 10.0))
    assert motion.predicted().box == pytest.approx((50.0, 40.0, 20.0, 10.0))


def test_a_steady_path_is_foreseen() -> None:
    motion = BoxMotion.seen_once((0.0, 0.0, 20.0, 10.0))
    for t in range(1, 20):
        motion = motion.predicted().updated((3.0 * t, -1.0 * t, 20.0, 10.0))
    assert motion.predicted().box == pytest.approx((60.0, -20.0, 20.0, 10.0), abs=0.3)
    five = motion
    for _ in range(5):
        five = five.predicted()
    assert five.box[0] == pytest.approx(72.0, abs=1.0), "and farther ahead"


def test_the_closed_form_is_kalmans() -> None:
    side, measured = 20.0, [1.0, 2.5, 2.0, 4.0]
    state = Coordinate.seen_once(0.0, side)
    x, p = np.zeros(2), np.diag([state.var_value, state.var_velocity])
    f, h = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0]])
    q, r = np.diag([(side / 20) ** 2, (side / 160) ** 2]), np.array([[(side / 20) ** 2]])
    for z in measured:
        state = state.predicted(side).updated(z, side)
        x, p = f @ x, f @ p @ f.T + q
        gain = p @ h.T @ np.linalg.inv(h @ p @ h.T + r)
        x, p = x + gain @ (z - h @ x), (np.eye(2) - gain @ h) @ p
    assert (state.value, state.velocity) == pytest.approx(tuple(x))
    assert (state.var_value, state.covariance, state.var_velocity) == pytest.approx((p[0, 0], p[0, 1], p[1, 1]))


def test_it_can_be_written_down_exactly() -> None:
    motion = BoxMotion.seen_once((1 / 3, 40.1, 20.7, 10.9)).predicted().updated((2.1, 41.3, 20.2, 11.0))
    assert BoxMotion.from_tensor(motion.to_tensor()) == motion


def test_a_shrinking_box_keeps_a_side() -> None:
    motion = BoxMotion.seen_once((5.0, 5.0, 8.0, 8.0))
    for side in (6.0, 4.0, 2.0, 1.0):
        motion = motion.predicted().updated((5.0, 5.0, side, side))
    for _ in range(50):
        motion = motion.predicted()
    assert min(motion.box[2:]) > 0
