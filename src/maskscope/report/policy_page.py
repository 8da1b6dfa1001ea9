"""The page "which policy when", wholly from records: conditions, policies, gains, and how the advice held elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from maskscope.data.output import writing
from maskscope.errors import RecordError
from maskscope.evaluate.statistics import Bootstrap
from maskscope.records import read_facts
from maskscope.report.policy_advice import PolicyAdvice, advice_of
from maskscope.report.policy_check_text import check_text
from maskscope.report.policy_goal import OURS, goal_text
from maskscope.report.policy_names import DRAWN, NAMES, band_of, with_dir
from maskscope.report.policy_records import benchmark_facts, memory_text, setting_text, thinning_text
from maskscope.report.policy_rows import CLEAN, CONTROL, Cell, PolicyRow, read_cells
from maskscope.report.policy_table import ERROR, LEAST_CLIPS, RULE, Choice, choices
from maskscope.report.policy_time import TimeRow, compare_times, read_moments
from maskscope.report.stress_table import family_rank

_HEAD: Final = """# Which policy when

Written from records by `python benchmarks/policies.py --page`; nothing here is typed by hand.
[How policies are compared](compare.md) says what the numbers mean.

A condition is a family of transformations at a band of severities. Gains are in points of J&F (100 is all) over the
stock policy on the same objects of the same clips, with intervals of 95 % over clips. Recommended is the stock policy,
unless another's mean gain is {worth:.0f} point or more on {least} clips or more, and surely above 0: with an error of
{error:.0f} % for all policies tried together, so that trying many does not make luck look like gain. Of several, the
one with the highest lower end.
"""


def write_policy_page(
    records: Iterable[Path | str],
    page: Path | str,
    bootstrap: Bootstrap | None = None,
    *,
    memory: Path | None = None,
    thinning: Path | None = None,
    setting: Path | None = None,
) -> dict[str, PolicyAdvice]:
    """Write the page anew from digests or studies of a comparison.

    Args:
        records: Parquet files.
        page: Markdown file.
        bootstrap: how intervals are made; by default BCa at 95 %, 10,000 draws, seed 0.
        memory: record of `benchmarks/policy_memory.py`; a section where it exists.
        thinning: record of `benchmarks/thinning.py`, likewise.
        setting: record of `benchmarks/policy_setting.py`, likewise.

    Returns:
        The advice that the page gives, by family; see `write_advice`.

    Raises:
        RecordError: a file is missing or damaged, or nothing is compared with the stock policy.
        OutputError: the page cannot be written.
        SettingError: DuckDB is not installed.
    """
    files = [Path(file) for file in records]
    cells = [_apart(cell) for cell in read_cells(files)]
    found = choices(cells, bootstrap=bootstrap)
    if not any(len(choice.rows) > 1 for choice in found):
        raise RecordError("no policy is compared with stock", "run a grid with --policies stock,NAME first")
    found.sort(key=lambda choice: (choice.family not in (CLEAN, DRAWN), family_rank(choice.family), choice.band))
    goal, times = goal_text(cells, bootstrap), compare_times(read_moments(files), bootstrap)
    sections = {
        f"Is the goal of `{OURS}` met?": goal,
        "Recommended": _recommended(found),
        "All policies": "\n\n".join(_condition(choice) for choice in found),
        "Against time since the prompt": times_text(times) if times else "",
        "What memory holds": memory_text(benchmark_facts(memory) if memory else {}),
        "Reading memory in part": thinning_text(benchmark_facts(thinning) if thinning else {}),
        "What a setting changes": setting_text(benchmark_facts(setting) if setting else {}),
        "On clips it was not made from": check_text(cells, bootstrap),
    }
    parts = [
        _HEAD.format(least=LEAST_CLIPS, worth=100 * RULE.least_gain, error=100 * ERROR),
        _setting([read_facts(file) for file in files]),
        *(f"## {title}\n\n{text}" for title, text in sections.items() if text),
    ]
    target = Path(page)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("\n\n".join(part.strip() for part in parts) + "\n", encoding="utf-8")
    return advice_of(found)


def _apart(cell: Cell) -> Cell:
    """Drawn clips as they are, in a family of their own."""
    drawn = cell.family == CLEAN and cell.clip.startswith(f"{DRAWN}-")
    return replace(cell, family=DRAWN) if drawn else cell


def _setting(facts: Sequence[Mapping[str, Any]]) -> str:
    """The commands and what they ran on."""
    told = [command for each in facts for command in (each.get("command"), *each.get("also", [])) if command]
    commands = [with_dir(command) for command in told]
    models = {
        f"{model.get('name', '?')} ({model.get('precision', '?')}, weights {str(model.get('sha256', '?'))[:12]}...)"
        for each in facts
        if (model := each.get("request", {}).get("model"))
    }
    lines = ["```", *commands, "```"] if commands else []
    return "\n".join([*lines, "", f"Model: {', '.join(sorted(models))}."] if models else lines)


def _recommended(found: Sequence[Choice]) -> str:
    lines = ["| condition | severity | clips | policy | gain | speed |", "|---|---|---|---|---|---|"]
    for choice in found:
        row = choice.row
        gain = "-" if choice.policy == CONTROL else _gain(row)
        speed = "-" if choice.policy == CONTROL else _times(row.fps_ratio)
        lines.append(f"| {_name(choice)} | {_severity(choice)} | {row.clips} | {choice.policy} | {gain} | {speed} |")
    return "\n".join(lines)


def _condition(choice: Choice) -> str:
    """All policies under one condition."""
    clips = max(row.clips for row in choice.rows)
    counted = f"{clips} clip" if clips == 1 else f"{clips} clips"
    lines = [
        f"**{_name(choice)}**, severity {_severity(choice)}, {counted}, model {choice.tracker}",
        "",
        "| policy | J&F | gain | absent | returned | miss | drift | halluc. | recovered | after | fps |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in choice.rows:
        score, fewer = row.gain, ""
        if score is not None and row.clips < clips:
            fewer = f" ({row.clips} clips, stock {100 * score.control:.1f} there)"
        values = [
            row.policy + fewer,
            "-" if score is None else f"{100 * score.value:.1f}",
            "" if row.policy == CONTROL else _gain(row),
            *(_beside(row, name) for name in ("disappearance", "reappearance")),
            *(_share(row, name) for name in ("miss", "drift", "hallucination", "recovered")),
            _frames(row),
            f"{_plain(row.fps)} ({_times(row.fps_ratio)})",
        ]
        lines.append(f"| {' | '.join(values)} |")
    return "\n".join(lines)


def times_text(rows: Sequence[TimeRow]) -> str:
    """A line for each stretch of time."""
    policies = list(dict.fromkeys(row.policy for row in rows))
    lines = [
        "J&F on frames that show the object, in points, by frames since the prompt; behind it the gain over "
        f"`{CONTROL}`, in parentheses the share of the other frames on which something was found.",
        "",
        f"| from frame | clips | {' | '.join(policies)} |",
        "|---|---|" + "---|" * len(policies),
    ]
    for start in dict.fromkeys(row.start_frames for row in rows):
        of_policy = {row.policy: row for row in rows if row.start_frames == start}
        clips = max(row.clips for row in of_policy.values())
        cells = [_moment(of_policy[policy]) if policy in of_policy else "-" for policy in policies]
        lines.append(f"| {start} | {clips} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _moment(row: TimeRow) -> str:
    score = "-" if row.score is None else f"{100 * row.score:.1f}"
    ends = ""
    if row.gain is not None:
        ends = f" {100 * row.gain:+.1f}"
        if row.low is not None and row.high is not None:
            ends += f" [{100 * row.low:+.1f}, {100 * row.high:+.1f}]"
    halluc = "-" if row.hallucination is None else f"{100 * row.hallucination:.0f} %"
    return f"{score}{ends} ({halluc})"


def _name(choice: Choice) -> str:
    return NAMES.get(choice.family, choice.family)


def _severity(choice: Choice) -> str:
    return band_of(choice.family, choice.band)


def _gain(row: PolicyRow) -> str:
    gain = row.gain
    if gain is None:
        return "-"
    ends = "" if gain.low is None or gain.high is None else f" [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
    return f"{100 * gain.gain:+.1f}{ends}"


def _beside(row: PolicyRow, name: str) -> str:
    """A score with its gain."""
    found = row.measures.get(name)
    if found is None:
        return "-"
    return f"{100 * found.value:.1f}" + ("" if row.policy == CONTROL else f" ({100 * found.gain:+.1f})")


def _share(row: PolicyRow, name: str) -> str:
    found = row.measures.get(name)
    return "-" if found is None else f"{100 * found.value:.1f} %"


def _frames(row: PolicyRow) -> str:
    found = row.measures.get("latency_frames")
    return "-" if found is None else f"{found.value:.1f}"


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}x"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
