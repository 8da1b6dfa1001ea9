"""Illumination: the light changes, the scene does not. Leaves the masks.

Frame 0 always keeps its own pixels, so that the prompt is given in the clip's own light: a static change is switched on
at frame 1, a ramp rises from frame 0 to the middle of the clip, a modulated change fades in over six frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from maskscope.transforms.base import Clip, Material, Plan, clip_generator
from maskscope.transforms.families import lights
from maskscope.transforms.families.common import UnchangedPlan, check_length, check_request, ladder
from maskscope.transforms.families.courses import COURSES, course, flickering
from maskscope.transforms.families.effects import Effect, EffectPlan
from maskscope.transforms.families.lookup import stops_of_srgb

LIGHTS: Final = ("exposure", "gamma", "contrast", "temperature", "spotlight", "shadow", "flicker", "lowlight")
"""Kinds of change; the seed chooses among them, and the course of time."""

_SAMPLE: Final = slice(None, None, 4)


def mean_stops(before_hwc: NDArray[np.uint8], after_hwc: NDArray[np.uint8]) -> float:
    """Mean absolute change of log2(linear light + 2^-9) over pixels and channels, every fourth row and column."""
    stops = stops_of_srgb()
    change = stops[after_hwc[_SAMPLE, _SAMPLE]] - stops[before_hwc[_SAMPLE, _SAMPLE]]
    return float(np.abs(change).mean(dtype=np.float64))


class Illumination:
    """The family; see `Family`.

    Variants are the kinds of `LIGHTS`, each alone (the seed draws the course of time) or with a course behind a hyphen,
    as in "exposure-ramp". The sign of exposure, gamma and temperature, and all paths, are the same at every severity
    of a seed.
    """

    name: str = "illumination"
    unit: str = "stops: mean absolute change of log2 linear light over pixels and channels, after clipping"
    on_masks: str = "leaves"
    variants: tuple[str, ...] = (*LIGHTS, *(f"{light}-{kind}" for light in LIGHTS for kind in COURSES))
    table: Mapping[int, Mapping[str, Any]] = ladder(
        exposure_stops=(0.5, 1.0, 1.5, 2.0, 3.0),  # either sign
        gamma_exponent=(1.3, 1.6, 2.0, 2.6, 3.5),  # or its reciprocal
        contrast_gain=(0.6, 0.45, 0.3, 0.2, 0.1),
        warmer_mired=(40, 80, 130, 190, 250),  # 5150 K to 2480 K from 6504 K
        colder_mired=(20, 40, 60, 85, 110),  # 7480 K to 22900 K
        spot_stops=(0.6, 1.1, 1.7, 2.3, 3.0),
        spot_ambient_stops=(-0.3, -0.6, -1.0, -1.6, -2.4),
        shadow_stops=(-0.8, -1.5, -2.2, -3.0, -4.0),
        flicker_stops=(0.3, 0.6, 1.0, 1.5, 2.2),
        lowlight_stops=(-0.5, -1.0, -1.6, -2.3, -3.0),
        lowlight_photons_at_white=(400, 150, 60, 25, 10),
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
            variant = str(clip_generator(seed, self.name, clip.name).choice(LIGHTS))
        light, _, kind = variant.partition("-")
        rng = clip_generator(seed, self.name, light, clip.name)
        drawn_kind = str(rng.choice(COURSES))
        shares = course(kind or drawn_kind, clip.num_frames, rng)
        if light == "flicker":
            shares = flickering(shares, rng)
        effect, drawn = _effect(light, self.table[severity], rng)
        request = {"family": self.name, "severity": severity, "variant": light, "course": kind or drawn_kind}
        return EffectPlan(effect, shares, mean_stops, {**request, **drawn})


def _effect(light: str, row: Mapping[str, Any], rng: np.random.Generator) -> tuple[Effect, dict[str, Any]]:
    """One kind of change at the strengths of a row, and what was drawn for it."""
    upwards = bool(rng.integers(2))
    turns, phases = rng.uniform(0.010, 0.018, 2).tolist(), rng.uniform(0, 1, 2).tolist()
    drawn: dict[str, Any]
    match light:
        case "exposure":
            drawn = {"stops": row["exposure_stops"] * (1 if upwards else -1)}
            return lights.Exposure(**drawn), drawn
        case "gamma":
            drawn = {"exponent": 1 / row["gamma_exponent"] if upwards else row["gamma_exponent"]}
            return lights.Gamma(**drawn), drawn
        case "contrast":
            drawn = {"gain": row["contrast_gain"]}
            return lights.Contrast(**drawn), drawn
        case "temperature":
            drawn = {"shift_mired": row["warmer_mired"] if upwards else -row["colder_mired"]}
            return lights.Temperature(**drawn), drawn
        case "spotlight":
            drawn = {
                "spot_stops": row["spot_stops"],
                "ambient_stops": row["spot_ambient_stops"],
                "radius_of_height": 0.3,
                "x_turns_per_frame": turns[0],
                "y_turns_per_frame": turns[1],
                "x_phase_turns": phases[0],
                "y_phase_turns": phases[1],
            }
            return lights.Spotlight(**drawn), drawn
        case "shadow":
            drawn = {
                "stops": row["shadow_stops"],
                "penumbra_of_height": 0.08,
                "angle_rad": 2 * np.pi * phases[0],
                "turns_per_frame": turns[0],
                "phase_turns": phases[1],
            }
            return lights.ShadowEdge(**drawn), drawn
        case "flicker":
            drawn = {"stops": row["flicker_stops"]}
            return lights.Exposure(**drawn), drawn
        case _:
            drawn = {
                "stops": row["lowlight_stops"],
                "photons_at_white": row["lowlight_photons_at_white"],
                "noise_seed": int(rng.integers(2**62)),
            }
            return lights.LowLight(**drawn), drawn


ILLUMINATION: Final = Illumination()
