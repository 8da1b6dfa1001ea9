"""SAM 2's memory as tables, and that forgetting loses nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maskscope.memory.bank import Eviction, FrameMemory, FrameSummary, MemoryBank
from maskscope.memory.policies.stock import StockPolicy, closest_prompted
from maskscope.memory.policy import Candidates, Moment, Outcome
from maskscope.model.config import MemoryConfig

CONFIG = MemoryConfig()
PROMPTED_SLOT = 6


def remembered(frame_index: int, prompted: bool = False) -> FrameMemory:
    summary = FrameSummary(frame_index, prompted, 1.0, 0.5, 0.1)
    return FrameMemory(summary, torch.zeros(2), torch.zeros(1, 1, 1), torch.zeros(1, 1))


def bank(prompted: Collection[int], tracked: Collection[int] = ()) -> MemoryBank:
    out = MemoryBank()
    for t in prompted:
        out.write(remembered(t, prompted=True))
    for t in tracked:
        out.write(remembered(t))
    return out


def reads(
    policy: StockPolicy, held: MemoryBank, now: int, reverse: bool = False, num_frames: int | None = None
) -> tuple[list[tuple[int, int]], list[tuple[int, int]], int]:
    selection = policy.select(held, Moment(now, reverse, num_frames))
    return (
        [(read.frame_index, read.slot) for read in selection.spatial],
        [(read.frame_index, read.distance) for read in selection.pointers],
        selection.max_pointers,
    )


# -- what is read -------------------------------------------------------------------------------------------------


def test_early_in_a_video() -> None:
    spatial, pointers, limit = reads(StockPolicy(CONFIG), bank([0], [1, 2]), 3)
    assert spatial == [(0, PROMPTED_SLOT), (1, 1), (2, 0)]
    assert pointers == [(0, 3), (2, 1), (1, 2)]
    assert limit == 16


def test_late_in_a_video() -> None:
    spatial, pointers, _ = reads(StockPolicy(CONFIG), bank([0], range(1, 50)), 50)
    assert spatial == [(0, PROMPTED_SLOT), (44, 5), (45, 4), (46, 3), (47, 2), (48, 1), (49, 0)]
    assert pointers == [(0, 50), *[(50 - d, d) for d in range(1, 16)]], "fifteen, and the prompted frame's besides"


def test_backwards() -> None:
    spatial, pointers, _ = reads(StockPolicy(CONFIG), bank([30], range(10, 30)), 9, reverse=True, num_frames=40)
    assert spatial == [(30, PROMPTED_SLOT), (15, 5), (14, 4), (13, 3), (12, 2), (11, 1), (10, 0)]
    assert pointers == [(30, 21), *[(9 + d, d) for d in range(1, 16)]]


def test_prompted_frames_of_the_future_are_seen_but_not_pointed_to() -> None:
    spatial, pointers, _ = reads(StockPolicy(CONFIG), bank([0, 8], [1, 2]), 3)
    assert spatial == [(0, PROMPTED_SLOT), (8, PROMPTED_SLOT), (1, 1), (2, 0)]
    assert pointers == [(0, 3), (2, 1), (1, 2)]
    _, pointers, _ = reads(StockPolicy(CONFIG), bank([0, 8], [5, 6, 7]), 4, reverse=True)
    assert pointers == [(8, 4), (5, 1), (6, 2), (7, 3)]
    both = StockPolicy(replace(CONFIG, pointers_from_past_only=False))
    assert reads(both, bank([0, 8], [1, 2]), 3)[1][:2] == [(0, 3), (8, -5)]


def test_unsigned_time_in_sam2() -> None:
    older = StockPolicy(replace(CONFIG, pointer_time_signed=False, pointers_from_past_only=False))
    assert reads(older, bank([0, 8]), 3)[1] == [(0, 3), (8, 5)]


def test_frames_that_are_missing_are_skipped() -> None:
    spatial, pointers, _ = reads(StockPolicy(CONFIG), bank([0], [5, 7, 9]), 10)
    assert spatial == [(0, PROMPTED_SLOT), (5, 4), (7, 2), (9, 0)]
    assert pointers == [(0, 10), (9, 1), (7, 3), (5, 5)]


def test_frames_whose_features_are_gone_still_point() -> None:
    held = bank([0], [8, 9])
    held.apply(Eviction(features=[8]))
    spatial, pointers, _ = reads(StockPolicy(CONFIG), held, 10)
    assert spatial == [(0, PROMPTED_SLOT), (9, 0)]
    assert pointers == [(0, 10), (9, 1), (8, 2)]


@pytest.mark.parametrize(
    ("now", "stride", "reverse", "frames"),
    [
        (20, 1, False, [14, 15, 16, 17, 18, 19]),
        (20, 2, False, [10, 12, 14, 16, 18, 19]),
        (21, 2, False, [10, 12, 14, 16, 18, 20]),
        (22, 5, False, [0, 5, 10, 15, 20, 21]),
        (20, 2, True, [30, 28, 26, 24, 22, 21]),
        (19, 2, True, [30, 28, 26, 24, 22, 20]),
        (18, 5, True, [40, 35, 30, 25, 20, 19]),
        (2, 1, False, [-4, -3, -2, -1, 0, 1]),
    ],
)
def test_the_stride_of_recent_memories(now: int, stride: int, reverse: bool, frames: list[int]) -> None:
    """The reference's arithmetic: the previous frame always, before it every stride-th frame of the video."""
    policy = StockPolicy(replace(CONFIG, temporal_stride=stride))
    recent = policy.recent(Moment(now, reverse))
    assert recent == list(zip(frames, [5, 4, 3, 2, 1, 0], strict=True))


def test_short_videos_scale_time_and_stop_at_their_ends() -> None:
    policy = StockPolicy(CONFIG)
    _, pointers, limit = reads(policy, bank([0], range(1, 5)), 5, num_frames=6)
    assert (limit, pointers) == (6, [(0, 5), (4, 1), (3, 2), (2, 3), (1, 4)])
    assert reads(policy, bank([0]), 5, num_frames=100)[2] == 16
    assert reads(policy, bank([0]), 5)[2] == 16
    _, pointers, limit = reads(policy, bank([3], [4]), 2, reverse=True, num_frames=5)
    assert (limit, pointers) == (5, [(3, 1), (4, 2)])


@pytest.mark.parametrize(
    ("frames", "now", "limit", "chosen"),
    [
        ([0, 10, 20, 30], 15, -1, [0, 10, 20, 30]),
        ([0, 10, 20, 30], 15, 4, [0, 10, 20, 30]),
        ([0, 10, 20, 30], 15, 2, [10, 20]),
        ([0, 10, 20, 30], 16, 3, [10, 20, 30]),
        ([0, 10, 20, 30], 14, 3, [10, 20, 0]),
        ([0, 10, 20, 30], 20, 2, [10, 20]),  # the frame itself counts as after
        ([0, 10, 20], 40, 2, [20, 10]),
        ([20, 30, 40], 5, 2, [20, 30]),
        ([], 5, 2, []),
    ],
)
def test_closest_prompted(frames: list[int], now: int, limit: int, chosen: list[int]) -> None:
    assert closest_prompted(frames, now, limit) == chosen


def test_prompted_frames_left_out_are_read_like_tracked_ones() -> None:
    policy = StockPolicy(replace(CONFIG, max_prompted=2))
    spatial, pointers, _ = reads(policy, bank([0, 4, 7, 20], [5, 6, 8, 9]), 10)
    assert spatial == [(7, PROMPTED_SLOT), (20, PROMPTED_SLOT), (4, 5), (5, 4), (6, 3), (8, 1), (9, 0)]
    assert pointers == [(7, 3), (9, 1), (8, 2), (6, 4), (5, 5), (4, 6), (0, 10)]


def test_the_best_candidate_and_no_test_of_quality() -> None:
    policy = StockPolicy(CONFIG)
    candidates = Candidates(3, torch.zeros(3, 4, 4), (0.2, 0.9, 0.4), -5.0, torch.zeros(2, 1, 1))
    empty, moment = MemoryBank(), Moment(3)
    assert policy.choose_mask(candidates, empty, moment) == 1
    equal = replace(candidates, predicted_iou_m=(0.5, 0.5, 0.1))
    assert policy.choose_mask(equal, empty, moment) == 0, "the first of equals"
    outcome = Outcome(FrameSummary(3, False, -9.0, 0.0, 0.0), candidates, 1)
    assert policy.admit(outcome, empty, moment)
    assert policy.note(outcome, empty, moment) == {}


@pytest.mark.parametrize(("score", "there"), [(-0.1, False), (0.0, False), (0.1, True)])
def test_who_is_there_is_the_models_word(score: float, there: bool) -> None:
    candidates = Candidates(3, torch.zeros(3, 4, 4), (0.2, 0.9, 0.4), score, torch.zeros(2, 1, 1))
    assert StockPolicy(CONFIG).believe(candidates, 1, MemoryBank(), Moment(3)) is there


# -- what is forgotten --------------------------------------------------------------------------------------------


def test_what_is_forgotten() -> None:
    held = bank([0], range(1, 41))
    eviction = StockPolicy(CONFIG).evict(held, Moment(40), ())
    assert set(eviction.frames) == set(range(1, 25))
    assert set(eviction.features) == set(range(1, 34))
    held.apply(eviction)
    assert sorted(held.tracked) == list(range(25, 41))
    assert [t for t, m in held.tracked.items() if m.features_khw is not None] == list(range(34, 41))
    assert held.prompted[0].features_khw is not None


def test_pivots_keep_their_neighbourhood() -> None:
    eviction = StockPolicy(CONFIG).evict(bank([50], range(51, 101)), Moment(100), pivots=[50])
    assert set(eviction.frames) == set(range(66, 85))
    assert set(eviction.features) == set(range(57, 94))


@st.composite
def journeys(draw: st.DrawFn) -> tuple[MemoryConfig, list[int], list[tuple[int, bool]]]:
    """A configuration, prompted frames, and passes that start at prompted frames in either direction."""
    config = replace(
        CONFIG,
        num_frames=draw(st.integers(2, 8)),
        max_pointers=draw(st.integers(1, 18)),
        temporal_stride=draw(st.integers(1, 4)),
        max_prompted=draw(st.sampled_from([-1, 2, 3])),
    )
    prompted = sorted(draw(st.sets(st.integers(0, 60), min_size=1, max_size=4)))
    passes = draw(st.lists(st.tuples(st.sampled_from(prompted), st.booleans()), min_size=1, max_size=3))
    return config, prompted, passes


@settings(max_examples=60, deadline=None)
@given(journeys())
def test_forgetting_is_lossless(journey: tuple[MemoryConfig, list[int], list[tuple[int, bool]]]) -> None:
    """Two banks, one that forgets: whatever is read at any step of any pass is the same."""
    config, prompted, passes = journey
    policy, whole, bounded = StockPolicy(config), bank(prompted), bank(prompted)
    for start, reverse in passes:
        for now in range(start, -1, -1) if reverse else range(start, 61):
            if now in prompted:
                continue
            moment = Moment(now, reverse, 61)
            assert policy.select(bounded, moment) == policy.select(whole, moment)
            for held in (whole, bounded):
                held.write(remembered(now))
            bounded.apply(policy.evict(bounded, moment, prompted))
    reach = max(config.num_frames * config.temporal_stride, config.max_pointers)
    assert len(bounded.tracked) <= 2 * reach * (len(prompted) + 1)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 8), st.integers(1, 20), st.integers(1, 3))
def test_a_stream_is_bounded(num_frames: int, max_pointers: int, stride: int) -> None:
    config = replace(CONFIG, num_frames=num_frames, max_pointers=max_pointers, temporal_stride=stride)
    policy, whole, bounded = StockPolicy(config), bank([0]), bank([0])
    for now in range(1, 90):
        assert policy.select(bounded, Moment(now)) == policy.select(whole, Moment(now))
        for held in (whole, bounded):
            held.write(remembered(now))
        bounded.apply(policy.evict(bounded, Moment(now), ()))
        assert len(bounded.tracked) <= max(num_frames * stride, max_pointers)


# -- the bank --------------------------------------------------------------------------------------------------


def test_a_frame_is_prompted_or_tracked() -> None:
    held = bank([0], [1, 2])
    held.write(remembered(2, prompted=True))
    assert (sorted(held.prompted), sorted(held.tracked)) == ([0, 2], [1])
    assert len(held) == 3
    assert [memory.summary.frame_index for memory in held] == [0, 2, 1]
    found = held.get(2)
    assert found is not None
    assert found.summary.prompted
    assert held.get(5) is None


def test_prompted_frames_are_never_dropped() -> None:
    held = bank([0], [1, 2])
    held.apply(Eviction(features=[0, 1], frames=[0, 2]))
    assert held.prompted[0].features_khw is not None
    assert list(held.tracked) == [1]
    assert held.tracked[1].features_khw is None
    assert held.tracked[1].mask_logits_hw is None


def test_a_frame_can_be_taken_back() -> None:
    held = bank([0], [1, 2])
    held.forget(1)
    held.forget(7)
    held.forget(0)
    assert (list(held.prompted), list(held.tracked)) == ([0], [2])


def test_there_is_no_state_beside_the_bank() -> None:
    policy = StockPolicy(CONFIG)
    policy.load_state_dict(policy.state_dict())
    assert policy.state_dict() == {}
