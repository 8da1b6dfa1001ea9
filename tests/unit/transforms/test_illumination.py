"""Changes of light: exact in linear light where they are simple, off the first frame and off the masks always."""

from __future__ import annotations

import numpy as np
import pytest
from clips import ArrayClip
from family_checks import (
    Noises,
    drawn,
    expect_pure,
    expect_same_elsewhere,
    expect_unchanged,
    ladder_of,
    usual_clip,
)

from maskscope.errors import DatasetError, SettingError
from maskscope.transforms.families.courses import COURSES, course, flickering, modulated
from maskscope.transforms.families.illumination import ILLUMINATION, LIGHTS, mean_stops
from maskscope.transforms.families.lights import (
    Contrast,
    Exposure,
    Gamma,
    LowLight,
    ShadowEdge,
    Spotlight,
    Temperature,
    blackbody_gains,
)
from maskscope.transforms.families.lookup import linear_of_srgb, poisson_quantiles, srgb_of_linear

RAMP = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None], (8, 256, 3)).copy()


def grey(level: int, size: tuple[int, int] = (60, 90)) -> np.ndarray:
    return np.full((*size, 3), level, np.uint8)


def test_severity_0_hands_on_the_very_arrays() -> None:
    expect_unchanged(ILLUMINATION, LIGHTS)


def test_plans_are_pure_and_small() -> None:
    expect_pure(ILLUMINATION, LIGHTS)


def test_another_process_draws_the_same_bytes() -> None:
    expect_same_elsewhere("illumination", LIGHTS)


@pytest.mark.parametrize("variant", [f"{light}-static" for light in LIGHTS])
def test_strength_grows_with_severity(variant: str) -> None:
    strengths = ladder_of(ILLUMINATION, usual_clip(14), variant)
    assert strengths[0] == 0
    assert (np.diff(strengths) > 0.01).all(), strengths


@pytest.mark.parametrize("kind", COURSES)
def test_masks_stay_and_the_first_frame_keeps_its_pixels(kind: str) -> None:
    clip = usual_clip(20)
    for light in LIGHTS:
        for t, frame in enumerate(drawn(ILLUMINATION.plan(clip, 5, 3, Noises(), f"{light}-{kind}"), clip)):
            assert frame.visible_hw is clip.labels[t]
            assert frame.amodal_hw is clip.labels[t]
            assert frame.source_time == t
            assert (frame.void_hw, frame.to_source) == (None, None)
            if t == 0:
                assert frame.image_hwc is clip.frames[0]
                assert frame.strengths == (0.0,)


class TestCourses:
    def test_static_is_switched_on_at_frame_1(self) -> None:
        assert course("static", 5, np.random.default_rng(0)) == (0.0, 1.0, 1.0, 1.0, 1.0)

    def test_a_ramp_ends_in_the_middle(self) -> None:
        assert course("ramp", 8, np.random.default_rng(0)) == (0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0)

    @pytest.mark.parametrize("num_frames", [2, 3, 7, 40, 300])
    def test_modulation_is_smooth_and_reaches_the_full_strength(self, num_frames: int) -> None:
        for seed in range(5):
            shares = np.array(modulated(num_frames, np.random.default_rng(seed)))
            assert shares[0] == 0
            assert shares.max() == 1
            assert shares[6:].min(initial=1) >= 0.25
            assert num_frames < 8 or np.abs(np.diff(shares)).max() < 0.35
            assert (shares * 256 == np.rint(shares * 256)).all()

    def test_flicker_changes_its_sign_within_a_few_frames(self) -> None:
        wave = np.array(flickering((0.0, *(1.0,) * 59), np.random.default_rng(1)))
        signs = np.sign(wave[1:])
        assert wave[0] == 0
        assert np.abs(wave).max() <= 1
        assert (np.diff(signs) != 0).sum() > 15

    def test_all_severities_of_a_seed_share_what_is_drawn(self) -> None:
        clip = usual_clip(12)
        for light in ("spotlight", "shadow", "temperature"):
            low, high = (ILLUMINATION.plan(clip, s, 9, Noises(), light).parameters for s in (1, 5))
            differing = {key for key in low if low[key] != high[key]}
            assert differing <= {"severity", "spot_stops", "ambient_stops", "stops", "shift_mired"}
        shifts = [ILLUMINATION.plan(clip, s, 9, Noises(), "temperature").parameters["shift_mired"] for s in (1, 5)]
        assert shifts[0] * shifts[1] > 0

    def test_the_seed_chooses_among_all_lights(self) -> None:
        clip = usual_clip(4)
        found = {ILLUMINATION.plan(clip, 2, seed, Noises()).parameters["variant"] for seed in range(60)}
        assert found == set(LIGHTS)


class TestLights:
    @pytest.mark.parametrize("stops", [-2.0, -1.0, 1.0])
    def test_exposure_multiplies_linear_light(self, stops: float) -> None:
        after = Exposure(stops).draw(RAMP, 1.0, 0)[0, :, 0]
        wanted = np.minimum(linear_of_srgb() * 2**stops, 1)
        level = (linear_of_srgb()[np.minimum(np.arange(256) + 1, 255)] - linear_of_srgb()) / 2 + 1e-4
        assert np.abs(linear_of_srgb()[after] - wanted).max() <= level.max()
        assert after[0] == 0

    def test_one_stop_is_measured_as_one_stop(self) -> None:
        bright = grey(200)
        assert mean_stops(bright, Exposure(-1.0).draw(bright, 1.0, 0)) == pytest.approx(1, abs=0.02)
        assert mean_stops(bright, Exposure(2.0).draw(bright, 1.0, 0)) < 0.9, "cut off at white"

    def test_a_negative_share_turns_exposure_around(self) -> None:
        assert (Exposure(1.0).draw(RAMP, -0.5, 0) == Exposure(-0.5).draw(RAMP, 1.0, 0)).all()

    def test_gamma_keeps_black_and_white(self) -> None:
        after = Gamma(2.0).draw(RAMP, 1.0, 0)[0, :, 0]
        assert (after[0], after[128], after[255]) == (0, round(128**2 / 255), 255)

    def test_contrast_goes_to_the_mean(self) -> None:
        image = np.concatenate([grey(40), grey(120)])
        after = Contrast(0.5).draw(image, 1.0, 0)
        assert np.unique(after).tolist() == [60, 100]

    def test_temperature_tints_at_equal_luminance(self) -> None:
        warm, cold = blackbody_gains(1e6 / 2856), blackbody_gains(1e6 / 15000)
        assert warm[0] > 1.3 > 0.4 > warm[2]
        assert cold[0] < 1 < cold[2]
        for gains in (warm, cold):
            assert gains @ [0.2126, 0.7152, 0.0722] == pytest.approx(1)
        assert blackbody_gains(1e6 / 6504) == pytest.approx([1, 1, 1])
        # Both halves of the locus meet at 4000 K.
        assert blackbody_gains(249.999) == pytest.approx(blackbody_gains(250.001), abs=2e-3)
        red, green, blue = Temperature(200).draw(grey(128), 1.0, 0)[0, 0].astype(int)
        assert red > green > blue

    def test_a_spot_lights_its_place_and_moves(self) -> None:
        spot = Spotlight(2.0, -1.0, 0.2, 0.25, 0.0, 0.0, 0.0)
        middle, right = (spot.draw(grey(100), 1.0, t) for t in (0, 1))
        assert middle[30, 45, 0] == srgb_of_linear(linear_of_srgb()[100] * np.float32(4))
        assert middle[0, 0, 0] == pytest.approx(int(srgb_of_linear(linear_of_srgb()[100] / np.float32(2))), abs=1)
        assert right[30, 45, 0] < 100 < right[30, 80, 0]

    def test_a_shadow_darkens_one_side(self) -> None:
        edge = ShadowEdge(-2.0, 0.1, 0.0, 0.0, 0.0)
        after = edge.draw(grey(200), 1.0, 0)
        dark = int(srgb_of_linear(linear_of_srgb()[200] / np.float32(4)))
        assert (after[:, 0] == 200).all()
        assert (after[:, -1] == dark).all()
        assert (np.diff(after[5, :, 0].astype(int)) <= 0).all()

    def test_photons_are_counted(self) -> None:
        light = LowLight(0.0, 25.0, 3)
        image = grey(188, (100, 120))
        noisy = linear_of_srgb()[light.draw(image, 1.0, 4)]
        mean = linear_of_srgb()[188]
        assert noisy.mean() == pytest.approx(mean, abs=0.01)
        assert noisy.std() == pytest.approx(np.sqrt(mean / 25), rel=0.12)
        assert (light.draw(grey(0), 1.0, 4) == 0).all(), "no light, no photon"
        assert (light.draw(image, 1.0, 4) != light.draw(image, 1.0, 5)).any()

    def test_poisson_numbers_have_their_mean_and_variance(self) -> None:
        means = np.array([0.0, 0.3, 3.0, 60.0, 400.0])
        counts = poisson_quantiles(means)
        assert counts.shape == (256, 5)
        assert counts.mean(0) == pytest.approx(means, rel=0.02)
        assert counts.var(0) == pytest.approx(means, rel=0.06)


class TestDoors:
    def test_one_frame_has_none_that_may_change(self) -> None:
        clip = usual_clip(2)
        single = ArrayClip("single", clip.frames[:1], clip.labels[:1])
        with pytest.raises(DatasetError, match="single has 1 frame, too short for illumination"):
            ILLUMINATION.plan(single, 1, 0, Noises())
        assert ILLUMINATION.plan(single, 0, 0, Noises()).num_frames == 1
        assert ILLUMINATION.plan(clip, 5, 0, Noises()).num_frames == 2

    @pytest.mark.parametrize(
        ("severity", "variant", "message"),
        [
            (6, None, "severity 6 of illumination"),
            (-1, None, "out of range"),
            (2, "exposures", "did you mean exposure"),
        ],
    )
    def test_unknown_requests(self, severity: int, variant: str | None, message: str) -> None:
        with pytest.raises(SettingError, match=message):
            ILLUMINATION.plan(usual_clip(4), severity, 0, Noises(), variant)
