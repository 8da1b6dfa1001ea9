"""What is held out, and how it is scored."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from labelled_clips import MemorySequence, moving, square
from maskscope.errors import DatasetError
from maskscope.studies import held_out
from maskscope.studies.held_out import change, interval, score_clip, split
from maskscope.tracking.prompts import Prompt
from maskscope.training.user_data import LabelledClip


def test_a_quarter_of_the_clips_is_held_out_the_same_ones_every_time() -> None:
    clips = [moving(name) for name in "abcdefgh"]
    parts = split(clips)
    assert len(parts.held_out) == 2
    assert {c.name for c in parts.training} | {c.name for c in parts.held_out} == set("abcdefgh")
    assert split(clips) == parts
    assert split(clips, seed=1) != parts
    assert [c.name for c in split(clips, ["c"]).held_out] == ["c"]


def test_of_a_single_clip_the_last_third_is_held_out() -> None:
    parts = split([moving("a", 20, every=2)])
    assert parts.training[0].frames == (0, 2, 4, 6, 8, 10, 12)
    assert parts.held_out[0].frames == (14, 16, 18)
    assert "last third" in parts.rule


def test_a_clip_begins_where_its_object_does() -> None:
    late = MemorySequence("late", 8, {0: np.zeros((48, 64), np.uint8), **{t: square(t) for t in range(2, 8)}})
    parts = split([late, moving("b")], ["late"])
    assert parts.held_out[0].frames == (2, 3, 4, 5, 6, 7)


def test_a_clip_of_empty_masks_is_left_out_and_told(caplog: pytest.LogCaptureFixture) -> None:
    empty = MemorySequence("empty", 8, {t: np.zeros((48, 64), np.uint8) for t in range(4)})
    parts = split([empty, moving("a"), MemorySequence("unlabelled", 8, {}), moving("b")])
    assert {clip.name for clip in (*parts.training, *parts.held_out)} == {"a", "b"}
    assert [record.getMessage() for record in caplog.records] == ["all masks of empty are empty; it is left out"]


@pytest.mark.parametrize(
    ("clips", "names", "problem"),
    [
        ([moving("a", 5)], (), "there are 5 labelled frames .*, expected 6 or more"),
        ([moving("a"), moving("b")], ("c",), "'c' cannot be held out; clips with two labelled frames or more: a, b"),
        ([moving("a"), moving("b")], ("a", "b"), "no clip is left to be trained on"),
        ([moving(name, 1) for name in "abcdef"], (), "no clip is left"),
    ],
)
def test_what_cannot_be_split_is_told(clips: list[MemorySequence], names: tuple[str, ...], problem: str) -> None:
    with pytest.raises(DatasetError, match=problem):
        split(clips, names)


class FakeTracker:
    """Finds every object where it was prompted, or where `truth` says."""

    def __init__(self, shift_px: int) -> None:
        self.shift_px, self.index = shift_px, -1
        self.prompted: list[tuple[int, int]] = []
        self.masks: dict[int, NDArray[np.bool_]] = {}

    def __call__(self, *_: object, **__: object) -> FakeTracker:
        return self

    def step(self, _frame: NDArray[np.uint8], prompts: Sequence[Prompt]) -> Any:
        self.index += 1
        for prompt in prompts:
            self.prompted.append((self.index, prompt.object_id))
        ids = tuple(dict.fromkeys(i for _, i in self.prompted))
        masks = [np.roll(square(self.index) > 0, self.shift_px, axis=1) if i == 1 else LATE > 0 for i in ids]
        return SimpleNamespace(object_ids=ids, masks=np.array(masks))


LATE = np.zeros((48, 64), np.uint8)
LATE[36:44, 40:60] = 2


def test_scores_are_j_and_f_of_labelled_frames_after_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks: list[int] = []
    exact, off = FakeTracker(0), FakeTracker(8)
    clip = LabelledClip(moving("a", 8, every=3), (0, 3, 6))
    monkeypatch.setattr(held_out, "Tracker", exact)
    np.testing.assert_allclose(score_clip(None, clip, lambda: ticks.append(1)), [1.0, 1.0])  # type: ignore[arg-type]
    assert len(ticks) == 7, "frames between labels are tracked, too"
    monkeypatch.setattr(held_out, "Tracker", off)
    j = 8 / 24
    f = np.array(score_clip(None, clip)) * 2 - j  # type: ignore[arg-type]
    assert ((f > 0) & (f < 0.9)).all()


def test_an_object_that_appears_later_is_given_there_and_scored_after(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {t: np.maximum(square(t), LATE) if t > 1 else square(t) for t in range(5)}
    tracker = FakeTracker(0)
    monkeypatch.setattr(held_out, "Tracker", tracker)
    scores = score_clip(None, LabelledClip(MemorySequence("a", 5, both), tuple(range(5))))  # type: ignore[arg-type]
    np.testing.assert_allclose(scores, np.ones(4))
    assert tracker.prompted == [(0, 1), (2, 2)]


def test_intervals_draw_clips_where_there_are_many_and_runs_of_frames_where_not() -> None:
    few, many = [np.linspace(0, 1, 20)], [np.full(20, v) for v in np.linspace(0, 1, 8)]
    assert interval(few).estimate == pytest.approx(0.5)
    assert interval(few).high - interval(few).low > 0.2
    assert interval(many).high - interval(many).low > 0.3
    four = interval([np.array([0.2, 0.4, 0.6, 0.8])])
    assert four.low < 0.45 < 0.55 < four.high, "a few frames are not sure of anything"
    better = change([few[0] + 0.1], few)
    assert better.estimate == pytest.approx(0.1)
    assert better.low > 0.09
