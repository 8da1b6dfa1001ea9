"""How long a track lasts: Kaplan-Meier with Greenwood's band, and how often to prompt again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

from maskscope.readiness.parts import SurvivalStep

_Z: Final = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Episode:
    """One track from its prompt on.

    Attributes:
        frames: until it was lost, or until nobody looked any more.
        lost: which of the two.
    """

    frames: int
    lost: bool


def survival(episodes: Sequence[Episode]) -> tuple[SurvivalStep, ...]:
    """Share of tracks not yet lost (Kaplan and Meier, 1958), a step at each loss.

    The band is Greenwood's on the scale log(-log S), which keeps it in 0..1 (Kalbfleisch and Prentice, 1980). Where
    all are lost at once it is open: 0..1.
    """
    steps = [SurvivalStep(frames=0, share=1.0, low=1.0, high=1.0, at_risk=len(episodes))]
    share, greenwood = 1.0, 0.0
    for at in sorted({each.frames for each in episodes if each.lost}):
        risk = sum(each.frames >= at for each in episodes)
        lost = sum(each.frames == at and each.lost for each in episodes)
        share *= 1 - lost / risk
        if lost < risk:
            greenwood += lost / (risk * (risk - lost))
        low, high = _band(share, greenwood)
        steps.append(SurvivalStep(frames=at, share=share, low=low, high=high, at_risk=risk))
    return tuple(steps)


def _band(share: float, greenwood: float) -> tuple[float, float]:
    if not 0 < share < 1:
        return 0.0, 1.0
    spread = _Z * math.sqrt(greenwood) / abs(math.log(share))
    return share ** math.exp(spread), share ** math.exp(-spread)


@dataclass(frozen=True, slots=True)
class Interval:
    """Frames between prompts.

    Attributes:
        frames: estimate, 1 or more.
        low, high: 95 % interval; `high` is None without a loss.
        at_least: there was no loss: `frames` is as long as a track was followed, and `low` what can be relied on.
    """

    frames: float
    low: float
    high: float | None
    at_least: bool


def reprompt_interval(episodes: Sequence[Episode], loss_share: float) -> Interval:
    """Frames between prompts so that no more than `loss_share` of the tracks are lost in between.

    Losses come at a constant rate, the exponential law, which few losses are enough for: their number over the frames
    that were followed, with the exact Poisson interval. Without a loss the rate is at most 3 over the frames (the rule
    of three), from which the lower end follows; the estimate is then the longest that a track was followed, where the
    Kaplan-Meier curve still stands at 1.

    Args:
        episodes: one or more with a frame.
        loss_share: 0..1, both excluded.
    """
    followed = max(sum(each.frames for each in episodes), 1)
    losses = sum(each.lost for each in episodes)
    budget = -math.log1p(-loss_share)
    if not losses:
        longest = float(max((each.frames for each in episodes), default=0))
        return Interval(max(longest, 1.0), min(max(budget * followed / 3, 1.0), max(longest, 1.0)), None, True)
    # Poisson limits by chi-squared quantiles, these by Wilson and Hilferty's cube: within 2 % from one loss on.
    most = 0.5 * _chi2(_Z, 2 * (losses + 1))
    least = 0.5 * _chi2(-_Z, 2 * losses)
    # Nobody can prompt more often than on every frame.
    found = (budget * followed / each for each in (losses, most, max(least, 1e-2)))
    frames, low, high = (max(each, 1.0) for each in found)
    return Interval(frames, low, high, False)


def _chi2(z: float, degrees: int) -> float:
    part = 2 / (9 * degrees)
    cube = max(1 - part + z * math.sqrt(part), 0.0) ** 3
    return float(degrees * cube)
