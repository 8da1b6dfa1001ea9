"""The distance of a frame to memory, and what is told from it, with numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from maskscope.errors import SettingError
from maskscope.memory.bank import FrameMemory, FrameSummary, MemoryBank
from maskscope.memory.policy import Moment
from maskscope.memory.scene import (
    DISTANCE,
    OPENS,
    SCENE,
    Rule,
    SceneSettings,
    SceneWatch,
    pooled,
    regularized_deviation,
)


def remembered(t: int, notes: Mapping[str, Tensor], prompted: bool = False) -> FrameMemory:
    summary = FrameSummary(t, prompted, 1.0, 0.9, 0.1)
    return FrameMemory(summary, torch.zeros(2), torch.zeros(1, 1, 1), torch.zeros(1, 1), notes)


def bank_of(scenes: Mapping[int, list[float]], distances: Mapping[int, float] | None = None) -> MemoryBank:
    bank = MemoryBank()
    for t, scene in scenes.items():
        notes = {SCENE: torch.tensor(scene)}
        if distances and t in distances:
            notes[DISTANCE] = torch.tensor([distances[t]])
        bank.write(remembered(t, notes))
    return bank


def embedding(*components: float) -> Tensor:
    return torch.tensor(components)[:, None, None].repeat(1, 2, 2)


# Two frames at 0 and 2, twice: mean 1, deviation 1 in each of two components.
PAIR = {1: [0.0, 0.0], 2: [2.0, 2.0], 3: [0.0, 2.0], 4: [2.0, 0.0]}
EXACT = {"grid": 1, "spread": 1e-6, "calm": 0.0}


@pytest.mark.parametrize(
    ("scene", "distance"), [((1.0, 1.0), 0.0), ((4.0, 4.0), 3.0), ((4.0, 1.0), 3 / 2**0.5), ((0.0, 2.0), 1.0)]
)
def test_the_distance_counts_deviations(scene: tuple[float, float], distance: float) -> None:
    watch = SceneWatch(SceneSettings(rule="fixed", threshold=2.5, **EXACT))  # type: ignore[arg-type]  # all numbers
    verdict = watch.judge(embedding(*scene), bank_of(PAIR), Moment(5))
    assert verdict.distance == pytest.approx(distance, rel=1e-4)
    assert verdict.changed is (distance > 2.5)
    assert verdict.scene.tolist() == list(scene)


def test_a_still_scene_has_a_least_deviation() -> None:
    still = torch.tensor([[0.0, 2.0, 4.0]] * 3)
    deviation = regularized_deviation(still, 0.5)
    assert deviation.tolist() == pytest.approx([1.0, 1.0, 1.0]), "half of the deviation over components, which is 2"


def test_the_distance_does_not_depend_on_the_number_of_components() -> None:
    watch = SceneWatch(SceneSettings(rule="fixed", threshold=2.5, **EXACT))  # type: ignore[arg-type]  # all numbers
    many = bank_of({t: scene * 50 for t, scene in PAIR.items()})
    distance = watch.judge(embedding(*(4.0, 1.0) * 50), many, Moment(5)).distance
    assert distance == pytest.approx(3 / 2**0.5, rel=1e-4)


def test_one_cell_is_not_the_scene() -> None:
    """One of four cells is far away: over all cells that is a change, of the median cell it is none."""
    settings = {"rule": "fixed", "threshold": 2.0, "grid": 2, "spread": 1e-6, "calm": 0.0}
    bank = bank_of({1: [0.0] * 4, 2: [2.0] * 4, 3: [0.0] * 4, 4: [2.0] * 4})
    picture = torch.tensor([[[9.0, 1.0], [1.0, 2.0]]])
    whole, median = (
        SceneWatch(SceneSettings(cells=cells, **settings)).judge(picture, bank, Moment(5))  # type: ignore[arg-type]
        for cells in ("all", "median")
    )
    assert whole.distance == pytest.approx((65 / 4) ** 0.5, rel=1e-4)
    assert median.distance == pytest.approx(0.0, abs=1e-4)
    assert (whole.changed, median.changed) == (True, False)


def test_pooling_keeps_a_coarse_layout() -> None:
    left_to_right = torch.arange(4.0).expand(1, 4, 4)
    assert pooled(left_to_right, 1).tolist() == [1.5]
    assert pooled(left_to_right, 2).tolist() == [0.5, 2.5, 0.5, 2.5]
    assert pooled(torch.zeros(3, 5, 7), 2).shape == (12,), "any size of embedding"


@pytest.mark.parametrize(
    ("rule", "threshold", "limit"),
    [("fixed", 3.5, 3.5), ("mean", 2.0, 2 * 1.5), ("maximum", 2.0, 2 * 2.0)],
)
def test_the_three_rules(rule: Rule, threshold: float, limit: float) -> None:
    bank = bank_of(PAIR, distances={3: 1.0, 4: 2.0})
    watch = SceneWatch(SceneSettings(rule=rule, threshold=threshold, **EXACT))  # type: ignore[arg-type]  # all numbers
    below, above = (watch.judge(embedding(1 + x, 1 + x), bank, Moment(5)) for x in (limit - 0.01, limit + 0.01))
    assert (below.changed, above.changed) == (False, True)


@pytest.mark.parametrize("rule", ["mean", "maximum"])
def test_ratios_have_a_least_denominator(rule: Rule) -> None:
    bank = bank_of(PAIR, distances={3: 0.01, 4: 0.02})
    settings = SceneSettings(rule=rule, threshold=2.0, grid=1, spread=1e-6, calm=1.0)
    assert not SceneWatch(settings).judge(embedding(2.9, 2.9), bank, Moment(5)).changed
    assert SceneWatch(settings).judge(embedding(3.1, 3.1), bank, Moment(5)).changed


def test_nothing_is_told_while_warming_up() -> None:
    watch = SceneWatch(SceneSettings(warm_up=4, **EXACT))  # type: ignore[arg-type]  # all numbers
    few = {t: scene for t, scene in PAIR.items() if t < 4}
    verdict = watch.judge(embedding(99.0, 99.0), bank_of(few), Moment(5))
    assert (verdict.distance, verdict.changed) == (None, False)


def test_the_window_is_the_latest_frames_before_this_one() -> None:
    watch = SceneWatch(SceneSettings(window=3))
    bank = bank_of({t: [0.0] for t in range(1, 10)})
    assert watch.window(bank, [8, 7, 6, 5]) == [8, 7, 6]
    assert watch.window(bank, [8, 7]) == [8, 7]
    bank.write(remembered(7, {SCENE: torch.zeros(1), OPENS: torch.zeros(0)}))
    assert watch.window(bank, [8, 7, 6, 5]) == [8, 7], "back to where a scene began"
    bank.write(remembered(8, {SCENE: torch.zeros(1)}, prompted=True))
    assert watch.window(bank, [8, 7, 6, 5]) == [8], "or to where the user spoke"


def test_what_a_prompted_frame_shows_is_known() -> None:
    bank = bank_of(PAIR)
    bank.write(remembered(0, {SCENE: torch.tensor([40.0, 40.0])}, prompted=True))
    watch = SceneWatch(SceneSettings(rule="fixed", threshold=3, window=4, **EXACT))  # type: ignore[arg-type]
    back, elsewhere = (watch.judge(embedding(x, x), bank, Moment(5)) for x in (41.0, 60.0))
    assert (back.changed, back.known) == (True, True)
    assert (elsewhere.changed, elsewhere.known) == (True, False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"warm_up": 1}, "warm_up is 1, expected 2 or more"),
        ({"warm_up": 8}, "warm_up is 8, expected 2 to 7"),
        ({"threshold": -1.0}, "threshold is -1, expected 0 or more"),
        ({"threshold": float("nan")}, "threshold is nan"),
    ],
)
def test_settings_that_mean_nothing(settings: dict[str, float], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        SceneSettings(**settings)  # type: ignore[arg-type]  # all numbers
