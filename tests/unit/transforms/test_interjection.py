"""Cuts: which frames are foreign and empty, and where the pixels of mirrored and nearer pictures are from."""

from __future__ import annotations

import numpy as np
import pytest
from clips import ArrayClip, moving_disc_clip
from family_checks import Noises, drawn, expect_pure, expect_same_elsewhere, expect_unchanged, realised, usual_clip

from maskscope.errors import DatasetError, SettingError
from maskscope.transforms.base import SEVERITIES, ClipFrame
from maskscope.transforms.families.cuts import CloseupPlan
from maskscope.transforms.families.interjection import FOREIGN, FOREIGN_FRAMES, INTERJECTION, KINDS

COUNTS = {1: 1, 2: 2, 3: 4, 4: 8, 5: 16}


def without_object_on(clip: ArrayClip, empty: range) -> ArrayClip:
    nothing = np.zeros_like(clip.labels[0])
    return ArrayClip("gone", clip.frames, tuple(nothing if t in empty else m for t, m in enumerate(clip.labels)))


def source_pixels(frame: ClipFrame) -> tuple[np.ndarray, np.ndarray]:
    """Nearest rows and columns of the source for each pixel, by the frame's homography."""
    assert frame.to_source is not None
    height, width = frame.visible_hw.shape
    rows, columns = np.mgrid[:height, :width]
    points = frame.to_source @ np.stack([columns.ravel(), rows.ravel(), np.ones(rows.size)])
    nearest = np.rint(points[:2] / points[2]).astype(int)
    return (
        np.clip(nearest[1], 0, height - 1).reshape(height, width),
        np.clip(nearest[0], 0, width - 1).reshape(height, width),
    )


def test_severity_0_hands_on_the_very_arrays() -> None:
    expect_unchanged(INTERJECTION, (*KINDS, "cut-32"))


def test_plans_are_pure_and_small() -> None:
    expect_pure(INTERJECTION, KINDS)


def test_another_process_draws_the_same_bytes() -> None:
    expect_same_elsewhere("interjection", KINDS)


@pytest.mark.parametrize("variant", KINDS)
def test_the_largest_strength_grows_with_severity(variant: str) -> None:
    most = np.array([realised(INTERJECTION, usual_clip(), s, variant).max() for s in SEVERITIES])
    assert most[0] == 0
    assert (np.diff(most) > 0.2).all(), most


def test_frame_0_is_the_clips_own() -> None:
    clip = usual_clip()
    for kind in KINDS:
        for seed in range(3):
            plan = INTERJECTION.plan(clip, 5, seed, Noises(), kind)
            first = plan.apply(0, [clip.at(i) for i in plan.sources(0)])
            assert first.image_hwc is clip.frames[0]
            assert first.visible_hw is clip.labels[0]
            assert first.strengths == (0.0,)


class TestForeignFootage:
    @pytest.mark.parametrize("severity", COUNTS)
    @pytest.mark.parametrize("variant", FOREIGN)
    def test_as_many_frames_as_the_severity_says(self, variant: str, severity: int) -> None:
        clip = usual_clip(objects=2)
        count = COUNTS[severity]
        plan = INTERJECTION.plan(clip, severity, 4, Noises(), variant)
        frames = drawn(plan, clip)
        cut = plan.parameters["cut_frame"]
        assert len(frames) == 40 + (0 if variant == "delayed" else count)
        assert 10 <= cut <= 20
        behind = list(range(cut + count, 40)) if variant == "delayed" else list(range(cut, 40))
        assert [f.source_time for f in frames] == [*map(float, range(cut)), *(None,) * count, *map(float, behind)]
        assert [f.strengths for f in frames[cut : cut + count]] == [(float(i),) for i in range(1, count + 1)]
        for t, frame in enumerate(frames):
            if cut <= t < cut + count:
                assert not frame.visible_hw.any()
                assert not frame.amodal_hw.any()
                assert frame.visible_hw.shape == (48, 64)
                assert frame.visible_hw.dtype == np.uint8
                assert (frame.void_hw, frame.to_source) == (None, None)
                assert not any(np.array_equal(frame.image_hwc, own) for own in clip.frames)
            else:
                index = int(frame.source_time or 0)
                assert frame.image_hwc is clip.frames[index]
                assert frame.visible_hw is clip.labels[index]
                assert frame.strengths == (0.0,)

    @pytest.mark.parametrize("kind", FOREIGN)
    @pytest.mark.parametrize("count", FOREIGN_FRAMES)
    def test_a_number_by_name_at_every_severity(self, kind: str, count: int) -> None:
        for severity in (1, 5):
            strengths = realised(INTERJECTION, moving_disc_clip(48, (16, 24)), severity, f"{kind}-{count}")
            assert strengths.max() == count
            assert (strengths > 0).sum() == count

    def test_severities_share_their_cut(self) -> None:
        cuts = {INTERJECTION.plan(usual_clip(), s, 6, Noises(), "cut").parameters["cut_frame"] for s in SEVERITIES[1:]}
        assert len(cuts) == 1

    def test_footage_needs_no_frame_and_a_look_alike_the_last_one(self) -> None:
        for kind, wanted in (("cut", ()), ("delayed", ()), ("lookalike", "last")):
            plan = INTERJECTION.plan(usual_clip(), 3, 0, Noises(), kind)
            cut = plan.parameters["cut_frame"]
            assert plan.sources(cut + 2) == ((cut - 1,) if wanted == "last" else wanted)

    def test_frames_keep_the_strengths_of_a_chain_and_foreign_ones_begin_anew(self) -> None:
        plan = INTERJECTION.plan(usual_clip(), 1, 0, Noises(), "lookalike")
        cut = plan.parameters["cut_frame"]
        clip = usual_clip()
        before = clip.at(3).with_strength(0.5)
        assert plan.apply(0, [before]).strengths == (0.5, 0.0)
        assert plan.apply(cut, [before]).strengths == (1.0,)

    def test_a_look_alike_is_the_targets_own_picture(self) -> None:
        clip = usual_clip()
        plan, plain = (INTERJECTION.plan(clip, 3, 1, Noises(), kind) for kind in ("lookalike", "cut"))
        cut = plan.parameters["cut_frame"]
        last = clip.at(cut - 1)
        shown = plan.apply(cut + 1, [last]).image_hwc
        bare = plan._footage[1]  # type: ignore[attr-defined]
        rows, columns = np.nonzero(last.visible_hw)
        # Somewhere near, the inside of the target lies in the footage, value for value.
        inner = np.s_[rows.min() + 4 : rows.max() - 3, columns.min() + 4 : columns.max() - 3]
        target = last.image_hwc[inner]
        height, width = target.shape[:2]
        found = [
            (dy, dx)
            for dy in range(-3, 4)
            for dx in range(-5, 6)
            if (shown[rows.min() + 4 + dy :, columns.min() + 4 + dx :][:height, :width] == target).mean() > 0.95
        ]
        assert len(found) == 1
        changed = (shown != bare).any(-1)
        assert changed.sum() == pytest.approx(rows.size, rel=0.35), "only the target was pasted"
        assert plain.num_frames == plan.num_frames

    def test_a_look_alike_waits_for_a_sight_of_the_target(self) -> None:
        clip = without_object_on(usual_clip(), range(6, 30))
        plan = INTERJECTION.plan(clip, 2, 0, Noises(), "lookalike")
        assert plan.parameters["cut_frame"] == 6
        never = without_object_on(usual_clip(), range(40))
        with pytest.raises(DatasetError, match="shows no object before frame"):
            INTERJECTION.plan(never, 2, 0, Noises(), "lookalike")


class TestJump:
    @pytest.mark.parametrize(("severity", "skipped"), [(1, 2), (2, 4), (3, 8), (4, 16), (5, 24)])
    def test_a_stretch_is_left_out(self, severity: int, skipped: int) -> None:
        clip = usual_clip()
        plan = INTERJECTION.plan(clip, severity, 2, Noises(), "jump")
        cut = plan.parameters["cut_frame"]
        frames = drawn(plan, clip)
        assert [frame.source_time for frame in frames] == [*range(cut), *range(cut + skipped, 40)]
        assert [frame.strengths[0] for frame in frames] == [skipped if t == cut else 0 for t in range(40 - skipped)]


class TestFlip:
    def test_everything_is_mirrored_between_cuts(self) -> None:
        clip = usual_clip(objects=2)
        holes = tuple(np.where(np.arange(64) < 5, 255, m).astype(np.uint8) for m in clip.labels)
        clip = ArrayClip("holes", clip.frames, holes)
        plan = INTERJECTION.plan(clip, 3, 2, Noises(), "flip")
        cuts = plan.parameters["cut_frames"]
        assert len(cuts) == 3
        assert min(np.diff([0, *cuts, 40])) >= 2
        for t, frame in enumerate(drawn(plan, clip)):
            so_far = sum(cut <= t for cut in cuts)
            turn = np.s_[:, ::-1] if so_far % 2 else np.s_[:, :]
            source = clip.at(t)
            assert frame.strengths == (so_far,)
            assert (frame.image_hwc == source.image_hwc[turn]).all()
            assert (frame.visible_hw == source.visible_hw[turn]).all()
            assert (frame.amodal_hw == source.amodal_hw[turn]).all()
            assert frame.void_hw is not None
            assert source.void_hw is not None
            assert (frame.void_hw == source.void_hw[turn]).all()
            assert frame.source_time == t
            if so_far % 2:
                assert (source.visible_hw[source_pixels(frame)] == frame.visible_hw).all()

    def test_two_maps_follow_each_other(self) -> None:
        plan = INTERJECTION.plan(usual_clip(), 1, 0, Noises(), "flip")
        earlier = np.array([[1.0, 0, 7], [0, 1, -2], [0, 0, 1]])
        image = np.zeros((48, 64, 3), np.uint8)
        frame = plan.apply(39, [ClipFrame(image, image[..., 0], image[..., 0], to_source=earlier)])
        assert frame.to_source is not None
        assert (frame.to_source @ [10, 5, 1]).tolist() == [63 - 10 + 7, 3, 1]


class TestCloseup:
    def test_masks_are_the_nearest_pixels_of_the_same_map(self) -> None:
        clip = usual_clip(objects=2)
        holes = tuple(np.where(np.arange(64) < 30, m, np.where(m == 2, 255, m)).astype(np.uint8) for m in clip.labels)
        clip = ArrayClip("holes", clip.frames, holes)
        for severity, zoom in ((1, 1.3), (3, 2.0), (5, 4.0)):
            plan = INTERJECTION.plan(clip, severity, 0, Noises(), "closeup")
            cut = plan.parameters["cut_frame"]
            for t in (cut, cut + 7, 39):
                frame, source = plan.apply(t, [clip.at(t)]), clip.at(t)
                rows, columns = source_pixels(frame)
                assert (frame.visible_hw == source.visible_hw[rows, columns]).all()
                assert (frame.amodal_hw == source.amodal_hw[rows, columns]).all()
                if source.void_hw is not None:
                    assert frame.void_hw is not None
                    assert (frame.void_hw == source.void_hw[rows, columns]).all()
                assert frame.strengths == (pytest.approx(np.log2(zoom)),)
                assert frame.source_time == t

    def test_the_window_stays_inside_and_the_picture_is_where_the_map_says(self) -> None:
        ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :, None] * 3, (48, 64, 3)).copy()
        clip = ArrayClip("ramp", (ramp,) * 24, usual_clip(24).labels)
        plan = INTERJECTION.plan(clip, 4, 0, Noises(), "closeup")
        frame = plan.apply(23, [clip.at(23)])
        assert frame.to_source is not None
        columns = (frame.to_source @ np.array([[0, 63], [20, 20], [1, 1]]))[0]
        assert columns.min() >= -0.5
        assert columns.max() <= 63.5
        assert frame.image_hwc[20, [0, 63], 0].astype(float) == pytest.approx(3 * columns, abs=1)

    @pytest.mark.parametrize(
        ("centre", "left", "right"),
        [((-50.0, 0.0), -0.25, 31.25), ((31.5, 9.0), 15.75, 47.25), ((99.0, 0.0), 31.75, 63.25)],
    )
    def test_a_picture_begins_half_a_pixel_before_its_first(
        self, centre: tuple[float, float], left: float, right: float
    ) -> None:
        clip = usual_clip(4)
        frame = CloseupPlan(4, 1, 2.0, (centre,) * 3, {}).apply(2, [clip.at(2)])
        assert frame.to_source is not None
        assert (frame.to_source @ np.array([[0, 63], [0, 0], [1, 1]]))[0].tolist() == [left, right]

    def test_the_target_is_kept_in_sight(self) -> None:
        clip = moving_disc_clip(40, (96, 128))
        plan = INTERJECTION.plan(clip, 5, 0, Noises(), "closeup")
        for t in range(plan.parameters["cut_frame"], 40):
            frame = plan.apply(t, [clip.at(t)])
            assert frame.visible_hw[44:52, 60:68].all(), "in the middle"

    def test_an_absent_target_is_awaited_or_refused(self) -> None:
        clip = without_object_on(usual_clip(), range(12, 30))
        assert INTERJECTION.plan(clip, 5, 0, Noises(), "closeup").num_frames == 40
        with pytest.raises(DatasetError, match="shows no object from frame"):
            INTERJECTION.plan(without_object_on(usual_clip(), range(5, 40)), 5, 0, Noises(), "closeup")


class TestDoors:
    @pytest.mark.parametrize(
        ("variant", "least"),
        [("cut", 3), ("delayed", 19), ("lookalike", 3), ("jump", 27), ("flip", 20), ("closeup", 3), ("delayed-32", 35)],
    )
    def test_the_shortest_clip(self, variant: str, least: int) -> None:
        clip = moving_disc_clip(least, (16, 24))
        for seed in range(3):
            frames = drawn(INTERJECTION.plan(clip, 5, seed, Noises(), variant), clip)
            assert frames[-1].source_time == least - 1, "the clip comes back"
        with pytest.raises(DatasetError, match=rf"too short for interjection \({variant}\).*at least {least}"):
            INTERJECTION.plan(moving_disc_clip(least - 1, (16, 24)), 5, 0, Noises(), variant)

    def test_the_seed_takes_what_fits(self) -> None:
        found = {
            INTERJECTION.plan(moving_disc_clip(12, (16, 24)), 5, seed, Noises()).parameters["variant"]
            for seed in range(20)
        }
        assert found == {"cut", "lookalike", "closeup"}

    def test_unknown_requests(self) -> None:
        with pytest.raises(SettingError, match="interjection has no variant 'cut-33'; did you mean"):
            INTERJECTION.plan(usual_clip(4), 1, 0, Noises(), "cut-33")
        with pytest.raises(SettingError, match="severity 6 of interjection"):
            INTERJECTION.plan(usual_clip(4), 6, 0, Noises())
