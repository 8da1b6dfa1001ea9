"""How strong a change of the picture is at each moment: a share of the full strength per frame.

Every course is 0 on frame 0, so that the frame a prompt is given on is the untouched one at every severity. Shares are
rounded to 1/256, so that no last bit of a sine reaches a picture.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

COURSES: Final = ("static", "ramp", "modulated")

_FADE_IN_FRAMES: Final = 6
_PERIOD_FRAMES: Final = (40.0, 80.0)
_WEAKEST_SHARE: Final = 0.25


def course(kind: str, num_frames: int, rng: np.random.Generator) -> tuple[float, ...]:
    """Shares 0..1 of the full strength, one per frame, the first 0 and the largest 1.

    Args:
        kind: one of `COURSES`. "static" is full from frame 1 on; "ramp" rises evenly to the middle of the clip and
            stays; "modulated" goes up and down smoothly, see `modulated`.
        num_frames: 2 or more.
        rng: of "modulated"; drawn from in the same way for every kind.
    """
    waves = modulated(num_frames, rng)
    if kind == "modulated":
        return waves
    if kind == "static":
        return (0.0,) + (1.0,) * (num_frames - 1)
    rise_frames = max(num_frames // 2, 1)
    return _rounded(np.minimum(np.arange(num_frames) / rise_frames, 1.0))


def modulated(num_frames: int, rng: np.random.Generator) -> tuple[float, ...]:
    """A short random Fourier series between 0.25 and 1, faded in from 0 over the first frames.

    Args:
        num_frames: 2 or more.
        rng: draws the base period (40 to 80 frames) and the phases of three harmonics.
    """
    period_frames = rng.uniform(*_PERIOD_FRAMES)
    phases = rng.uniform(0, 2 * np.pi, 3)
    t = np.arange(num_frames)
    harmonics = np.arange(1, 4)
    series = (np.cos(2 * np.pi * harmonics * t[:, None] / period_frames + phases) / harmonics).sum(1)
    fade_frames = min(_FADE_IN_FRAMES, num_frames - 1)
    settled = series[fade_frames:]
    span = float(np.ptp(settled))
    level = np.clip((series - settled.min()) / span, 0, 1) if span > 0 else np.ones(num_frames)
    fade = np.minimum(t / fade_frames, 1.0)
    return _rounded((_WEAKEST_SHARE + (1 - _WEAKEST_SHARE) * level) * fade)


def flickering(shares: tuple[float, ...], rng: np.random.Generator) -> tuple[float, ...]:
    """Shares with a sign that changes within a few frames, -1..1: an unsteady lamp under a course.

    Args:
        shares: how far the flicker may go on each frame.
        rng: draws the beat (0.2 to 0.45 of the frame rate), its phase and an unevenness of each frame.
    """
    t = np.arange(len(shares))
    beat = np.sin(2 * np.pi * (rng.uniform(0.2, 0.45) * t + rng.uniform()))
    uneven = rng.uniform(-1, 1, len(shares))
    return _rounded(np.clip(0.75 * beat + 0.25 * uneven, -1, 1) * np.asarray(shares))


def _rounded(values: NDArray[np.floating]) -> tuple[float, ...]:
    return tuple((np.rint(np.asarray(values) * 256) / 256).tolist())
