"""Distances in units of the clean clip's own motion, with maps made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from maskscope.errors import ShapeError
from maskscope.observe.counterpart import NO_MOMENT, Counterpart
from maskscope.observe.grid import Regions
from maskscope.observe.measures.filtering import (
    NO_USUAL,
    NOT_HELD,
    UNDISTURBED,
    Filtering,
    RootMeanSquare,
    filtering_ratio,
    squared_distance,
)
from maskscope.observe.probe import Sight
from maskscope.observe.reading import Reading
from maskscope.stages import Stage

SIZE = (64, 64)
GRID = (4, 4)
MASK = np.zeros(SIZE, bool)
MASK[:32, :32] = True  # the four cells at the top left
OBJECT = torch.zeros(GRID, dtype=torch.bool)
OBJECT[:2, :2] = True


def sight(stage: Stage, frame: int, features: Tensor, mask: np.ndarray = MASK, tap: str = "") -> Sight:
    regions = Regions.of(mask, GRID) if features.ndim == 3 else None
    return Sight(stage, tap, frame, 1, features, regions)


def flat(value: float, channels: int = 4) -> Tensor:
    return torch.full((channels, *GRID), value)


def on(object_value: float, background_value: float) -> Tensor:
    return torch.where(OBJECT, object_value, background_value).expand(4, *GRID)


def only(readings: list[Reading], metric: str, stage: Stage) -> Reading:
    found = [r for r in readings if r.metric == metric and r.stage == stage]
    assert len(found) == 1, found
    return found[0]


def test_squared_distance_of_cells() -> None:
    a = torch.zeros(3, 1, 2)
    b = torch.tensor([[1.0, 0.0], [2.0, 0.0], [2.0, 0.0]])[:, None]
    assert squared_distance(a, b).tolist() == [[9.0, 0.0]]
    with pytest.raises(ShapeError, match="one"):
        squared_distance(a, torch.zeros(3, 2, 2))


def test_root_mean_square_over_regions_that_come_one_by_one() -> None:
    rms = RootMeanSquare()
    assert rms.value is None
    rms.add(torch.tensor([[9.0, 100.0]]), torch.tensor([[True, False]]))
    rms.add(torch.tensor([[1.0, 16.0]]), torch.tensor([[False, True]]))
    assert rms.value == pytest.approx(12.5**0.5)


def test_ratio() -> None:
    assert filtering_ratio(4.0, 1.0) == 0.25
    assert filtering_ratio(0.0, 1.0) is None


def test_distances_are_in_units_of_the_clean_clips_own_motion() -> None:
    """From frame to frame the clean features move by 0.5; the disturbance by 1 on the object, 3 beside it."""
    filtering = Filtering(SIZE)
    for t in range(3):
        filtering.clean.see(sight("image_embedding", t, flat(0.5 * t)))
        assert filtering.disturbed.see(sight("image_embedding", t, flat(0.5 * t) + on(1.0, 3.0))) == []
    assert filtering.usual("image_embedding", "object", object=1) == pytest.approx(1.0), "0.5 in each of 4 channels"
    readings = filtering.readings()
    for region, expected in (("object", 2.0), ("background", 6.0)):
        found = [r for r in readings if r.metric == f"filtering_distance.{region}"]
        assert [r.value for r in found] == [pytest.approx(expected)] * 3
        assert [r.frame for r in found] == [0, 1, 2]


def test_the_ratio_says_what_a_stage_leaves() -> None:
    """Memory attention halves the disturbance on the object and removes it beside; norms differ by a hundred."""
    filtering = Filtering(SIZE)
    for t in range(2):
        filtering.clean.see(sight("image_embedding", t, flat(1.0 * t)))
        filtering.disturbed.see(sight("image_embedding", t, flat(1.0 * t) + on(4.0, 4.0)))
        filtering.clean.see(sight("memory_conditioned", t, flat(100.0 * t)))
        filtering.disturbed.see(sight("memory_conditioned", t, flat(100.0 * t) + on(200.0, 0.0)))
    readings = [r for r in filtering.readings() if r.frame == 1]
    assert only(readings, "filtering_ratio.object", "memory_conditioned").value == pytest.approx(0.5)
    assert only(readings, "filtering_ratio.background", "memory_conditioned").value == 0.0
    assert not [r for r in readings if r.metric.startswith("filtering_ratio") and r.stage == "image_embedding"]


def test_pointers_and_memories_have_their_own_predecessors() -> None:
    filtering = Filtering(SIZE)
    shifts: dict[Stage, float] = {"image_embedding": 1, "prompt_attended": 2, "object_pointer": 6, "memory_features": 4}
    for t in range(2):
        for stage, shift in shifts.items():
            clean = torch.full((4,), float(t)) if stage == "object_pointer" else flat(float(t))
            filtering.clean.see(sight(stage, t, clean))
            filtering.disturbed.see(sight(stage, t, clean + shift))
    readings = [r for r in filtering.readings() if r.frame == 1]
    assert only(readings, "filtering_ratio.object", "object_pointer").value == pytest.approx(3.0)
    assert only(readings, "filtering_ratio.object", "memory_features").value == pytest.approx(4.0)
    assert not [r for r in readings if r.stage == "object_pointer" and "background" in r.metric]


def test_nothing_was_disturbed() -> None:
    filtering = Filtering(SIZE)
    for t in range(2):
        for stage in ("image_embedding", "memory_conditioned"):
            filtering.clean.see(sight(stage, t, flat(float(t))))
            filtering.disturbed.see(sight(stage, t, flat(float(t))))
    readings = [r for r in filtering.readings() if r.frame == 1]
    assert only(readings, "filtering_distance.object", "image_embedding").value == 0.0
    assert only(readings, "filtering_ratio.object", "memory_conditioned").state == UNDISTURBED


def test_moved_pixels_are_compared_where_they_came_from() -> None:
    """The picture is moved by one cell to the left; features that follow have not been disturbed at all."""
    torch.manual_seed(0)
    shift = np.array([[1.0, 0.0, 16.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    clean = [torch.randn(4, *GRID) for _ in range(2)]
    moved_mask = np.roll(MASK, -16, axis=1)
    moved_mask[:, -16:] = False
    filtering = Filtering(SIZE, lambda t: Counterpart(t, shift))
    still = Filtering(SIZE)
    for t, features in enumerate(clean):
        follows = torch.cat((features[:, :, 1:], torch.full((4, 4, 1), 99.0)), dim=2)
        for run in (filtering, still):
            run.clean.see(sight("image_embedding", t, features))
            run.disturbed.see(sight("image_embedding", t, follows, moved_mask))
    for region in ("object", "background"):
        found, unaligned = (
            [r.value for r in run.readings() if r.metric == f"filtering_distance.{region}"]
            for run in (filtering, still)
        )
        assert found == [pytest.approx(0.0, abs=1e-5)] * 2
        assert all(value is not None and value > 0.3 for value in unaligned)


def test_another_speed_is_compared_with_the_frame_it_shows() -> None:
    filtering = Filtering(SIZE, lambda t: Counterpart(2 * t), keep=4)
    for t in range(4):
        filtering.clean.see(sight("image_embedding", t, flat(float(t * t))))
    filtering.disturbed.see(sight("image_embedding", 1, flat(4.0)))
    assert only(filtering.readings(), "filtering_distance.object", "image_embedding").value == 0.0


def test_what_cannot_be_aligned_is_said() -> None:
    """Foreign footage, and a frame that is no longer held."""
    filtering = Filtering(SIZE, lambda t: Counterpart.of(None if t == 5 else 0.0))
    for t in range(4):
        filtering.clean.see(sight("image_embedding", t, flat(float(t))))
    for t in (4, 5):
        filtering.disturbed.see(sight("image_embedding", t, flat(0.0)))
    assert {(r.frame, r.state) for r in filtering.readings()} == {(4, NOT_HELD), (5, NO_MOMENT)}
    assert len(filtering.readings()) == 4, "object and background, twice"


def test_a_clip_that_stands_still_has_no_unit() -> None:
    filtering = Filtering(SIZE)
    for t in range(2):
        filtering.clean.see(sight("image_embedding", t, flat(1.0)))
        filtering.disturbed.see(sight("image_embedding", t, flat(2.0)))
    assert {r.state for r in filtering.readings() if r.metric.startswith("filtering_distance")} == {NO_USUAL}


def test_an_absent_object_is_a_state() -> None:
    filtering = Filtering(SIZE)
    nothing = np.zeros(SIZE, bool)
    for t in range(2):
        filtering.clean.see(sight("image_embedding", t, flat(float(t)), nothing))
        filtering.disturbed.see(sight("image_embedding", t, flat(t + 1.0), nothing))
    of_object = [r for r in filtering.readings() if r.metric.endswith(".object")]
    assert {(r.value, r.state) for r in of_object} == {(None, "absent")}
    assert only([r for r in filtering.readings() if r.frame == 1], "filtering_distance.background", "image_embedding")


def test_cka_of_rotated_features_is_one_although_their_distance_is_not() -> None:
    torch.manual_seed(0)
    rotation, _ = torch.linalg.qr(torch.randn(4, 4))
    filtering = Filtering(SIZE)
    for t in range(2):
        features = torch.randn(4, *GRID)
        filtering.clean.see(sight("image_embedding", t, features))
        filtering.disturbed.see(sight("image_embedding", t, torch.einsum("dc,chw->dhw", rotation, features)))
    readings = filtering.readings()
    of_frames = [r for r in readings if r.metric == "cka.object" and r.frame is not None]
    whole = [r for r in readings if r.metric == "cka.object" and r.frame is None]
    assert [r.value for r in (*of_frames, *whole)] == [pytest.approx(1.0, abs=1e-5)] * 3
    assert only([r for r in readings if r.frame == 1], "filtering_distance.object", "image_embedding").value > 0.3


def test_only_a_few_clean_frames_are_held() -> None:
    filtering = Filtering(SIZE, keep=2)
    for t in range(9):
        filtering.clean.see(sight("image_embedding", t, flat(float(t))))
    assert {place: list(held) for place, held in filtering._held.items()} == {("image_embedding", "", 1): [7, 8]}
    with pytest.raises(ShapeError, match="2 or more"):
        Filtering(SIZE, keep=1)
