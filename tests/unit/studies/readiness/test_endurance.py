"""Losses, new prompts and occlusions by a model whose every answer is written down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maskscope.readiness.budget import Budget
from maskscope.studies.readiness.clean import CleanRun, lookalike_margin
from maskscope.studies.readiness.endurance import EnduranceWork, there_and_back
from maskscope.studies.readiness.passes import PassResult, PassStore, Seen, Stopped, View
from maskscope.tracking.prompts import Prompt
from maskscope.transforms.base import SourceClip
from scripted_model import SIZE, ScriptedModel, Shown, box_mask, frame

BOX = (4, 4, 8, 8)
AWAY = (12, 12, 15, 15)


class Numbered:
    """Frames that carry their number; the object stays in one place."""

    name, num_frames, size = "numbered", 20, (SIZE, SIZE)

    def frame(self, index: int):  # type: ignore[no-untyped-def]
        return frame(index)

    def masks(self, index: int):  # type: ignore[no-untyped-def]
        return box_mask(BOX).astype(np.uint8)


def work(tmp_path: Path, script, stop=lambda: False):  # type: ignore[no-untyped-def]
    clean = CleanRun(SourceClip(Numbered()), True, (1,), View((1,), (SIZE, SIZE)))
    seen = tuple(Seen(t, t, 1, True, 1.0, 1.0, 5.0, 0.0) for t in range(1, 20))
    clean.result = PassResult(seen, {}, 20)
    budget = Budget(play_frames=10, lead_frames=2, return_frames=2, lengths_frames=(2, 4), occlusion_moments=1)
    store = PassStore(tmp_path / "passes", "request", lambda name, frames: None, stop)
    prompts = [Prompt(1, mask=box_mask(BOX))]
    return EnduranceWork(ScriptedModel(script), clean, prompts, budget, store)  # type: ignore[arg-type]


def good(_: int) -> Shown:
    return Shown((BOX, BOX, BOX))


def test_forth_and_back_shows_no_frame_twice_in_a_row() -> None:
    assert there_and_back(4, 9) == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert there_and_back(1, 3) == [0, 0, 0]


def test_a_track_that_is_never_lost_holds_at_least_as_long_as_it_was_played(tmp_path: Path) -> None:
    found = work(tmp_path, good)._play("stock", lambda: None)
    assert found.frames == 30
    assert found.facts["episodes"] == [[29, False, 0]]


def test_a_lost_object_is_given_again_and_the_loss_counts_from_its_first_frame(tmp_path: Path) -> None:
    def astray(number: int) -> Shown:
        return Shown((AWAY, AWAY, AWAY)) if 8 <= number <= 10 else Shown((BOX, BOX, BOX))

    found = work(tmp_path, astray)._play("stock", lambda: None)
    # 0..19 and back to 9: lost on 8 to 10, given on 11; on the way back 10 and 9 come last, which is no loss yet.
    assert found.facts["episodes"] == [[8, True, 0], [18, False, 11]]
    assert {each.frame for each in found.seen if each.lost} == {8, 9, 10, 28, 29}


def test_two_frames_astray_are_a_slip(tmp_path: Path) -> None:
    def slip(number: int) -> Shown:
        return Shown((AWAY, AWAY, AWAY)) if number in (5, 6) else Shown((BOX, BOX, BOX))

    found = work(tmp_path, slip)._play("stock", lambda: None)
    assert [each[1] for each in found.facts["episodes"]] == [False]


def test_finished_passes_are_taken_over_and_a_stop_keeps_them(tmp_path: Path) -> None:
    made = []
    store = PassStore(tmp_path, "request", lambda name, frames: None, lambda: len(made) > 1)

    def make(done):  # type: ignore[no-untyped-def]
        made.append(1)
        done()
        return PassResult((Seen(1, None, 1, False, 0.0, 0.0, -2.5, None),), {"luma.object": 0.5}, 7)

    first = store.get("stock play", make)
    with pytest.raises(Stopped):
        store.get("stock cover 3", make)
    other = PassStore(tmp_path, "request", lambda name, frames: None, lambda: False)
    assert other.get("stock play", make) == first
    assert len(made) == 2
    assert PassStore(tmp_path, "another", lambda name, frames: None, lambda: False).get("stock play", make) == first
    assert len(made) == 3


def test_hidden_frames_show_nothing_of_the_object(tmp_path: Path) -> None:
    endurance = work(tmp_path, good)
    order = there_and_back(20, 20)
    for kind in ("cover", "foreign"):
        frames = list(endurance._hidden(kind, 6, order))  # type: ignore[arg-type]
        assert len(frames) == 4
        assert not any(each.visible_hw.any() for each in frames)
    covered = next(endurance._hidden("cover", 6, order))
    there = box_mask(BOX)
    assert (covered.image_hwc[there] != frame(6)[there]).any()
    assert (covered.image_hwc[~box_mask((2, 2, 10, 10))] == frame(6)[~box_mask((2, 2, 10, 10))]).all()


def test_what_comes_behind_an_occlusion_decides(tmp_path: Path) -> None:
    endurance = work(tmp_path, good)
    rows = [Seen(30 + k, 6 + k, 1, True, j, j, 5.0, 0.0) for k, j in enumerate((0.1, 0.8))]
    (trial,) = endurance._judged("cover", 6, 4, rows)
    assert (trial["found"], trial["latency_frames"]) == (True, 1)
    (lost,) = endurance._judged("cover", 6, 8, rows[:1])
    assert (lost["found"], lost["latency_frames"]) == (False, None)
    unseen = [Seen(30, 6, 1, False, 0.0, 0.0, 5.0, None)]
    assert endurance._judged("cover", 6, 4, unseen) == []


def test_a_look_alike_is_what_resembles_the_object_more_than_itself() -> None:
    apart = dict.fromkeys(range(10), (0.9, 0.4))
    alike = {0: (1.0, 0.2)} | dict.fromkeys(range(1, 10), (0.8, 0.85))
    assert lookalike_margin(apart) == pytest.approx(0.5)
    assert lookalike_margin(alike) == pytest.approx(-0.05)
    assert lookalike_margin({0: (1.0, 0.9)}) is None
