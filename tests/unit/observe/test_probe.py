"""A probe shows each measure each object once, keeps readings only, changes no mask and leaves nothing behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest
import torch

from maskscope.model import SAM2
from maskscope.observe.probe import Probe, Sight, attached
from maskscope.observe.reading import Reading
from maskscope.observe.taps import Taps
from maskscope.stages import STAGES
from maskscope.tracking.observer import Observation
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.tracker import Tracker
from maskscope.tracking.video_tracker import VideoTracker
from random_models import moving_square, random_model, square_mask

FRAMES = moving_square(3)
PROMPTS = [Prompt(1, mask=square_mask(0)), Prompt(2, points_xy_px=[(45, 45)])]


class Norm:
    """Says how large the features are."""

    def __init__(self) -> None:
        self.sights: list[Sight] = []

    def see(self, sight: Sight) -> Iterable[Reading]:
        self.sights.append(sight)
        yield sight.reading("norm", float(sight.features.norm()))


@pytest.fixture(scope="module")
def model() -> SAM2:
    return random_model()


def truth(frame: int) -> dict[int, np.ndarray]:
    return {1: square_mask(frame), 2: np.zeros((128, 128), bool)}


def test_each_object_is_shown_once_at_each_position(model: SAM2) -> None:
    norm = Norm()
    probe = Probe([norm], truth, memory_dim=64)
    tracker = Tracker(model, observers=[probe])
    for t, frame in enumerate(FRAMES):
        tracker.step(frame, PROMPTS if t == 0 else ())
    counts = Counter((r.frame, r.stage, r.object) for r in probe.readings)
    expected = {(t, stage, i): 1 for t in range(3) for stage in STAGES for i in (1, 2)}
    del expected[0, "memory_conditioned", 1]  # a mask prompt needs no memory
    assert counts == expected
    for sight in norm.sights:
        assert (sight.features.ndim == 1) == (sight.stage == "object_pointer")
        if sight.features.ndim == 3:
            assert sight.regions is not None
            assert sight.regions.grid == tuple(sight.features.shape[1:])
            assert sight.regions.state == ("ok" if sight.object == 1 else "absent")
            np.testing.assert_array_equal(sight.mask_hw, square_mask(sight.frame) & (sight.object == 1))


def test_rows_go_to_their_objects() -> None:
    norm = Norm()
    probe = Probe([norm], None, memory_dim=3)
    output = torch.arange(2.0 * 5 * 4).reshape(2, 5, 2, 2)
    probe(Observation("memory_features", 7, (4, 9), output))
    probe(Observation("prompt_attended", 7, (9, 4, 9), torch.stack((output[1], output[0], output[0]))))
    probe(Observation("image_embedding", 7, (), output[:1]))
    told = [(s.stage, s.frame, s.object, s.features) for s in norm.sights]
    expected = [
        ("memory_features", 7, 4, output[0, :3]),  # what is behind the memory's own channels is cut off
        ("memory_features", 7, 9, output[1, :3]),
        ("prompt_attended", 7, 9, output[1]),  # of several pathways the first
        ("prompt_attended", 7, 4, output[0]),
        ("image_embedding", 7, None, output[0]),  # no object is known
    ]
    assert len(told) == len(expected)
    for (*label, features), (*expected_label, expected_features) in zip(told, expected, strict=True):
        assert label == expected_label
        assert torch.equal(features, expected_features)
    assert all(s.regions is None and s.mask_hw is None for s in norm.sights)


def test_a_frame_without_truth_has_no_regions() -> None:
    norm = Norm()
    probe = Probe(
        [norm], lambda t: truth(t) if t == 0 else None, memory_dim=64, valid=lambda _: np.ones((128, 128), bool)
    )
    for t in (0, 1):
        probe(Observation("memory_conditioned", t, (1, 3), torch.ones(2, 4, 8, 8)))
    assert [s.regions is None for s in norm.sights] == [False, True, True, True]


def test_readings_can_be_taken_away() -> None:
    probe = Probe([Norm()], memory_dim=64)
    probe(Observation("object_pointer", 0, (1,), torch.tensor([[3.0, 4.0]])))
    assert [(r.metric, r.value, r.stage) for r in probe.drain()] == [("norm", 5.0, "object_pointer")]
    assert probe.readings == []


def test_the_sink_and_the_picture() -> None:
    kept: list[Sight] = []
    asked: list[int] = []

    def picture(frame: int) -> np.ndarray:
        asked.append(frame)
        return FRAMES[frame]

    probe = Probe([], memory_dim=64, picture=picture, sink=kept.append)
    for t in (0, 1):
        for _ in range(3):
            probe(Observation("image_embedding", t, (), torch.ones(1, 2, 3, 3)))
    assert [(s.frame, s.picture_hwc is FRAMES[s.frame]) for s in kept] == [(0, True), (1, True)]
    assert asked == [0, 1]


def test_masks_are_the_same_to_the_bit(model: SAM2) -> None:
    plain, watched = Tracker(model), Tracker(model)
    probe = Probe([Norm()], truth, memory_dim=64)
    with Taps(model, probe) as taps, attached(watched, taps, probe):
        for t, frame in enumerate(FRAMES):
            prompts = PROMPTS if t == 0 else ()
            a, b = plain.step(frame, prompts), watched.step(frame, prompts)
            assert torch.equal(a.mask_logits_nhw, b.mask_logits_nhw)
    assert {r.tap for r in probe.readings if r.frame == 2} == {"", *(tap.name for tap in taps.taps)}


def test_observers_leave_with_the_block(model: SAM2) -> None:
    other: list[Observation] = []
    heard: list[Observation] = []
    tracker = Tracker(model, observers=[other.append])
    with attached(tracker, heard.append):
        tracker.step(FRAMES[0], PROMPTS)
    before = len(heard)
    assert before == len(other) == 7  # image, two prompts' tokens and pointers, one conditioned, memory of both
    assert tracker.observers == tracker.session.observers == [other.append]
    tracker.step(FRAMES[1])
    assert len(heard) == before
    video = VideoTracker(model, FRAMES)
    with attached(video, heard.append):
        video.prompt(0, PROMPTS)
    assert (len(heard) - before, video.session.observers) == (6, [])


def test_nothing_is_left_after_an_exception(model: SAM2) -> None:
    class Fails:
        def see(self, sight: Sight) -> Iterable[Reading]:
            if sight.stage == "prompt_attended" and sight.frame == 1:
                raise RuntimeError("measure failed")
            return ()

    tracker, plain = Tracker(model), Tracker(model)
    tracker.step(FRAMES[0], PROMPTS)
    with pytest.raises(RuntimeError, match="measure failed"), attached(tracker, Probe([Fails()], truth, memory_dim=64)):
        tracker.step(FRAMES[1])
    assert tracker.observers == tracker.session.observers == []
    assert tracker.frame_index == 0, "the frame was not taken"
    for t, frame in enumerate(FRAMES):
        expected = plain.step(frame, PROMPTS if t == 0 else ())
        if t:
            assert torch.equal(tracker.step(frame).mask_logits_nhw, expected.mask_logits_nhw)
