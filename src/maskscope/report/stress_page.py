"""The part of the stress study's page that follows from its records: tables, figure, and what they say."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from maskscope.data.output import writing
from maskscope.errors import RecordError
from maskscope.evaluate.robustness import BREAKING_RETENTION
from maskscope.evaluate.statistics import Bootstrap
from maskscope.records import read_facts
from maskscope.report.policy_names import with_dir
from maskscope.report.stress_figure import stress_figure
from maskscope.report.stress_table import StressRow, stress_rows

FAILURES: Final = ("miss", "drift", "hallucination")

_MARKS: Final = re.compile(r"<!-- records: (?P<name>[\w-]+) -->\n.*?<!-- end -->", re.DOTALL)
_Tracker = tuple[str, str, str]


def write_stress_page(
    records: Path | str, page: Path | str, figure: Path | str, bootstrap: Bootstrap | None = None
) -> Path:
    """Make everything of a page anew that stands between `<!-- records: NAME -->` and `<!-- end -->`, and its figure.

    NAME is one of the keys of `stress_parts`; what a person has written around the marks stays.

    Args:
        records: folder of a stress study, or its `records.parquet`.
        page: Markdown file with marks.
        figure: PNG or SVG file to draw, linked from the page.
        bootstrap: how intervals are made, as of `stress_rows`.

    Returns:
        The page.

    Raises:
        RecordError: records are missing or damaged, none is of a transformation, or a mark is unknown or has no end.
        OutputError: page or figure cannot be read or written.
        SettingError: DuckDB or Matplotlib is not installed.
    """
    place = Path(records)
    file = place / "records.parquet" if place.is_dir() else place
    target, picture = Path(page), Path(figure)
    facts, rows = read_facts(file), stress_rows([file], bootstrap)
    with writing(target):
        text = target.read_text(encoding="utf-8")
    link = Path(os.path.relpath(picture, target.parent)).as_posix()
    renewed = with_parts(text, stress_parts(rows, facts, link))
    stress_figure(rows, picture)
    with writing(target):
        target.write_text(renewed, encoding="utf-8")
    return target


def stress_parts(rows: Sequence[StressRow], facts: Mapping[str, Any], figure: str) -> dict[str, str]:
    """What the records say, in Markdown: "setting", "figure", "retention", "failures", "moments" and "findings".

    Args:
        rows: from `stress_rows`.
        facts: that the records carry.
        figure: link to the figure, as the page sees it.

    Raises:
        RecordError: there is no row of a transformation.
    """
    if not any(row.family and row.severity is not None for row in rows):
        raise RecordError("there is no result of a transformation", "run a grid with families first")
    return {
        "setting": _setting(rows, facts),
        "figure": f"![Retention of J&F and shares of frames lost, by family and severity]({figure})",
        "retention": _by_tracker(rows, _retention),
        "failures": _by_tracker(rows, _failures),
        "moments": _by_tracker(rows, _moments),
        "findings": _by_tracker(rows, _findings),
    }


def with_parts(text: str, parts: Mapping[str, str]) -> str:
    """A page with what stands between its marks made anew.

    Raises:
        RecordError: a mark names no part, or has no end.
    """

    def replaced(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in parts:
            raise RecordError(f"the page wants {name!r} of the records", f"there are: {', '.join(parts)}")
        return f"<!-- records: {name} -->\n{parts[name]}\n<!-- end -->"

    page, count = _MARKS.subn(replaced, text)
    if count == 0 or count != text.count("<!-- records: "):
        raise RecordError(
            "the page has no mark of records, or one without its end", "write <!-- records: retention --> <!-- end -->"
        )
    return page


def _by_tracker(rows: Sequence[StressRow], part: Callable[[Sequence[StressRow]], str]) -> str:
    """One part for each model, policy and protocol, named where there are several."""
    trackers: list[_Tracker] = list(dict.fromkeys((row.model, row.policy, row.protocol) for row in rows))
    texts = []
    for tracker in trackers:
        mine = [row for row in rows if (row.model, row.policy, row.protocol) == tracker]
        head = f"**{tracker[0]}, policy {tracker[1]}**\n\n" if len(trackers) > 1 else ""
        texts.append(head + part(mine))
    return "\n\n".join(texts)


def _setting(rows: Sequence[StressRow], facts: Mapping[str, Any]) -> str:
    request: Mapping[str, Any] = facts.get("request", {})
    model: Mapping[str, Any] = request.get("model", {})
    clips, objects = max(row.clips for row in rows), max(row.objects for row in rows)
    said = {
        "data": f"{request.get('dataset', '?')}: {clips} clips, {objects} objects",
        "model": f"{model.get('name', '?')}, {model.get('precision', '?')}",
        "weights": f"SHA-256 {str(model.get('sha256', '?'))[:12]}...",
        "policies": ", ".join(request.get("policies", ())),
        "seeds": ", ".join(map(str, request.get("seeds", ()))),
        "occluders and foreign footage": request.get("material") or "drawn",
        "frames that count": facts.get("protocol", {}).get("about", "?"),
        "jobs": facts.get("jobs", "?"),
        "version": f"maskscope {facts.get('maskscope_version', '?')}",
    }
    lines = [f"| {name} | {str(value).replace('|', '/')} |" for name, value in said.items()]
    command = with_dir(facts.get("command", ()))
    return "\n".join(["```", command, "```", "", "| | |", "|---|---|", *lines])


def _retention(rows: Sequence[StressRow]) -> str:
    """Families by severities: retention with its interval."""
    return _grid(rows, lambda row: f"{_two(row.retention)} [{_two(row.retention_low)}, {_two(row.retention_high)}]")


def _failures(rows: Sequence[StressRow]) -> str:
    clean = next((row for row in rows if not row.family), None)
    table = _grid(rows, lambda row: " / ".join(_percent(getattr(row, name)) for name in FAILURES))
    if clean is None:
        return table
    return f"Clean clips: {' / '.join(_percent(getattr(clean, name)) for name in FAILURES)}.\n\n{table}"


def _moments(rows: Sequence[StressRow]) -> str:
    """Realised strength, and retention over the moments that a transformed clip shares with the clean one."""
    return _grid(rows, lambda row: f"{_number(row.strength)}: {_two(row.matched_retention)}", mean=False)


def _grid(rows: Sequence[StressRow], cell: Callable[[StressRow], str], *, mean: bool = True) -> str:
    severities = sorted({row.severity for row in rows if row.family and row.severity is not None})
    heads = [*map(str, severities), *(["mean"] if mean else [])]
    lines = [f"| severity | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
    for family, mine in _families(rows).items():
        found = {row.severity: cell(row) for row in mine}
        keys: list[int | None] = [*severities, *([None] if mean else [])]
        lines.append(f"| {family} | {' | '.join(found.get(key, '-') for key in keys)} |")
    return "\n".join(lines)


def _findings(rows: Sequence[StressRow]) -> str:
    """Sentences that a reader could work out from the tables: order, breaks, and where the ladder is not one."""
    families = _families(rows)
    clean = next((row for row in rows if not row.family), None)
    lines = [] if clean is None else [f"- The clean clips score {_two(clean.score)} (J&F, {clean.objects} objects)."]
    means = [(row.retention, name, row) for name, mine in families.items() for row in mine if row.severity is None]
    ranked = sorted((value, name, row) for value, name, row in means if value is not None)
    if ranked:
        told = (
            f"{name} {_two(value)} [{_two(row.retention_low)}, {_two(row.retention_high)}]"
            for value, name, row in ranked
        )
        lines.append(f"- From the most to the least harmful, by mean retention: {', '.join(told)}.")
        broken = [f"{name} at {row.breaking}" for _, name, row in ranked if row.breaking is not None]
        held = [name for _, name, row in ranked if row.breaking is None]
        lines.append(
            f"- Retention falls below {BREAKING_RETENTION}: {', '.join(broken) or 'nowhere'}"
            + (f"; never: {', '.join(held)}." if held and broken else ".")
        )
    for name, mine in families.items():
        cells = [row for row in mine if row.severity is not None]
        worst = cells[-1]
        shares = {
            kind: getattr(worst, kind) - (getattr(clean, kind) or 0.0) for kind in FAILURES if getattr(worst, kind)
        }
        if shares and clean is not None:
            kind = max(shares, key=lambda each: shares[each])
            lines.append(
                f"- {name}: at severity {worst.severity} what grows most over the clean clips is {kind}, by "
                f"{_percent(shares[kind])} of the frames."
            )
    rises = [text for name, mine in families.items() for text in _rises(name, mine)]
    if rises:
        lines.append(
            "- Where a higher severity costs less than the one before, against the order that its name promises:"
        )
        lines += [f"  - {text}" for text in rises]
    else:
        lines.append("- In every family retention falls from each severity to the next.")
    return "\n".join(lines)


def _rises(name: str, rows: Sequence[StressRow]) -> list[str]:
    found = []
    cells = [row for row in rows if row.severity is not None and row.retention is not None]
    for before, after in pairwise(cells):
        assert before.retention is not None
        assert after.retention is not None
        if after.retention > before.retention:
            apart = (after.retention_low or 0.0) > (before.retention_high or 0.0)
            found.append(
                f"{name} from {before.severity} to {after.severity}: {_two(before.retention)} to "
                f"{_two(after.retention)}, {'the intervals do not overlap' if apart else 'within the intervals'}"
            )
    return found


def _families(rows: Sequence[StressRow]) -> dict[str, list[StressRow]]:
    """In the order of the table; of each family its severities ascending, then the mean."""
    found: dict[str, list[StressRow]] = {}
    for row in rows:
        if row.family:
            found.setdefault(row.family, []).append(row)
    return found


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
