"""Sections of the policies' page from the records of benchmarks: what memory holds, reading it in part, one setting."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maskscope.errors import RecordError
from maskscope.report.policy_names import NAMES, with_dir


def benchmark_facts(path: Path) -> dict[str, Any]:
    """A record as `policy_memory.py`, `thinning.py` and `policy_setting.py` in `benchmarks` write it, or nothing.

    Raises:
        RecordError: it is no JSON object.
    """
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} is no record ({error!r:.80})", "make it again") from error
    if not isinstance(found, dict):
        raise RecordError(f"{path} is no record, expected an object", "make it again")
    return found


def _opened(about: str, command: str, columns: Sequence[str]) -> list[str]:
    """Lines of a section up to the head of its table: what was measured, and the command."""
    return [about, "", "```", command, "```", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]


def memory_text(facts: Mapping[str, Any]) -> str:
    """A line for each policy: what it remembers and what its process weighs, against frames; empty of no facts."""
    if not facts.get("policies"):
        return ""
    marks = [each["frames"] for each in next(iter(facts["policies"].values()))]
    height, width = facts["image_size"]
    about = (
        f"Model {facts['model']} at an input of {height} x {width}, one object, a process for each policy: MB of all "
        "that is remembered, counted tensor by tensor, and in parentheses resident MB of the process, after so many "
        "frames."
    )
    lines = _opened(about, facts["command"], ["policy", *map(str, marks), "frames known"])
    for policy, weights in facts["policies"].items():
        cells = [f"{each['remembered_mb']:.2f} ({each['resident_mb']:.0f})" for each in weights]
        lines.append(f"| {policy} | {' | '.join(cells)} | {max(each['known_frames'] for each in weights)} |")
    return "\n".join(lines)


def thinning_text(facts: Mapping[str, Any]) -> str:
    """A line for each share: J&F and how many times as fast; empty of no facts."""
    if not facts.get("points"):
        return ""
    about = (
        f"Model {facts['model']}, policy {facts['policy']}, {len(facts['clips'])} clips, {facts['device']}, "
        f"{facts['threads']} threads, {facts['precision']}: J&F and speed by the share of older memories' tokens "
        "that is read. Times are of the same frames, encoding included."
    )
    columns = ("share", "J&F", "difference", "frames a second", "times as fast")
    lines = _opened(about, with_dir(shlex.split(facts["command"])), columns)
    for point in facts["points"]:
        by = point["difference"]
        change = f"{100 * by['estimate']:+.2f} [{100 * by['low']:+.2f}, {100 * by['high']:+.2f}]"
        change = "" if point["share"] == 1 else change
        lines.append(
            f"| {point['share']:g} | {100 * point['j_and_f']:.1f} | {change} | {point['fps']:.1f} | "
            f"{point['times_as_fast']:.3f} |"
        )
    return "\n".join(lines)


def setting_text(facts: Mapping[str, Any]) -> str:
    """A line for each condition: a policy with a setting and without it; empty of no facts."""
    if not facts.get("rows"):
        return ""
    model = facts["model"]
    about = (
        f"`{facts['of']}` beside `{facts['against']}`, model {model['name']} ({model['precision']}, weights "
        f"{str(model['sha256'])[:12]}...): J&F in points on the same objects of the same clips, and on how many clips "
        "the two differ at all."
    )
    columns = ("condition", "severity", "clips", "differ", "without", "with", "gain")
    lines = _opened(about, with_dir(shlex.split(facts["command"])), columns)
    for row in facts["rows"]:
        ends = "" if row["low"] is None else f" [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
        name = NAMES.get(row["family"], row["family"])
        lines.append(
            f"| {name} | {row['severity']} | {row['clips']} | {len(row['changed'])} | "
            f"{100 * row['without']:.1f} | {100 * row['with']:.1f} | {100 * row['gain']:+.1f}{ends} |"
        )
    return "\n".join(lines)
