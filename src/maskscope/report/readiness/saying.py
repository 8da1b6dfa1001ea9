"""Numbers, units and names in the words of a language."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import Final

from maskscope.readiness.figure import Figure
from maskscope.readiness.parts import AXES, MEASURES
from maskscope.report.readiness.wording import Wording

_DIGITS: Final = 3
_POLICY_PARTS: Final = ("horizon", "longest_occlusion", "reprompt_interval")
FIGURE_KEYS: Final = {
    "cost.best_threshold": "cost_best_threshold",
    "cost.best": "cost_best",
    "cost.best_cost": "cost_best",
    "cost.stock": "cost_stock",
    "cost.stock_cost": "cost_stock",
    "cost.misses": "cost_misses",
    "cost.false_alarms": "cost_false_alarms",
    "cost.review": "cost_review",
    "cost.labelling": "cost_labelling",
    "cost.least_miss_share": "cost_least_miss_share",
    "cost.seconds_for_certainty": "cost_seconds_for_certainty",
    "baseline.j": "baseline_j",
    "baseline.consistency": "baseline_consistency",
    "baseline.score": "baseline_score",
    "baseline.predicted_iou": "baseline_predicted_iou",
    "baseline.losses": "baseline_losses",
    "baseline.black_frames": "baseline_black_frames",
    "prompt.area": "prompt_area",
    "prompt.border": "prompt_border",
    "prompt.score": "prompt_score",
}
"""Figures that are called the same in every result, and their texts."""


def plain_number(value: float, digits: int = _DIGITS) -> str:
    """Three significant digits, no exponent, no trailing zeros: 0.124, 12.5, 5200."""
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:.0f}"
    text = f"{value:.{digits}g}"
    return f"{value:.6f}".rstrip("0").rstrip(".") if "e" in text else text


def number_id(name: str) -> str:
    """Anchor of a figure's row in the table of all numbers."""
    return f"number-{escape(name)}"


@dataclass(frozen=True)
class Saying:
    """Says figures in a language.

    Attributes:
        say: the catalogue.
    """

    say: Wording

    def number(self, value: float, unit: str) -> str:
        """With its unit; shares in percent."""
        shown = 100 * value if unit == "share" else value
        text = plain_number(shown)
        one = f"unit_one.{unit}"
        return self.say(one if text == "1" and one in self.say else f"unit.{unit}", value=text)

    def rough(self, value: float, unit: str, more: bool = False) -> str:
        """As a sentence for a reader says it: no more digits than an installation can be set to.

        What may grow up to a limit is rounded down: 5.99 stops may be lost, so 5.9 are said. What may not fall below
        one is rounded up: of 53.4 px of width 54 are asked. With `more` stops are asked for, and rounded up, too.
        """
        if unit in ("px", "quality"):
            value = math.ceil(value - 1e-6)
        elif unit == "share":
            value = math.floor(100 * value + 1e-6) / 100
        elif unit == "frames/s" or (unit == "stops" and more):
            value = math.ceil(10 * value - 1e-6) / 10
        elif unit in ("stops", "intervals"):
            value = math.floor(10 * value + 1e-6) / 10
        return self.number(value, unit)

    def value(self, figure: Figure) -> str:
        """With unit and bound; of a figure without value, why there is none."""
        if figure.value is None:
            return self.say.told(figure.state)
        return self.say(f"bound.{figure.bound.replace(' ', '_')}", value=self.number(figure.value, figure.unit))

    def interval(self, figure: Figure) -> str:
        """Both ends; empty where there are none."""
        if figure.low is None or figure.high is None:
            return ""
        low, high = (plain_number(100 * x if figure.unit == "share" else x) for x in (figure.low, figure.high))
        return self.say("ledger.interval", low=low, high=high)

    def label(self, name: str) -> str:
        """What a figure is called; its name as it is where the catalogue has no words for it."""
        if name in FIGURE_KEYS:
            return self.say(f"figure.{FIGURE_KEYS[name]}")
        first, _, rest = name.partition(".")
        if first in AXES and rest in ("limit", "spare", "advised"):
            return self.say(f"figure.axis_{rest}", axis=self.say(f"axis.{first}"))
        if first in AXES and rest.partition(".")[2] in ("j", "retention"):
            step, _, part = rest.partition(".")
            return self.say(f"figure.axis_point_{part}", axis=self.say(f"axis.{first}"), step=step)
        place, _, end = rest.partition(".")
        if first in MEASURES and f"place.{place}" in self.say and end in ("", "low", "high"):
            words = {"measure": self.say(f"measure.{first}"), "place": self.say(f"place.{place}")}
            return self.say(f"figure.measure_{end or 'place'}", **words)
        if (part := name.rpartition(".")[2]) in _POLICY_PARTS:
            return self.say(f"figure.policy_{part}", policy=name.rpartition(".")[0])
        return name

    def traced(self, figure: Figure) -> str:
        """HTML: the value, which leads to its row in the table of all numbers, and its interval."""
        interval = self.interval(figure)
        value = escape(self.value(figure))
        shown = f'<span class="quiet">{value}</span>' if figure.value is None else f"<b>{value}</b>"
        return f'<a class="number" href="#{number_id(figure.name)}">{shown}</a>' + (
            f' <span class="interval">({escape(interval)})</span>' if interval else ""
        )
