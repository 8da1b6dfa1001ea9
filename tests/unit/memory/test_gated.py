"""What a gate lets into memory when the camera cuts, cuts back, or stays away."""

from __future__ import annotations

from collections.abc import Callable

import torch

from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.tracker import Tracker
from scripted_model import ScriptedModel, Shown, box_mask, frame, scene

PROMPT = Prompt(1, mask=box_mask((4, 4, 8, 8)))
HOME, AWAY = 1, 2


def at(place: int, t: int, score: float = 5.0) -> Shown:
    return Shown(scene=scene(place, flicker=t), score=score)


def run(
    script: Callable[[int], Shown], length: int, policy: str = "gated", prompts: dict[int, Prompt] | None = None
) -> tuple[Tracker, list[FrameResult], list[int]]:
    """Tracker, results, and the frames whose memory was written."""
    tracker, results, written = Tracker(ScriptedModel(script, reads_matter=True), policy), [], []
    for t in range(length):
        results.append(tracker.step(frame(t), [prompt] if (prompt := (prompts or {0: PROMPT}).get(t)) else ()))
        written += [t] if tracker.session.tracks[1].bank.get(t) else []
    return tracker, results, written


def test_where_nothing_changes_it_is_stock() -> None:
    _, gated, written = run(lambda t: at(HOME, t), 40)
    _, stock, _ = run(lambda t: at(HOME, t), 40, "stock")
    assert written == list(range(40))
    for a, b in zip(gated, stock, strict=True):
        assert torch.equal(a.objects[1].pointer_c, b.objects[1].pointer_c)
        assert a.objects[1].object_score_logit == b.objects[1].object_score_logit


def test_an_interjection_is_not_written() -> None:
    tracker, _, written = run(lambda t: at(AWAY if 12 <= t < 20 else HOME, t), 30)
    assert written == [*range(12), *range(20, 30)]
    assert not {12, 19} & set(tracker.session.tracks[1].bank.tracked)


def test_during_an_interjection_the_latest_written_frames_are_read() -> None:
    tracker, _, _ = run(lambda t: at(AWAY if t >= 12 else HOME, t), 18)
    track = tracker.session.tracks[1]
    selection = track.policy.select(track.bank, tracker.session._moment(18))
    assert [(read.frame_index, read.slot) for read in selection.spatial] == [
        (0, 6), (6, 5), (7, 4), (8, 3), (9, 2), (10, 1), (11, 0),
    ]  # fmt: skip
    assert [(read.frame_index, read.distance) for read in selection.pointers] == [
        (0, 18), *[(12 - rank, rank) for rank in range(1, 12)],
    ]  # fmt: skip


def test_a_cut_that_stays_is_written_after_a_while() -> None:
    _, _, written = run(lambda t: at(AWAY if t >= 12 else HOME, t), 40, "gated:patience=6")
    assert written == [*range(12), *range(18, 40)], "6 frames refused, then all"


def test_a_cut_that_stays_waits_until_the_object_is_seen() -> None:
    def script(t: int) -> Shown:
        return at(AWAY if t >= 12 else HOME, t, score=-3.0 if 12 <= t < 25 else 4.0)

    _, _, written = run(script, 32, "gated:patience=6")
    assert written == [*range(12), *range(25, 32)]


def test_the_way_home_is_known() -> None:
    """Away for so long that memory followed; back where the user spoke, frames are written at once."""
    _, _, written = run(lambda t: at(AWAY if 12 <= t < 24 else HOME, t), 32, "gated:patience=6")
    assert written == [*range(12), *range(18, 32)]


def test_a_second_prompt_begins_the_window_anew() -> None:
    again = Prompt(1, mask=box_mask((2, 2, 9, 9)))
    _, _, written = run(lambda t: at(AWAY if t >= 12 else HOME, t), 20, prompts={0: PROMPT, 14: again})
    assert written == [*range(12), *range(14, 20)]


def test_changes_while_warming_up_are_written() -> None:
    _, _, written = run(lambda t: at(t, t), 5, "gated:warm_up=5")
    assert written == [0, 1, 2, 3, 4]


def test_an_absent_object_in_the_same_scene_is_written_as_in_sam2() -> None:
    _, _, written = run(lambda t: at(HOME, t, score=-4.0 if 5 <= t < 12 else 4.0), 16)
    assert written == list(range(16))
