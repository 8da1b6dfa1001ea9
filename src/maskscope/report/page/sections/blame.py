"""The blame matrix: what share of the mask comes back when one position gets the clean run's activation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from maskscope.evaluate.statistics import Interval
from maskscope.extras import load_extra
from maskscope.records import Record
from maskscope.report.page.charts import Chart, broken, cells, new_figure
from maskscope.report.page.intervals import mean_of
from maskscope.report.page.names import SHORT_NAMES, percent
from maskscope.report.page.rows import Condition, Place, of_frames
from maskscope.report.page.section import Evidence, Section
from maskscope.report.page.sections import ablation
from maskscope.stages import STAGES

_KINDS: Final = (
    (
        "recovered_j",
        "Put right, one position at a time",
        "share that comes back",
        "The activation of the run as filmed is put into the disturbed run at one position, and the tracker goes on. "
        "1 brings all of the lost overlap back, 0 nothing; below 0 the patch does harm. A patch repairs what was "
        "lost at its position or before it, so the earliest position with a high share is the one to look at.",
    ),
    (
        "carried_j",
        "The reverse, one disturbed position at a time in the run as filmed",
        "share carried over",
        "The disturbed activation is put into the run as filmed: 1 means that this position alone makes it as bad as "
        "the disturbed one.",
    ),
)


def section(evidence: Evidence) -> Section:
    """A matrix of conditions and positions for each direction that was tried."""
    parts: list[Chart | str] = []
    for metric, what, unit, note in _KINDS:
        if any(row.stage is not None for row in evidence.rows.of(metric)):
            parts.append(_matrix(evidence, metric, what, unit, note))
    if (taken_away := ablation.chart(evidence)) is not None:
        parts.append(taken_away)
    missing = "" if parts else "No activation was exchanged between the runs (metric recovered_j)."
    return Section("blame", "Blame by intervention", "Which stage, put right, brings the object back?", parts, missing)


def _matrix(evidence: Evidence, metric: str, what: str, unit: str, note: str) -> Chart:
    graph = load_extra("plotly.graph_objects", "report", "pages")
    rows = evidence.rows
    shown = [each for each in rows.disturbed if rows.of(metric, each)]
    found = {c: [_share(rows.at(metric, c, Place(stage))) for stage in STAGES] for c in shown}
    height = 90 + 58 * len(shown)
    figure = new_figure(height, margin={"l": 8, "r": 8, "t": 52, "b": 12})
    figure.add_trace(
        graph.Heatmap(
            z=[[None if value is None else round(value.estimate, 3) for value in values] for values in found.values()],
            x=list(range(len(STAGES))),
            y=list(range(len(shown))),
            colorscale=[[0, "#f7f8fa"], [1, "#2b7a9b"]],
            zmin=0,
            zmax=1,
            showscale=False,
            xgap=3,
            ygap=22,
            hovertemplate=f"{unit}: %{{z:.2f}}<extra></extra>",
        )
    )
    for y, (condition, values) in enumerate(found.items()):
        figure.add_annotation(
            x=-0.48,
            y=y - 0.5,
            text=str(condition),
            showarrow=False,
            xanchor="left",
            yanchor="middle",
            font={"size": 12},
        )
        for x, value in enumerate(values):
            _write(figure, x, y, value, rows.at(metric, condition, Place(STAGES[x])))
    figure.update_xaxes(
        tickvals=list(range(len(STAGES))), ticktext=[broken(SHORT_NAMES[stage]) for stage in STAGES], side="top",
        range=[-0.5, len(STAGES) - 0.5], showgrid=False, tickangle=0, tickfont={"size": 11},
    )  # fmt: skip
    figure.update_yaxes(visible=False, range=[len(shown) - 0.45, -0.75])
    table = [
        [str(condition), SHORT_NAMES[stage], *cells(value)]
        for condition, values in found.items()
        for stage, value in zip(STAGES, values, strict=True)
    ]
    return Chart(_title(metric, what, found), figure, note, ("condition", "position", unit, "low", "high"), table)


def _share(rows: Iterable[Record]) -> Interval | None:
    """The share over a clip, which no frame of small difference can blow up, with the interval of its frames."""
    rows = list(rows)
    over_frames = mean_of(of_frames(rows))
    whole = mean_of(row for row in rows if row.frame is None)
    if whole is None or over_frames is None:
        return whole or over_frames
    wide = Interval(whole.estimate, min(whole.estimate, over_frames.low), max(whole.estimate, over_frames.high))
    return wide if len({row.clip for row in rows}) == 1 else whole


def _write(figure: Any, x: int, y: int, value: Interval | None, rows: list[Record]) -> None:
    if value is None:
        states = [row.state or "" for row in rows if row.state]
        text = (
            "cannot be<br>aligned"
            if any("align" in state for state in states)
            else "nothing<br>to repair"
            if states
            else "not tried"
        )
        colour = "#6b7280"
    else:
        ends = (
            ""
            if value.low == value.high
            else f"<br><span style='font-size:10px'>{_two(value.low)} to {_two(value.high)}</span>"
        )
        text, colour = f"<b>{_two(value.estimate)}</b>{ends}", "white" if value.estimate > 0.55 else "#2e3440"
    figure.add_annotation(x=x, y=y, text=text, showarrow=False, font={"size": 12, "color": colour}, align="center")


def _two(value: float) -> str:
    """Two digits, and no minus before zero."""
    return f"{round(value, 2) + 0.0:.2f}"


def _title(metric: str, what: str, found: dict[Condition, list[Interval | None]]) -> str:
    best = [
        (value.estimate, condition, stage)
        for condition, values in found.items()
        for stage, value in zip(STAGES, values, strict=True)
        if value is not None
    ]
    if not best:
        return f"{what}: nothing could be told"
    share, condition, stage = max(best, key=lambda each: each[0])
    verb = "brings back" if metric == "recovered_j" else "carries over"
    lost = "lost overlap" if metric == "recovered_j" else "loss"
    return f"{what}: {SHORT_NAMES[stage]} {verb} most, {percent(share)} of the {lost} under {condition}"
