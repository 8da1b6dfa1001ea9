"""The page as a whole: one file that works from the file system, offline and on paper."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from maskscope.extras import load_extra
from maskscope.records import write_whole
from maskscope.report.page.charts import Chart
from maskscope.report.page.diagnosis import Diagnosis, open_diagnosis
from maskscope.report.page.intervals import basis
from maskscope.report.page.ledger import ledger
from maskscope.report.page.section import Evidence, Section
from maskscope.report.page.sections import (
    attention,
    blame,
    calibration,
    filtering,
    memory_distance,
    pictures,
    separation,
    timelines,
)
from maskscope.report.page.verdict import findings_of, paragraph

PAGE_NAME: Final = "report.html"
SECTIONS: Final[tuple[Callable[[Evidence], Section], ...]] = (
    timelines.section,
    pictures.overlays,
    pictures.strips,
    separation.through_the_stages,
    separation.along_the_taps,
    filtering.section,
    attention.section,
    blame.section,
    memory_distance.section,
    calibration.section,
)
"""Of the evidence, in order."""


def write_page(path: Path | str, out: Path | str | None = None) -> Path:
    """Make the page of a diagnosis from what it left.

    Args:
        path: folder of the diagnosis, or its file of records.
        out: the page, replaced if it is there; `report.html` beside the records by default.

    Returns:
        The page.

    Raises:
        RecordError: there are no records, or those of an unfinished run or of another version.
        SettingError: Plotly or PyArrow is not installed.
        OutputError: the page cannot be written.
    """
    diagnosis = open_diagnosis(path)
    target = diagnosis.folder / PAGE_NAME if out is None else Path(out)
    write_whole(target, build_page(diagnosis).encode())
    return target


def build_page(diagnosis: Diagnosis) -> str:
    """The page as HTML; equal records give equal pages.

    Raises:
        SettingError: Plotly is not installed.
    """
    evidence = Evidence(diagnosis)
    findings = findings_of(evidence)
    sections = [make(evidence) for make in SECTIONS]
    *said, change = paragraph(evidence, findings)
    numbers = iter(range(1, 1000))
    shown = [each for each in sections if not each.missing]
    return Template(_resource("page.html")).substitute(
        title=escape(f"Diagnosis of {_subject(diagnosis)}"),
        facts=escape(_facts(diagnosis)),
        said=escape(" ".join(said)),
        change=escape(change),
        picture=ledger(evidence, findings),
        contents="".join(f'<a href="#{each.anchor}">{escape(each.heading)}</a>' for each in shown),
        basis=escape(basis(len(diagnosis.clips))),
        sections="".join(_section_html(each, partial(next, numbers)) for each in shown),
        missing=_missing([each for each in sections if each.missing], diagnosis.facts.notes),
        made=escape(_made(diagnosis)),
        style=_resource("page.css"),
        plotly=load_extra("plotly.offline", "report", "pages").get_plotlyjs(),
        script=_resource("page.js"),
    )


def _resource(name: str) -> str:
    return files("maskscope.report.page").joinpath(name).read_text(encoding="utf-8")


def _subject(diagnosis: Diagnosis) -> str:
    return diagnosis.clips[0] if len(diagnosis.clips) == 1 else f"{len(diagnosis.clips)} clips"


def _facts(diagnosis: Diagnosis) -> str:
    facts, first = diagnosis.facts, diagnosis.records[0]
    model, policy = facts.model or first.model, facts.policy or first.policy
    said = [f"model {model}" if model else "", f"memory policy {policy}" if policy else ""]
    frames = {row.frame for row in diagnosis.records if row.metric == "j" and not row.family and row.frame is not None}
    if len(diagnosis.clips) == 1 and frames:
        said.append(f"{len(frames)} frames scored")
    severities = {row.severity for row in diagnosis.records if row.family}
    if len(severities) == 1:
        said.append(f"conditions at severity {severities.pop()}")
    truth = "masks compared with annotations"
    if facts.truth != "annotated":
        truth = "no annotations: masks compared with the undisturbed run's own"
    return " · ".join([*filter(None, said), truth])


def _made(diagnosis: Diagnosis) -> str:
    facts = diagnosis.facts
    by = f"maskscope {facts.maskscope_version}".strip()
    return f"Made by {by} from {len(diagnosis.records)} records." + (
        f" Command: {' '.join(facts.command)}" if facts.command else ""
    )


def _section_html(section: Section, number: Callable[[], int]) -> str:
    parts = "".join(part if isinstance(part, str) else _chart_html(part, number()) for part in section.parts)
    return (
        f'<section id="{section.anchor}"><h2>{escape(section.heading)}</h2>'
        f'<p class="question">{escape(section.question)}</p>{parts}</section>'
    )


def _chart_html(chart: Chart, number: int) -> str:
    content = json.loads(chart.figure.to_json())
    content["layout"].pop("template", None)
    data = json.dumps({"data": content["data"], "layout": content["layout"]}, separators=(",", ":"), sort_keys=True)
    data = data.replace("</", r"<\/")  # or a name could end the script
    height = chart.figure.layout.height
    return (
        f'<figure><h3>{escape(chart.title)}</h3><div class="plot" id="figure-{number}" style="height:{height}px" '
        f'role="img" aria-label="{escape(chart.title)}"></div>'
        f'<script type="application/json" data-for="figure-{number}">{data}</script>'
        f"<figcaption>{escape(chart.note)}</figcaption>{_table(chart)}</figure>"
    )


def _table(chart: Chart) -> str:
    if not chart.table:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in chart.header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in chart.table)
    return (
        f'<details><summary>The numbers</summary><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div></details>"
    )


def _missing(sections: Sequence[Section], notes: Sequence[str]) -> str:
    items = [f"<li><strong>{escape(each.heading)}.</strong> {escape(each.missing)}</li>" for each in sections]
    items += [f"<li>{escape(note)}</li>" for note in notes]
    if not items:
        return ""
    return f'<section id="missing"><h2>Limits of this page</h2><ul>{"".join(items)}</ul></section>'
