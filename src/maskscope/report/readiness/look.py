"""How figures look on this page: colours, and a font that has the signs of the language."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from maskscope.extras import load_extra
from maskscope.report.page.charts import FONT, INK, new_figure

JAPANESE_FONT: Final = (
    "'Noto Sans JP', 'Noto Sans CJK JP', 'Hiragino Kaku Gothic ProN', 'Hiragino Sans', 'Yu Gothic', Meiryo, "
    "'IPAexGothic', 'TakaoPGothic', sans-serif"
)
BLUE, RED, GREEN, GREY, BAND = "#1f5f8b", "#b3261e", "#2f7d3b", "#5b6577", "rgba(31,95,139,0.15)"
LINES: Final = (BLUE, "#c05a1a", GREEN, "#7a4fa3", GREY)


def font(language: str) -> str:
    """The stack of fonts for a language, as CSS has it."""
    return JAPANESE_FONT if language == "ja" else FONT


def drawing(height: int, language: str, x_title: str, y_title: str) -> Any:
    """An empty figure with titled axes."""
    family = font(language)
    figure = new_figure(height, hoverlabel={"font": {"family": family}})
    figure.update_layout(font={"family": family, "size": 12, "color": INK})
    figure.update_xaxes(title={"text": x_title})
    figure.update_yaxes(title={"text": y_title}, exponentformat="none", separatethousands=True)
    return figure


def add_line(
    figure: Any,
    x: Sequence[float],
    y: Sequence[float],
    name: str,
    colour: str = BLUE,
    *,
    steps: bool = False,
    markers: bool = False,
    dash: str = "solid",
) -> None:
    """A line with its name in the legend."""
    figure.add_trace(
        load_extra("plotly.graph_objects", "report", "pages").Scatter(
            x=list(x), y=list(y), name=name, mode="lines+markers" if markers else "lines",
            line={"color": colour, "width": 1.8, "dash": dash, "shape": "hv" if steps else "linear"},
            marker={"color": colour, "size": 7},
        )
    )  # fmt: skip


def add_band(
    figure: Any, x: Sequence[float], low: Sequence[float], high: Sequence[float], name: str, colour: str,
    steps: bool = False,
) -> None:  # fmt: skip
    """A band between two lines."""
    graph = load_extra("plotly.graph_objects", "report", "pages")
    line = {"width": 0, "color": colour, "shape": "hv" if steps else "linear"}
    figure.add_trace(graph.Scatter(x=list(x), y=list(low), mode="lines", line=line, showlegend=False, hoverinfo="skip"))
    figure.add_trace(
        graph.Scatter(
            x=list(x), y=list(high), mode="lines", line=line, fill="tonexty", fillcolor=colour, name=name,
            hoverinfo="skip",
        )
    )  # fmt: skip


def add_point(figure: Any, x: float, y: float, name: str, colour: str, symbol: str) -> None:
    """One marked point."""
    figure.add_trace(
        load_extra("plotly.graph_objects", "report", "pages").Scatter(
            x=[x], y=[y], name=name, mode="markers",
            marker={"color": colour, "size": 13, "symbol": symbol, "line": {"color": "white", "width": 1.5}},
        )
    )  # fmt: skip


def translucent(colour: str, share: float = 0.15) -> str:
    """A colour of six digits, to be seen through."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share})"
