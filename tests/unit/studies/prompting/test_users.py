"""Simulated users of a model whose answers are written down."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from maskscope.errors import DatasetError
from maskscope.records import Record
from maskscope.studies.looked_at import LookedAt
from maskscope.studies.prompting.following import Following
from maskscope.studies.prompting.footage import Footage
from maskscope.studies.prompting.inside import asked_frames
from maskscope.studies.prompting.passages import passages
from maskscope.studies.prompting.rows import RowMaker
from maskscope.studies.prompting.time_model import TimeModel
from maskscope.studies.prompting.trials import Trial, TrialGrid
from maskscope.studies.prompting.users import clicks_to_reach, offline, online
from maskscope.tracking.prompts import Prompt
from scripted_model import SIZE, Box, ScriptedModel, Shown, box_mask, frame

OBJECT: Box = (4, 4, 8, 8)
ELSEWHERE: Box = (10, 10, 14, 14)
FRAMES = 6


class Numbered:
    """A clip of numbered frames in which the object never moves; hidden on some."""

    name, num_frames, size = "numbered", FRAMES, (SIZE, SIZE)

    def __init__(self, hidden: tuple[int, ...] = ()) -> None:
        self.hidden = hidden

    def frame(self, index: int) -> NDArray[np.uint8]:
        return frame(index)

    def masks(self, index: int) -> NDArray[np.uint8]:
        return (box_mask(OBJECT) & (index not in self.hidden)).astype(np.uint8)


def footage(wrong_on: tuple[int, ...] = (), hidden: tuple[int, ...] = ()) -> Footage:
    """The model finds the object, but on some frames something else."""
    at = {True: Shown(boxes=(ELSEWHERE,) * 3), False: Shown(boxes=(OBJECT,) * 3)}
    model = ScriptedModel(lambda t: at[t in wrong_on])
    clip = LookedAt("numbered", FRAMES, (SIZE, SIZE), None, 0, FRAMES, True, Numbered(hidden))
    return Footage(clip, 1, model)  # type: ignore[arg-type]


def maker(of: Footage) -> RowMaker:
    return RowMaker(partial(Record, run="r", clip="numbered", object=1), of, TimeModel())


def values(rows: list[Record], metric: str, name: str) -> list[float | None]:
    return [row.value for row in rows if row.metric == metric and row.transform == name]


def nothing() -> None:
    """A tick."""


def test_a_picture_that_is_right_takes_one_click() -> None:
    clip = footage()
    rows = list(clicks_to_reach(clip, "stock", (0, 1), maker(clip), nothing))
    assert values(rows, "noc@85", "centre") == [1.0]
    assert values(rows, "noc@90", "human") == [1.0, 1.0]
    assert {row.state for row in rows if row.metric.startswith("noc")} == {"reached"}


def test_a_picture_that_stays_wrong_counts_as_twenty_clicks() -> None:
    clip = footage(wrong_on=(0,))
    rows = list(clicks_to_reach(clip, "stock", (), maker(clip), nothing))
    assert [(row.value, row.state) for row in rows if row.metric.startswith("noc")] == [(20.0, "not reached")] * 2
    assert values(rows, "j_after_clicks_20", "centre") == [0.0]


def test_online_users_pause_where_it_slips_and_never_beyond_their_budget() -> None:
    clip = footage(wrong_on=(2, 3, 4))
    rows = list(online(clip, "stock", (1, 2, 8), maker(clip), nothing))
    assert values(rows, "prompts", "1 frame") == [1.0]
    assert values(rows, "prompts", "2 frames") == [2.0]
    assert values(rows, "prompts", "8 frames") == [4.0]  # three slips
    assert values(rows, "human_seconds", "8 frames") == [pytest.approx(0.1 * FRAMES + 4 * 5.5)]


def test_offline_users_prompt_each_worst_frame_once() -> None:
    clip = footage(wrong_on=(3,))
    seen: list[str] = []
    rows = []
    for row in offline(clip, "stock", 3, maker(clip), nothing):
        rows.append(row)
        if row.metric == "prompts":
            seen.append(row.transform)
    assert seen == ["1 frame", "2 frames", "3 frames"]
    found = values(rows, "j", "1 frame")
    assert found == pytest.approx([1, 1, 1, 0, 1, 1], abs=0.02)  # corners are rounded
    assert values(rows, "human_seconds", "2 frames") == [pytest.approx(2 * (0.1 * FRAMES + 5.5))]


def test_repeated_prompts_are_left_out_where_the_object_is_hidden() -> None:
    clip = footage(hidden=(2,))
    trials = TrialGrid(every=(2,)).of("density", FRAMES)
    rows = list(passages(clip, "stock", trials, maker(clip), nothing))
    assert values(rows, "prompts", "box, every 2 frames") == [2.0]  # frames 0 and 4
    assert values(rows, "human_seconds", "3 clicks, every 2 frames") == [pytest.approx(2 * 5.5)]


def test_what_cannot_be_tried_is_a_state() -> None:
    clip = footage()
    rows = list(passages(clip, "stock", TrialGrid().of("wrong", FRAMES), maker(clip), nothing))
    states = {row.transform: row.state for row in rows if row.state}
    assert states == dict.fromkeys(("click on a neighbour", "mask of a neighbour"), "no neighbour in the masks")
    assert len(values(rows, "j", "click on the background")) == FRAMES


def test_what_is_asked_leaves_nothing_behind() -> None:
    clip = footage()
    asked, left_alone = Following(clip, "stock"), Following(clip, "stock")
    for each in (asked, left_alone):
        each.prompt(0, [Prompt(1, mask=clip.truth(0))])
    for t in range(FRAMES):
        answers = [each.advance(t)[1] for each in (asked, left_alone)]
        assert (answers[0].mask == answers[1].mask).all()
        assert answers[0].object_score_logit == answers[1].object_score_logit
        asked.ask(t, Prompt(1, [(40.0, 40.0)]))
        asked.ask(t, Prompt(2, [(40.0, 40.0)]))
    assert list(asked.session.tracks) == [1]
    track, other = asked.session.tracks[1], left_alone.session.tracks[1]
    assert not track.pending
    assert set(track.bank.prompted) == set(other.bank.prompted) == {0}


def test_frames_that_are_asked_show_the_object_behind_the_frame_of_fitting() -> None:
    assert asked_frames(footage()) == [2, 3, 4, 5]
    assert asked_frames(footage(hidden=(3, 4))) == [2, 5]


def test_an_object_that_is_not_there_or_nothing_at_the_input_is_refused() -> None:
    with pytest.raises(DatasetError, match="is not seen on frame 0"):
        footage(hidden=(0,)).check()


def test_grids_name_every_trial_once() -> None:
    grid = TrialGrid(seeds=(0, 1))
    for axis in ("kind", "density", "jitter", "wrong"):
        trials = grid.of(axis, 60)
        assert len({(t.name, t.percent, t.seed) for t in trials}) == len(trials)
    assert grid.of("density", 10) == ()
    assert all(isinstance(trial, Trial) and trial.percent <= 50 for trial in grid.of("jitter", 60))
