"""The findings as a page: Markdown between the marks of a document, or one HTML file that works offline."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from maskscope.data.output import writing
from maskscope.errors import RecordError
from maskscope.records import Record, read_facts, read_records, write_whole
from maskscope.report.findings_figure import draw
from maskscope.report.findings_numbers import findings
from maskscope.report.findings_shape import FORMAT, LEAST_CLIPS, Findings
from maskscope.report.findings_text import parts, setting
from maskscope.report.findings_words import Part, Table
from maskscope.report.page.names import count
from maskscope.report.stress_page import with_parts

_NO_ANSWER = "The records do not answer this."
_NAMES = ("filtering", "emergence", "controls", "others", "separation", "losses")


def write_findings_page(records: Path | str, page: Path | str, figures: Path | str) -> Path:
    """Make everything of a document anew that stands between `<!-- records: NAME -->` and `<!-- end -->`.

    NAME is "setting", "answers", or a question: "filtering", "emergence", "controls", "others", "separation",
    "losses".

    Args:
        records: folder of a diagnosed data set, or its `records.parquet`.
        page: Markdown file with marks; what a person has written around them stays.
        figures: folder for the SVG files `findings-NAME.svg`, linked from the page.

    Returns:
        The page.

    Raises:
        RecordError: records are missing, damaged or of something else, or a mark is unknown or has no end.
        OutputError: page or figure cannot be read or written.
        SettingError: PyArrow or Matplotlib is not installed.
    """
    rows, facts = read_findings(records)
    target, folder = Path(page), Path(figures)
    with writing(target):
        text = target.read_text(encoding="utf-8")
    link = Path(os.path.relpath(folder, target.parent)).as_posix()
    found = findings(rows, facts)
    renewed = with_parts(text, markdown_parts(found, facts, link))
    for part in parts(found):
        if part.figure:
            write_whole(folder / f"findings-{part.figure}.svg", draw(found, part.figure).encode())
    with writing(target):
        target.write_text(renewed, encoding="utf-8")
    return target


def read_findings(records: Path | str) -> tuple[list[Record], dict[str, Any]]:
    """Rows of clips, and what is said of them.

    Raises:
        RecordError: missing, damaged, or records of something else.
    """
    place = Path(records)
    file = place / "records.parquet" if place.is_dir() else place
    facts = read_facts(file)
    if facts.get("format") != FORMAT:
        raise RecordError(
            f"{file} is no diagnosis of a data set", "give the folder that `maskscope diagnose --dataset` wrote"
        )
    return read_records(file), facts


def markdown_parts(found: Findings, facts: Mapping[str, Any], figures: str) -> dict[str, str]:
    """What stands between the marks, by name.

    Args:
        found: to be said.
        facts: of the records.
        figures: link to their folder, as the page sees it.
    """
    answered = {part.name: part for part in parts(found)}
    command = " ".join(_command(facts))
    answers = [f"- **{part.heading}** {part.answer}" for part in answered.values()]
    return {
        "setting": f"```\n{command}\n```\n\n{_markdown_table(setting(found, facts))}",
        "answers": "\n".join([*answers, "", _basis(found)]),
        **{name: _markdown(answered[name], figures) if name in answered else _NO_ANSWER for name in _NAMES},
    }


def _command(facts: Mapping[str, Any]) -> list[str]:
    """With DIR for the data set: where it lay is nobody else's folder; which one it is, the table says."""
    words = [str(word) for word in facts.get("command", ())]
    for place, word in enumerate(words):
        if word == "--dataset" and place + 1 < len(words):
            words[place + 1] = "DIR"
        elif word.startswith("--dataset="):
            words[place] = "--dataset=DIR"
    return words


def _basis(found: Findings) -> str:
    said = f"Intervals are 95 % bootstrap intervals (BCa) over {count(len(found.clips), 'clip')}"
    if len(found.clips) < LEAST_CLIPS:
        return f"{said}, too few to decide anything."
    return f"{said}; where one includes the value that means nothing, nothing is claimed."


def _markdown(part: Part, figures: str) -> str:
    blocks = [f"**{part.answer}**"]
    if part.evidence:
        blocks.append("\n".join(f"- {line}" for line in part.evidence))
    if part.against:
        blocks.append("Counter-examples:\n\n" + "\n".join(f"- {line}" for line in part.against))
    if part.figure:
        blocks.append(f"![{part.heading}]({figures}/findings-{part.figure}.svg)")
    blocks += [f"{table.title}:\n\n{_markdown_table(table)}" for table in part.tables]
    return "\n\n".join(blocks)


def _markdown_table(table: Table) -> str:
    lines = [table.header, tuple("---" for _ in table.header), *table.rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def write_findings_html(
    records: Iterable[Record], facts: Mapping[str, Any], path: Path | str, details: Mapping[str, str] | None = None
) -> Path:
    """Write the page of a diagnosed data set, replaced if it is there.

    Args:
        records: rows of clips.
        facts: of them.
        path: the HTML file; nothing beside it is needed to read it.
        details: clip -> link to its own page.

    Returns:
        The page.

    Raises:
        SettingError: Matplotlib is not installed.
        OutputError: it cannot be written.
    """
    target = Path(path)
    write_whole(target, findings_html(findings(records, facts), facts, details or {}).encode())
    return target


def clip_pages(folder: Path) -> dict[str, str]:
    """Clip -> link, of the clips' own pages that lie in `clips` of a folder."""
    return {
        page.parent.name: page.relative_to(folder).as_posix() for page in sorted(folder.glob("clips/*/report.html"))
    }


def findings_html(found: Findings, facts: Mapping[str, Any], details: Mapping[str, str]) -> str:
    """The page; equal records give equal pages."""
    shown = parts(found)
    title = f"Diagnosis of {count(len(found.clips), 'clip')}"
    if dataset := facts.get("request", {}).get("dataset"):
        title += f" of {dataset}"
    style = files("maskscope.report.page").joinpath("page.css").read_text(encoding="utf-8")
    answers = "".join(
        f'<p><a href="#{part.name}">{escape(part.heading)}</a><br><strong>{escape(part.answer)}</strong></p>'
        for part in shown
    )
    clips = "".join(f'<a href="{escape(link, quote=True)}">{escape(clip)}</a>' for clip, link in details.items())
    command = escape(" ".join(_command(facts)))
    body = [
        f"<header><h1>{escape(title)}</h1></header>",
        f'<section id="verdict">{answers or f"<p>{_NO_ANSWER}</p>"}</section>',
        f'<div class="evidence"><h2>The evidence</h2><p>{escape(_basis(found))}</p></div>',
        *(_html(part, found) for part in shown),
        f'<section id="clips"><h2>Each clip</h2><nav aria-label="Clips">{clips}</nav></section>' if clips else "",
        f'<section id="setting"><h2>What was run</h2>{_html_table(setting(found, facts))}</section>',
        f"<footer>{command}</footer>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light">'
        f"<title>{escape(title)}</title><style>{style} figure svg {{ width: 100%; height: auto; }}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _html(part: Part, found: Findings) -> str:
    blocks = [f"<h2>{escape(part.heading)}</h2>", f"<p><strong>{escape(part.answer)}</strong></p>"]
    blocks += _list(part.evidence)
    if part.against:
        blocks += ["<h4>Counter-examples</h4>", *_list(part.against)]
    if part.figure:
        blocks.append(f"<figure>{_inline(draw(found, part.figure), part.figure)}</figure>")
    blocks += [
        f"<details><summary>{escape(table.title)}</summary>{_html_table(table)}</details>" for table in part.tables
    ]
    return f'<section id="{part.name}">{"".join(blocks)}</section>'


def _list(lines: Sequence[str]) -> list[str]:
    return [f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"] if lines else []


def _html_table(table: Table) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _inline(svg: str, name: str) -> str:
    """Without its prologue, and with ids of its own: two figures of one page share none."""
    picture = svg[svg.index("<svg") :]
    picture = re.sub(r'\bid="', f'id="{name}-', picture)
    return re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", picture)
