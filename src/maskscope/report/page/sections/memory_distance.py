"""How far each frame is from what is in memory, over time."""

from __future__ import annotations

from collections import defaultdict

from maskscope.extras import load_extra
from maskscope.report.page.charts import Chart, cells, panels
from maskscope.report.page.intervals import mean_of
from maskscope.report.page.names import SHORT_NAMES, colour_of, sentence
from maskscope.report.page.rows import Condition, Place
from maskscope.report.page.section import Evidence, Section

METRIC = "window_distance"


def section(evidence: Evidence) -> Section:
    """A panel for each position, of the first clip; means over all clips in the table."""
    anchor, heading, question = "distance", "Distance to memory", "When does a frame look unlike what is remembered?"
    rows = evidence.rows
    places = rows.places(METRIC, taps=False)
    if not places:
        return Section(anchor, heading, question, missing=f"The distance was not measured (metric {METRIC}).")
    graph = load_extra("plotly.graph_objects", "report", "pages")
    clip = next(row.clip for row in rows.of(METRIC) if row.value is not None)
    titles = [sentence(SHORT_NAMES[place.stage]) for place in places]
    figure = panels(len(places), 130 * len(places) + 80, titles, vertical_spacing=0.28 / len(places))
    peak: tuple[float, int, Condition, Place] | None = None
    for number, place in enumerate(places, 1):
        for condition in evidence.conditions:
            by_frame = defaultdict(list)
            for row in rows.at(METRIC, condition, place):
                if row.clip == clip and row.frame is not None and row.value is not None:
                    by_frame[row.frame].append(row.value)
            means = {frame: sum(values) / len(values) for frame, values in sorted(by_frame.items())}
            if not means:
                continue
            top = max(means, key=lambda frame: means[frame])
            if peak is None or means[top] > peak[0]:
                peak = (means[top], top, condition, place)
            line = graph.Scatter(
                x=list(means), y=[round(v, 3) for v in means.values()], name=str(condition), mode="lines",
                legendgroup=str(condition), showlegend=number == 1,
                line={"color": colour_of(evidence.index(condition)), "width": 1.5},
                hovertemplate=f"{condition}, frame %{{x}}: %{{y:.2f}}<extra></extra>",
            )  # fmt: skip
            figure.add_trace(line, row=number, col=1)
        figure.update_yaxes(title_text="deviations", rangemode="tozero", row=number, col=1)
    figure.update_xaxes(title_text="frame", row=len(places), col=1)
    figure.update_layout(margin={"t": 62}, legend={"y": 1.0, "yref": "container", "yanchor": "top"})
    table = [
        [str(condition), SHORT_NAMES[place.stage], *cells(mean_of(rows.at(METRIC, condition, place)))]
        for condition in evidence.conditions
        for place in places
    ]
    assert peak is not None
    title = (
        f"{clip} is farthest from memory on frame {peak[1]} {_under(peak[2])}: {peak[0]:.1f} deviations at "
        f"{SHORT_NAMES[peak[3].stage]}"
    )
    note = (
        "Regularised L2 distance of a frame to the frames last written to memory: 1 is as far as these are from each "
        "other. Each frame is measured once, so single frames have no interval; the means in the table have."
    )
    header = ("condition", "position", "mean distance", "low", "high")
    return Section(anchor, heading, question, [Chart(title, figure, note, header, table)])


def _under(condition: Condition) -> str:
    return "as filmed" if condition.is_clean else f"under {condition}"
