"""Other moments of a clip: which ones, with which masks, and how far the target moves between them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from clips import ArrayClip, moving_disc_clip
from family_checks import (
    Noises,
    digest,
    drawn,
    expect_pure,
    expect_same_elsewhere,
    expect_unchanged,
    realised,
    usual_clip,
)

from maskscope.errors import DatasetError, SettingError
from maskscope.transforms.base import SEVERITIES, ClipFrame
from maskscope.transforms.families.lookup import linear_of_srgb, srgb_of_linear
from maskscope.transforms.families.motion import relative_displacement
from maskscope.transforms.families.speed import SPEED

RESAMPLED = ("decimate", "slow", "variable", "freeze", "reverse")


def moments(clip: ArrayClip, severity: int, variant: str, seed: int = 0) -> list[int]:
    frames = drawn(SPEED.plan(clip, severity, seed, Noises(), variant), clip)
    return [int(frame.source_time) for frame in frames if frame.source_time is not None]


def squares(places: list[int], side: int = 8, size: tuple[int, int] = (20, 60)) -> ArrayClip:
    """A square whose left edge is at these columns; its frames tell themselves apart by their grey."""
    labels = []
    for left in places:
        label = np.zeros(size, np.uint8)
        label[6 : 6 + side, left : left + side] = 1
        labels.append(label)
    frames = tuple(np.full((*size, 3), 10 + 5 * t, np.uint8) for t in range(len(places)))
    return ArrayClip("squares", frames, tuple(labels))


def test_severity_0_hands_on_the_very_arrays() -> None:
    expect_unchanged(SPEED, SPEED.variants)


def test_plans_are_pure_and_small() -> None:
    expect_pure(SPEED, SPEED.variants)


def test_another_process_draws_the_same_bytes() -> None:
    expect_same_elsewhere("speed", SPEED.variants)


class TestMoments:
    @pytest.mark.parametrize(("severity", "factor"), [(1, 2), (2, 3), (3, 4), (4, 8), (5, 16)])
    def test_decimation_keeps_every_kth(self, severity: int, factor: int) -> None:
        assert moments(usual_clip(), severity, "decimate") == list(range(0, 40, factor))

    def test_slow_motion_repeats_the_whole_clip(self) -> None:
        assert moments(usual_clip(4), 2, "slow") == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]

    @pytest.mark.parametrize(("severity", "factor"), [(1, 1), (3, 3), (5, 8)])
    def test_reverse_begins_at_the_last_frame(self, severity: int, factor: int) -> None:
        assert moments(usual_clip(), severity, "reverse") == list(range(39, -1, -factor))

    def test_variable_speed_swings_between_slower_and_faster(self) -> None:
        for seed in range(4):
            shown = moments(moving_disc_clip(80, (16, 24)), 4, "variable", seed)
            steps = np.diff(shown)
            assert shown[0] == 0
            assert steps.min() == 0
            assert steps.max() in (4, 5)

    @pytest.mark.parametrize("num_frames", [19, 40, 80])
    def test_a_freeze_holds_its_frame_while_time_passes(self, num_frames: int) -> None:
        clip = moving_disc_clip(num_frames, (16, 24))
        for seed in range(8):
            plan = SPEED.plan(clip, 5, seed, Noises(), "freeze")
            shown = moments(clip, 5, "freeze", seed)
            starts = plan.parameters["starts"]
            wanted = list(range(num_frames))
            for start in starts:
                assert start >= 1
                assert start + 16 < num_frames, "something follows"
                wanted[start : start + 16] = [start - 1] * 16
            assert shown == wanted
            assert len(starts) == (2 if num_frames == 80 else 1)
            assert len(set(shown)) == num_frames - 16 * len(starts)

    @pytest.mark.parametrize("variant", RESAMPLED)
    def test_a_shown_moment_is_the_source_frame_itself(self, variant: str) -> None:
        clip = usual_clip(objects=2)
        for frame in drawn(SPEED.plan(clip, 3, 2, Noises(), variant), clip):
            index = int(frame.source_time or 0)
            assert frame.image_hwc is clip.frames[index]
            assert frame.visible_hw is clip.labels[index]
            assert frame.amodal_hw is clip.labels[index]
            assert (frame.void_hw, frame.to_source) == (None, None)

    def test_times_of_a_chain_are_those_of_its_source(self) -> None:
        clip = usual_clip()
        plan = SPEED.plan(clip, 1, 0, Noises(), "decimate")
        frame = ClipFrame(clip.frames[0], clip.labels[0], clip.labels[0], source_time=17.5, strengths=(3.0,))
        assert plan.apply(2, [frame, frame]).source_time == 17.5
        assert plan.apply(2, [frame, frame]).strengths == (3.0, 0.0)


class TestStrength:
    def test_displacement_is_in_sides_of_a_square(self) -> None:
        clip = squares([0, 4, 8, 8, 24, 40, 44, 48])
        assert realised(SPEED, clip, 1, "decimate").tolist() == [0, 1, 2, 2.5]
        assert realised(SPEED, clip, 1, "reverse").tolist() == [0, 0.5, 0.5, 2, 2, 0, 0.5, 0.5]
        assert realised(SPEED, clip, 1, "slow").tolist()[:5] == [0, 0, 0.5, 0, 0.5]

    def test_an_absent_target_has_not_moved(self) -> None:
        here, nowhere = squares([3]).labels[0], np.zeros((20, 60), np.uint8)
        assert relative_displacement(nowhere, here) == 0
        assert relative_displacement(here, nowhere) == 0
        assert relative_displacement(nowhere, nowhere) == 0

    def test_all_objects_count_as_one(self) -> None:
        before, now = np.zeros((9, 40), np.uint8), np.zeros((9, 40), np.uint8)
        before[2:6, 0:4], before[2:6, 10:14] = 1, 2
        now[2:6, 4:8], now[2:6, 14:18] = 1, 2
        assert relative_displacement(before, now) == pytest.approx(4 / np.sqrt(32))

    @pytest.mark.parametrize("variant", ["decimate", "variable", "reverse", "blur"])
    def test_grows_with_severity_on_the_mean(self, variant: str) -> None:
        clip = moving_disc_clip(64, (48, 96))
        means = [realised(SPEED, clip, s, variant)[1:].mean() for s in SEVERITIES]
        assert means[0] == 0
        assert (np.diff(means) > 0.002).all(), means

    def test_of_a_freeze_grows_on_its_largest(self) -> None:
        most = [realised(SPEED, moving_disc_clip(64, (48, 96)), s, "freeze").max() for s in SEVERITIES]
        assert (np.diff(most) > 0.01).all(), most

    def test_of_slow_motion_falls(self) -> None:
        means = [realised(SPEED, usual_clip(), s, "slow").mean() for s in SEVERITIES[1:]]
        assert (np.diff(means) < 0).all(), means


class TestBlur:
    def test_the_mean_is_taken_in_linear_light_around_its_moment(self) -> None:
        clip = squares(list(range(12)))
        frames = drawn(SPEED.plan(clip, 2, 0, Noises(), "blur"), clip)
        for t, frame in enumerate(frames):
            radius = min(2, t, 11 - t)
            light = np.mean([linear_of_srgb()[10 + 5 * i] for i in range(t - radius, t + radius + 1)])
            assert np.abs(frame.image_hwc.astype(int) - int(srgb_of_linear(np.float32(light)))).max() <= 1
            assert frame.source_time == t
        assert frames[0].image_hwc is clip.frames[0]
        assert frames[11].image_hwc is clip.frames[11]

    def test_the_mask_is_the_centres_and_void_where_masks_differ(self) -> None:
        clip = moving_disc_clip(12, (48, 64), objects=2)
        for t, frame in enumerate(drawn(SPEED.plan(clip, 2, 0, Noises(), "blur"), clip)):
            radius = min(2, t, 11 - t)
            near = np.stack(clip.labels[t - radius : t + radius + 1])
            union, intersection = (near > 0).any(0), (near == near[0]).all(0) & (near[0] > 0)
            assert frame.visible_hw is clip.labels[t]
            assert frame.amodal_hw is clip.labels[t]
            assert ((frame.void_hw if frame.void_hw is not None else False) == (union & ~intersection)).all()
            assert (frame.void_hw is None) == (radius == 0)

    def test_void_of_any_frame_is_void(self) -> None:
        clip = squares([5] * 8)
        labels = [label.copy() for label in clip.labels]
        labels[3][0, 50] = 255
        holed = ArrayClip("holed", clip.frames, tuple(labels))
        shown = drawn(SPEED.plan(holed, 1, 0, Noises(), "blur"), holed)
        marked = [t for t, frame in enumerate(shown) if frame.void_hw is not None and frame.void_hw[0, 50]]
        assert marked == [2, 3, 4]

    def test_what_stands_still_stays_sharp(self) -> None:
        image = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None], (4, 256, 3)).copy()
        label = np.zeros((4, 256), np.uint8)
        label[1, 3] = 1
        clip = ArrayClip("still", tuple(image.copy() for _ in range(16)), (label,) * 16)
        for frame in drawn(SPEED.plan(clip, 5, 0, Noises(), "blur"), clip):
            assert (frame.image_hwc == image).all()
            assert frame.void_hw is None
            assert frame.strengths == (0.0,)

    def test_running_sums_leave_no_trace(self) -> None:
        clip = usual_clip(30)
        plan = SPEED.plan(clip, 4, 0, Noises(), "blur")
        in_order = drawn(plan, clip)
        # A frozen clip shows one array at several moments.
        held = ArrayClip("held", clip.frames[:9] + clip.frames[8:9] * 12 + clip.frames[9:18], clip.labels)
        kept = drawn(plan, held)
        for t in (3, 20, 4, 12, 29, 8, 9):
            alone = pickle.loads(pickle.dumps(plan))
            assert digest([alone.apply(t, [clip.at(i) for i in alone.sources(t)])]) == digest([in_order[t]])
            assert digest([alone.apply(t, [held.at(i) for i in alone.sources(t)])]) == digest([kept[t]])


class TestDoors:
    @pytest.mark.parametrize(
        ("variant", "least"),
        [("decimate", 33), ("slow", 2), ("variable", 15), ("freeze", 19), ("reverse", 17), ("blur", 11)],
    )
    def test_the_shortest_clip(self, variant: str, least: int) -> None:
        plan = SPEED.plan(moving_disc_clip(least, (16, 24)), 5, 0, Noises(), variant)
        assert plan.num_frames >= 2
        with pytest.raises(DatasetError, match=rf"too short for speed \({variant}\).*at least {least}"):
            SPEED.plan(moving_disc_clip(least - 1, (16, 24)), 5, 0, Noises(), variant)

    def test_backwards_needs_a_target_on_the_last_frame(self) -> None:
        clip = squares([1, 2, 3, 4, 5, 6, 7])
        gone = ArrayClip("gone", clip.frames, (*clip.labels[:-1], np.zeros_like(clip.labels[0])))
        with pytest.raises(DatasetError, match="gone cannot run backwards"):
            SPEED.plan(gone, 1, 0, Noises(), "reverse")

    def test_the_seed_takes_what_fits(self) -> None:
        short = moving_disc_clip(12, (16, 24))
        found = {SPEED.plan(short, 5, seed, Noises()).parameters["variant"] for seed in range(12)}
        assert found == {"slow", "blur"}
        with pytest.raises(DatasetError, match="has 1 frame, too short"):
            SPEED.plan(moving_disc_clip(1, (16, 24)), 1, 0, Noises())

    def test_unknown_requests(self) -> None:
        with pytest.raises(SettingError, match="severity 9 of speed"):
            SPEED.plan(usual_clip(4), 9, 0, Noises())
        with pytest.raises(SettingError, match="did you mean freeze"):
            SPEED.plan(usual_clip(4), 1, 0, Noises(), "freez")
