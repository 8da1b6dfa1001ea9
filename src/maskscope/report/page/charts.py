"""Plotly figures in one look: readable on a phone, printable, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from maskscope.evaluate.statistics import Interval
from maskscope.extras import load_extra

FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
GRID_COLOUR: Final = "#e5e9f0"
INK: Final = "#2e3440"
DECIMALS: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
"""Ticks of axes that go by factors."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure and what is said with it.

    Attributes:
        title: a sentence that says what it shows.
        figure: of Plotly.
        note: how to read it; plain text.
        header: columns of the same numbers as a table; none without a table.
        table: its rows.
    """

    title: str
    figure: Any
    note: str = ""
    header: Sequence[str] = ()
    table: Sequence[Sequence[str]] = field(default=())


def new_figure(height: int, **layout: Any) -> Any:
    """An empty figure; its title stands above it in the page, where it can wrap.

    Args:
        height: pixels.
        layout: more of Plotly's settings.

    Raises:
        SettingError: Plotly is not installed.
    """
    graph = load_extra("plotly.graph_objects", "report", "pages")
    figure = graph.Figure()
    style(figure, height)
    figure.update_layout(**layout)
    return figure


def panels(rows: int, height: int, titles: Sequence[str], **settings: Any) -> Any:
    """Panels above each other with one axis of x."""
    make = load_extra("plotly.subplots", "report", "pages").make_subplots
    figure = make(rows=rows, cols=1, subplot_titles=list(titles), shared_xaxes=True, **settings)
    style(figure, height)
    for note in figure.layout.annotations:
        note.update(font={"size": 13, "color": INK}, x=0, xanchor="left")
    return figure


def style(figure: Any, height: int) -> None:
    """What all figures share."""
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 56, "r": 12, "t": 24, "b": 48},
        font={"family": FONT, "size": 12, "color": INK},
        paper_bgcolor="white",
        plot_bgcolor="white",
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "xanchor": "left"},
        hoverlabel={"font": {"family": FONT}},
        dragmode=False,  # a finger scrolls the page
    )
    axis = {"gridcolor": GRID_COLOUR, "linecolor": "#9aa3b2", "zeroline": False, "automargin": True, "fixedrange": True}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)


def dots(
    figure: Any,
    places: Sequence[Any],
    intervals: Sequence[Interval | None],
    *,
    name: str,
    colour: str,
    sideways: bool = False,
    shift: float = 0.0,
    symbol: str = "circle",
    dash: str = "solid",
    line: bool = True,
    row: int | None = None,
    legend: bool = True,
) -> None:
    """Add estimates with their intervals.

    Args:
        figure: to add to.
        places: numbers along the axis.
        intervals: one for each place; None leaves a gap.
        name: in the legend.
        colour: of line, dots and whiskers.
        sideways: places go down and values to the right.
        shift: along the places, so that whiskers of several lines do not hide each other.
        symbol: of the dots.
        dash: of the line.
        line: join the dots.
        row: of the panel.
        legend: name it there.
    """
    graph = load_extra("plotly.graph_objects", "report", "pages")
    values = [None if each is None else each.estimate for each in intervals]
    up = [0 if each is None else each.high - each.estimate for each in intervals]
    down = [0 if each is None else each.estimate - each.low for each in intervals]
    along = [place + shift for place in places]
    error = {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.2, "width": 3}
    trace = graph.Scatter(
        x=values if sideways else along,
        y=along if sideways else values,
        error_x=error if sideways else None,
        error_y=None if sideways else error,
        name=name,
        legendgroup=name,
        showlegend=legend,
        mode="lines+markers" if line else "markers",
        line={"color": colour, "width": 1.6, "dash": dash},
        marker={"color": colour, "size": 7, "symbol": symbol},
        hovertemplate=f"{name}: %{{{'x' if sideways else 'y'}:.3f}}<extra></extra>",
    )
    if row is None:
        figure.add_trace(trace)
    else:
        figure.add_trace(trace, row=row, col=1)


def shifts(count: int, width: float = 0.3) -> list[float]:
    """Evenly over `width`, around 0."""
    return [0.0] if count == 1 else [width * (i / (count - 1) - 0.5) for i in range(count)]


def broken(name: str) -> str:
    """Two words on two lines."""
    return name.replace(" ", "<br>", 1)


def cells(interval: Interval | None, digits: int = 3) -> list[str]:
    """Estimate, low and high for a table."""
    if interval is None:
        return ["", "", ""]
    return [f"{value:.{digits}f}" for value in (interval.estimate, interval.low, interval.high)]
