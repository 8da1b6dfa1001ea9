"""What every memory policy must keep to, whatever its rule: one class of tests, run for each by name."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from maskscope.memory.bank import MemoryBank
from maskscope.memory.policies.registry import BUILT_IN
from maskscope.memory.policy import Moment
from maskscope.tracking.picture import frame_tensor
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.saving import load_tracker, save_tracker
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.tracker import Tracker
from maskscope.tracking.video_tracker import VideoTracker
from scripted_model import Frames, ScriptedModel, Shown, box_mask, frame, scene

LENGTH = 91  # one more than a multiple of every stride, so that both directions count alike
FIRST = Prompt(1, mask=box_mask((2, 4, 6, 8)))
SECOND = Prompt(2, mask=box_mask((8, 2, 12, 9)))
SPATIAL_READS = 6  # beside prompted frames
MAX_FRAMES, MAX_FEATURES, MAX_PATHWAYS = 48, 24, 3  # of one object prompted once


def eventful(t: int) -> Shown:
    """A video in which everything happens: motion, a look-alike, doubt, occlusion, interjection, a cut that stays."""
    phase = t % 60
    left, thing = 2 + t // 4 % 8, scene(9)
    own, other = (left, 4, left + 4, 8), (10 - left, 10, 14 - left, 14)
    hidden, away = 20 <= phase < 28, 36 <= phase < 41
    place = 3 if away else 1 + t // 75
    return Shown(
        boxes=(own, other if phase % 7 == 0 else own, (left, 4, left + 3, 8)),
        ious=(0.85 + 0.1 * math.sin(t), 0.8 + 0.1 * math.cos(3 * t), 0.3),
        score=-3.0 if hidden else -0.5 if phase == 28 else 4.0,
        scene=scene(place, flicker=t),
        things=() if hidden else ((other, scene(8, flicker=t)), (own, thing)),
    )


def model() -> ScriptedModel:
    return ScriptedModel(eventful, reads_matter=True)


def stream(
    policy: str, length: int = LENGTH, prompts: Sequence[Prompt] = (FIRST,), tracker: Tracker | None = None
) -> tuple[Tracker, list[FrameResult]]:
    """The frames up to `length`, from where the tracker is."""
    tracker = tracker or Tracker(model(), policy)
    steps = range(tracker.frame_index + 1, length)
    return tracker, [tracker.step(frame(t), prompts if t == 0 else ()) for t in steps]


def video(policy: str, frames: Sequence[object] | None = None, at: int = 0, keep_all: bool = True) -> VideoTracker:
    tracker = VideoTracker(model(), frames or Frames(LENGTH), policy, SessionOptions(keep_all=keep_all))  # type: ignore[arg-type]
    tracker.prompt(at, [FIRST])
    return tracker


def assert_same(a: Sequence[FrameResult], b: Sequence[FrameResult], object_id: int = 1, exact: bool = True) -> None:
    assert len(a) == len(b) > 0
    for n, (x, y) in enumerate(zip((r.objects[object_id] for r in a), (r.objects[object_id] for r in b), strict=True)):
        where = f"step {n}, frame {a[n].frame_index}"
        assert (x.chosen, x.object_score_logit > 0) == (y.chosen, y.object_score_logit > 0), where
        assert torch.equal(x.mask_logits_hw, y.mask_logits_hw), where
        tolerance = 0.0 if exact else 1e-4  # a batch sums in another order
        torch.testing.assert_close(x.pointer_c, y.pointer_c, rtol=0, atol=tolerance, msg=where)
        assert abs(x.object_score_logit - y.object_score_logit) <= tolerance, where


def size_of(bank: MemoryBank) -> int:
    """Bytes of everything remembered."""
    tensors = [t for m in bank for t in (m.pointer_c, m.features_khw, m.mask_logits_hw, *m.notes.values())]
    return sum(t.untyped_storage().nbytes() for t in tensors if t is not None)


THINNED = ("stock:thin=0.25", "composite:thin=0.25", "paths:thin=0.25")
"""Older memories read in part: without and with anchors, and with pathways."""


@pytest.mark.parametrize("policy", [*BUILT_IN, *THINNED])
class TestEveryPolicy:
    def test_memory_is_bounded(self, policy: str) -> None:
        looped = ScriptedModel(lambda t: eventful(t % 300), reads_matter=True)
        tracker = Tracker(looped, policy)  # type: ignore[arg-type]  # a stand-in
        stream(policy, 400, tracker=tracker)
        session, track = tracker.session, tracker.session.tracks[1]
        settled = sum(size_of(bank) for bank in track.banks)
        pixels = [frame_tensor(frame(t), (64, 64), looped.device, looped.fine_dtype) for t in range(300)]
        images = [looped.encode_image(picture) for picture in pixels]
        for t in range(400, 5000 if policy in BUILT_IN else 1000):  # what is written is not thinned
            with torch.inference_mode():
                session.advance(t, lambda t: images[t % 300])
            assert len(track.bank) <= MAX_FRAMES
            assert len(track.banks) <= MAX_PATHWAYS
            if t % 10:
                continue
            assert all(sum(m.features_khw is not None for m in bank) <= MAX_FEATURES for bank in track.banks)
            selection = track.policy.select(track.bank, Moment(t + 1))
            assert len(selection.spatial) <= 1 + SPATIAL_READS
            assert len(selection.pointers) <= 1 + SPATIAL_READS + track.policy.config.max_pointers  # type: ignore[attr-defined]
        assert sum(size_of(bank) for bank in track.banks) < 2 * settled
        assert len(track.directions) <= MAX_FRAMES
        assert len(str(track.policy.state_dict())) < 10_000

    def test_nothing_is_left_on_the_model(self, policy: str) -> None:
        watched = model()
        before = copy.deepcopy(vars(watched))
        stream(policy, tracker=Tracker(watched, policy))
        assert vars(watched) == before

    def test_objects_do_not_disturb_each_other(self, policy: str) -> None:
        _, together = stream(policy, prompts=[FIRST, SECOND])
        assert_same(together, stream(policy, prompts=[FIRST])[1], 1, exact=False)
        assert_same(together, stream(policy, prompts=[SECOND])[1], 2, exact=False)

    def test_videos_do_not_disturb_each_other(self, policy: str) -> None:
        shared = model()
        left, right = Tracker(shared, policy), Tracker(shared, policy)
        a, b = [], []
        for t in range(LENGTH):
            a.append(left.step(frame(t), [FIRST] if t == 0 else ()))
            b.append(right.step(frame(t + 25), [FIRST] if t == 0 else ()))
        assert_same(a, stream(policy)[1])
        alone = Tracker(model(), policy)
        assert_same(b, [alone.step(frame(t + 25), [FIRST] if t == 0 else ()) for t in range(LENGTH)])

    @pytest.mark.parametrize("stop", [1, 24, 38, 70])
    def test_a_saved_session_goes_on(self, policy: str, stop: int, tmp_path: Path) -> None:
        """Stopped after a prompt, while hidden, in an interjection, and late."""
        _, whole = stream(policy)
        interrupted, _ = stream(policy, stop)
        save_tracker(interrupted, tmp_path / "session")
        resumed = load_tracker(tmp_path / "session", model())  # type: ignore[arg-type]  # a stand-in
        assert resumed.policy == policy
        assert_same(stream(policy, tracker=resumed)[1], whole[stop:])

    def test_backwards_is_forwards_of_the_reversed_video(self, policy: str) -> None:
        backwards = list(video(policy, at=LENGTH - 1).propagate(reverse=True))
        reversed_frames = [frame(t) for t in reversed(range(LENGTH))]
        assert_same(backwards, list(video(policy, reversed_frames).propagate()))

    def test_it_can_start_at_any_frame(self, policy: str) -> None:
        late = list(video(policy, at=40).propagate())
        assert [result.frame_index for result in late] == list(range(40, LENGTH))
        assert_same(late, list(video(policy, Frames(LENGTH - 40, first=40)).propagate()))

    def test_a_pass_can_be_repeated(self, policy: str) -> None:
        tracker = video(policy)
        assert_same(list(tracker.propagate()), list(tracker.propagate()))

    def test_forgetting_loses_nothing(self, policy: str) -> None:
        """Both ways from a frame in the middle, and once more: as if all had been kept."""
        runs = []
        for keep_all in (True, False):
            tracker = video(policy, at=45, keep_all=keep_all)
            runs.append([r for way in (False, True, False) for r in tracker.propagate(45, reverse=way)])
        assert_same(*runs)

    def test_late_prompts_and_corrections(self, policy: str) -> None:
        """An object that comes later, is prompted again while hidden and corrected after a cut, beside another one."""

        def run(*objects: int) -> list[FrameResult]:
            tracker, results = Tracker(model(), policy), []
            for t in range(LENGTH):
                said = {0: [FIRST], 15: [SECOND], 24: [SECOND]}.get(t, [])
                results.append(tracker.step(frame(t), [p for p in said if p.object_id in objects]))
                if t == 78 and 2 in objects:
                    tracker.correct([Prompt(2, points_xy_px=[(40, 20)])])
            if 2 in objects:
                bank = tracker.session.tracks[2].bank
                assert set(bank.prompted) == {15, 24}
                assert 78 in bank.tracked
            return results

        together = run(1, 2)
        assert_same(together, run(1), 1, exact=False)
        assert_same(together[15:], run(2)[15:], 2, exact=False)

    def test_an_object_that_is_never_seen(self, policy: str) -> None:
        hidden = ScriptedModel(lambda t: Shown(score=-5.0, scene=scene(1, flicker=t)), reads_matter=True)
        tracker = Tracker(hidden, policy)  # type: ignore[arg-type]  # a stand-in
        results = [tracker.step(frame(t), [FIRST] if t == 0 else ()) for t in range(60)]
        assert results[0].masks.any()
        assert not any(result.masks.any() for result in results[1:])
        assert all(result.object_score_logits[0] < 0 for result in results[1:])
        assert len(tracker.session.tracks[1].bank) <= MAX_FRAMES

    def test_a_stream_that_leaves_frames_out(self, policy: str) -> None:
        """Numbers jump, as in a camera whose late frames are dropped."""
        tracker = VideoTracker(model(), Frames(400), policy, SessionOptions(keep_all=False))  # type: ignore[arg-type]
        tracker.prompt(0, [FIRST])
        next(iter(tracker.propagate(max_frames=0)))
        session, seen = tracker.session, 0
        for t in (t for t in range(1, 400) if t % 11 < 4 or t > 300):
            session.advance(t, tracker._features)
            seen += 1
            assert len(session.tracks[1].bank) <= MAX_FRAMES
        assert seen > 200
