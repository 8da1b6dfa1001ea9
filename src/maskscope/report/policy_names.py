"""Conditions under which policies are compared, as pages name them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from maskscope.report.policy_rows import CLEAN

DRAWN: Final = "drawn"
"""Made-up clips as they are, in which things come before the target: no clean clips, and a condition of their own."""

NAMES: Final = {
    CLEAN: "clean clips",
    DRAWN: "drawn clips",
    "long": "long clips, long absences",
    "lookalike": "look-alikes",
}

_FOLDERS: Final = ("--data", "--dataset", "--material")


def with_dir(words: Sequence[str]) -> str:
    """A command as a page shows it: DIR for data sets, whose folders are somebody's own."""
    told = [str(word) for word in words]
    for place, word in enumerate(told):
        folder = told[place - 1] in _FOLDERS or (told[:2] == ["maskscope", "stress"] and place == 2)
        if folder and not word.startswith(f"{DRAWN}:"):
            told[place] = "DIR"
    return " ".join(told)


def band_of(family: str, band: str) -> str:
    """Severities, or a dash where there are none."""
    return "-" if family in (CLEAN, DRAWN) else band
