"""A stream gives what the whole video gives, forgetting changes nothing, and runs do not know of each other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from maskscope.model import SAM2
from maskscope.tracking.picture import RgbFrame
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.tracker import Tracker
from maskscope.tracking.video_tracker import VideoTracker
from random_models import moving_square, random_model, small_config, square_mask

LENGTH = 24  # beyond the reach of every memory: 6 spatial, 15 pointers
PROMPTS = [Prompt(1, points_xy_px=[(45, 45)]), Prompt(2, mask=square_mask(0))]


@pytest.fixture(scope="module", params=["sam2", "sam2.1"])
def model(request: pytest.FixtureRequest) -> SAM2:
    return random_model(small_config(request.param))


def stream(model: SAM2, length: int = LENGTH, options: SessionOptions | None = None) -> Iterator[FrameResult]:
    tracker = Tracker(model, options=options)
    for index, frame in enumerate(moving_square(length)):
        yield tracker.step(frame, PROMPTS if index == 0 else ())


def offline(model: SAM2, options: SessionOptions | None = None) -> VideoTracker:
    tracker = VideoTracker(model, moving_square(LENGTH), options=options)
    tracker.prompt(0, PROMPTS)
    return tracker


def assert_same(a: FrameResult, b: FrameResult) -> None:
    assert a.frame_index == b.frame_index
    assert a.object_ids == b.object_ids
    for x, y in zip(a.objects.values(), b.objects.values(), strict=True):
        assert torch.equal(x.mask_logits_hw, y.mask_logits_hw), f"frame {a.frame_index}"
        assert torch.equal(x.pointer_c, y.pointer_c)
        assert (x.predicted_iou, x.object_score_logit) == (y.predicted_iou, y.object_score_logit)


def test_streaming_equals_offline(model: SAM2) -> None:
    results = list(offline(model).propagate())
    assert [result.frame_index for result in results] == list(range(LENGTH))
    for streamed, whole in zip(stream(model), results, strict=True):
        assert_same(streamed, whole)


def test_a_known_length_below_sixteen_scales_the_pointers_time(model: SAM2) -> None:
    """The reference scales by min(16, length); a stream can only know its length when it is told."""
    told = list(stream(model, 6, SessionOptions(num_frames=6)))
    untold = list(stream(model, 6))
    tracker = VideoTracker(model, moving_square(6))
    tracker.prompt(0, PROMPTS)
    for whole, streamed in zip(tracker.propagate(), told, strict=True):
        assert_same(whole, streamed)
    same = torch.equal(told[-1].mask_logits_nhw, untold[-1].mask_logits_nhw)
    assert same == (model.config.family == "sam2"), "only SAM 2.1's pointers know of time"


def test_forgetting_loses_nothing(model: SAM2) -> None:
    for bounded, unbounded in zip(stream(model), stream(model, options=SessionOptions(keep_all=True)), strict=True):
        assert_same(bounded, unbounded)


def test_forgetting_forgets(model: SAM2) -> None:
    tracker = Tracker(model)
    for index, frame in enumerate(moving_square(LENGTH)):
        tracker.step(frame, PROMPTS if index == 0 else ())
    bank = tracker.session.tracks[1].bank
    assert set(bank.prompted) == {0}
    assert set(bank.tracked) == set(range(LENGTH - 16, LENGTH))
    assert {t for t, memory in bank.tracked.items() if memory.features_khw is not None} == set(
        range(LENGTH - 7, LENGTH)
    )


def test_both_directions_from_a_prompt_lose_nothing(model: SAM2) -> None:
    """The second direction reads what the first left around the prompted frame."""
    runs = []
    for keep_all in (False, True):
        tracker = VideoTracker(model, moving_square(40), options=SessionOptions(keep_all=keep_all))
        tracker.prompt(18, PROMPTS)
        runs.append([*tracker.propagate(18), *tracker.propagate(18, reverse=True), *tracker.propagate(18)])
    assert len(runs[0]) == 22 + 19 + 22
    for bounded, unbounded in zip(*runs, strict=True):
        assert_same(bounded, unbounded)


def test_what_the_first_direction_left_is_read(model: SAM2) -> None:
    """As in the reference: going backwards, frames after the prompt are recent memories where they exist."""
    fresh = VideoTracker(model, moving_square(12))
    fresh.prompt(6, PROMPTS)
    alone = [r.mask_logits_nhw for r in fresh.propagate(6, reverse=True)]
    both = VideoTracker(model, moving_square(12))
    both.prompt(6, PROMPTS)
    list(both.propagate(6))
    after = [r.mask_logits_nhw for r in both.propagate(6, reverse=True)]
    assert torch.equal(alone[0], after[0])
    assert not torch.equal(alone[1], after[1])


def test_backwards_is_forwards_of_the_reversed_video(model: SAM2) -> None:
    frames = moving_square(9)
    forward = VideoTracker(model, frames[::-1])
    forward.prompt(0, PROMPTS)
    backward = VideoTracker(model, frames)
    backward.prompt(8, PROMPTS)
    results = list(backward.propagate(reverse=True))
    assert [result.frame_index for result in results] == list(range(8, -1, -1))
    for a, b in zip(forward.propagate(), results, strict=True):
        assert torch.equal(a.mask_logits_nhw, b.mask_logits_nhw)


def test_interleaved_videos_do_not_know_of_each_other(model: SAM2) -> None:
    left, right = moving_square(8), moving_square(8, height=90, width=160, seed=4)
    click = [Prompt(1, points_xy_px=[(60, 40)])]

    def run(*videos: list[RgbFrame]) -> list[list[FrameResult]]:
        trackers = [Tracker(model) for _ in videos]
        results: list[list[FrameResult]] = [[] for _ in videos]
        for index in range(8):
            for tracker, video, found in zip(trackers, videos, results, strict=True):
                found.append(tracker.step(video[index], click if index == 0 else ()))
        return results

    together, alone = run(left, right), [*run(left), *run(right)]
    for a, b in zip(together, alone, strict=True):
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)


def test_a_pass_can_be_repeated(model: SAM2) -> None:
    tracker = offline(model)
    first, second = list(tracker.propagate()), list(tracker.propagate())
    for a, b in zip(first, second, strict=True):
        assert_same(a, b)
