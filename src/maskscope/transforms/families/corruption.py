"""Corruption: the common image corruptions and weather, of a strength that varies smoothly in time. Leaves the masks.

Parameters are those of ImageNet-C (Hendrycks & Dietterich, 2019) where it has them, chosen there for pictures of 224
rows: lengths grow with the height of the frame. Unlike there, everything is seeded, weather moves as one, and only the
noise of a sensor is new on every frame. The shares of the full strength, 0.25 to 1, follow a random Fourier series;
frame 0 keeps its own pixels and the corruption fades in over six frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.transforms.base import Clip, Material, Plan, clip_generator
from maskscope.transforms.families import blurs, weather
from maskscope.transforms.families.common import UnchangedPlan, check_length, check_request, ladder
from maskscope.transforms.families.courses import modulated
from maskscope.transforms.families.effects import Effect, EffectPlan


def root_mean_square(before_hwc: NDArray[np.uint8], after_hwc: NDArray[np.uint8]) -> float:
    """Root of the mean squared change of all values, over 255: 0..1."""
    return float(cv2.norm(before_hwc, after_hwc, cv2.NORM_L2) / np.sqrt(before_hwc.size) / 255)


class Corruption:
    """The family; see `Family`. What is drawn (directions, drops, banks of fog) is the same at every severity."""

    name: str = "corruption"
    unit: str = "root mean square change of sRGB values, over 255"
    on_masks: str = "leaves"
    variants: tuple[str, ...] = (
        "gaussian_noise", "shot_noise", "defocus_blur", "motion_blur", "jpeg", "fog", "rain", "snow",
    )  # fmt: skip
    table: Mapping[int, Mapping[str, Any]] = ladder(
        gaussian_noise_sigma=(0.08, 0.12, 0.18, 0.26, 0.38),  # of 0..1
        shot_noise_photons_at_white=(60, 25, 12, 5, 3),
        defocus_radius_px_at_224=(3, 4, 6, 8, 10),
        motion_radius_px_at_224=(10, 15, 15, 15, 20),
        motion_sigma_px_at_224=(3, 5, 8, 12, 15),
        jpeg_quality=(25, 18, 15, 10, 7),
        fog_amount=(0.5, 0.9, 1.4, 2.0, 3.0),  # from 1.5 in ImageNet-C, where the first is nearly as thick as the last
        fog_decay=(2.0, 2.0, 1.7, 1.5, 1.4),
        # Rain and snow are ours: ImageNet-C's snow is a filter of noise, and it has no rain.
        rain_drops=(250, 450, 750, 1200, 1800),  # in a picture as wide as high
        rain_opacity=(0.45, 0.55, 0.65, 0.75, 0.85),
        rain_veil=(0.05, 0.10, 0.16, 0.23, 0.32),
        snow_flakes=(200, 400, 700, 1100, 1700),
        snow_opacity=(0.6, 0.7, 0.8, 0.9, 1.0),
        snow_veil=(0.05, 0.10, 0.16, 0.23, 0.32),
    )

    def plan(self, clip: Clip, severity: int, seed: int, material: Material, variant: str | None = None) -> Plan:
        """See `Family`.

        Raises:
            SettingError: an unknown severity or variant.
            DatasetError: a clip of one frame, which has no frame that may change.
        """
        check_request(self.name, severity, variant, self.variants)
        if severity == 0:
            return UnchangedPlan(clip.num_frames, self.name)
        check_length(self.name, variant or "any variant", clip, 2)
        if variant is None:
            variant = str(clip_generator(seed, self.name, clip.name).choice(self.variants))
        rng = clip_generator(seed, self.name, variant, clip.name)
        shares = modulated(clip.num_frames, rng)
        effect, drawn = _effect(variant, self.table[severity], clip.size, rng)
        request = {"family": self.name, "severity": severity, "variant": variant}
        return EffectPlan(effect, shares, root_mean_square, {**request, **drawn})


def _effect(
    variant: str, row: Mapping[str, Any], size_hw: tuple[int, int], rng: np.random.Generator
) -> tuple[Effect, dict[str, Any]]:
    """One corruption at the strengths of a row, and what was drawn for it."""
    seed, turn = int(rng.integers(2**62)), round(float(rng.uniform(-1, 1)), 6)
    drawn: dict[str, Any]
    match variant:
        case "gaussian_noise":
            drawn = {"sigma": row["gaussian_noise_sigma"], "noise_seed": seed}
            return blurs.Noise("gaussian", drawn["sigma"], seed), drawn
        case "shot_noise":
            drawn = {"photons_at_white": row["shot_noise_photons_at_white"], "noise_seed": seed}
            return blurs.Noise("shot", drawn["photons_at_white"], seed), drawn
        case "defocus_blur":
            drawn = {"radius_px_at_224": row["defocus_radius_px_at_224"]}
            return blurs.Defocus(drawn["radius_px_at_224"]), drawn
        case "motion_blur":
            length_px = blurs.streak_length_px(row["motion_radius_px_at_224"], row["motion_sigma_px_at_224"])
            drawn = {"length_px_at_224": length_px, "angle_rad": turn * np.pi / 4}
            return blurs.Streak(length_px, drawn["angle_rad"]), drawn
        case "jpeg":
            drawn = {"quality": row["jpeg_quality"]}
            return blurs.Jpeg(drawn["quality"]), drawn
        case "fog":
            drawn = {"amount": row["fog_amount"], "decay": row["fog_decay"], "fog_seed": seed}
            return weather.Fog(drawn["amount"], drawn["decay"], size_hw, seed), drawn
        case "rain":
            drawn = {"opacity": row["rain_opacity"], "veil": row["rain_veil"], "slant_rad": 0.35 * turn}
            return weather.Fall(weather.RAIN, row["rain_drops"], **drawn, sway=0.0, size_hw=size_hw, seed=seed), {
                "drops": row["rain_drops"], **drawn, "rain_seed": seed,
            }  # fmt: skip
        case _:
            drawn = {"opacity": row["snow_opacity"], "veil": row["snow_veil"], "slant_rad": 0.5 * turn}
            return weather.Fall(weather.SNOW, row["snow_flakes"], **drawn, sway=0.04, size_hw=size_hw, seed=seed), {
                "flakes": row["snow_flakes"], **drawn, "snow_seed": seed,
            }  # fmt: skip


CORRUPTION: Final = Corruption()
