"""The figure of a stress study: what is left of the score, and how the rest is lost, by family and severity."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from maskscope.data.output import writing
from maskscope.errors import RecordError
from maskscope.evaluate.robustness import BREAKING_RETENTION
from maskscope.extras import load_extra
from maskscope.report.stress_table import StressRow

_LINES: Final = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)  # also told apart by the colour-blind
_FAILURES: Final = {"miss": "#4C566A", "drift": "#D08770", "hallucination": "#EBCB8B"}
_PANEL_IN: Final = (2.3, 2.3)
_LEAST_WIDTH_IN: Final = 5.5  # for the title
_DPI: Final = 150


def stress_figure(rows: Sequence[StressRow], path: Path | str) -> Path:
    """Draw a table into a file; see `draw_stress`.

    Args:
        rows: from `maskscope.report.stress_table.stress_rows`.
        path: a PNG, SVG or PDF file, replaced if it is there.

    Returns:
        The file.

    Raises:
        RecordError: there is no row of a transformation.
        SettingError: Matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    figure, target = draw_stress(rows), Path(path)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(target, metadata={"Software": None} if target.suffix.lower() == ".png" else None)
    return target


def draw_stress(rows: Sequence[StressRow]) -> Any:
    """A Matplotlib figure with a column for each family; several trackers are beside each other in it.

    Above is retention against severity with its interval, below the shares of frames lost; 0 is the clip as it is.

    Raises:
        RecordError: there is no row of a transformation.
        SettingError: Matplotlib is not installed.
    """
    load_extra("matplotlib", "report", "figures")
    figure_class = load_extra("matplotlib.figure", "report", "figures").Figure
    cells = [row for row in rows if row.family and row.severity is not None]
    if not cells:
        raise RecordError("there is no result of a transformation to draw", "run a grid with families first")
    families = list(dict.fromkeys(row.family for row in cells))
    trackers = list(dict.fromkeys(_tracker(row) for row in cells))
    clean = [row for row in rows if not row.family and row.clips]
    width, height = _PANEL_IN
    figure = figure_class(
        figsize=(max(width * len(families) + 0.8, _LEAST_WIDTH_IN), 2 * height + 0.6), dpi=_DPI, layout="constrained"
    )
    axes = figure.subplots(2, len(families), sharex=True, sharey="row", squeeze=False)
    for column, family in enumerate(families):
        mine = [row for row in cells if row.family == family]
        axes[0, column].set_title(family, fontsize=10)
        _retention(axes[0, column], mine, trackers)
        _losses(axes[1, column], [*clean, *mine], trackers)
        axes[1, column].set_xlabel("severity")
        axes[1, column].set_xticks(sorted({row.severity or 0 for row in (*clean, *cells)}))
    axes[0, 0].set_ylabel("retention of J&F")
    axes[1, 0].set_ylabel("share of frames")
    axes[0, 0].set_ylim(bottom=0)
    axes[1, 0].set_ylim(bottom=0)
    _legends(figure, trackers, cells)
    return figure


def _tracker(row: StressRow) -> tuple[str, str, str]:
    return row.model, row.policy, row.protocol


def _retention(axes: Any, rows: Sequence[StressRow], trackers: Sequence[tuple[str, str, str]]) -> None:
    axes.axhline(1, color="0.75", linewidth=0.8)
    axes.axhline(BREAKING_RETENTION, color="0.55", linewidth=0.8, linestyle=(0, (4, 3)))
    for place, tracker in enumerate(trackers):
        known = [row for row in rows if _tracker(row) == tracker and row.retention is not None]
        if not known:
            continue
        colour, severities = _LINES[place % len(_LINES)], [row.severity for row in known]
        axes.fill_between(
            severities, [row.retention_low for row in known], [row.retention_high for row in known],
            color=colour, alpha=0.18, linewidth=0,
        )  # fmt: skip
        axes.plot(severities, [row.retention for row in known], color=colour, marker="o", markersize=3.5, linewidth=1.6)
    axes.spines[["top", "right"]].set_visible(False)


def _losses(axes: Any, rows: Sequence[StressRow], trackers: Sequence[tuple[str, str, str]]) -> None:
    width = 0.8 / len(trackers)
    for place, tracker in enumerate(trackers):
        for row in (row for row in rows if _tracker(row) == tracker):
            assert row.severity is not None
            left, below = row.severity - 0.4 + width * (place + 0.5), 0.0
            for name, colour in _FAILURES.items():
                share = getattr(row, name) or 0.0
                axes.bar(
                    left, share, width * 0.92, bottom=below, color=colour,
                    edgecolor=_LINES[place % len(_LINES)] if len(trackers) > 1 else "none", linewidth=0.8,
                )  # fmt: skip
                below += share
    axes.spines[["top", "right"]].set_visible(False)


def _legends(figure: Any, trackers: Sequence[tuple[str, str, str]], cells: Sequence[StressRow]) -> None:
    """What colours mean: failures always, trackers where there are several."""
    patches = load_extra("matplotlib.patches", "report", "figures")
    lines = load_extra("matplotlib.lines", "report", "figures")
    handles = [patches.Patch(color=colour, label=name) for name, colour in _FAILURES.items()]
    if len(trackers) > 1:
        differing = [part for part in range(3) if len({tracker[part] for tracker in trackers}) > 1]
        handles += [
            lines.Line2D(
                [], [], color=_LINES[place % len(_LINES)], marker="o", markersize=3.5,
                label=", ".join(tracker[part] for part in differing),
            )
            for place, tracker in enumerate(trackers)
        ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
    clips = max(row.clips for row in cells)
    title = f"{clips} clips; bands hold 95 %, dashes mark {BREAKING_RETENTION}"
    if len(trackers) == 1:
        title = f"model {trackers[0][0]}, policy {trackers[0][1]}; {title}"
    figure.suptitle(title, fontsize=9)
