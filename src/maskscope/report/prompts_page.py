"""The page of a prompt study: one file that works from the file system, offline and on paper."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, Final

from maskscope.errors import RecordError
from maskscope.extras import load_extra
from maskscope.records import read_facts, read_records, write_whole
from maskscope.report.page.charts import Chart
from maskscope.report.page.section import Section
from maskscope.report.prompts_advice import RULES, Advice, advise
from maskscope.report.prompts_figures import sections
from maskscope.report.prompts_table import BLOCK_FRAMES, LEAST_CLIPS, PromptRow, prompt_rows

_PAGE: Final = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light">
<title>$title</title>
<style>
$style</style>
</head>
<body>
<main>
<header><h1>$title</h1><p class="facts">$facts</p></header>
<section id="verdict"><p class="verdict"><strong>$sentence</strong></p>$findings$uneven</section>
<div class="evidence"><h2>The evidence</h2><p>$basis</p><nav aria-label="Sections">$contents</nav></div>
$sections
<section id="rules"><h2>The rules</h2><p class="question">Where does the recommendation come from?</p>$rules</section>
$missing
<footer>$made</footer>
<noscript><p>The interactive figures need JavaScript; their numbers are in the tables below them.</p></noscript>
</main>
<script>$plotly</script>
<script>
$script</script>
</body>
</html>
""")

_SCRIPT: Final = """(function () {
  "use strict";
  var PAPER_PX = 680;
  var plots = Array.prototype.slice.call(document.querySelectorAll(".plot"));
  function draw(plot) {
    var content = JSON.parse(document.querySelector('script[data-for="' + plot.id + '"]').textContent);
    return Plotly.newPlot(plot, content.data, content.layout, { responsive: true, displayModeBar: false });
  }
  window.addEventListener("beforeprint", function () {
    plots.forEach(function (plot) { Plotly.relayout(plot, { width: PAPER_PX, autosize: false }); });
  });
  window.addEventListener("afterprint", function () {
    plots.forEach(function (plot) { Plotly.relayout(plot, { width: null, autosize: true }); });
  });
  Promise.all(plots.map(draw)).then(function () {
    document.documentElement.setAttribute("data-figures", String(plots.length));
  });
})();
"""


def write_prompts_page(records: Path | str, page: Path | str) -> Path:
    """Make the page from records alone.

    Args:
        records: of a prompt study, its `records.parquet`.
        page: replaced if it is there.

    Returns:
        The page.

    Raises:
        RecordError: records are missing, damaged, or of no prompt study.
        SettingError: Plotly or PyArrow is not installed.
        OutputError: the page cannot be written.
    """
    target = Path(page)
    rows = prompt_rows(read_records(records))
    if not rows:
        raise RecordError(f"{records} holds no result of a prompt study", "run `maskscope prompts` first")
    write_whole(target, build_prompts_page(rows, read_facts(records)).encode())
    return target


def build_prompts_page(rows: Sequence[PromptRow], facts: Mapping[str, Any]) -> str:
    """The page as HTML; equal rows and facts give equal pages."""
    advice = advise(rows, str(facts.get("truth", "annotated")))
    shown = sections(rows)
    drawn: list[str] = []
    for section in shown:
        drawn.append(_section(section, sum(text.count("<figure>") for text in drawn)))
    style = files("maskscope.report.page").joinpath("page.css").read_text(encoding="utf-8")
    return _PAGE.substitute(
        title=escape(f"Prompts on {facts.get('request', {}).get('source', 'a clip')}"),
        facts=escape(_facts(rows, facts)),
        sentence=escape(advice.sentence),
        findings=_findings(advice),
        uneven=_uneven(rows),
        basis=escape(_basis(max(row.clips for row in rows))),
        contents="".join(f'<a href="#{each.anchor}">{escape(each.heading)}</a>' for each in shown),
        sections="".join(drawn),
        rules=_rules(advice),
        missing=_missing(rows),
        made=escape(_made(rows, facts)),
        style=style,
        script=_SCRIPT,
        plotly=load_extra("plotly.offline", "report", "pages").get_plotlyjs(),
    )


def _facts(rows: Sequence[PromptRow], facts: Mapping[str, Any]) -> str:
    request: Mapping[str, Any] = facts.get("request", {})
    clips, objects = max(row.clips for row in rows), max(row.objects for row in rows)
    against = "masks compared with annotations"
    if facts.get("truth", "annotated") != "annotated":
        against = (
            "no annotations: masks compared with those of the model's own run, which shows change, not correctness"
        )
    said = [
        f"model {request.get('model', {}).get('name', '?')}",
        f"memory policy {request.get('policy', '?')}",
        f"{clips} clip{'s' * (clips != 1)}, {objects} object{'s' * (objects != 1)}",
        against,
    ]
    return " · ".join(said)


def _basis(clips: int) -> str:
    if clips >= LEAST_CLIPS:
        return f"Intervals are 95 % bootstrap intervals over {clips} clips."
    return (
        f"Intervals are 95 % bootstrap intervals over stretches of {BLOCK_FRAMES} frames of {clips} "
        f"clip{'s' * (clips != 1)}: they say how steady a figure is here, not what other clips would give."
    )


def _findings(advice: Advice) -> str:
    others = [each for each in advice.findings if each.question in ("how exact", "wrong prompts")]
    return "".join(f"<p>{escape(each.says[:1].upper() + each.says[1:])}.</p>" for each in others)


def _uneven(rows: Sequence[PromptRow]) -> str:
    """A warning where some part has fewer clips than another, as in a study that was stopped."""
    clips: dict[str, int] = {}
    for row in rows:
        if row.axis != "telling":
            clips[row.axis] = max(clips.get(row.axis, 0), row.clips)
    if len(set(clips.values())) == 1:
        return ""
    counts = ", ".join(f"{axis} {count}" for axis, count in clips.items())
    return (
        f'<p class="uneven"><strong>Unfinished:</strong> parts are of different clips ({escape(counts)}), so figures '
        f"of two parts may differ by their clips alone. The same command computes what is missing.</p>"
    )


def _rules(advice: Advice) -> str:
    """All rules in order; those that were taken with what they used."""
    taken = {each.rule: each for each in advice.findings}
    body = ""
    for rule in RULES:
        found = taken.get(rule.when)
        used = "" if found is None else "<br>".join(escape(cited) for cited in found.cites)
        mark = "taken" if found is not None else ""
        body += f"<tr><td>{escape(rule.question)}</td><td>{escape(rule.when)}</td><td>{mark}</td><td>{used}</td></tr>"
    head = "<tr><th>question</th><th>rule, the first that applies</th><th></th><th>figures it used</th></tr>"
    return f'<div class="wide"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def _missing(rows: Sequence[PromptRow]) -> str:
    items = [
        f"<li>{escape(row.name)}: {escape(state)}</li>"
        for row in rows
        for state in row.missing
        if row.axis in ("wrong", "density")
    ]
    if not items:
        return ""
    return f'<section id="missing"><h2>What could not be tried</h2><ul>{"".join(items)}</ul></section>'


def _made(rows: Sequence[PromptRow], facts: Mapping[str, Any]) -> str:
    count = sum(row.records for row in rows if row.axis != "telling")
    text = f"Made by maskscope {facts.get('maskscope_version', '')} from {count} records."
    command = " ".join(map(str, facts.get("command", ())))
    return text + (f" Command: {command}" if command else "")


def _section(section: Section, before: int) -> str:
    parts = ""
    for number, part in enumerate(section.parts, start=before + 1):
        parts += part if isinstance(part, str) else _chart(part, number)
    head = f'<h2>{escape(section.heading)}</h2><p class="question">{escape(section.question)}</p>'
    return f'<section id="{section.anchor}">{head}{parts}</section>'


def _chart(chart: Chart, number: int) -> str:
    content = json.loads(chart.figure.to_json())
    content["layout"].pop("template", None)
    data = json.dumps({"data": content["data"], "layout": content["layout"]}, separators=(",", ":"), sort_keys=True)
    data = data.replace("</", r"<\/")  # or a name could end the script
    head = "".join(f"<th>{escape(name)}</th>" for name in chart.header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in chart.table)
    return (
        f'<figure><h3>{escape(chart.title)}</h3><div class="plot" id="figure-{number}" '
        f'style="height:{chart.figure.layout.height}px" role="img" aria-label="{escape(chart.title)}"></div>'
        f'<script type="application/json" data-for="figure-{number}">{data}</script>'
        f"<figcaption>{escape(chart.note)}</figcaption>"
        f'<details><summary>The numbers</summary><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div></details></figure>"
    )
