"""Viewpoint: picture, masks, void and the map to the source follow one smooth camera."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
from clips import ArrayClip, moving_disc_clip
from family_checks import Noises, drawn, expect_pure, expect_same_elsewhere, expect_unchanged

from maskscope.errors import DatasetError, SettingError
from maskscope.transforms.base import VOID_LABEL, TransformedClip
from maskscope.transforms.families.cameras import corner_displacement, trajectory
from maskscope.transforms.families.viewpoint import VIEWPOINT, ViewpointPlan
from maskscope.transforms.families.warping import warped

VARIANTS = VIEWPOINT.variants
CLIP = moving_disc_clip(40, (72, 96))


@cache
def planned(severity: int, variant: str, seed: int = 3) -> ViewpointPlan:
    plan = VIEWPOINT.plan(CLIP, severity, seed, Noises(), variant)
    assert isinstance(plan, ViewpointPlan)
    return plan


def peak(plan: ViewpointPlan) -> int:
    return int(np.argmax(corner_displacement(plan.matrices, plan.size_hw)))


def wanted(severity: int, variant: str) -> float:
    column = f"{variant}_displacement_of_diagonal" if variant in ("shake", "crop") else "displacement_of_diagonal"
    return float(VIEWPOINT.table[severity][column])


def source_places(matrix: np.ndarray, size_hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """x and y in the source of every pixel of the picture."""
    rows, columns = np.mgrid[: size_hw[0], : size_hw[1]]
    places = np.linalg.inv(matrix) @ np.stack([columns.ravel(), rows.ravel(), np.ones(rows.size)])
    return (places[0] / places[2]).reshape(size_hw), (places[1] / places[2]).reshape(size_hw)


def test_severity_0_hands_on_the_very_arrays() -> None:
    expect_unchanged(VIEWPOINT, VARIANTS)


def test_plans_are_pure_and_small() -> None:
    expect_pure(VIEWPOINT, VARIANTS)


def test_another_process_draws_the_same_bytes() -> None:
    expect_same_elsewhere("viewpoint", VARIANTS)


@pytest.mark.parametrize("variant", VARIANTS)
class TestEveryCamera:
    def test_the_first_frame_is_the_clips_own(self, variant: str) -> None:
        after = planned(5, variant).apply(0, [CLIP.at(0)])
        assert after.image_hwc is CLIP.at(0).image_hwc
        assert after.amodal_hw is CLIP.at(0).amodal_hw
        assert (after.strengths, after.void_hw, after.to_source) == ((0.0,), None, None)

    def test_the_peak_is_the_tables(self, variant: str) -> None:
        for severity in VIEWPOINT.table:
            plan = planned(severity, variant)
            strengths = [frame.strengths[-1] for frame in drawn(plan, CLIP)]
            assert max(strengths) == pytest.approx(wanted(severity, variant), rel=1e-6)
            # Counted anew: where a corner of the picture comes from.
            matrix = plan.matrices[peak(plan)]
            corners = np.array([[[-0.5, -0.5], [95.5, -0.5], [-0.5, 71.5], [95.5, 71.5]]])
            ways = np.linalg.norm(cv2.perspectiveTransform(corners, matrix) - corners, axis=-1)
            assert ways.max() / 120 == pytest.approx(max(strengths), rel=1e-6)
        assert (np.diff([wanted(severity, variant) for severity in VIEWPOINT.table]) > 0).all()

    def test_it_moves_smoothly(self, variant: str) -> None:
        plan = planned(5, variant)
        corners = np.array([[[-0.5, -0.5], [95.5, -0.5], [-0.5, 71.5], [95.5, 71.5]]])
        path = np.stack([cv2.perspectiveTransform(corners, matrix)[0] for matrix in plan.matrices])
        steps = np.linalg.norm(np.diff(path, axis=0), axis=-1).max(axis=1) / (120 * wanted(5, variant))
        turns = np.linalg.norm(np.diff(path, 2, axis=0), axis=-1).max(axis=1) / (120 * wanted(5, variant))
        assert steps[0] < 0.06  # it sets out slowly
        assert steps.max() < (0.5 if variant == "shake" else 0.12)
        assert turns.max() < (0.4 if variant == "shake" else 0.03)

    def test_transform_then_mask_is_mask_then_transform(self, variant: str) -> None:
        """A mask painted into the picture stays on the mask, but for the pixels its edge goes through."""
        painted = tuple(np.where(label[..., None] == 1, 255, 0).astype(np.uint8).repeat(3, 2) for label in CLIP.labels)
        clip = ArrayClip("painted", painted, CLIP.labels)
        for severity in (2, 5):
            plan = planned(severity, variant)
            for t in (7, peak(plan), 39):
                frame = plan.apply(t, [clip.at(t)])
                truth = ~frame.void_hw if frame.void_hw is not None else np.ones(clip.size, bool)
                seen, known = frame.image_hwc[..., 0] >= 128, frame.visible_hw == 1
                edge = cv2.morphologyEx(known.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
                np.testing.assert_array_equal(seen[truth & ~edge], known[truth & ~edge])
                if known.sum() > 200:
                    both = np.count_nonzero(seen & known & truth) / np.count_nonzero((seen | known) & truth)
                    assert both > 0.93
                np.testing.assert_array_equal(frame.amodal_hw, frame.visible_hw)

    def test_void_is_exactly_what_the_source_has_no_pixel_for(self, variant: str) -> None:
        plan = planned(5, variant)
        for t in (5, peak(plan)):
            frame = plan.apply(t, [CLIP.at(t)])
            x, y = source_places(plan.matrices[t], CLIP.size)
            margins = np.minimum(np.minimum(x + 0.5, 95.5 - x), np.minimum(y + 0.5, 71.5 - y))
            void = np.zeros(CLIP.size, bool) if frame.void_hw is None else frame.void_hw
            decided = np.abs(margins) > 2e-3  # of a pixel: on the very border either is right
            np.testing.assert_array_equal(void[decided], margins[decided] < 0)
            assert decided.mean() > 0.97
            assert not frame.visible_hw[void].any()
            if frame.void_hw is not None:
                assert frame.void_hw.any()
        if variant in ("pan", "roll", "perspective", "shake"):
            assert void.any()
        if variant == "crop":
            assert not void.any()

    def test_the_map_to_the_source(self, variant: str) -> None:
        frame = planned(3, variant).apply(20, [CLIP.at(20)])
        assert frame.to_source is not None
        assert frame.to_source[2, 2] == 1
        mapped = cv2.warpPerspective(
            CLIP.at(20).visible_hw, frame.to_source, (96, 72), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        )
        assert np.mean(mapped != frame.visible_hw) < 0.003


class TestChoice:
    def test_the_seed_chooses_the_variant_and_severities_share_the_motion(self) -> None:
        chosen = {VIEWPOINT.plan(CLIP, 1, seed, Noises()).parameters["variant"] for seed in range(12)}
        assert len(chosen) > 3
        low, high = planned(1, "pan"), planned(5, "pan")
        ways = [plan.matrices[39, :2, 2] / np.linalg.norm(plan.matrices[39, :2, 2]) for plan in (low, high)]
        np.testing.assert_allclose(ways[0], ways[1], atol=1e-6)

    @pytest.mark.parametrize("variant", ["pan", "crop"])
    def test_the_camera_keeps_the_target_in_the_picture(self, variant: str) -> None:
        label = np.zeros((72, 96), np.uint8)
        label[4:20, 4:20] = 1
        image = np.zeros((72, 96, 3), np.uint8)
        clip = ArrayClip("corner", (image,) * 40, (label,) * 40)
        for seed in range(4):
            plan = VIEWPOINT.plan(clip, 5, seed, Noises(), variant)
            assert plan.parameters["target_kept_at_severity_5"] > 0.9
            last = TransformedClip(clip, plan).at(39)
            assert np.count_nonzero(last.visible_hw) >= 0.9 * label.sum()

    def test_without_a_target_nothing_has_to_be_kept(self) -> None:
        clip = ArrayClip("empty", CLIP.frames, (np.zeros((72, 96), np.uint8),) * 40)
        assert VIEWPOINT.plan(clip, 3, 0, Noises(), "crop").parameters["target_kept_at_severity_5"] is None

    def test_mirrored_motion_is_motion_of_the_mirrored_picture(self) -> None:
        mirror = np.array([[-1.0, 0, 95], [0, 1, 0], [0, 0, 1]])
        for kind in VARIANTS:
            motion = trajectory(kind, 10, np.random.default_rng(2))
            plain = mirror @ motion.matrices(0.2, (72, 96))[9] @ mirror
            mirrored = motion.mirrored(True, False).matrices(0.2, (72, 96))[9]
            np.testing.assert_allclose(mirrored, plain / plain[2, 2], atol=1e-6)


class TestWarp:
    shift = np.array([[1.0, 0, 10], [0, 1, -4], [0, 0, 1]])

    def test_whole_pixels_are_copied(self) -> None:
        before = CLIP.at(12)
        after = warped(before, self.shift, 0.1)
        np.testing.assert_array_equal(after.image_hwc[:-4, 10:], before.image_hwc[4:, :-10])
        np.testing.assert_array_equal(after.visible_hw[:-4, 10:], before.visible_hw[4:, :-10])
        void = np.ones((72, 96), bool)
        void[:-4, 10:] = False
        np.testing.assert_array_equal(after.void_hw, void)
        assert after.strengths == (0.1,)
        assert after.source_time == 12.0

    def test_borders_go_on_in_the_colours_beside_them_without_detail(self) -> None:
        grain = np.random.default_rng(0).integers(0, 120, (72, 96, 3)) + np.array([100, 50, 0])
        before = replace(CLIP.at(12), image_hwc=grain.astype(np.uint8))
        shift = np.array([[1.0, 0, 30], [0, 1, 0], [0, 0, 1]])
        after = warped(before, shift, 0.1)
        new, beside = after.image_hwc[:, :30].astype(float), before.image_hwc[:, :30].astype(float)
        assert np.abs(new.mean(axis=(0, 1)) - beside.mean(axis=(0, 1))).max() < 6
        assert np.abs(np.diff(new, axis=1)).mean() < 0.2 * np.abs(np.diff(beside, axis=1)).mean()

    def test_hidden_outlines_and_void_move_along(self) -> None:
        label = CLIP.labels[12].copy()
        label[:, :6] = VOID_LABEL
        clip = ArrayClip("void", CLIP.frames[12:13], (label,))
        visible = clip.at(0).visible_hw.copy()
        visible[:36] = 0
        before = replace(clip.at(0), visible_hw=visible)
        after = warped(before, self.shift, 0.1)
        np.testing.assert_array_equal(after.amodal_hw[:-4, 10:], before.amodal_hw[4:, :-10])
        np.testing.assert_array_equal(after.visible_hw[:-4, 10:], before.visible_hw[4:, :-10])
        assert np.count_nonzero(after.amodal_hw) > np.count_nonzero(after.visible_hw) > 0
        assert after.void_hw is not None
        assert after.void_hw[:-4, :16].all()
        assert not after.void_hw[:-4, 16:].any()

    def test_a_far_picture_is_averaged_not_sampled(self) -> None:
        stripes = np.zeros((72, 96, 3), np.uint8)
        stripes[:, ::2] = 200
        before = replace(CLIP.at(0), image_hwc=stripes)
        half = np.array([[0.5, 0, 23.75], [0, 0.5, 17.75], [0, 0, 1]])
        inside = warped(before, half, 0.25).image_hwc[22:50, 28:68]
        assert np.abs(inside.astype(int) - 100).max() <= 12

    def test_maps_to_the_source_compose(self) -> None:
        plans = planned(3, "roll"), planned(2, "perspective")
        clip = TransformedClip(TransformedClip(CLIP, plans[0]), plans[1])
        t = 20
        expected = np.linalg.inv(plans[1].matrices[t] @ plans[0].matrices[t])
        np.testing.assert_allclose(clip.at(t).to_source, expected / expected[2, 2], atol=1e-9)
        assert len(clip.at(t).strengths) == 2


class TestErrors:
    def test_one_frame(self) -> None:
        with pytest.raises(DatasetError, match="disc has 1 frame, too short for viewpoint"):
            VIEWPOINT.plan(moving_disc_clip(1, (48, 64)), 1, 0, Noises())

    def test_two_frames_are_enough(self) -> None:
        for variant in VARIANTS:
            clip = moving_disc_clip(2, (48, 64))
            plan = VIEWPOINT.plan(clip, 3, 0, Noises(), variant)
            assert drawn(plan, clip)[1].strengths == (pytest.approx(wanted(3, variant)),)

    def test_unknown_words(self) -> None:
        with pytest.raises(SettingError, match="severity -1"):
            VIEWPOINT.plan(CLIP, -1, 0, Noises())
        with pytest.raises(SettingError, match="no variant 'dolly'"):
            VIEWPOINT.plan(CLIP, 1, 0, Noises(), "dolly")
