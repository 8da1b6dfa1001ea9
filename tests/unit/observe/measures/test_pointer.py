"""Pointers along a clip: planted directions whose cosines and neighbours are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from maskscope.errors import ShapeError
from maskscope.observe.measures.pointer import (
    ABSENT,
    FIRST_FRAME,
    NO_DISTRACTOR,
    PointerIdentity,
    pointer_cosines,
    pointer_retrieval,
)
from maskscope.observe.probe import Sight


def direction(angle: float) -> Tensor:
    """On a half circle of degrees, of length 3."""
    turned = torch.deg2rad(torch.tensor(angle))
    return 3 * torch.stack((turned.cos(), turned.sin()))


def sight(frame: int, pointer: Tensor, object_id: int = 1, visible: bool = True) -> Sight:
    return Sight("object_pointer", "", frame, object_id, pointer, mask_hw=np.full((4, 4), visible))


def test_cosines() -> None:
    found = pointer_cosines(torch.stack([direction(a) for a in (0, 60, 180)]))
    assert found[0].tolist() == pytest.approx([1, 0.5, -1], abs=1e-6)


def test_two_objects_that_keep_their_direction_are_told_apart() -> None:
    pointers = torch.stack([direction(a) for a in (0, 5, 10, 90, 95, 100)])
    found = pointer_retrieval(pointers, [1, 1, 1, 2, 2, 2], [0, 1, 2, 0, 1, 2])
    assert found is not None
    assert (found.top1, found.auc, found.queries) == (1.0, 1.0, 6)
    assert found.chance == pytest.approx(0.5), "each finds two of its own and two of the other"


def test_objects_that_change_places_are_confused() -> None:
    pointers = torch.stack([direction(a) for a in (0, 90, 90, 0)])
    found = pointer_retrieval(pointers, [1, 1, 2, 2], [0, 1, 0, 1])
    assert found is not None
    assert (found.top1, found.auc) == (0.0, 0.0)


def test_neighbouring_frames_are_left_out() -> None:
    """Two of the first object's pointers find each other on neighbouring frames; else they find the second's."""
    pointers = torch.stack([direction(a) for a in (0, 5, 50, 38, 30)])
    objects, frames = [1, 1, 1, 2, 2], [0, 1, 4, 0, 4]
    found = [pointer_retrieval(pointers, objects, frames, gap) for gap in (1, 2)]
    assert [each.top1 for each in found if each is not None] == [pytest.approx(0.8), pytest.approx(0.4)]


def test_one_object_has_nobody_to_be_confused_with() -> None:
    assert pointer_retrieval(torch.ones(3, 2), [1, 1, 1], [0, 1, 2]) is None
    assert pointer_retrieval(torch.zeros(0, 2), [], []) is None


def test_lists_of_different_lengths() -> None:
    with pytest.raises(ShapeError, match="3 pointers of 2 objects"):
        pointer_retrieval(torch.ones(3, 2), [1, 1], [0, 1, 2])
    with pytest.raises(ShapeError, match="gap of 0"):
        pointer_retrieval(torch.ones(1, 2), [1], [0], min_gap=0)


def test_readings_of_frames() -> None:
    measure = PointerIdentity()
    said = [list(measure.see(sight(t, direction(a)))) for t, a in enumerate((0, 60, 90))]
    assert [[r.metric, r.state] for r in said[0]] == [
        ["pointer_cosine.first", FIRST_FRAME],
        ["pointer_cosine.previous", FIRST_FRAME],
    ]
    assert [r.value for r in said[1]] == [pytest.approx(0.5, abs=1e-6)] * 2
    assert [r.value for r in said[2]] == [pytest.approx(0, abs=1e-6), pytest.approx(0.75**0.5, abs=1e-6)]
    assert {(r.stage, r.frame, r.object) for r in said[2]} == {("object_pointer", 2, 1)}


def test_an_absent_object_has_no_pointer_worth_the_name() -> None:
    measure = PointerIdentity()
    list(measure.see(sight(0, direction(0))))
    assert [r.state for r in measure.see(sight(1, direction(180), visible=False))] == [ABSENT] * 2
    assert [r.value for r in measure.see(sight(2, direction(0)))] == [pytest.approx(1)] * 2, (
        "the last one that shows it"
    )


def test_other_positions_are_passed_over() -> None:
    measure = PointerIdentity()
    assert list(measure.see(Sight("image_embedding", "", 0, 1, torch.zeros(2, 4, 4)))) == []
    assert measure.retrieval() is None


def test_readings_of_a_clip() -> None:
    alone, two = PointerIdentity(min_gap=1), PointerIdentity(min_gap=1)
    for t in range(3):
        for measure in (alone, two):
            list(measure.see(sight(t, direction(5 * t))))
        list(two.see(sight(t, direction(90 + 5 * t), object_id=2)))
    assert {r.state for r in alone.readings()} == {NO_DISTRACTOR}
    found = {r.metric: r.value for r in two.readings()}
    assert found == {
        "pointer_retrieval.top1": 1.0,
        "pointer_retrieval.chance": pytest.approx(0.5),
        "pointer_retrieval.auc": 1.0,
    }
