"""The figures of a prompt study's page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from maskscope.evaluate.statistics import Interval
from maskscope.report.page.charts import Chart, cells, dots, new_figure, shifts
from maskscope.report.page.section import Section
from maskscope.report.prompts_table import LATE, SCORE, SECONDS, PromptRow

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B8860B", "#56B4E9")
"""Also told apart by the colour-blind."""
_ROW_PX: Final = 30


def sections(rows: Sequence[PromptRow]) -> list[Section]:
    """All that there is something to show of, in the order of a reader's questions."""
    made = [_kinds(rows), _density(rows), _time(rows), _clicks(rows), _jitter(rows), _wrong(rows), _inside(rows)]
    return [section for section in made if section.parts]


def _kinds(rows: Sequence[PromptRow]) -> Section:
    mine = sorted(_of(rows, "kind"), key=lambda row: row.figures[SCORE].estimate)
    parts = []
    if mine:
        figure = new_figure(90 + _ROW_PX * len(mine))
        for (key, name, symbol), colour, shift in zip(
            ((SCORE, "whole clip", "circle"), (LATE, "last third", "diamond")), COLOURS, (0.12, -0.12), strict=False
        ):
            values = [row.figures.get(key) for row in mine]
            dots(figure, range(len(mine)), values, name=name, colour=colour, sideways=True, shift=shift, symbol=symbol,
                 line=False)  # fmt: skip
        figure.update_yaxes(tickvals=list(range(len(mine))), ticktext=[row.name for row in mine], showgrid=False)
        figure.update_xaxes(title="J&F behind the first frame", range=[0, 1.02])
        best, worst = mine[-1], mine[0]
        title = f"{_upper(best.name)} follows best ({_two(best)}), {worst.name} worst ({_two(worst)})"
        note = (
            "A prompt on the first frame, none later. Clicks go to the centre of the largest error, positive or "
            "negative; those of humans to its neighbourhood. Seconds are of the published time model."
        )
        table = [
            [row.name, *cells(row.score), _number(row.value("first_j"), 3), _number(row.value(SECONDS), 1)]
            for row in reversed(mine)
        ]
        parts = [Chart(title, figure, note, ("prompt", "J&F", "low", "high", "J, first frame", "seconds"), table)]
    return Section("kinds", "Which prompt", "Which kind of prompt, and how many clicks, does the object need?", parts)


def _density(rows: Sequence[PromptRow]) -> Section:
    parts: list[Chart] = []
    found: dict[str, list[tuple[int | None, PromptRow]]] = {}
    for row in _of(rows, "density"):
        if match := re.fullmatch(r"(.*), every (\d+) frames", row.name):
            found.setdefault(match[1], []).append((int(match[2]), row))
    once = {row.name: row for row in _of(rows, "kind")}
    intervals = sorted({every for each in found.values() for every, _ in each if every}, reverse=True)
    if found:
        figure, table = new_figure(360), []
        places: list[int | None] = [None, *intervals]
        best: tuple[float, str] = (-1.0, "")
        for (name, mine), colour, shift in zip(found.items(), COLOURS, shifts(len(found), 0.2), strict=False):
            by_interval: dict[int | None, PromptRow] = dict(mine)
            if name in once:
                by_interval[None] = once[name]
            values = [by_interval[each].score if each in by_interval else None for each in places]
            dots(figure, range(len(places)), values, name=name, colour=colour, shift=shift)
            for each, value in zip(places, values, strict=True):
                said = by_interval.get(each)
                if said is None or value is None:
                    continue
                table.append([name, _every(each), *cells(value), _number(said.value(SECONDS), 1)])
                if name in once and each is not None:
                    gain = value.estimate - once[name].figures[SCORE].estimate
                    best = max(best, (gain, f"{name} {_every(each)} gains {gain:+.3f} over saying it once"))
        figure.update_xaxes(tickvals=list(range(len(places))), ticktext=[_every(each) for each in places])
        figure.update_yaxes(title="J&F behind the first frame", range=[0, 1.02])
        note = "Said again where the object is seen, from the truth of that frame; prompted frames count, too."
        parts.append(
            Chart(
                _upper(best[1]) or "Prompts said again", figure, note,
                ("prompt", "said", "J&F", "low", "high", "seconds"), table,
            )
        )  # fmt: skip
    return Section("density", "When again", "What do prompts on later frames add?", parts)


def _time(rows: Sequence[PromptRow]) -> Section:
    lines = {
        "corrects after each pass (offline)": _of(rows, "offline"),
        "stops and corrects (online)": _of(rows, "online"),
        "says it once": [row for row in _of(rows, "kind") if "human" not in row.name],
        "says it again and again": _of(rows, "density"),
    }
    parts, table = [], []
    if lines["corrects after each pass (offline)"] or lines["stops and corrects (online)"]:
        figure = new_figure(440)
        for (name, mine), colour in zip(lines.items(), COLOURS, strict=False):
            timed = sorted(
                (row for row in mine if row.value(SECONDS) is not None), key=lambda row: row.value(SECONDS) or 0.0
            )
            if timed:
                dots(figure, [row.value(SECONDS) for row in timed], [row.score for row in timed], name=name,
                     colour=colour, line="once" not in name and "again and" not in name)  # fmt: skip
            table += [[name, row.name, _number(row.value(SECONDS), 1), *cells(row.score)] for row in timed]
        figure.update_xaxes(title="seconds of a human's time a clip", rangemode="tozero")
        figure.update_yaxes(title="J&F behind the first frame", range=[0, 1.02])
        figure.update_layout(legend={"y": 1.02}, margin={"t": 70})
        note = (
            "Offline, the frame with the worst IoU gets three clicks after each pass; online, the pass stops where IoU "
            "falls below 0.75. Locating takes 1 s, a click 1.5 s, looking through 30 s for 300 frames (SAM 2, appendix "
            "E.1), a box 7 s, a mask 37.8 s."
        )
        parts = [Chart(_time_title(lines), figure, note, ("user", "what", "seconds", "J&F", "low", "high"), table)]
    return Section("time", "Seconds of human time", "What does a second of a human's time buy?", parts)


def _time_title(lines: dict[str, list[PromptRow]]) -> str:
    timed = [row for mine in lines.values() for row in mine if row.value(SECONDS) is not None]
    best = max(timed, key=lambda row: row.figures[SCORE].estimate)
    enough = [row for row in timed if row.figures[SCORE].estimate >= best.figures[SCORE].estimate - 0.02]
    cheap = min(enough, key=lambda row: row.value(SECONDS) or 0.0)
    what = f"{cheap.axis}, {cheap.name}" if cheap.axis in ("offline", "online") else cheap.name
    return f"{_upper(what)}: {cheap.value(SECONDS):.0f} s buy {_two(cheap)}, within 0.02 of all that time buys"


def _clicks(rows: Sequence[PromptRow]) -> Section:
    mine = [row for row in rows if row.axis == "noc" and row.figures]
    parts = []
    if mine:
        figure, table = new_figure(340), []
        for row, colour in zip(mine, COLOURS, strict=False):
            curve = sorted((int(name[-2:]), value) for name, value in row.figures.items() if name.startswith("j_after"))
            dots(figure, [n for n, _ in curve], [value for _, value in curve], name=row.name, colour=colour)
            table += [
                [
                    row.name,
                    f"{target} %",
                    *cells(row.figures.get(f"noc@{target}"), 2),
                    _number(row.value(f"not_reached@{target}"), 2),
                ]
                for target in ("85", "90")
            ]
        for level in (0.85, 0.9):
            figure.add_hline(y=level, line={"color": "#9aa3b2", "dash": "dot", "width": 1})
        figure.update_xaxes(title="clicks on the first frame", dtick=1 if len(table) < 8 else 2)
        figure.update_yaxes(title="IoU", range=[0, 1.02])
        said = ", ".join(f"{row.name} {row.value('noc@85'):.1f} and {row.value('noc@90'):.1f}" for row in mine
                         if row.value("noc@85") is not None and row.value("noc@90") is not None)  # fmt: skip
        note = (
            "Who has reached 90 % stops, and keeps what is reached. At most 20 clicks; who needs more counts as 20. "
            " Humans click near the centre of the error, the simulated user at it."
        )
        header = ("user", "until IoU", "clicks", "low", "high", "share that fails")
        parts = [Chart(f"Clicks to reach 85 and 90 % IoU: {said}", figure, note, header, table)]
    return Section("clicks", "Clicks until it is right", "How many clicks until the first mask is right?", parts)


def _jitter(rows: Sequence[PromptRow]) -> Section:
    exact = {"box": "box shifted,box too large,box too small", "1 click": "click shifted"}
    kinds = {row.name: row for row in _of(rows, "kind")}
    mine = _of(rows, "jitter")
    parts = []
    if mine:
        figure, table = new_figure(380), []
        worst: tuple[float, str] = (2.0, "")
        for name, colour in zip(dict.fromkeys(row.name for row in mine), COLOURS, strict=False):
            line = {row.percent: row for row in mine if row.name == name}
            base = next((kinds.get(each) for each, names in exact.items() if name in names.split(",")), None)
            if base is not None:
                line[0] = base
            percents = sorted(line)
            dots(figure, percents, [line[p].score for p in percents], name=name, colour=colour)
            table += [[name, f"{p} %", *cells(line[p].score), _number(line[p].value("first_j"), 3)] for p in percents]
            last = line[percents[-1]]
            worst = min(worst, (last.figures[SCORE].estimate, f"{name} by {percents[-1]} %: {_two(last)}"))
        figure.update_xaxes(title="off by, in percent of the object's sides", ticksuffix=" %")
        figure.update_yaxes(title="J&F behind the first frame", range=[0, 1.02])
        note = (
            "Boxes are moved in one direction (another for each seed), or grown or shrunk around their middle; the "
            "click is moved from the centre, and so leaves the object at last. 10 % is what SAM 2 was trained with."
        )
        parts = [
            Chart(f"Worst is {worst[1]}", figure, note, ("what", "off by", "J&F", "low", "high", "J, first"), table)
        ]
    return Section("jitter", "How exact", "How far may a box or a click be off?", parts)


def _wrong(rows: Sequence[PromptRow]) -> Section:
    wrong = [row for row in rows if row.axis == "wrong" and "object_score_first" in row.figures]
    right = [row for row in _of(rows, "kind") if not row.name.startswith("mask")]
    telling = [row for row in rows if row.axis == "telling"]
    parts: list[Chart] = []
    if wrong:
        mine = [*wrong, *right][::-1]
        figure, table = new_figure(110 + _ROW_PX * len(mine)), []
        for key, name, colour, shift in (
            ("object_score_first", "prompted frame", COLOURS[0], 0.12),
            ("object_score_later", "later frames", COLOURS[1], -0.12),
        ):
            values = [row.figures.get(key) for row in mine]
            dots(figure, range(len(mine)), values, name=name, colour=colour, sideways=True, shift=shift, line=False)
        figure.add_vline(x=0, line={"color": "#9aa3b2", "dash": "dot"})
        figure.update_yaxes(tickvals=list(range(len(mine))), ticktext=[row.name for row in mine], showgrid=False)
        figure.update_xaxes(title="object score (logit; above 0 the model sees an object)")
        keys = ("object_score_first", "predicted_iou_first", "object_score_later", SCORE)
        table = [[row.name, *(_number(row.value(key), 3) for key in keys)] for row in reversed(mine)]
        best = max(telling, key=lambda row: row.value("auc") or 0.0, default=None)
        title = (
            f"What tells a wrong prompt best is the {best.name}: AUC {best.value('auc'):.2f}"
            if best
            else "What the model says of wrong prompts"
        )
        scores = "; ".join(f"{row.name} {row.value('auc'):.2f}" for row in telling)
        note = f"AUC between right and wrong prompts, 0.5 is chance: {scores}. Masks, which are adopted, are left out."
        header = ("prompt", "object score", "predicted IoU", "object score later", "J&F to the object meant")
        parts.append(Chart(title, figure, note if telling else "", header, table))
    return Section("wrong", "Wrong prompts", "Does the model tell when the wrong thing was marked?", parts)


def _inside(rows: Sequence[PromptRow]) -> Section:
    mine = _of(rows, "inside")
    parts: list[Chart] = []
    figures: tuple[tuple[str, str], ...] = ((SCORE, "J&F"), ("separation_auc", "separation (AUC) at prompt attended"))
    for key, label in figures:
        known = [row for row in mine if key in row.figures][::-1]
        if not known:
            continue
        figure = new_figure(70 + _ROW_PX * len(known))
        values: list[Interval | None] = [row.figures[key] for row in known]
        dots(figure, range(len(known)), values, name=label, colour=COLOURS[0], sideways=True, line=False, legend=False)
        figure.update_yaxes(tickvals=list(range(len(known))), ticktext=[row.name for row in known], showgrid=False)
        figure.update_xaxes(title=label, range=[0, 1.02])
        table = [[row.name, *cells(row.figures[key])] for row in reversed(known)]
        parts.append(
            Chart(_substitutes(known, key, label), figure, _INSIDE_NOTE, ("read", label, "low", "high"), table)
        )
    question = "What does a prompt add where it meets the picture, and how far does memory do without one?"
    return Section("inside", "Inside: memory and prompts", question, parts)


_INSIDE_NOTE: Final = (
    "On frames behind the first quarter. Memory alone: tracked from the mask of the first frame. Alone: the prompt is "
    "given on that very frame, and no memory is read. A mask is adopted as it is."
)


def _substitutes(rows: Sequence[PromptRow], key: str, label: str) -> str:
    by_name = {row.name: row.figures[key].estimate for row in rows}
    memory, box = by_name.get("memory alone"), by_name.get("box alone")
    if memory is None or box is None:
        return f"{_upper(label)} with and without memory and prompts"
    if abs(memory - box) < 0.005:
        return f"{_upper(label)}: memory alone is worth as much as a new box without memory ({memory:.2f})"
    word = "more" if memory > box else "less"
    return f"{_upper(label)}: memory alone ({memory:.2f}) is worth {word} than a new box without memory ({box:.2f})"


def _of(rows: Sequence[PromptRow], axis: str) -> list[PromptRow]:
    return [row for row in rows if row.axis == axis and row.score is not None]


def _every(frames: int | None) -> str:
    return "once" if frames is None else f"every {frames}"


def _two(row: PromptRow) -> str:
    return "-" if row.score is None else f"J&F {row.score.estimate:.2f}"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
