"""Over time: the overlap with the truth, with the losses marked and the stage that each is blamed on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Final

from maskscope.extras import load_extra
from maskscope.records import Record
from maskscope.report.page.charts import Chart, panels
from maskscope.report.page.names import SHORT_NAMES, colour_of, count, sentence
from maskscope.report.page.rows import CLEAN, Condition, of_frames
from maskscope.report.page.section import Evidence, Section
from maskscope.report.page.verdict import Loss, losses_of

MOST_CLIPS: Final = 4
_ROW_PX: Final = 130


def section(evidence: Evidence) -> Section:
    """A figure for each clip with losses, and the list of losses."""
    rows = evidence.rows
    clips = _chosen(evidence)
    frames = list(of_frames(rows.of("j")))
    parts: list[Chart | str] = [_chart(evidence, clip) for clip in clips if any(row.clip == clip for row in frames)]
    losses = losses_of(rows)
    if losses:
        parts.append(_table(losses))
    left = len(evidence.diagnosis.clips) - len(clips)
    if parts and left > 0:
        parts.append(f"<p>{count(left, 'more clip')} with fewer lost frames are in the records.</p>")
    missing = "" if parts else "There are no scores by frame (metric j)."
    return Section("time", "Over time", "When is the object lost, and by which stage?", parts, missing)


def _chosen(evidence: Evidence) -> tuple[str, ...]:
    """Clips with most lost frames first."""
    lost: Counter[str] = Counter()
    for loss in losses_of(evidence.rows):
        lost[loss.clip] += loss.frames
    return tuple(sorted(evidence.diagnosis.clips, key=lambda clip: -lost[clip])[:MOST_CLIPS])


def _chart(evidence: Evidence, clip: str) -> Chart:
    graph = load_extra("plotly.graph_objects", "report", "pages")
    rows = evidence.rows
    shown = [each for each in evidence.conditions if any(r.clip == clip for r in rows.at("j", each, None))]
    if evidence.diagnosis.facts.truth != "annotated" and len(shown) > 1:
        shown = [each for each in shown if not each.is_clean]  # compared with itself: a line at 1
    figure = panels(
        len(shown),
        _ROW_PX * len(shown) + 70,
        [sentence(str(each)) for each in shown],
        vertical_spacing=0.3 / len(shown),
    )
    clean = _by_frame(r for r in rows.at("j", CLEAN, None) if r.clip == clip)
    losses = [(i, loss) for i, loss in enumerate(losses_of(rows), 1) if loss.clip == clip]
    for number, condition in enumerate(shown, 1):
        own = _by_frame(r for r in rows.at("j", condition, None) if r.clip == clip)
        if not condition.is_clean and clean:
            first = number == min(2 if shown[0].is_clean else 1, len(shown))  # one entry in the legend
            figure.add_trace(_line(graph, clean, "as filmed", "#a8b0bf", first), row=number, col=1)
        if any(len(values) > 1 for values in own.values()):
            figure.add_trace(_band(graph, own, colour_of(evidence.index(condition))), row=number, col=1)
        figure.add_trace(
            _line(graph, own, str(condition), colour_of(evidence.index(condition)), False), row=number, col=1
        )
        for i, loss in losses:
            if loss.condition == condition:
                _mark(figure, loss, i, number)
        figure.update_yaxes(title_text="overlap J", range=[-0.03, 1.08], tickvals=[0, 0.5, 1], row=number, col=1)
    figure.update_xaxes(title_text="frame", row=len(shown), col=1)
    figure.update_layout(margin={"t": 46}, legend={"y": 1.0, "yref": "container", "yanchor": "top"})
    several = " Shaded: from the worst object to the best." if _several_objects(rows.of("j")) else ""
    note = (
        "J is the overlap of mask and truth on a frame, from 0 to 1; gaps are frames that do not show the object. Red "
        "stretches are losses that are blamed on a stage, grey ones losses whose stage is not determined; their "
        f"numbers are those of the table. Each frame is measured once, so single frames have no interval.{several}"
    )
    return Chart(_title(clip, [loss for _, loss in losses], shown), figure, note)


def _title(clip: str, losses: Sequence[Loss], shown: Sequence[Condition]) -> str:
    tried = count(len(shown), "run")
    if not losses:
        return f"{clip}: the object is never lost in {tried}"
    frames: Counter[Condition] = Counter()
    for loss in losses:
        frames[loss.condition] += loss.frames
    worst, most = frames.most_common(1)[0]
    where = str(worst) if worst.is_clean else f"under {worst}"
    return f"{clip}: {count(len(losses), 'loss')} in {tried}; {count(most, 'lost frame')} {where}"


def _mark(figure: Any, loss: Loss, label: int, number: int) -> None:
    figure.add_vrect(
        x0=loss.frame - 0.5,
        x1=loss.frame + loss.frames - 0.5,
        fillcolor="#bf616a" if loss.stage else "#8f98a8",
        opacity=0.24,
        line_width=0,
        layer="below",
        row=number,
        col=1,
        annotation_text=str(label),
        annotation_position="top left",
        annotation_font={"size": 11, "color": "#8f2f3a" if loss.stage else "#4c566a"},
    )


def _by_frame(rows: Iterable[Record]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        if row.frame is not None and row.value is not None:
            found[row.frame].append(row.value)
    return dict(sorted(found.items()))


def _line(graph: Any, by_frame: dict[int, list[float]], name: str, colour: str, legend: bool) -> Any:
    frames: list[int] = []
    means: list[float | None] = []
    for frame, values in by_frame.items():
        if frames and frame > frames[-1] + 1:
            frames.append(frames[-1] + 1)
            means.append(None)  # or a line would join what frames without the object part
        frames.append(frame)
        means.append(round(sum(values) / len(values), 4))
    return graph.Scatter(
        x=frames,
        y=means,
        name=name,
        mode="lines",
        line={"color": colour, "width": 1.8},
        showlegend=legend,
        hovertemplate=f"{name}, frame %{{x}}: %{{y:.2f}}<extra></extra>",
    )


def _band(graph: Any, by_frame: dict[int, list[float]], colour: str) -> Any:
    frames = list(by_frame)
    high, low = [max(v) for v in by_frame.values()], [min(v) for v in by_frame.values()]
    return graph.Scatter(
        x=[*frames, *reversed(frames)],
        y=[*high, *reversed(low)],
        fill="toself",
        fillcolor=colour,
        opacity=0.18,
        line={"width": 0},
        mode="lines",
        showlegend=False,
        hoverinfo="skip",
    )


def _several_objects(rows: Sequence[Record]) -> bool:
    return len({(row.clip, row.object) for row in rows}) > len({row.clip for row in rows})


def _table(losses: Sequence[Loss]) -> str:
    """Every loss in a row."""
    header = ("no.", "condition", "clip", "object", "frames", "kind", "stage to blame", "confidence", "why")
    listed = [_cells(i, loss) for i, loss in enumerate(losses[:200], 1)]
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in listed)
    more = f"<p>{len(losses) - 200} more are in the records.</p>" if len(losses) > 200 else ""
    head = "".join(f"<th>{name}</th>" for name in header)
    return (
        f'<h3>Every loss, and the stage it is blamed on</h3><div class="wide losses"><table><thead><tr>{head}</tr>'
        f"</thead><tbody>{body}</tbody></table></div>{more}"
    )


def _cells(number: int, loss: Loss) -> tuple[str, ...]:
    reason = loss.reason
    for stage, short in SHORT_NAMES.items():
        reason = reason.replace(stage, short)
    return (
        str(number),
        str(loss.condition),
        loss.clip,
        "" if loss.object is None else str(loss.object),
        f"{loss.frame}\N{EN DASH}{loss.frame + loss.frames - 1}" if loss.frames > 1 else str(loss.frame),
        loss.kind,
        SHORT_NAMES[loss.stage] if loss.stage else "not determined",
        "" if loss.confidence is None else f"{loss.confidence:.2f}",
        reason,
    )
