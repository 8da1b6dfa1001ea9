"""The regularised distance to memory: worked out by hand, and the same as the gated policy's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from maskscope.errors import SettingError, ShapeError
from maskscope.memory.bank import FrameMemory, FrameSummary, MemoryBank
from maskscope.memory.policy import Moment
from maskscope.memory.scene import SCENE, SceneSettings, SceneWatch, pooled
from maskscope.observe.measures.window_distance import (
    METRIC,
    WARMING_UP,
    WindowDistance,
    WindowSettings,
    window_distance,
)
from maskscope.observe.probe import Sight
from maskscope.observe.reading import Reading
from maskscope.stages import Stage

# Two components, at 0 and 2: mean 1, deviation 1 in each.
WINDOW = torch.tensor([[0.0, 0.0], [2.0, 2.0], [0.0, 2.0], [2.0, 0.0]])
EXACT = WindowSettings(window=4, warm_up=2, grid=1, spread=1e-6)


@pytest.mark.parametrize(
    ("current", "distance"), [((1.0, 1.0), 0.0), ((4.0, 4.0), 3.0), ((4.0, 1.0), 3 / 2**0.5), ((0.0, 2.0), 1.0)]
)
def test_the_distance_counts_deviations(current: tuple[float, float], distance: float) -> None:
    assert window_distance(torch.tensor(current), WINDOW, 1e-6) == pytest.approx(distance, rel=1e-4)


def test_units_and_numbers_of_components_do_not_matter() -> None:
    current = torch.tensor([4.0, 1.0])
    for factor, times in ((1.0, 1), (1000.0, 1), (0.01, 30)):
        scaled = window_distance(factor * current.repeat(times), factor * WINDOW.repeat(1, times), 1e-6)
        assert scaled == pytest.approx(3 / 2**0.5, rel=1e-4)


def test_shapes_that_do_not_go_together() -> None:
    with pytest.raises(ShapeError, match="n and w of 2"):
        window_distance(torch.zeros(2), torch.zeros(1, 2))
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        window_distance(torch.zeros(3), WINDOW)


def sight(stage: Stage, frame: int, value: Tensor, object_id: int | None = 1, tap: str = "") -> Sight:
    return Sight(stage, tap, frame, object_id, value)


def told(measure: WindowDistance, *sights: Sight) -> list[Reading]:
    return [reading for one in sights for reading in measure.see(one)]


def test_a_frame_enters_the_window_when_its_memory_is_written() -> None:
    measure = WindowDistance(EXACT)
    written = [torch.tensor(row) for row in WINDOW.tolist()]
    for t, pointer in enumerate(written):
        told(measure, sight("object_pointer", t, pointer), sight("memory_features", t, torch.zeros(2, 2, 2)))
    refused, then = (
        told(measure, sight("object_pointer", t, torch.tensor([4.0, 4.0])))[0] for t in (len(written), len(written) + 1)
    )
    assert refused.value == pytest.approx(3.0, rel=1e-4)
    assert then.value == refused.value, "nothing was written in between"
    assert (then.metric, then.stage, then.frame, then.object) == (METRIC, "object_pointer", 5, 1)


def test_the_oldest_frames_leave() -> None:
    measure = WindowDistance(WindowSettings(window=2, warm_up=2, grid=1, spread=1e-6))
    for t, value in enumerate((-50.0, 0.0, 2.0)):
        told(measure, sight("object_pointer", t, torch.tensor([value, 2 - value])))
        told(measure, sight("memory_features", t, torch.zeros(2, 2, 2)))
    reading = told(measure, sight("object_pointer", 3, torch.tensor([1.0, 4.0])))[0]
    assert reading.value == pytest.approx(3 / 2**0.5, rel=1e-4)


def test_warming_up_is_a_state() -> None:
    measure = WindowDistance()
    reading = told(measure, sight("image_embedding", 0, torch.zeros(3, 8, 8)))[0]
    assert (reading.value, reading.state) == (None, WARMING_UP)


def test_memory_is_compared_with_the_memories_before_it() -> None:
    measure = WindowDistance(EXACT)
    maps = [torch.tensor(row)[:, None, None].expand(2, 4, 4) for row in (*WINDOW.tolist(), [4.0, 4.0])]
    last = [told(measure, sight("memory_features", t, one))[0] for t, one in enumerate(maps)][-1]
    assert last.value == pytest.approx(3.0, rel=1e-4)


def test_a_corrected_frame_is_said_once_and_written_anew() -> None:
    measure = WindowDistance(WindowSettings(window=2, warm_up=2, grid=1, spread=1e-6))
    for t, values in enumerate(((0.0,), (9.0, 2.0))):
        for value in values:
            told(measure, sight("object_pointer", t, torch.tensor([value, 2 - value])))
            again = told(measure, sight("memory_features", t, torch.zeros(2, 2, 2)))
    assert again == []
    reading = told(measure, sight("object_pointer", 2, torch.tensor([4.0, 4.0])))[0]
    assert reading.value == pytest.approx(3.0, rel=1e-4)


def test_windows_of_objects_are_their_own() -> None:
    measure = WindowDistance(EXACT)
    for t in range(4):
        told(measure, sight("object_pointer", t, WINDOW[t]), sight("object_pointer", t, WINDOW[t] + 50, 2))
        told(measure, sight("memory_features", t, torch.zeros(2, 2, 2)))
    first, second = told(
        measure, *(sight("object_pointer", 4, torch.tensor([4.0, 4.0]), object_id) for object_id in (1, 2))
    )
    assert first.value == pytest.approx(3.0, rel=1e-4)
    assert second.state == WARMING_UP, "nothing of it was written"


def test_taps_are_passed_over() -> None:
    assert told(WindowDistance(), sight("image_embedding", 0, torch.zeros(1, 4, 4), tap="level 2")) == []


def test_at_the_image_embedding_it_is_what_the_gated_policy_sees() -> None:
    torch.manual_seed(0)
    embeddings = [torch.randn(6, 9, 13) for _ in range(6)]
    bank, measure, readings = MemoryBank(), WindowDistance(), []
    for t, embedding in enumerate(embeddings[:5]):
        summary = FrameSummary(t, False, 1.0, 0.9, 0.1)
        notes = {SCENE: pooled(embedding, SceneSettings().grid)}
        bank.write(FrameMemory(summary, torch.zeros(2), torch.zeros(1, 1, 1), torch.zeros(1, 1), notes))
        told(measure, sight("image_embedding", t, embedding), sight("memory_features", t, torch.zeros(2, 2, 2)))
    readings = told(measure, sight("image_embedding", 5, embeddings[5]))
    verdict = SceneWatch(SceneSettings()).judge(embeddings[5], bank, Moment(5))
    assert verdict.distance is not None
    assert readings[0].value == pytest.approx(verdict.distance, rel=1e-5)


@pytest.mark.parametrize("wrong", [{"window": 1}, {"warm_up": 9}, {"grid": 0}, {"spread": 0.0}])
def test_settings_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingError, match=next(iter(wrong))):
        WindowSettings(**wrong)  # type: ignore[arg-type]  # that is the point
