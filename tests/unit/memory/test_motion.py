"""Which mask motion prefers, when it is off, and which frames are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from maskscope.memory.bank import FrameMemory, FrameSummary, MemoryBank
from maskscope.memory.policies.motion import SCORES, MotionPolicy
from maskscope.memory.policy import Moment
from maskscope.model.config import MemoryConfig
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.tracker import Tracker
from maskscope.tracking.video_tracker import VideoTracker
from scripted_model import Frames, ScriptedModel, Shown, box_mask, frame, scene

START = (0, 4, 3, 8)
PROMPT = Prompt(1, mask=box_mask(START))
LOOKALIKE = (11, 10, 14, 14)


def crossing(confident_from: int) -> Callable[[int], Shown]:
    """The object drifts to the right; from a frame on, a look-alike elsewhere gets the better IoU."""

    def script(t: int) -> Shown:
        left = t // 2
        own, other = (left, 4, left + 3, 8), LOOKALIKE
        ious = (0.8, 0.85, 0.1) if t >= confident_from else (0.8, 0.3, 0.1)
        return Shown(boxes=(own, other, other), ious=ious, scene=scene(1, flicker=t))

    return script


def run(
    script: Callable[[int], Shown], length: int, policy: str = "motion", first: int = 0
) -> tuple[Tracker, list[FrameResult]]:
    tracker = Tracker(ScriptedModel(script), policy)
    steps = range(first, first + length)
    return tracker, [tracker.step(frame(t), [PROMPT] if t == first else ()) for t in steps]


def chosen(results: list[FrameResult]) -> list[int]:
    return [result.objects[1].chosen for result in results[1:]]


def test_a_lookalike_off_the_path_is_not_followed() -> None:
    assert chosen(run(crossing(18), 24, "stock")[1]) == [0] * 17 + [1] * 6
    assert chosen(run(crossing(18), 24)[1]) == [0] * 23


def test_motion_must_be_stable_first() -> None:
    """Fourteen frames after the prompt are enough, as the prompt counts; a frame earlier they are not."""
    assert chosen(run(crossing(15), 20)[1]) == [0] * 19
    assert chosen(run(crossing(14), 20)[1])[13] == 1


def test_a_sure_mask_outweighs_motion() -> None:
    def script(t: int) -> Shown:
        shown = crossing(99)(t)
        return replace(shown, ious=(0.5, 0.9, 0.1)) if t >= 20 else shown

    assert chosen(run(script, 21)[1])[-1] == 1, "0.85 * 0.9 > 0.15 * 1 + 0.85 * 0.5"
    assert chosen(run(script, 21, "motion:weight=0.6")[1])[-1] == 0


def test_after_a_cut_motion_is_off() -> None:
    """The other camera shows the object elsewhere, and a look-alike just where it was heading."""

    def script(t: int) -> Shown:
        shown = crossing(99)(t)
        if t < 18:
            return shown
        return replace(shown, boxes=(LOOKALIKE, shown.boxes[0], LOOKALIKE), ious=(0.8, 0.75, 0.1), scene=scene(2, t))

    assert chosen(run(script, 22)[1])[17:] == [0] * 4
    assert chosen(run(script, 22, "motion:off_at_cuts=off")[1])[17:] == [1] * 4, "the prediction would win"


def test_an_absent_object_ends_the_motion() -> None:
    def script(t: int) -> Shown:
        shown = crossing(20)(t)
        return replace(shown, score=-5.0) if t in (18, 19) else shown

    assert chosen(run(script, 24)[1])[19:] == [1] * 4, "stock's choice until the path is stable again"


def test_a_doubtful_frame_begins_anew() -> None:
    def script(t: int) -> Shown:
        shown = crossing(20)(t)
        return replace(shown, ious=(0.2, 0.1, 0.1)) if t == 18 else shown

    assert chosen(run(script, 24)[1])[19:] == [1] * 4


def test_a_little_doubt_about_presence_is_allowed() -> None:
    shown = Shown(score=-0.5)
    assert run(lambda _: shown, 3, "stock")[1][2].object_score_logits[0] < 0
    result = run(lambda _: shown, 3)[1][2]
    assert result.object_score_logits[0] > 0
    assert result.masks[0].sum() > 0
    assert run(lambda _: replace(shown, score=-1.5), 3)[1][2].masks[0].sum() == 0


def test_numbers_left_out_are_predicted_across() -> None:
    """A live stream that drops three frames, and one that drops thirty."""
    script = crossing(18)
    for gap, expected in ((3, 0), (30, 1)):
        tracker = VideoTracker(ScriptedModel(script), Frames(80), "motion")
        tracker.prompt(0, [PROMPT])
        list(tracker.propagate(max_frames=17))
        for t in range(18, 18 + gap):
            tracker.session.tracks[1].bank.forget(t)
        [result] = tracker.propagate(17 + gap, max_frames=0)
        assert result.objects[1].chosen == expected


@pytest.mark.parametrize("reverse", [False, True])
def test_both_directions(reverse: bool) -> None:
    tracker = VideoTracker(ScriptedModel(lambda t: crossing(18)(23 - t if reverse else t)), Frames(24), "motion")
    tracker.prompt(23 if reverse else 0, [PROMPT])
    assert chosen(list(tracker.propagate(reverse=reverse))) == [0] * 23


# -- what is read -------------------------------------------------------------------------------------------------


def remembered(t: int, iou: float = 0.9, score: float = 3.0, overlap: float = 0.8) -> FrameMemory:
    notes = {SCORES: torch.tensor([score, overlap])}
    summary = FrameSummary(t, False, score, iou, 0.1)
    return FrameMemory(summary, torch.zeros(2), torch.zeros(1, 1, 1), torch.zeros(1, 1), notes)


def bank_with(*bad: FrameMemory, until: int = 20) -> MemoryBank:
    bank = MemoryBank()
    summary = FrameSummary(0, True, 10.0, 1.0, 0.1)
    bank.write(FrameMemory(summary, torch.zeros(2), torch.zeros(1, 1, 1), torch.zeros(1, 1)))
    for t in range(1, until):
        bank.write(remembered(t))
    for memory in bad:
        bank.write(memory)
    return bank


def reads(bank: MemoryBank, now: int = 20) -> list[tuple[int, int]]:
    selection = MotionPolicy(MemoryConfig()).select(bank, Moment(now))
    return [(read.frame_index, read.slot) for read in selection.spatial]


@pytest.mark.parametrize("bad", [{"iou": 0.5}, {"score": 0.0}, {"overlap": 0.0}])
def test_frames_that_scored_badly_are_not_read(bad: dict[str, float]) -> None:
    bank = bank_with(remembered(17, **bad), remembered(16, **bad))
    assert reads(bank) == [(0, 6), (12, 5), (13, 4), (14, 3), (15, 2), (18, 1), (19, 0)]


def test_a_frame_without_prediction_may_be_read() -> None:
    assert (18, 1) in reads(bank_with(remembered(18, overlap=float("nan"))))


def test_the_previous_frame_is_always_read() -> None:
    assert reads(bank_with(remembered(19, score=-5.0)))[-2:] == [(18, 1), (19, 0)]


def test_after_a_long_occlusion_the_good_frames_are_still_there() -> None:
    hidden = [remembered(t, score=-5.0) for t in range(10, 300)]
    bank, policy = bank_with(until=10), MotionPolicy(MemoryConfig())
    for memory in hidden:
        bank.write(memory)
        bank.apply(policy.evict(bank, Moment(memory.summary.frame_index), ()))
    assert reads(bank, 300) == [(0, 6), (5, 5), (6, 4), (7, 3), (8, 2), (9, 1), (299, 0)]
    assert len(bank) <= 1 + 16 + 6


def test_pointers_are_of_the_frames_just_before() -> None:
    selection = MotionPolicy(MemoryConfig()).select(bank_with(remembered(17, iou=0.1)), Moment(20))
    assert [(read.frame_index, read.distance) for read in selection.pointers] == [
        (0, 20), *[(20 - d, d) for d in range(1, 16)],
    ]  # fmt: skip
