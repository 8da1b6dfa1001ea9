"""Corruptions: what each does to simple pictures, that it grows, is smooth in time and scales with the height."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from clips import ArrayClip, moving_disc_clip
from family_checks import Noises, drawn, expect_pure, expect_same_elsewhere, expect_unchanged, ladder_of, usual_clip

from maskscope.errors import DatasetError, SettingError
from maskscope.transforms.families.blurs import Defocus, Jpeg, Noise, Streak, streak_length_px
from maskscope.transforms.families.corruption import CORRUPTION, root_mean_square
from maskscope.transforms.families.weather import RAIN, SNOW, Fall, Fog


def point(size: tuple[int, int] = (224, 224)) -> np.ndarray:
    """A white square pixel block in the middle of black, bright enough to be seen when it is spread."""
    image = np.zeros((*size, 3), np.uint8)
    image[size[0] // 2 - 2 : size[0] // 2 + 3, size[1] // 2 - 2 : size[1] // 2 + 3] = 255
    return image


def spread(image: np.ndarray) -> tuple[float, float]:
    """Variance of light along x and y, in pixels squared, less that of the block of `point`."""
    light = image[..., 0].astype(float) / image[..., 0].sum(dtype=float)
    found = []
    for axis in (0, 1):
        line = light.sum(axis)
        at = np.arange(len(line))
        found.append(float(line @ at**2 - (line @ at) ** 2) - 2.0)
    return found[0], found[1]


def test_severity_0_hands_on_the_very_arrays() -> None:
    expect_unchanged(CORRUPTION, CORRUPTION.variants)


def test_plans_are_pure_and_small() -> None:
    expect_pure(CORRUPTION, CORRUPTION.variants)


def test_another_process_draws_the_same_bytes() -> None:
    expect_same_elsewhere("corruption", CORRUPTION.variants)


@pytest.mark.parametrize("variant", CORRUPTION.variants)
def test_strength_grows_with_severity(variant: str) -> None:
    strengths = ladder_of(CORRUPTION, moving_disc_clip(16, (96, 128)), variant)
    assert strengths[0] == 0
    assert (np.diff(strengths) > 0.0003).all(), strengths


@pytest.mark.parametrize("variant", CORRUPTION.variants)
def test_masks_stay_and_the_first_frame_keeps_its_pixels(variant: str) -> None:
    clip = usual_clip(10)
    for t, frame in enumerate(drawn(CORRUPTION.plan(clip, 5, 3, Noises(), variant), clip)):
        assert frame.visible_hw is clip.labels[t]
        assert frame.amodal_hw is clip.labels[t]
        assert (frame.void_hw, frame.to_source, frame.source_time) == (None, None, t)
        assert frame.image_hwc.shape == (48, 64, 3)
        assert frame.image_hwc.dtype == np.uint8
        before = clip.frames[t].astype(float)
        assert frame.strengths[0] == pytest.approx(np.sqrt(((frame.image_hwc - before) ** 2).mean()) / 255)
        assert (frame.image_hwc is clip.frames[0]) == (t == 0)


def test_strength_is_smooth_in_time() -> None:
    clip = moving_disc_clip(40, (48, 64))
    for variant in ("gaussian_noise", "fog", "snow"):
        strengths = [frame.strengths[0] for frame in drawn(CORRUPTION.plan(clip, 4, 1, Noises(), variant), clip)]
        assert np.abs(np.diff(strengths)).max() < 0.3 * max(strengths)
        assert min(strengths[6:]) < 0.75 * max(strengths), "it varies"


class TestNoise:
    def test_gaussian(self) -> None:
        grey = np.full((120, 120, 3), 128, np.uint8)
        for share in (1.0, 0.5):
            noisy = Noise("gaussian", 0.1, 5).draw(grey, share, 0).astype(float)
            assert noisy.mean() == pytest.approx(128, abs=0.5)
            assert noisy.std() == pytest.approx(25.5 * share, rel=0.02)
        assert abs(np.corrcoef(noisy[..., 0].ravel(), noisy[..., 1].ravel())[0, 1]) < 0.03

    def test_shot(self) -> None:
        grey = np.full((120, 120, 3), 51, np.uint8)
        noisy = Noise("shot", 60, 5).draw(grey, 1.0, 0) / 255
        assert noisy.mean() == pytest.approx(0.2, abs=0.002)
        assert noisy.std() == pytest.approx(np.sqrt(0.2 / 60), rel=0.03)
        assert (Noise("shot", 60, 5).draw(grey * 0, 1.0, 0) == 0).all()


class TestBlur:
    @pytest.mark.parametrize("radius_px", [2.0, 3.4, 3.6, 6.0, 10.9, 11.1, 20.0, 27.0])
    def test_defocus_has_the_variance_of_its_disc_at_any_scale(self, radius_px: float) -> None:
        # Of a disc of radius r, along either axis: r^2 / 4.
        across, down = spread(Defocus(radius_px).draw(point(), 1.0, 0))
        assert across == pytest.approx(radius_px**2 / 4, rel=0.12, abs=0.4)
        assert down == pytest.approx(across, rel=0.05)

    def test_blur_grows_with_the_height_of_the_frame(self) -> None:
        small, large = (
            spread(Defocus(4.0).draw(cv2.resize(point(), None, fx=f, fy=f, interpolation=cv2.INTER_NEAREST), 1.0, 0))[0]
            for f in (1, 3)
        )
        # Of the enlarged block 3 x 3 times 2.0 plus a little is not taken away.
        assert large == pytest.approx(9 * (small + 2) - 2 + 2 / 3, rel=0.15)

    @pytest.mark.parametrize("angle", [0.0, 0.6, -0.7])
    def test_a_streak_lies_along_its_angle(self, angle: float) -> None:
        across, down = spread(Streak(36.0, angle).draw(point(), 1.0, 0))
        assert across + down == pytest.approx(36**2 / 12, rel=0.12)
        assert np.arctan2(np.sqrt(max(down, 0)), np.sqrt(across)) == pytest.approx(abs(angle), abs=0.06)
        shifted = Streak(36.0, angle).draw(point(), 1.0, 0)[..., 0]
        rows, columns = np.nonzero(shifted)
        assert (rows.mean(), columns.mean()) == (pytest.approx(112, abs=2.5), pytest.approx(112, abs=2.5))

    def test_a_streak_below_a_pixel_changes_nothing(self) -> None:
        assert (Streak(0.9, 0.3).draw(point(), 1.0, 0) == point()).all()

    def test_the_length_follows_the_gaussian_of_imagenet_c(self) -> None:
        assert streak_length_px(10, 3) == pytest.approx(np.sqrt(12) * 3 * np.sqrt(1 - 2 / np.pi), rel=0.06)
        assert streak_length_px(20, 15) > streak_length_px(15, 12) > streak_length_px(15, 8)

    def test_edges_do_not_darken(self) -> None:
        white = np.full((60, 80, 3), 200, np.uint8)
        for effect in (Defocus(10), Defocus(60), Streak(30, 0.5)):
            assert (effect.draw(white, 1.0, 0) == 200).all()


def test_jpeg_goes_from_fine_to_coarse() -> None:
    image = moving_disc_clip(1, (96, 128)).frames[0]
    losses = [root_mean_square(image, Jpeg(7).draw(image, share, 0)) for share in (0.05, 0.5, 1.0)]
    assert 0 < losses[0] < losses[1] < losses[2]
    red = np.full((16, 16, 3), (200, 20, 30), np.uint8)
    assert np.abs(Jpeg(20).draw(red, 1.0, 0)[8, 8].astype(int) - red[8, 8]).max() < 20, "channels keep their order"


class TestWeather:
    def test_fog_takes_its_share_of_contrast(self) -> None:
        fog = Fog(3.0, 1.7, (64, 96), 1)
        black, white = (fog.draw(np.full((64, 96, 3), level, np.uint8), 1.0, 9).astype(int) for level in (0, 240))
        assert np.abs((white - black) - 60).max() <= 1
        assert black.min() >= 66
        assert black.std() > 3
        assert (black[..., 0] == black[..., 2]).all()

    @pytest.mark.parametrize("kind", ["fog", "rain", "snow"])
    def test_weather_moves_as_one(self, kind: str) -> None:
        size = (128, 96)
        dark = np.zeros((*size, 3), np.uint8)
        effect: Fog | Fall
        if kind == "fog":
            effect = Fog(2.0, 2.0, size, 4)
        elif kind == "rain":
            effect = Fall(RAIN[1:2], 300, 0.8, 0.0, 0.2, 0.0, size, 4)
        else:
            effect = Fall(SNOW[2:], 300, 0.8, 0.0, 0.2, 0.0, size, 4)
        now, then = (effect.draw(dark, 1.0, t)[..., 0].astype(int) for t in (20, 21))
        if kind == "fog":
            assert np.abs(then - now).mean() < 0.25 * np.abs(now - np.roll(now, 40, axis=0)).mean()
            return
        speed = effect.layers[0].speed * 128
        best = min(
            ((dy, dx) for dy in range(25) for dx in range(-8, 9)),
            key=lambda d: np.abs(np.roll(now, d, axis=(0, 1)) - then).mean(),
        )
        assert np.abs(np.roll(now, best, axis=(0, 1)) - then).max() <= 1, "the same drops, without a seam"
        assert best == (pytest.approx(speed * np.cos(0.2), abs=1.01), pytest.approx(speed * np.sin(0.2), abs=1.01))

    def test_a_heavier_fall_has_the_drops_of_a_lighter_one(self) -> None:
        light, heavy = (Fall(SNOW[1:2], drops, 1.0, 0.0, 0.1, 0.0, (96, 96), 2)._tiles[0] for drops in (200, 500))
        assert (heavy >= light).all()
        assert heavy.mean() > 1.5 * light.mean()

    def test_tiles_have_no_seam(self) -> None:
        for fall in (Fall(RAIN, 600, 1.0, 0.0, 0.3, 0.0, (40, 60), 2), Fog(2.0, 2.0, (40, 60), 2)):
            for tile in fall._tiles:
                one = tile[:40, :60].astype(int)
                inside = np.abs(np.diff(one, axis=0)).mean()
                assert np.abs(one[0] - one[-1]).mean() < 2 * inside + 2


class TestDoors:
    def test_one_frame_has_none_that_may_change(self) -> None:
        clip = usual_clip(2)
        single = ArrayClip("single", clip.frames[:1], clip.labels[:1])
        with pytest.raises(DatasetError, match="single has 1 frame, too short for corruption"):
            CORRUPTION.plan(single, 3, 0, Noises())

    def test_unknown_requests(self) -> None:
        with pytest.raises(SettingError, match="did you mean gaussian_noise"):
            CORRUPTION.plan(usual_clip(4), 3, 0, Noises(), "gaussian-noise")
        with pytest.raises(SettingError, match="severity 7 of corruption"):
            CORRUPTION.plan(usual_clip(4), 7, 0, Noises())

    @pytest.mark.parametrize("size", [(1, 1), (33, 47)])
    def test_odd_and_tiny_frames(self, size: tuple[int, int]) -> None:
        image = np.full((*size, 3), 90, np.uint8)
        clip = ArrayClip("tiny", (image,) * 4, (np.zeros(size, np.uint8),) * 4)
        for variant in CORRUPTION.variants:
            for frame in drawn(CORRUPTION.plan(clip, 5, 0, Noises(), variant), clip):
                assert frame.image_hwc.shape == image.shape
