"""What stages, outcomes and numbers are called on the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from maskscope.evaluate.statistics import Interval
from maskscope.stages import STAGES, Stage

SHORT_NAMES: Final[dict[Stage, str]] = {stage: stage.replace("_", " ") for stage in STAGES}
"""Two words, for axes."""

OUTCOME_WORDS: Final = {
    "hit": "followed",
    "miss": "not found",
    "drift": "follows something else",
    "absence": "not in the picture, and none shown",
    "hallucination": "false alarm",
}
LOST: Final = ("miss", "drift", "hallucination")

CLEAN_COLOUR: Final = "#3b4252"
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B8860B", "#56B4E9", "#7A5195", "#8C564B")


def colour_of(index: int) -> str:
    """Of a line; 0 is the clip as it is. All are told apart by the colour-blind, eight at a time."""
    return CLEAN_COLOUR if index == 0 else _COLOURS[(index - 1) % len(_COLOURS)]


def percent(value: float) -> str:
    """0.314 -> "31 %"."""
    return f"{100 * value:.0f}\N{NO-BREAK SPACE}%"


def with_ends(interval: Interval, digits: int = 2) -> str:
    """ "0.91 (0.89 to 0.93)"; without ends where they say nothing."""
    if interval.low == interval.high:
        return f"{interval.estimate:.{digits}f}"
    return f"{interval.estimate:.{digits}f} ({interval.low:.{digits}f} to {interval.high:.{digits}f})"


def listed(words: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def count(number: int, noun: str) -> str:
    """ "1 frame", "2 frames"."""
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("y"):
        return f"{number} {noun[:-1]}ies"
    return f"{number} {noun}{'es' if noun.endswith(('s', 'ch')) else 's'}"


def sentence(text: str) -> str:
    """With a capital letter."""
    return text[:1].upper() + text[1:]
