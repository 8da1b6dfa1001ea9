"""What the masks depend on as filmed: the overlap that is lost when one source is taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from maskscope.evaluate.statistics import Interval
from maskscope.records import Record
from maskscope.report.page.charts import Chart, cells, dots, new_figure
from maskscope.report.page.intervals import mean_of
from maskscope.report.page.names import colour_of, with_ends
from maskscope.report.page.rows import CLEAN, of_frames
from maskscope.report.page.section import Evidence

METRIC: Final = "ablation_loss"
_WORDS: Final = {
    "pointers": "object pointers",
    "recent_memory": "recent memory",
    "prompted_memory": "memory of the prompt",
    "fine_levels": "fine picture levels",
}


def chart(evidence: Evidence) -> Chart | None:
    """A dot for each source; None where nothing was taken away."""
    rows = evidence.rows
    tried = dict.fromkeys(row.tap for row in rows.of(METRIC, CLEAN))
    if not tried:
        return None
    found = {source: _loss(evidence, source) for source in tried}
    names = [_WORDS.get(source, source.replace("_", " ")) for source in tried]
    figure = new_figure(100 + 46 * len(names))
    at = list(range(len(names)))
    dots(figure, at, list(found.values()), name="as filmed", colour=colour_of(0), sideways=True, line=False)
    figure.add_vline(x=0, line={"color": "#4c566a", "dash": "dash", "width": 1})
    figure.update_xaxes(title="overlap J lost without it")
    figure.update_yaxes(tickvals=at, ticktext=names, range=[len(names) - 0.5, -0.5])
    figure.update_layout(showlegend=False)
    states = {row.tap: row.state for row in rows.of(METRIC, CLEAN) if row.value is None and row.state}
    table = [
        [name, *cells(value), states.get(source, "")]
        for (source, value), name in zip(found.items(), names, strict=True)
    ]
    note = (
        "As filmed, each source is replaced by what another clip had there. 0: not needed on this clip while the "
        "others are there, which does not say that the model makes no use of it."
    )
    header = ("source", "J lost", "low", "high", "why there is none")
    return Chart(_title(names, list(found.values())), figure, note, header, table)


def _loss(evidence: Evidence, source: str) -> Interval | None:
    """Over whole clips; the interval is of the differences frame by frame."""
    rows = evidence.rows
    whole = mean_of(row for row in rows.of(METRIC, CLEAN) if row.tap == source)
    intact = {_frame_of(row): row.value for row in of_frames(rows.of("intact_j", CLEAN)) if row.value is not None}
    without = [row for row in of_frames(rows.of("ablated_j", CLEAN)) if row.tap == source and row.value is not None]
    paired: list[Record] = []
    for row in without:
        before = intact.get(_frame_of(row))
        if before is not None and row.value is not None:
            paired.append(replace(row, value=before - row.value))
    frames = mean_of(paired)
    if whole is None or frames is None:
        return whole
    if len({row.clip for row in paired}) > 1:
        return Interval(whole.estimate, min(whole.low, frames.low), max(whole.high, frames.high))
    return Interval(whole.estimate, min(whole.estimate, frames.low), max(whole.estimate, frames.high))


def _frame_of(row: Record) -> tuple[str, int | None, int | None]:
    return row.clip, row.object, row.frame


def _title(names: Sequence[str], values: Sequence[Interval | None]) -> str:
    known = [(value, name) for name, value in zip(names, values, strict=True) if value is not None]
    if not known:
        return "Taking a source away: nothing could be told, as none of them is read"
    most, name = max(known, key=lambda pair: pair[0].estimate)
    if most.low <= 0:
        return "As filmed, taking away any one source does not clearly cost overlap"
    return f"As filmed, the masks depend most on the {name}: without, the overlap falls by {with_ends(most)}"
