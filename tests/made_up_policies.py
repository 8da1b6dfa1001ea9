"""Comparisons of memory policies whose answer is known."""

from __future__ import annotations

from itertools import count, islice

from maskscope.evaluate.statistics import Bootstrap
from maskscope.report.policy_check import half_of
from maskscope.report.policy_rows import Cell

QUICK = Bootstrap(resamples=300)


def named(half: int, how_many: int) -> list[str]:
    """Clips of one half."""
    names = (f"clip{number}" for number in count())
    return list(islice((name for name in names if half_of(name) == half), how_many))


LEFT, RIGHT = named(0, 4), named(1, 4)


def cells(gains: dict[str, dict[str, float]], family: str = "occlusion", severity: int = 5) -> list[Cell]:
    """Of the stock policy, which scores 0.4 everywhere, and others by what they gain on each clip."""
    clips = {clip for of_clip in gains.values() for clip in of_clip}
    found = [Cell("m", "stock", family, severity, clip, 1, {"j_and_f": 0.4}) for clip in sorted(clips)]
    for policy, of_clip in gains.items():
        found += [Cell("m", policy, family, severity, clip, 1, {"j_and_f": 0.4 + g}) for clip, g in of_clip.items()]
    return found


def alike(clips: list[str], gain: float, spread: float = 0.0) -> dict[str, float]:
    return {clip: gain + spread * (-1) ** place for place, clip in enumerate(clips)}
