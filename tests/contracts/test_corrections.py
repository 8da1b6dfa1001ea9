"""Correcting what was prompted or tracked, in streams and in videos."""

from __future__ import annotations

import pytest
import torch

from maskscope.errors import PromptError, ShapeError, VideoError
from maskscope.model import SAM2
from maskscope.tracking.observer import Observation
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.tracker import Tracker
from maskscope.tracking.video_tracker import VideoTracker
from random_models import moving_square, random_model, square_mask

FRAMES = moving_square(10)
POINT = Prompt(1, points_xy_px=[(45, 45)])
SECOND = Prompt(1, points_xy_px=[(62, 60)], labels=[0])
SECOND_ADDED = Prompt(1, points_xy_px=[(62, 60)], labels=[0], keep_earlier=True)


@pytest.fixture(scope="module")
def model() -> SAM2:
    return random_model()


def after(model: SAM2, *prompts: Prompt) -> VideoTracker:
    tracker = VideoTracker(model, FRAMES)
    for prompt in prompts:
        tracker.prompt(0, [prompt])
    return tracker


def test_earlier_points_are_kept_or_replaced(model: SAM2) -> None:
    kept, replaced = after(model, POINT, SECOND_ADDED), after(model, POINT, SECOND)
    assert kept.session.tracks[1].clicks[0].points_nxy_px.tolist() == [[45, 45], [62, 60]]
    assert kept.session.tracks[1].clicks[0].labels_n.tolist() == [1, 0]
    assert replaced.session.tracks[1].clicks[0].points_nxy_px.tolist() == [[62, 60]]
    a, b = (tracker.session.known(1, 0) for tracker in (kept, replaced))
    assert a is not None
    assert b is not None
    assert not torch.equal(a.mask_logits_hw, b.mask_logits_hw)
    assert (len(a.candidate_iou_m), len(b.candidate_iou_m)) == (1, 3), "three candidates for a single click only"


def test_replacing_points_still_starts_from_the_earlier_mask(model: SAM2) -> None:
    """As in the reference: clearing points does not clear the mask they gave."""
    afresh, refined = after(model, SECOND).session.known(1, 0), after(model, POINT, SECOND).session.known(1, 0)
    assert afresh is not None
    assert refined is not None
    assert not torch.equal(afresh.mask_logits_hw, refined.mask_logits_hw)


def test_a_mask_replaces_clicks(model: SAM2) -> None:
    tracker = after(model, POINT, Prompt(1, mask=square_mask(0)))
    assert tracker.session.tracks[1].clicks == {}
    result = tracker.prompt(0, [SECOND_ADDED])
    assert tracker.session.tracks[1].clicks[0].labels_n.tolist() == [0]
    assert len(result.objects[1].candidate_iou_m) == 3


def test_a_box_after_clicks_cannot_be_added(model: SAM2) -> None:
    tracker = after(model, POINT)
    before = tracker.session.known(1, 0)
    box = Prompt(1, box_xyxy_px=(30, 30, 60, 60), keep_earlier=True)
    with pytest.raises(PromptError, match="gets a box after clicks"):
        tracker.prompt(0, [Prompt(2, points_xy_px=[(5, 5)]), box])
    assert list(tracker.session.tracks) == [1], "nothing is changed by a prompt that is refused"
    now = tracker.session.known(1, 0)
    assert before is not None
    assert now is not None
    assert torch.equal(before.mask_logits_hw, now.mask_logits_hw)


def test_a_box_may_be_followed_by_points(model: SAM2) -> None:
    tracker = after(model, Prompt(1, box_xyxy_px=(30, 30, 60, 60)), SECOND_ADDED)
    clicks = tracker.session.tracks[1].clicks[0]
    assert clicks.labels_n.tolist() == [2, 3, 0]
    assert clicks.points_nxy_px.tolist() == [[30, 30], [60, 60], [62, 60]]


def test_a_corrected_frame_changes_what_follows(model: SAM2) -> None:
    """The correction goes to memory as a tracked frame's, and the frames after it read it."""
    tracker = VideoTracker(model, FRAMES, options=SessionOptions(keep_all=True))
    tracker.prompt(0, [POINT])
    before = list(tracker.propagate())
    corrected = tracker.prompt(4, [SECOND])
    assert not torch.equal(corrected.mask_logits_nhw, before[4].mask_logits_nhw)
    after = list(tracker.propagate(5))
    assert not torch.equal(after[0].mask_logits_nhw, before[5].mask_logits_nhw)
    bank = tracker.session.tracks[1].bank
    assert (sorted(bank.prompted), 4 in bank.tracked) == ([0], True)


def test_a_correction_can_become_a_prompt(model: SAM2) -> None:
    options = SessionOptions(keep_all=True, corrections_are_prompts=True)
    tracker = VideoTracker(model, FRAMES, options=options)
    tracker.prompt(0, [POINT])
    list(tracker.propagate())
    corrected = tracker.prompt(4, [SECOND])
    again = list(tracker.propagate())
    bank = tracker.session.tracks[1].bank
    assert (sorted(bank.prompted), 4 in bank.tracked) == ([0, 4], False)
    assert torch.equal(again[4].mask_logits_nhw, corrected.mask_logits_nhw), "propagation keeps what was said"


def test_a_tracked_frame_is_corrected_with_memory(model: SAM2) -> None:
    seen: list[Observation] = []
    tracker = VideoTracker(model, FRAMES, options=SessionOptions(keep_all=True), observers=[seen.append])
    tracker.prompt(0, [POINT])
    results = {r.frame_index: o for r in tracker.propagate() for o in [seen[-4].output]}
    seen.clear()
    tracker.prompt(4, [SECOND])
    conditioned = next(o.output for o in seen if o.stage == "memory_conditioned")
    assert torch.equal(conditioned, results[4]), "the same memories as when it was tracked"


def test_refining_a_prompted_frame_after_propagation_counts(model: SAM2) -> None:
    tracker = after(model, POINT)
    first = list(tracker.propagate())
    refined = tracker.prompt(0, [SECOND_ADDED])
    expected = after(model, POINT, SECOND_ADDED).session.known(1, 0)
    assert expected is not None
    assert torch.equal(refined.objects[1].mask_logits_hw, expected.mask_logits_hw)
    second = list(tracker.propagate())
    assert torch.equal(second[0].mask_logits_nhw, refined.mask_logits_nhw)
    assert not torch.equal(second[3].mask_logits_nhw, first[3].mask_logits_nhw)


def test_a_stream_refines_its_first_frame_as_a_video_does(model: SAM2) -> None:
    video = after(model, POINT, SECOND_ADDED)
    expected = list(video.propagate())
    tracker = Tracker(model, options=SessionOptions(num_frames=len(FRAMES)))
    tracker.step(FRAMES[0], [POINT])
    assert torch.equal(tracker.correct([SECOND_ADDED]).mask_logits_nhw, expected[0].mask_logits_nhw)
    for frame, whole in zip(FRAMES[1:], expected[1:], strict=True):
        assert torch.equal(tracker.step(frame).mask_logits_nhw, whole.mask_logits_nhw)


def test_a_stream_corrects_the_frame_at_hand_as_a_video_does(model: SAM2) -> None:
    video = VideoTracker(model, FRAMES, options=SessionOptions(keep_all=True))
    video.prompt(0, [POINT])
    list(video.propagate(max_frames=4))
    answer = video.prompt(4, [SECOND])
    rest = list(video.propagate(5))
    tracker = Tracker(model, options=SessionOptions(num_frames=len(FRAMES)))
    for index in range(5):
        tracker.step(FRAMES[index], [POINT] if index == 0 else ())
    assert torch.equal(tracker.correct([SECOND]).mask_logits_nhw, answer.mask_logits_nhw)
    for frame, whole in zip(FRAMES[5:], rest, strict=True):
        assert torch.equal(tracker.step(frame).mask_logits_nhw, whole.mask_logits_nhw)


def test_backwards_then_a_correction_keeps_its_direction(model: SAM2) -> None:
    tracker = VideoTracker(model, FRAMES, options=SessionOptions(keep_all=True))
    tracker.prompt(8, [POINT])
    list(tracker.propagate(8, reverse=True))
    assert tracker.session.tracks[1].directions == dict.fromkeys(range(8), True)
    tracker.prompt(3, [SECOND])
    results = list(tracker.propagate(2, reverse=True))
    assert [result.frame_index for result in results] == [2, 1, 0]


def test_frames_are_asked_for_sensibly(model: SAM2) -> None:
    tracker = VideoTracker(model, FRAMES)
    with pytest.raises(PromptError, match="no object has been prompted"):
        next(tracker.propagate())
    with pytest.raises(PromptError, match="frame 10 is not in the video; it has 10 frames, 0 to 9"):
        tracker.prompt(10, [POINT])
    tracker.prompt(3, [POINT])
    with pytest.raises(PromptError, match="frame -1 is not in the video"):
        next(tracker.propagate(-1))
    assert [r.frame_index for r in tracker.propagate(max_frames=2)] == [3, 4, 5]
    assert [r.frame_index for r in tracker.propagate(reverse=True, max_frames=1)] == [3, 2]
    with pytest.raises(VideoError, match="the video has no frames"):
        VideoTracker(model, [])


def test_a_refused_frame_is_not_taken(model: SAM2) -> None:
    tracker = Tracker(model)
    with pytest.raises(PromptError, match="no frame has been seen yet"):
        tracker.correct([POINT])
    with pytest.raises(PromptError, match="lies outside the frame"):
        tracker.step(FRAMES[0], [Prompt(1, points_xy_px=[(500, 3)])])
    assert tracker.frame_index == -1
    assert tracker.step(FRAMES[0], [POINT]).frame_index == 0
    with pytest.raises(ShapeError, match="frame 1 is 64 x 128, the frames before were 128 x 128"):
        tracker.step(FRAMES[1][:, :64])
    assert tracker.step(FRAMES[1]).frame_index == 1


def test_what_was_forgotten_is_not_corrected_in_silence(model: SAM2) -> None:
    tracker = VideoTracker(model, moving_square(45), options=SessionOptions(keep_all=False))
    tracker.prompt(0, [POINT])
    for _ in tracker.propagate():
        pass
    with pytest.raises(PromptError, match=r"frame 20 has been tracked and forgotten; use .*keep_all=True"):
        tracker.prompt(20, [SECOND])
    with pytest.raises(PromptError, match="memory around frame 20 has been forgotten"):
        next(tracker.propagate(20))
