"""Curves of the sweeps: accuracy kept against the level, the present and the limit marked."""

from __future__ import annotations

from typing import Any

from maskscope.extras import load_extra
from maskscope.readiness.parts import Sweep
from maskscope.readiness.result import ReadinessResult
from maskscope.report.page.charts import Chart
from maskscope.report.page.section import Section
from maskscope.report.readiness.look import BAND, BLUE, GREEN, GREY, RED, add_point, drawing
from maskscope.report.readiness.saying import Saying, plain_number


def section(result: ReadinessResult, words: Saying) -> Section:
    """A chart for each axis of which more than the present was tried."""
    say = words.say
    parts = tuple(_chart(sweep, words) for sweep in result.sweeps if len(sweep.points) > 1)
    return Section("sweeps", say("sweep.heading"), say("sweep.question"), parts)


def _chart(sweep: Sweep, words: Saying) -> Chart:
    say, points = words.say, [point for point in sweep.points if point.retention.value is not None]
    figure = drawing(320, say.language, say(f"axis_title.{sweep.axis}"), say("sweep.retention"))
    levels = [point.level for point in points]
    kept = [100 * (point.retention.value or 0.0) for point in points]
    ends = [(point.retention.low, point.retention.high) for point in points]
    up = [0.0 if high is None else max(0.0, 100 * high - y) for (_, high), y in zip(ends, kept, strict=True)]
    down = [0.0 if low is None else max(0.0, y - 100 * low) for (low, _), y in zip(ends, kept, strict=True)]
    figure.add_trace(
        load_extra("plotly.graph_objects", "report", "pages").Scatter(
            x=levels, y=kept, name=say("sweep.line"), mode="lines+markers", line={"color": BLUE, "width": 1.8},
            marker={"color": BLUE, "size": 7},
            error_y={"type": "data", "symmetric": False, "array": up, "arrayminus": down, "width": 3, "thickness": 1.2},
        )
    )  # fmt: skip
    # Lines and the band are traces, as shapes know nothing of an axis that goes by factors.
    _across(figure, levels, 100 * sweep.keep, say("sweep.keep"))
    limit = sweep.limit
    if limit.value is not None and limit.bound == "exact":
        if limit.low is not None and limit.high is not None:
            _upright_band(figure, limit.low, limit.high)
        add_point(figure, limit.value, 100 * sweep.keep, say("sweep.limit"), RED, "x")
    add_point(figure, sweep.present, kept[0] if kept else 100.0, say("sweep.present"), GREEN, "diamond")
    if sweep.logarithmic and min(levels, default=0) > 0:
        figure.update_xaxes(type="log", tickmode="array", tickvals=levels, ticktext=[plain_number(x) for x in levels])
    figure.update_xaxes(autorange="reversed" if sweep.harder == "lower" else True)
    figure.update_yaxes(range=[0, max([105.0, *(y + u + 3 for y, u in zip(kept, up, strict=True))])])
    table = [
        (plain_number(p.level), words.value(p.retention), *_ends(p.retention.low, p.retention.high), p.retention.metric)
        for p in points
    ]
    header = [say(f"sweep.column_{name}") for name in ("level", "retention", "low", "high", "metric")]
    advised = say("page.none") if sweep.advised is None else words.value(sweep.advised)
    note = say("sweep.note", keep=words.number(sweep.keep, "share"), limit=_limit(sweep, words), advised=advised)
    return Chart(say(f"sweep.title_{sweep.axis}"), figure, note, header, table)


def _limit(sweep: Sweep, words: Saying) -> str:
    interval = words.interval(sweep.limit)
    return words.value(sweep.limit) + (f" ({interval})" if interval else "")


def _ends(low: float | None, high: float | None) -> tuple[str, str]:
    return tuple("" if end is None else plain_number(100 * end) for end in (low, high))  # type: ignore[return-value]


def _across(figure: Any, levels: list[float], height: float, name: str) -> None:
    graph = load_extra("plotly.graph_objects", "report", "pages")
    figure.add_trace(
        graph.Scatter(
            x=[min(levels, default=0), max(levels, default=1)], y=[height, height], mode="lines", name=name,
            line={"color": GREY, "width": 1.2, "dash": "dash"}, hoverinfo="skip",
        )
    )  # fmt: skip


def _upright_band(figure: Any, low: float, high: float) -> None:
    graph = load_extra("plotly.graph_objects", "report", "pages")
    figure.add_trace(
        graph.Scatter(
            x=[low, low, high, high], y=[0, 300, 300, 0], mode="lines", fill="toself", fillcolor=BAND,
            line={"width": 0}, showlegend=False, hoverinfo="skip",
        )
    )  # fmt: skip
