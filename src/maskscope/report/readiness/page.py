"""The page as a whole: one file of two parts that works from the file system, offline and on paper."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from html import escape
from importlib.resources import files
from itertools import count
from pathlib import Path
from string import Template
from typing import Final

from maskscope.extras import load_extra
from maskscope.readiness.result import ReadinessResult
from maskscope.records import write_whole
from maskscope.report.page.charts import Chart
from maskscope.report.page.section import Section
from maskscope.report.readiness import cost, picture, survival, sweeps
from maskscope.report.readiness.decision import Decision
from maskscope.report.readiness.look import font
from maskscope.report.readiness.saying import Saying, number_id
from maskscope.report.readiness.wording import Wording, wording

SECTIONS: Final[tuple[Callable[[ReadinessResult, Saying], Section], ...]] = (
    sweeps.section,
    survival.section,
    cost.section,
    picture.section,
)
"""Of the evidence, in order; the ledger of all numbers follows."""


def write_readiness_page(result: ReadinessResult, path: Path | str, lang: str = "en") -> Path:
    """Write the page of a readiness run.

    Args:
        result: what was found out.
        path: the page, replaced if it is there.
        lang: "en" or "ja".

    Returns:
        The page.

    Raises:
        SettingError: an unknown language, or Plotly is not installed.
        OutputError: the page cannot be written.
    """
    target = Path(path)
    write_whole(target, build_readiness_page(result, lang).encode())
    return target


def build_readiness_page(result: ReadinessResult, lang: str = "en") -> str:
    """The page as HTML; equal results give equal pages.

    Raises:
        SettingError: an unknown language, or Plotly is not installed.
    """
    say = wording(lang)
    words = Saying(say)
    sections = [each for each in (make(result, words) for make in SECTIONS) if each.parts]
    sections.append(_ledger(result, words))
    numbers = count(1)
    return Template(_own("page.html")).substitute(
        lang=lang,
        font=font(lang),
        style=_own("page.css"),
        title=escape(say("page.title", clip=result.clip.name)),
        facts=escape(_facts(result, words)),
        truth=escape(say("page.truth_given" if result.clip.truth == "given" else "page.truth_clean_run")),
        decision=escape(say("page.decision")),
        decided=Decision(result, words).html(),
        evidence=escape(say("page.evidence")),
        intro=escape(say("page.evidence_intro")),
        contents=escape(say("page.contents")),
        links="".join(f'<a href="#{each.anchor}">{escape(each.heading)}</a>' for each in sections),
        sections="".join(_section_html(each, say, numbers) for each in sections) + _notes(result, say),
        made=_made(result, words),
        noscript=escape(say("page.noscript")),
        plotly=load_extra("plotly.offline", "report", "pages").get_plotlyjs(),
        script=_own("page.js"),
    )


def _own(name: str) -> str:
    return files("maskscope.report.readiness").joinpath(name).read_text(encoding="utf-8")


def _facts(result: ReadinessResult, words: Saying) -> str:
    say, clip = words.say, result.clip
    facts = say(
        "page.facts",
        frames=clip.num_frames,
        seconds=words.number(clip.num_frames / clip.fps, "seconds"),
        width=clip.width_px,
        height=clip.height_px,
        fps=words.number(clip.fps, "frames/s"),
        model=clip.model,
        model_size="\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}\N{NO-BREAK SPACE}".join(
            map(str, reversed(clip.model_size))
        ),
        policies=say("page.list_separator").join(clip.policies),
    )
    assumed = f" · {say('page.fps_assumed')}" if clip.fps_assumed else ""
    return f"{facts}{assumed}"


def _made(result: ReadinessResult, words: Saying) -> str:
    say, clip = words.say, result.clip
    told = say(
        "page.made",
        version=clip.maskscope_version,
        passes=result.passes,
        frames=result.frames_tracked,
        seconds=words.number(result.seconds, "seconds"),
    )
    command = say("page.command", command=" ".join(clip.command)) if clip.command else ""
    return escape(f"{told} {command}".strip())


def _section_html(section: Section, say: Wording, numbers: Iterator[int]) -> str:
    parts = "".join(part if isinstance(part, str) else _chart_html(part, say, next(numbers)) for part in section.parts)
    return (
        f'<section id="{section.anchor}"><h2>{escape(section.heading)}</h2>'
        f'<p class="question">{escape(section.question)}</p>{parts}</section>'
    )


def _chart_html(chart: Chart, say: Wording, number: int) -> str:
    content = json.loads(chart.figure.to_json())
    content["layout"].pop("template", None)
    data = json.dumps({"data": content["data"], "layout": content["layout"]}, separators=(",", ":"), sort_keys=True)
    data = data.replace("</", r"<\/")  # or a name could end the script
    height, title = chart.figure.layout.height, escape(chart.title)
    return (
        f'<figure><h3>{title}</h3><div class="plot" id="figure-{number}" style="height:{height}px" role="img" '
        f'aria-label="{title}"></div><script type="application/json" data-for="figure-{number}">{data}</script>'
        f"<figcaption>{escape(chart.note)}</figcaption>{_numbers(chart, say)}</figure>"
    )


def _numbers(chart: Chart, say: Wording) -> str:
    if not chart.table:
        return ""
    summary = f"<summary>{escape(say('page.numbers'))}</summary>"
    return f"<details>{summary}{_table(chart.header, chart.table)}</details>"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], ids: Sequence[str] = ()) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    starts = [f'<tr id="{each}">' for each in ids] or ["<tr>"] * len(rows)
    cells = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows)
    body = "".join(f"{start}{row}</tr>" for start, row in zip(starts, cells, strict=True))
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _ledger(result: ReadinessResult, words: Saying) -> Section:
    """Every number that the page shows, by name, with the metric it follows from."""
    say = words.say
    figures = result.figures()
    rows = [
        (words.label(name), words.value(figure), words.interval(figure), figure.metric or say("page.none"))
        for name, figure in figures.items()
    ]
    header = [say(f"ledger.column_{name}") for name in ("name", "value", "interval", "metric")]
    table = _table(header, rows, [number_id(name) for name in figures])
    return Section("ledger", say("ledger.heading"), say("ledger.question"), (table,))


def _notes(result: ReadinessResult, say: Wording) -> str:
    if not result.notes:
        return ""
    items = "".join(f"<li>{escape(say.told(note))}</li>" for note in result.notes)
    return f'<section id="notes"><h2>{escape(say("page.notes"))}</h2><ul>{items}</ul></section>'
