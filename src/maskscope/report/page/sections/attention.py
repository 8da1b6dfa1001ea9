"""Where the object's image tokens look in memory, slot by slot."""

from __future__ import annotations

from math import log10
from typing import Final

from maskscope.evaluate.statistics import Interval
from maskscope.report.page.charts import DECIMALS, Chart, cells, dots, new_figure, shifts
from maskscope.report.page.intervals import mean_of
from maskscope.report.page.names import colour_of, sentence
from maskscope.report.page.rows import Condition
from maskscope.report.page.section import Evidence, Section

_PREFIX: Final = "attention_enrichment."


def section(evidence: Evidence) -> Section:
    """Enrichment of attention on the object's cells of each memory, mean over layers and frames."""
    anchor, heading = "attention", "Attention by memory slot"
    question = "Which memories does the object read?"
    rows = evidence.rows
    names = rows.metrics(_PREFIX)
    slots = _in_order({name.split(".")[1] for name in names if name.endswith(".object") and name.count(".") == 2})
    if f"{_PREFIX}pointers" in names:
        slots.append("pointers")
    if not slots:
        return Section(anchor, heading, question, missing="Attention was not measured (metric attention_enrichment).")
    figure, at, table = new_figure(420), list(range(len(slots))), []
    drawn: list[Interval] = []
    found: dict[Condition, list[Interval | None]] = {}
    for region, symbol in (("object", "circle"), ("background", "x")):
        for condition, shift in zip(evidence.conditions, shifts(len(evidence.conditions), 0.36), strict=True):
            metrics = [f"{_PREFIX}{slot}" if slot == "pointers" else f"{_PREFIX}{slot}.{region}" for slot in slots]
            if region == "background":
                metrics = [metric for metric in metrics if not metric.endswith("pointers")]
            values = [mean_of(rows.of(metric, condition)) for metric in metrics]
            if not any(values) or (region == "background" and not condition.is_clean):
                continue
            if region == "object":
                found[condition] = values
            drawn += [value for value in values if value is not None]
            name = str(condition) if region == "object" else f"{condition}, background"
            colour = colour_of(evidence.index(condition))
            dots(
                figure, at[: len(values)], values, name=name, colour=colour, shift=shift, symbol=symbol, line=False,

            )  # fmt: skip
            table += [
                [str(condition), _words(slot), region, *cells(value)]
                for slot, value in zip(slots, values, strict=False)
            ]
    figure.add_hline(y=1, line={"color": "#4c566a", "dash": "dash", "width": 1})
    figure.update_xaxes(
        tickvals=at, ticktext=[_tick(slot) for slot in slots], title="memory (a number: frames back)", tickangle=0,
        range=[-0.5, len(slots) - 0.5],
    )  # fmt: skip
    figure.update_yaxes(
        title="times the uniform share",
        type="log",
        tickvals=DECIMALS,
        ticktext=[f"{value:g}" for value in DECIMALS],
        range=_log_range(drawn),
    )
    note = (
        "How much more attention the object's cells of a memory (crosses: of its background, as filmed) get than if "
        "attention were spread evenly (dashed line, 1), as the mean over layers. Pointers have no cells. Attention "
        "says what is read, not what the mask depends on; the blame matrix tells that."
    )
    header = ("condition", "memory", "on", "times the uniform share", "low", "high")
    return Section(anchor, heading, question, [Chart(_title(slots, found), figure, note, header, table)])


def _log_range(drawn: list[Interval]) -> tuple[float, float]:
    """Of an axis that shows all dots; whiskers that reach nearly to 0 leave it."""
    low = min((max(v.low, 0.2 * v.estimate, 1e-3) for v in drawn if v.estimate > 0), default=0.1)
    high = max((v.high for v in drawn), default=10.0)
    return log10(min(low, 0.5)) - 0.1, log10(max(high, 2.0)) + 0.1


def _title(slots: list[str], found: dict[Condition, list[Interval | None]]) -> str:
    if not found:
        return "Attention on the object's memories could not be told from frames without truth"
    condition, values = next(iter(found.items()))
    best, value = max(
        ((slot, value) for slot, value in zip(slots, values, strict=True) if value is not None),
        key=lambda pair: pair[1].estimate,
    )
    begin = f"{sentence(str(condition))}, the object looks most at {_the(best)}"
    begin += f": {value.estimate:.{0 if value.estimate >= 10 else 1}f} times the uniform share"
    for other, others in found.items():
        now = [(slot, v) for slot, v in zip(slots, others, strict=True) if v is not None]
        if other != condition and now:
            top = max(now, key=lambda pair: pair[1].estimate)[0]
            if top != best:
                return f"{begin}; under {other} at {_the(top)}"
    return begin


def _the(slot: str) -> str:
    if slot == "pointers":
        return "the object pointers"
    return "its prompted frame" if slot == "prompted" else f"the memory of {_words(slot)}"


def _words(slot: str) -> str:
    if not slot.startswith("recent_"):
        return slot
    back = slot.removeprefix("recent_")
    return f"{back} {'frame' if back == '1' else 'frames'} back"


def _tick(slot: str) -> str:
    return "prompt" if slot == "prompted" else slot.removeprefix("recent_")


def _in_order(slots: set[str]) -> list[str]:
    """The prompted frame, then recent ones from near to far, then others."""

    def key(slot: str) -> tuple[int, int, str]:
        number = slot.removeprefix("recent_")
        if slot == "prompted":
            return 0, 0, slot
        return (1, int(number), slot) if slot.startswith("recent_") and number.isdigit() else (2, 0, slot)

    return sorted(slots, key=key)
