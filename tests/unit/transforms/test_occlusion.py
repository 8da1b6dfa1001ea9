"""Occlusion: the share of the target that the table names is hidden, for as long as it names; nothing else changes."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from clips import ArrayClip, moving_disc_clip
from family_checks import digest, drawn, expect_unchanged

from maskscope.errors import DatasetError, SettingError
from maskscope.transforms.base import VOID_LABEL, ClipFrame
from maskscope.transforms.families.occluders import laid
from maskscope.transforms.families.occlusion import LARGEST_HIDDEN, OCCLUSION, OcclusionPlan
from maskscope.transforms.families.targets import TargetTrack, bridged, smoothed
from maskscope.transforms.material import ClipMaterial, ProceduralMaterial

VARIANTS = OCCLUSION.variants
MATERIAL = ProceduralMaterial()
CLIP = moving_disc_clip(48, (72, 96))


@cache
def planned(severity: int, variant: str, seed: int = 3) -> OcclusionPlan:
    plan = OCCLUSION.plan(CLIP, severity, seed, MATERIAL, variant)
    assert isinstance(plan, OcclusionPlan)
    return plan


def hidden(before: ClipFrame, after: ClipFrame) -> float:
    """Share of all objects' outlines that is seen no more, counted anew."""
    whole = before.amodal_hw > 0
    return float(np.mean(after.visible_hw[whole] == 0))


def still(label: np.ndarray, n: int = 12, name: str = "still") -> ArrayClip:
    image = np.random.default_rng(1).integers(60, 200, (*label.shape, 3), dtype=np.uint8)
    return ArrayClip(name, (image,) * n, (label,) * n)


def plans_digest() -> str:
    """Of all variants at severity 4, from a small clip."""
    clip = moving_disc_clip(16, (48, 64))
    plans = [OCCLUSION.plan(clip, 4, 9, MATERIAL, variant) for variant in VARIANTS]
    return digest(frame for plan in plans for frame in drawn(plan, clip))


def test_severity_0_hands_on_the_very_arrays() -> None:
    expect_unchanged(OCCLUSION, VARIANTS)


def test_another_process_draws_the_same_bytes() -> None:
    code = "from test_occlusion import plans_digest; print(plans_digest())"
    paths = os.pathsep.join(filter(None, [str(Path(__file__).parent), *sys.path]))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == plans_digest()


def test_plans_are_pure_and_survive_a_pickle() -> None:
    plan = planned(3, "pass")
    again = pickle.loads(pickle.dumps(plan))
    backwards = [again.apply(t, [CLIP.at(t)]) for t in reversed(range(CLIP.num_frames))][::-1]
    assert digest(backwards) == digest(drawn(plan, CLIP))
    assert json.loads(json.dumps(plan.parameters)) == plan.parameters


@pytest.mark.parametrize("variant", VARIANTS)
class TestShares:
    def test_the_share_is_reached_and_told(self, variant: str) -> None:
        for severity, row in OCCLUSION.table.items():
            plan = planned(severity, variant)
            shares = []
            for t in range(*plan.parameters["held_frames"]):
                frame = plan.apply(t, [CLIP.at(t)])
                shares.append(hidden(CLIP.at(t), frame))
                assert frame.strengths == (pytest.approx(shares[-1], abs=1e-12),)
            assert np.mean(shares) == pytest.approx(row["hidden_share"], abs=0.02)
            assert min(shares) > row["hidden_share"] - 0.08
            assert plan.parameters["held_mean_share"] == pytest.approx(np.mean(shares), abs=1e-4)
            assert plan.parameters["held_least_share"] == pytest.approx(min(shares), abs=1e-4)
            if severity == 5:
                assert min(shares) == 1.0

    def test_it_lasts_as_long_as_the_table_says_or_half_of_the_clip(self, variant: str) -> None:
        for severity, row in OCCLUSION.table.items():
            first, end = planned(severity, variant).parameters["held_frames"]
            assert end - first == min(row["duration_frames"], 24)
            assert row["duration_frames"] == 24 * row["duration_s"]
            assert first > 1
            assert end < CLIP.num_frames

    def test_peak_and_mean_grow_with_severity(self, variant: str) -> None:
        strengths = [[f.strengths[-1] for f in drawn(planned(s, variant), CLIP)] for s in OCCLUSION.table]
        assert (np.diff([max(one) for one in strengths]) > 0.05).all()
        assert (np.diff([np.mean(one) for one in strengths]) > 0).all()

    def test_only_what_the_occluder_covers_changes(self, variant: str) -> None:
        plan = planned(3, variant)
        changed = 0
        for t in range(CLIP.num_frames):
            before = CLIP.at(t)
            after = plan.apply(t, [before])
            found = laid(plan.occluder, plan.poses[t], CLIP.size)
            assert after.amodal_hw is before.amodal_hw
            assert (after.void_hw, after.to_source, after.source_time) == (None, None, t)
            if found is None:
                assert after.image_hwc is before.image_hwc
                assert after.visible_hw is before.visible_hw
                continue
            alpha = np.zeros(CLIP.size, np.uint8)
            alpha[found[0]] = found[1][..., 3]
            np.testing.assert_array_equal(after.image_hwc[alpha == 0], before.image_hwc[alpha == 0])
            np.testing.assert_array_equal(after.visible_hw, np.where(alpha >= 128, 0, before.visible_hw))
            inside = after.image_hwc[alpha == 255]
            if len(inside) > 100:
                changed += 1
                assert inside.std(axis=0).max() > 5  # a surface, not a colour
        assert changed >= 24

    def test_the_first_frame_is_the_clips_own(self, variant: str) -> None:
        for severity in OCCLUSION.table:
            after = planned(severity, variant).apply(0, [CLIP.at(0)])
            assert after.image_hwc is CLIP.at(0).image_hwc
            assert after.strengths == (0.0,)


class TestMotion:
    def test_what_rests_moves_with_the_target(self) -> None:
        plan = planned(3, "rest")
        first, end = plan.parameters["held_frames"]
        track = TargetTrack.read(CLIP)
        away = plan.poses[first:end, :2] - track.centroids[first:end]
        assert np.ptp(away, axis=0).max() < 1.0  # pixels, while the target goes 20

    def test_what_passes_comes_from_outside_and_leaves(self) -> None:
        clip = moving_disc_clip(120, (48, 64))
        plan = OCCLUSION.plan(clip, 2, 3, MATERIAL, "pass")
        assert isinstance(plan, OcclusionPlan)
        first, end = plan.parameters["shown_frames"]
        assert first > 1
        assert end < 119
        strengths = [frame.strengths[-1] for frame in drawn(plan, clip)]
        assert strengths[first] == strengths[end - 1] == 0
        steps = np.hypot(*np.diff(plan.poses[first:end, :2], axis=0).T)
        assert 0 < steps.max() < 0.08 * 80  # smooth: of the diagonal a frame

    def test_all_severities_of_a_seed_come_the_same_way(self) -> None:
        ways = {planned(severity, "pass").parameters["direction_deg"] for severity in OCCLUSION.table}
        assert len(ways) == 1
        assert len({planned(3, "pass", seed).parameters["direction_deg"] for seed in range(3, 6)}) == 3


class TestTarget:
    def test_all_objects_of_the_first_frame_are_the_target(self) -> None:
        clip = moving_disc_clip(24, (48, 64), objects=2)
        plan = OCCLUSION.plan(clip, 5, 1, MATERIAL, "rest")
        assert plan.parameters["target_labels"] == [1, 2]
        middle = plan.parameters["held_frames"][0] + 4
        assert not plan.apply(middle, [clip.at(middle)]).visible_hw.any()

    def test_others_are_hidden_but_not_counted(self) -> None:
        two = moving_disc_clip(24, (48, 64), objects=2)
        first = np.where(two.labels[0] == 2, 0, two.labels[0]).astype(np.uint8)
        clip = ArrayClip("late", two.frames, (first, *two.labels[1:]))
        plan = OCCLUSION.plan(clip, 5, 1, MATERIAL, "rest")
        assert plan.parameters["target_labels"] == [1]
        frames = [plan.apply(t, [clip.at(t)]) for t in range(*plan.parameters["held_frames"])]
        assert {frame.strengths for frame in frames} == {(1.0,)}
        seen = [np.count_nonzero(frame.visible_hw == 2) for frame in frames]
        assert min(seen) < max(seen) == np.count_nonzero(frames[0].amodal_hw == 2)

    def test_frames_without_the_target_have_no_strength(self) -> None:
        absent = [np.zeros_like(label) if 20 <= t < 24 else label for t, label in enumerate(CLIP.labels)]
        clip = ArrayClip("gone", CLIP.frames, tuple(absent))
        plan = OCCLUSION.plan(clip, 5, 1, MATERIAL, "rest")
        first, end = plan.parameters["held_frames"]
        assert first < 20 < 24 < end
        strengths = [plan.apply(t, [clip.at(t)]).strengths[-1] for t in range(first, end)]
        assert strengths == [0.0 if 20 <= t < 24 else 1.0 for t in range(first, end)]

    def test_void_stays_void(self) -> None:
        label = np.zeros((48, 64), np.uint8)
        label[16:30, 24:40] = 1
        label[:, :8] = VOID_LABEL
        clip = still(label)
        plan = OCCLUSION.plan(clip, 5, 1, MATERIAL, "pass")
        for frame in drawn(plan, clip):
            np.testing.assert_array_equal(frame.void_hw, label == VOID_LABEL)

    def test_a_look_alike_has_the_targets_colours(self) -> None:
        plan = planned(4, "lookalike")
        own = plan.occluder[plan.occluder[..., 3] == 255].astype(float).mean(axis=0)
        disc = CLIP.frames[0][CLIP.labels[0] == 1].astype(float).mean(axis=0)
        assert np.abs(own[:3] - disc).max() < 30
        assert not np.array_equal(own[:3], disc)
        assert abs(plan.parameters["hue_shift_deg"]) >= 8

    def test_thin_targets_are_hidden_by_a_group_of_their_like(self) -> None:
        label = np.zeros((72, 96), np.uint8)
        label[20:52, 47:50] = label[35:38, 30:66] = 1  # a cross
        clip = still(label)
        plan = OCCLUSION.plan(clip, 5, 1, MATERIAL, "lookalike")
        assert plan.parameters["occluders"] > 1
        assert plan.parameters["held_least_share"] == 1.0
        assert max(plan.parameters["occluder_px"]) < 150

    def test_cut_outs_of_other_clips_hide_it_too(self) -> None:
        material = ClipMaterial((moving_disc_clip(3, (48, 64), name="other"),))
        plan = OCCLUSION.plan(CLIP, 5, 2, material, "rest")
        assert plan.parameters["held_least_share"] == 1.0


class TestErrors:
    def test_one_frame(self) -> None:
        with pytest.raises(DatasetError, match="still has 1 frame, too short for occlusion"):
            OCCLUSION.plan(still(np.eye(48, 64, dtype=np.uint8), 1), 1, 0, MATERIAL)

    def test_two_frames_are_enough(self) -> None:
        clip = moving_disc_clip(2, (48, 64))
        plan = OCCLUSION.plan(clip, 5, 0, MATERIAL, "pass")
        assert [frame.strengths for frame in drawn(plan, clip)] == [(0.0,), (1.0,)]

    def test_no_target_on_the_first_frame(self) -> None:
        clip = ArrayClip("late", CLIP.frames, (np.zeros_like(CLIP.labels[0]), *CLIP.labels[1:]))
        with pytest.raises(DatasetError, match="late shows no object on its first frame"):
            OCCLUSION.plan(clip, 1, 0, MATERIAL)

    def test_no_target_afterwards(self) -> None:
        clip = ArrayClip("short", CLIP.frames, (CLIP.labels[0], *[np.zeros_like(CLIP.labels[0])] * 47))
        with pytest.raises(DatasetError, match="short is on none of the frames"):
            OCCLUSION.plan(clip, 1, 0, MATERIAL)

    def test_a_target_too_large(self) -> None:
        label = np.zeros((48, 64), np.uint8)
        label[4:44, 4:60] = 1
        share = float(label.mean())
        assert 0.75 * share < LARGEST_HIDDEN < share
        with pytest.raises(DatasetError, match=r"covers 73% of the picture, too large to hide 100% of it"):
            OCCLUSION.plan(still(label), 5, 0, MATERIAL)
        assert OCCLUSION.plan(still(label), 4, 0, MATERIAL, "pass").parameters["held_mean_share"] > 0.74

    def test_unknown_words(self) -> None:
        with pytest.raises(SettingError, match="severity 6"):
            OCCLUSION.plan(CLIP, 6, 0, MATERIAL)
        with pytest.raises(SettingError, match="did you mean pass"):
            OCCLUSION.plan(CLIP, 1, 0, MATERIAL, "passes")


class TestTrack:
    def test_places_and_outlines(self) -> None:
        label = np.zeros((48, 64), np.uint8)
        label[10:20, 5:12] = 1
        label[19, 5] = 0
        label[30:32, 40:42] = 3
        clip = ArrayClip("two", (np.zeros((48, 64, 3), np.uint8),) * 2, (label, np.zeros_like(label)))
        track = TargetTrack.read(clip)
        assert track.labels == (1, 3)
        assert track.boxes.tolist() == [[5, 10, 42, 32], [0, 0, 0, 0]]
        assert track.areas_px.tolist() == [73, 0]
        np.testing.assert_array_equal(track.outline(0), label[10:32, 5:42] > 0)
        assert track.outline(1).size == 0
        rows, columns = np.nonzero(label)
        np.testing.assert_allclose(track.centroids[0], (columns.mean(), rows.mean()))
        assert np.isnan(track.centroids[1]).all()

    def test_gaps_and_smoothing(self) -> None:
        values = np.array([[np.nan, 1.0], [2.0, np.nan], [np.nan, 3.0], [4.0, np.nan]])
        np.testing.assert_allclose(bridged(values), [[2, 1], [2, 2], [3, 3], [4, 3]])
        np.testing.assert_allclose(smoothed(np.full((9, 2), 5.0), 2.0), 5.0)
        impulse = np.zeros(21)
        impulse[10] = 1
        wide = smoothed(impulse, 2.0)
        assert wide.shape == (21,)
        assert wide.sum() == pytest.approx(1)
        assert wide[10] == pytest.approx(wide.max())
        assert wide[10] == pytest.approx(1 / np.sqrt(2 * np.pi) / 2, rel=0.01)
