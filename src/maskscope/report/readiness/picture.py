"""Measures of the picture against the ranges that the sweeps found."""

from __future__ import annotations

from html import escape
from typing import Any

from maskscope.extras import load_extra
from maskscope.readiness.parts import PictureMeasure
from maskscope.readiness.result import ReadinessResult
from maskscope.report.page.charts import INK, Chart, panels
from maskscope.report.page.section import Section
from maskscope.report.readiness.look import BAND, BLUE, font
from maskscope.report.readiness.saying import Saying

PANEL_PX = 120


def section(result: ReadinessResult, words: Saying) -> Section:
    """The table, and the measures that have a range over time."""
    say = words.say
    earlier = next((each.reference for each in result.picture if each.reference), "")
    note = say("picture.note_reference", clip=earlier) if earlier else say("picture.note_own")
    parts: list[Chart | str] = [
        f'<p class="note">{escape(say("picture.note"))} {escape(note)}</p>',
        _table(result, words),
    ]
    timed = [each for each in result.picture if each.axis and len(each.frames) > 1]
    if timed:
        parts.append(_over_time(timed, words))
    return Section("picture", say("picture.heading"), say("picture.question"), parts)


def _table(result: ReadinessResult, words: Saying) -> str:
    say = words.say
    columns = ("measure", "place", "now", "range", "axis", "inside")
    head = "".join(f"<th>{escape(say(f'picture.column_{name}'))}</th>" for name in columns)
    rows = "".join(_row(each, words) for each in result.picture)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _row(measure: PictureMeasure, words: Saying) -> str:
    say = words.say
    verdict = "unknown" if measure.inside is None else "inside" if measure.inside else "outside"
    if verdict == "inside" and not measure.reference:
        verdict = "own"  # by construction, and so no verdict
    cells = (
        escape(say(f"measure.{measure.measure}")),
        escape(say(f"place.{measure.place}")),
        words.traced(measure.figure),
        escape(_range(measure, words)),
        escape(say(f"axis.{measure.axis}") if measure.axis else say("page.none")),
        f'<em class="{verdict}">{escape(say(f"picture.{verdict}"))}</em>',
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _range(measure: PictureMeasure, words: Saying) -> str:
    say = words.say
    low, high = (
        None if each is None or each.value is None else words.number(each.value, each.unit)
        for each in (measure.safe_low, measure.safe_high)
    )
    if low and high:
        return say("picture.range_between", low=low, high=high)
    if low:
        return say("picture.range_from", low=low)
    return say("picture.range_to", high=high) if high else say("page.none")


def _over_time(measures: list[PictureMeasure], words: Saying) -> Chart:
    say = words.say
    titles = [
        say("figure.measure_place", measure=say(f"measure.{each.measure}"), place=say(f"place.{each.place}"))
        for each in measures
    ]
    height = PANEL_PX * len(measures) + 60
    figure = panels(len(measures), height, titles, vertical_spacing=0.36 / len(measures))
    figure.update_layout(showlegend=False, font={"family": font(say.language), "size": 12, "color": INK})
    for row, each in enumerate(measures, 1):
        _panel(figure, row, each)
        if each.figure.unit not in ("luma", "cosine"):
            unit = words.number(0, each.figure.unit).partition("0")
            figure.update_yaxes(title={"text": (unit[0] + unit[2]).strip(), "font": {"size": 10}}, row=row, col=1)
    figure.update_xaxes(title={"text": say("picture.frame_axis")}, row=len(measures), col=1)
    return Chart(say("picture.over_time"), figure, say("picture.over_time_note"))


def _panel(figure: Any, row: int, measure: PictureMeasure) -> None:
    scale = 100.0 if measure.figure.unit == "share" else 1.0
    values = [scale * value for value in measure.values]
    low, high = (
        None if each is None or each.value is None else scale * each.value
        for each in (measure.safe_low, measure.safe_high)
    )
    shown = [*values, *(end for end in (low, high) if end is not None)]
    pad = 0.15 * ((max(shown) - min(shown)) or abs(max(shown)) or 1.0)
    bottom, top = min(shown) - pad, max(shown) + pad
    bottom = max(bottom, 0.0) if min(shown) >= 0 else bottom
    figure.add_hrect(
        y0=bottom if low is None else low, y1=top if high is None else high, fillcolor=BAND, line_width=0,
        layer="below", row=row, col=1, exclude_empty_subplots=False,
    )  # fmt: skip
    figure.add_trace(
        load_extra("plotly.graph_objects", "report", "pages").Scatter(
            x=list(measure.frames), y=values, mode="lines", line={"color": BLUE, "width": 1.6}, showlegend=False
        ),
        row=row,
        col=1,
    )
    figure.update_yaxes(range=[bottom, top], nticks=4, row=row, col=1)
