"""Measures of the picture: each moves with the harm it is named after, and not with the others."""

import cv2
import numpy as np
import pytest

from maskscope.picture.course import Course, way_of
from maskscope.picture.frame import frame_measures
from maskscope.picture.region import blockiness, blur, exposure, luma_of, noise

SIZE = (96, 128)
EVERYWHERE = np.ones(SIZE, bool)


def scene(seed=0):
    """Smooth lumps with edges, no noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(60, 190, (11, 15, 3)).astype(np.float32)
    image = cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    image[30:60, 43:83] += 50
    return image.clip(0, 255).astype(np.uint8)


def box(top=30, bottom=60, left=40, right=80):
    mask = np.zeros(SIZE, bool)
    mask[top:bottom, left:right] = True
    return mask


def test_blur_rises_with_blur_and_not_with_darkness():
    rng = np.random.default_rng(1)
    sharp = rng.integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    soft = [cv2.GaussianBlur(sharp, (0, 0), sigma) for sigma in (1.0, 2.0, 4.0)]
    found = [blur(luma_of(each), EVERYWHERE) for each in (sharp, *soft)]
    assert found == sorted(found)
    assert found[0] < 0.2 < 0.45 < found[-1]
    assert blur(luma_of(sharp // 4), EVERYWHERE) == pytest.approx(found[0], abs=0.02)


def test_blur_is_measured_where_the_mask_is():
    image = np.random.default_rng(1).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    image[:, 64:] = cv2.GaussianBlur(image, (0, 0), 3.0)[:, 64:]
    left, right = EVERYWHERE.copy(), EVERYWHERE.copy()
    left[:, 58:], right[:, :70] = False, False
    assert blur(luma_of(image), right) > blur(luma_of(image), left) + 0.3


@pytest.mark.parametrize("sigma", [2.0, 5.0, 10.0])
def test_noise_is_told_in_levels(sigma):
    rng = np.random.default_rng(2)
    grey = cv2.cvtColor(scene(), cv2.COLOR_RGB2GRAY).astype(np.float32)
    noisy = (grey + rng.normal(0, sigma, SIZE)).clip(0, 255).round().astype(np.float32) / 255
    assert noise(noisy, EVERYWHERE) == pytest.approx(sigma, rel=0.2)
    assert noise(grey / 255, EVERYWHERE) < 1.5


def test_blocks_are_seen_after_hard_compression_only():
    bgr = cv2.cvtColor(scene(), cv2.COLOR_RGB2BGR)
    packed = [cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for quality in (95, 4)]
    good, bad = (luma_of(cv2.cvtColor(cv2.imdecode(each, 1), cv2.COLOR_BGR2RGB)) for each in packed)
    assert blockiness(good, EVERYWHERE) == pytest.approx(1, abs=0.15)
    assert blockiness(bad, EVERYWHERE) > 1.5


def test_exposure_counts_what_is_cut_off():
    luma = np.full(SIZE, 0.5, np.float32)
    luma[:24], luma[24:36] = 0.0, 1.0
    assert exposure(luma, EVERYWHERE) == (0.25, 0.125, 0.5)


def test_too_small_or_flat_a_part_is_not_measured():
    few = np.zeros(SIZE, bool)
    few[0, :3] = True
    luma = luma_of(scene())
    assert blur(luma, few) is noise(luma, few) is exposure(luma, few) is None
    assert blur(np.full(SIZE, 0.4, np.float32), EVERYWHERE) is None
    assert "luma.object" not in frame_measures(scene(), np.zeros(SIZE, bool))


def test_object_and_rest_are_measured_apart_and_size_in_tokens():
    image = scene()
    image[~box(20, 70, 30, 90)] = 3
    found = frame_measures(image, box(), (192, 256))
    assert found["dark_share.background"] > 0.9
    assert found["dark_share.object"] == 0
    assert found["size_px.object"] == 30 * 40
    # The model sees twice the sides: 60 x 80 px, 16 x 16 each token.
    assert found["size_tokens.object"] == pytest.approx(60 * 80 / 256)


def course(frames, masks=None):
    found = Course()
    for t, image in enumerate(frames):
        found.add(image, box() if masks is None else masks[t])
    return found


def test_a_cut_is_found_where_it_is_and_motion_is_none():
    frames = [scene(0)] * 6 + [255 - scene(1)] * 6
    found = course(frames)
    assert found.cuts() == [6]
    assert found.frozen_share() == pytest.approx(10 / 11)
    panned = course([np.roll(scene(0), 3 * t, axis=1) for t in range(12)])
    assert panned.cuts() == []
    assert panned.frozen_share() == 0


def test_flicker_in_stops_and_cuts_do_not_count():
    steady, dark = scene(), np.zeros((*SIZE, 3), np.uint8)
    steady[:], dark[:] = 160, 160 * 2 ** (-1 / 2.2)  # half the light
    assert course([steady, dark] * 5).flicker() == pytest.approx(1, abs=0.03)
    assert course([steady] * 5).flicker(background=True) == 0
    assert course([scene()] * 5 + [255 - scene()] * 5).flicker() == 0


def test_black_frames_are_counted():
    black = np.full((*SIZE, 3), 3, np.uint8)
    assert course([black, scene(), scene(), black]).black_share() == 0.5


def test_motion_is_in_sizes_of_the_object():
    masks = [box(left=10, right=40), box(left=25, right=55), np.zeros(SIZE, bool), box()]
    assert course([scene()] * 4, masks).motion() == [None, pytest.approx(15 / 30), None, None]
    assert way_of((0, 0, 25), (3, 4, 25)) == 1
