"""Separations that were planted are found: of known size, at a known place, and no other where nothing was planted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maskscope.errors import ShapeError
from maskscope.observe.grid import Regions
from maskscope.observe.measures.readout import Readout, leave_one_out
from maskscope.observe.measures.separation import Cells, Separation, cosine_margin, place_of
from maskscope.observe.probe import Sight
from maskscope.observe.reading import Reading
from maskscope.stages import Stage

GRID, CHANNELS = (30, 40), 8


def mask_of(frame: int) -> np.ndarray:
    mask = np.zeros(GRID, bool)
    mask[5:17, 4 + frame : 16 + frame] = True
    return mask


def features(frame: int, shift: float, mask: np.ndarray | None = None, seed: int = 0) -> torch.Tensor:
    """Normal noise, a common offset, and `shift` deviations in channel 2 on the object."""
    rng = np.random.default_rng([seed, frame])
    x = rng.normal(5, 1, (CHANNELS, *GRID))
    x[2, mask_of(frame) if mask is None else mask] += shift
    return torch.from_numpy(x.astype(np.float32))


def sight(
    frame: int, x: torch.Tensor, stage: Stage = "image_embedding", tap: str = "", mask: np.ndarray | None = None
) -> Sight:
    regions = Regions.of(mask_of(frame) if mask is None else mask, GRID)
    picture = np.full((60, 80, 3), 90, np.uint8)
    picture[..., 0] += np.random.default_rng(frame).integers(0, 60, (60, 80)).astype(np.uint8)
    return Sight(stage, tap, frame, 1, x, regions, None, picture)


def of(readings: list[Reading], metric: str, frame: int | None = None, stage: str | None = None) -> list[float]:
    chosen = [r for r in readings if r.metric == metric and frame in (None, r.frame) and stage in (None, r.stage)]
    return [r.value for r in chosen if r.value is not None]


def states(readings: list[Reading]) -> list[str | None]:
    return [r.state for r in readings if r.metric == "separation_auc"]


@pytest.mark.parametrize(("shift", "area"), [(0.0, 0.5), (1.0, 0.760), (2.0, 0.921), (6.0, 1.0)])
def test_the_area_is_that_of_the_planted_distributions(shift: float, area: float) -> None:
    """Phi(shift / sqrt 2), on frames the read-out was not fitted on."""
    separation = Separation()
    readings = [r for t in range(12) for r in separation.see(sight(t, features(t, shift)))]
    assert states(readings)[0] == "fitted here"
    areas = of(readings, "separation_auc")
    assert len(areas) == 11
    assert np.mean(areas) == pytest.approx(area, abs=0.03)
    fisher = np.mean(of(readings, "fisher_ratio"))
    assert fisher == pytest.approx(shift**2, rel=0.2, abs=0.25)
    chance = of(readings, "separation_chance")[0]
    precision = np.mean(of(readings, "separation_ap"))
    assert precision == pytest.approx(chance, abs=0.04) if shift == 0 else precision > chance + 0.1
    for baseline in ("control", "rgb"):
        assert np.mean(of(readings, f"separation_auc_{baseline}")) == pytest.approx(0.5, abs=0.06), baseline


def test_place_tells_where_the_object_stands_still() -> None:
    separation = Separation()
    still = mask_of(0)
    readings = [r for t in (0, 1) for r in separation.see(sight(t, features(t, 0, still), mask=still))]
    assert of(readings, "separation_auc_position", 1)[0] > 0.9
    assert of(readings, "separation_auc", 1)[0] < 0.65
    assert {r.stage for r in readings if r.metric.endswith(("_position", "_rgb", "_chance"))} == {None}


def test_colour_tells_where_the_object_has_one() -> None:
    separation, values = Separation(), []
    for t in (0, 3):
        picture = np.full((*GRID, 3), 40, np.uint8)
        picture[mask_of(t)] = (200, 40, 40)
        seen = sight(t, features(t, 0))
        seen = Sight(seen.stage, "", t, 1, seen.features, seen.regions, None, picture)
        values += of(list(separation.see(seen)), "separation_auc_rgb")
    assert values == [1.0]


def test_what_any_region_has_the_control_shows() -> None:
    """Features that spell out the place tell every region of a still picture: the control is as good as the object."""
    y, x = torch.meshgrid(torch.linspace(0, 6, GRID[0]), torch.linspace(0, 8, GRID[1]), indexing="ij")
    bumps = torch.stack([torch.exp(-((x - i) ** 2) - (y - j) ** 2) for i in range(9) for j in range(7)])
    separation, still = Separation(), mask_of(0)
    for t in (0, 1):
        readings = list(separation.see(sight(t, bumps, mask=still)))
    assert of(readings, "separation_auc")[0] > 0.9
    assert of(readings, "separation_auc_control")[0] > 0.9


def test_a_prompted_frame_is_fitted_on_only_where_it_is_like_the_others() -> None:
    for stage, expected in {
        "image_embedding": ["fitted here", None, None],
        "memory_conditioned": ["fitted later", "fitted here", None],
        "prompt_attended": ["fitted later", "fitted here", None],
        "memory_features": ["fitted here", None, None],
    }.items():
        separation = Separation()
        readings = [r for t in range(3) for r in separation.see(sight(t, features(t, 3), stage))]  # type: ignore[arg-type]
        assert states(readings) == expected
        assert len(of(readings, "fisher_ratio")) == 3


def test_taps_and_objects_have_read_outs_of_their_own() -> None:
    separation = Separation()
    list(separation.see(sight(0, features(0, 4))))
    list(separation.see(sight(0, -features(0, 4), tap="trunk.stride16")))
    readings = [
        *separation.see(sight(1, features(1, 4))),
        *separation.see(sight(1, -features(1, 4), tap="trunk.stride16")),
    ]
    areas = {r.tap: r.value for r in readings if r.metric == "separation_auc"}
    assert set(areas) == {"", "trunk.stride16"}
    assert min(v for v in areas.values() if v is not None) > 0.98
    assert {place for _, place in separation.readouts} == {
        *("image_embedding", "control/image_embedding", "position", "rgb"),
        *("image_embedding/trunk.stride16", "control/image_embedding/trunk.stride16"),
    }
    assert place_of("image_embedding", "trunk.stride16") == "image_embedding/trunk.stride16"


def test_what_cannot_be_measured_has_a_state() -> None:
    separation = Separation()
    tiny, full, none = np.zeros((300, 400), bool), np.ones(GRID, bool), np.zeros(GRID, bool)
    tiny[0, :9] = True
    for t, (mask, state) in enumerate([(tiny, "lost at this stride"), (full, "fills the frame"), (none, "absent")]):
        assert [(r.metric, r.state) for r in separation.see(sight(t, features(t, 1), mask=mask))] == [
            ("separation_auc", state)
        ]
    assert separation.readouts == {}
    overflow = features(3, 1)
    overflow[0, 0, 0] = float("inf")
    assert states(list(separation.see(sight(3, overflow)))) == ["not finite"]
    assert states(list(separation.see(sight(4, features(4, 1))))) == ["fitted here"], "the first that can be"
    pointer = Sight("object_pointer", "", 5, 1, torch.ones(8))
    assert list(separation.see(pointer)) == []


def test_a_large_object_has_no_control() -> None:
    large = np.zeros(GRID, bool)
    large[:, :25] = True
    separation = Separation()
    readings = [r for t in (0, 1) for r in separation.see(sight(t, features(t, 3, large), mask=large))]
    assert [r.state for r in readings if r.metric == "separation_auc_control"] == ["no room elsewhere"] * 2
    assert len(of(readings, "separation_auc")) == 1


def test_read_outs_of_the_clean_run_serve_another() -> None:
    clean = Separation()
    for t in range(3):
        list(clean.see(sight(t, features(t, 3))))
    before = dict(clean.readouts)
    other = Separation(readouts=clean.readouts, elsewhere=clean.elsewhere)
    readings = [r for t in range(3) for r in other.see(sight(t, -features(t, 3)))]
    assert states(readings) == [None] * 3, "tested on every frame, also where the clean run was fitted"
    assert max(of(readings, "separation_auc")) < 0.05, "whose signs are turned round"
    list(other.see(sight(0, features(0, 3), "memory_features")))
    assert clean.readouts == before


def test_other_clips_know_the_direction_only_if_they_share_it() -> None:
    moments = {}
    for n, clip in enumerate(("a", "b", "c")):
        separation = Separation(collect=True)
        for t in range(3):
            shift = 3.0 if clip != "c" else -3.0
            list(separation.see(sight(t, features(t, shift, seed=n))))
        moments[clip] = separation.moments
        assert separation.moments["image_embedding"].object.count == 3 * 144
    read = {
        clip: of(list(Separation(others=others).see(sight(9, features(9, 3.0, seed=9)))), "separation_auc_others")[0]
        for clip, others in leave_one_out(moments).items()
    }
    assert read["c"] > 0.95
    assert read["a"] == pytest.approx(0.5, abs=0.25), "one clip for it and one against"


def test_cosine_margin_by_hand() -> None:
    """Object along the prototype, half of the background against it and half across: 1 - (-1 + 0) / 2."""
    mask = np.array([[True, False, False]])
    x = torch.tensor([[3.0, -1.0, 1.0], [5.0, 5.0, 9.0]])[:, None]
    readout = Readout(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 5.0]), torch.tensor([1.0, 0.0]))
    assert cosine_margin(Cells.of(x, Regions.of(mask, (1, 3))), readout) == pytest.approx(1.5)


def test_features_and_regions_are_of_one_grid() -> None:
    with pytest.raises(ShapeError, match=r"features are \(8, 30, 40\) and the regions \(3, 4\)"):
        Cells.of(features(0, 0), Regions.of(mask_of(0), (3, 4)))
