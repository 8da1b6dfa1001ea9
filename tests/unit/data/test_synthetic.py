"""Made-up clips: the masks are the truth, the options do what they say, and the seed settles everything."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from maskscope.assets import demo_clip
from maskscope.data.synthetic import SyntheticClip, SyntheticConfig, iter_clip, synthesize_clip
from maskscope.data.synthetic.animal import STRIDE, Proportions, walking_pose
from maskscope.data.synthetic.scene import Scene
from maskscope.data.synthetic.textures import band_noise
from maskscope.errors import VideoError

SMALL = SyntheticConfig(seed=3, num_frames=20, height_px=96, width_px=170, fps=6.0, occlusion_frames=3, blur_samples=1)


@pytest.fixture(scope="module")
def clip() -> SyntheticClip:
    return synthesize_clip(SMALL)


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)


def _overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_shapes_and_kinds(clip: SyntheticClip) -> None:
    assert clip.frames.shape == (20, 96, 170, 3)
    assert clip.frames.dtype == np.uint8
    assert clip.visible_masks.shape == (20, 96, 170)
    assert clip.visible_masks.dtype == np.uint8
    assert set(np.unique(clip.visible_masks)) == {0, 1, 2}
    assert clip.object_ids == (1, 2)
    assert {label: (mask.shape, mask.dtype) for label, mask in clip.amodal_masks.items()} == {
        label: ((20, 96, 170), np.dtype(bool)) for label in (1, 2)
    }


def test_frames_drawn_one_by_one_equal_the_clip(clip: SyntheticClip) -> None:
    for frame in iter_clip(SMALL):
        np.testing.assert_array_equal(frame.rgb, clip.frames[frame.index])
        np.testing.assert_array_equal(frame.visible, clip.visible_masks[frame.index])
        np.testing.assert_array_equal(frame.amodal[2], clip.amodal_masks[2][frame.index])
    assert frame.index == SMALL.num_frames - 1


def test_any_frame_by_itself_equals_the_clip_and_another_seed_does_not(clip: SyntheticClip) -> None:
    np.testing.assert_array_equal(Scene(SMALL).frame(15).rgb, clip.frames[15])
    other = Scene(replace(SMALL, seed=4)).frame(15)
    assert np.abs(other.rgb.astype(int) - clip.frames[15]).mean() > 5
    assert (other.visible != clip.visible_masks[15]).any()


def test_another_process_draws_the_same_bytes(clip: SyntheticClip) -> None:
    program = (
        "import hashlib; from maskscope.data.synthetic.scene import Scene, SyntheticConfig as C;"
        f"f = Scene(C(**{vars(SMALL)!r})).frame(5);"
        "print(hashlib.sha256(f.rgb.tobytes() + f.visible.tobytes()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    ours = hashlib.sha256(clip.frames[5].tobytes() + clip.visible_masks[5].tobytes()).hexdigest()
    assert done.stdout.strip() == ours


def test_visible_lies_within_amodal_and_objects_do_not_share_pixels(clip: SyntheticClip) -> None:
    for label in clip.object_ids:
        assert not ((clip.visible_masks == label) & ~clip.amodal_masks[label]).any()
        assert clip.amodal_masks[label].any()
    # Where both outlines lie over one another the nearer object is seen, so the label map had to decide.
    assert (clip.amodal_masks[1] & clip.amodal_masks[2]).any()


@pytest.mark.parametrize("index", [1, 4, 16])
def test_mask_is_where_the_picture_changes_when_the_target_goes(index: int) -> None:
    scene = Scene(replace(SMALL, noise=0.0, shadows=False, illumination_drift=0.0, seed=5))
    shown, gone = scene.frame(index), scene.frame(index, without=(1,))
    target = shown.visible == 1
    assert target.sum() > 150
    changed = np.abs(shown.rgb.astype(int) - gone.rgb).max(axis=-1) > 0
    # Its colour may by chance meet that of what is behind it, on a pixel or two.
    assert (target & ~changed).sum() <= 2
    # Outside, the rim alone changes, where less than half a pixel is covered, and gaps between leaves and blades.
    away = cv2.distanceTransform((~target).astype(np.uint8), cv2.DIST_L2, 5)
    assert (changed & (away > 1.5)).sum() <= 0.02 * target.sum()
    assert not (changed & (away > 4)).any()
    # Picture and mask lie over one another: moved by one pixel, they agree less.
    agreement = {
        shift: _overlap(changed & (away <= 1.5), np.roll(_grown(target), shift, axis=(0, 1)))
        for shift in ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))
    }
    assert max(agreement, key=lambda shift: agreement[shift]) == (0, 0)
    assert 1 not in gone.visible
    assert set(gone.amodal) == {2}


def test_thicket_hides_the_target_on_the_frames_asked_for(clip: SyntheticClip) -> None:
    share = clip.visible_share(1)
    (start,) = SMALL.occlusion_starts()
    assert start == 8
    assert (share[start : start + 3] == 0).all()
    assert share[0] > 0.9
    assert share[-1] > 0.9
    assert 3 <= (share == 0).sum() <= 6
    assert clip.amodal_masks[1].any(axis=(1, 2)).all()


@pytest.mark.parametrize("asked", [0.3, 0.7])
def test_trunk_hides_the_share_asked_for(asked: float) -> None:
    config = replace(SMALL, occlusion="partial", occlusion_share=asked, num_objects=1, occlusion_start=10, seed=8)
    visible, amodal = Scene(config).masks(10)
    assert 1 - (visible == 1).sum() / amodal[1].sum() == pytest.approx(asked, abs=0.09)


def test_long_and_repeated_occlusions() -> None:
    config = replace(SMALL, num_frames=200, occlusion_frames=20, occlusion_start=30, occlusion_every=100, num_objects=1)
    assert config.occlusion_starts() == (30, 130)
    scene = Scene(config)
    for index in (30, 40, 49, 130, 149):
        assert not scene.masks(index)[0].any(), index
    for index in (0, 85, 190):
        visible, amodal = scene.masks(index)
        assert (visible == 1).sum() > 0.85 * amodal[1].sum(), index
    assert max(occluder.width_m for occluder in scene.plan.occluders) < 4  # it lingers; the bush need not be endless


def test_disappearing_takes_the_target_out_of_the_picture_and_back() -> None:
    config = replace(SMALL, num_frames=90, occlusion="none", disappear=(30, 42))
    scene = Scene(config)
    for index in range(30, 42):
        visible, amodal = scene.masks(index)
        assert 1 not in visible
        assert not amodal[1].any(), index
    for index in (0, 70):
        assert scene.masks(index)[1][1].sum() > 300


def test_visible_share_is_nan_where_the_object_is_out_of_the_picture() -> None:
    masks = np.zeros((2, 4, 4), np.uint8)
    masks[0, :2] = 1
    amodal = {1: np.stack([np.ones((4, 4), bool), np.zeros((4, 4), bool)])}
    share = SyntheticClip(SMALL, np.zeros((2, 4, 4, 3), np.uint8), masks, amodal, (1,)).visible_share()
    assert share[0] == 0.5
    assert np.isnan(share[1])


def test_size_number_and_camera_are_as_asked() -> None:
    for high in (0.2, 0.5):
        scene = Scene(replace(SMALL, object_height=high, occlusion="none", num_objects=1, camera_motion=0.0))
        rows = np.flatnonzero(scene.masks(0)[1][1].any(axis=1))
        assert (rows[-1] + 1 - rows[0]) / 96 == pytest.approx(high, rel=0.2)
    for index in (0, 8, 19):  # held still, the camera keeps the target in the middle
        columns = np.flatnonzero(scene.masks(index)[1][1].any(axis=0))
        assert columns.mean() == pytest.approx(170 / 2, abs=25)
    herd = Scene(replace(SMALL, num_objects=4, occlusion="none")).masks(0)
    assert set(herd[1]) == {1, 2, 3, 4}


def test_feet_stand_still_on_the_ground_while_they_carry() -> None:
    body = Proportions.draw(np.random.default_rng(0))
    places: dict[int, list[tuple[float, float]]] = {}
    for distance in np.linspace(0, STRIDE, 60, endpoint=False):
        for number, part in enumerate(walking_pose(body, distance, 0.0)):
            places.setdefault(number, []).append((part.start[0] + distance, part.start[1]))
    low = [np.array(track) for track in places.values() if min(y for _, y in track) < 0.0451]
    assert len(low) == 4  # the four paws
    for track in low:
        standing = track[:, 1] < 0.0451
        assert standing.mean() == pytest.approx(0.6, abs=0.05)
        steps = np.abs(np.diff(track[:, 0]))[standing[1:] & standing[:-1]]
        assert np.quantile(steps, 0.9) < 0.006  # the trunk sways by this much
        assert np.ptp(track[:, 0]) > 0.9 * STRIDE


def test_noise_and_light_change_the_picture_but_not_the_masks(clip: SyntheticClip) -> None:
    plain = Scene(replace(SMALL, noise=0.0, illumination_drift=0.0, blur_samples=1, shadows=False)).frame(3)
    np.testing.assert_array_equal(plain.visible, clip.visible_masks[3])
    assert (plain.rgb != clip.frames[3]).mean() > 0.3


def test_noise_holds_only_its_band_and_wraps() -> None:
    noise = band_noise(np.random.default_rng(0), (128, 256), longest_px=32, shortest_px=8, slope=0.0)
    assert noise.mean() == pytest.approx(0, abs=1e-5)
    assert noise.std() == pytest.approx(1, abs=1e-4)
    wavelength = 1 / np.maximum(np.hypot(np.fft.fftfreq(128)[:, None], np.fft.fftfreq(256)[None, :]), 1e-6)
    power = np.abs(np.fft.fft2(noise)) ** 2
    inside = power[(wavelength > 10) & (wavelength < 26)].mean()
    assert power[wavelength > 64].mean() < 0.02 * inside
    assert power[wavelength < 4].mean() < 0.02 * inside
    inner = np.abs(np.diff(noise, axis=1)).mean()
    assert np.abs(noise[:, 0] - noise[:, -1]).mean() < 1.5 * inner


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"num_frames": 0}, "num_frames is 0; choose one from 1"),
        ({"object_height": 0.9}, "from 0.08 to 0.6"),
        ({"blur_samples": 2}, "odd"),
        ({"occlusion": "wall"}, "none, partial or full"),
        ({"coat": "plaid"}, "stripes, spots or patches"),
        ({"disappear": (5, 5)}, "0 < first < end"),
        ({"occlusion_start": 99}, "occlusion_start is 99"),
    ],
)
def test_values_out_of_range_are_named(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(VideoError, match=said):
        replace(SMALL, **wrong)


def test_bundled_clip_and_its_masks_agree() -> None:
    demo = demo_clip()
    assert demo.video_path.stat().st_size < 1_500_000
    with av.open(str(demo.video_path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == 24
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert demo.masks.shape == (len(frames), *frames[0].shape[:2])
    assert demo.masks.dtype == np.uint8
    assert demo.object_ids == (1, 2)
    assert set(np.unique(demo.masks)) == {0, 1, 2}
    seen, whole = (demo.masks == 1).sum((1, 2)), demo.amodal_masks[1].sum((1, 2))
    assert seen[0] > 0.95 * whole[0] > 5000
    assert 6 <= (seen == 0).sum() <= 12
    assert (whole > 5000).all()
    assert not ((demo.masks == 1) & ~demo.amodal_masks[1]).any()


def test_bundled_masks_lie_on_the_animals_of_the_film() -> None:
    """The outline follows edges of the picture better than the same outline moved aside."""
    demo = demo_clip()
    with av.open(str(demo.video_path)) as container:
        first = next(container.decode(video=0)).to_ndarray(format="gray").astype(np.float32)
    slope = np.hypot(cv2.Sobel(first, cv2.CV_32F, 1, 0), cv2.Sobel(first, cv2.CV_32F, 0, 1))
    mask = (demo.masks[0] == 1).astype(np.uint8)
    rim = (mask > 0) & (cv2.erode(mask, np.ones((3, 3), np.uint8)) == 0)
    at_home = slope[rim].mean()
    for shift in ((0, 3), (0, -3), (3, 0), (-3, 0)):
        assert slope[np.roll(rim, shift, axis=(0, 1))].mean() < 0.9 * at_home
