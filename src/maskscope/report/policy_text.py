"""Comparisons of memory policies as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from maskscope.report.policy_rows import CONTROL, Paired, PolicyRow
from maskscope.report.policy_time import TimeRow


def policy_table(rows: Sequence[PolicyRow]) -> str:
    """Lines for the terminal, a block for each condition; gains are over the stock policy on the same objects."""
    lines = [f"against {CONTROL}: the same objects of the same clips, intervals of 95 % over clips"]
    width = max(len("policy"), *(len(row.policy) for row in rows))
    head = f"{'policy':<{width}} {'clips':>5} {'J&F':>6} {'gain':>7} {'95 %':>16} {'absent':>7} {'gain':>7}"
    head += f" {'return':>7} {'gain':>7} {'miss':>6} {'drift':>6} {'halluc':>6} {'found':>6} {'after':>6}"
    head += f" {'fps':>6} {'ratio':>6} {'MB':>6}"
    condition = None
    for row in rows:
        if condition != (condition := (row.tracker, row.family, row.band)):
            named = "clean clips" if not row.family else f"{row.family}, severity {row.band}"
            lines += ["", f"{named} (model {row.tracker})", head, "-" * len(head)]
        score, absent, back = (row.measures.get(name) for name in ("j_and_f", "disappearance", "reappearance"))
        gains = [
            "" if found is None or row.policy == CONTROL else f"{found.gain:+.3f}" for found in (score, absent, back)
        ]
        line = f"{row.policy:<{width}} {row.clips:>5} {_value(score):>6} {gains[0]:>7} {_ends(score):>16}"
        line += f" {_value(absent):>7} {gains[1]:>7} {_value(back):>7} {gains[2]:>7}"
        for name, digits, places in (
            ("miss", 3, 6), ("drift", 3, 6), ("hallucination", 3, 6), ("recovered", 2, 6), ("latency_frames", 1, 6)
        ):  # fmt: skip
            found = row.measures.get(name)
            line += f" {'-' if found is None else f'{found.value:.{digits}f}':>{places}}"
        line += f" {_plain(row.fps, 1):>6} {_plain(row.fps_ratio, 2):>6} {_plain(row.remembered_mb, 1):>6}"
        lines.append(line)
    lines += [
        "",
        "absent, return: J and adaptive F over clips in which the object is away, is back; found: share of returns",
        "recovered, after so many frames; ratio: of frames per second to stock's; MB: most that is remembered",
    ]
    return "\n".join(lines)


def time_table(rows: Sequence[TimeRow]) -> str:
    """Lines for the terminal: a line for each stretch of time, a column for each policy."""
    policies = list(dict.fromkeys(row.policy for row in rows))
    width = max(14, *(len(policy) for policy in policies))
    lines = [
        "long clips: J&F where the object is seen, by frames since the prompt (share hallucinated where it is not)"
    ]
    lines.append(f"{'from':>6} {'clips':>5} " + " ".join(f"{policy:>{width}}" for policy in policies))
    for start in dict.fromkeys(row.start_frames for row in rows):
        found = {row.policy: row for row in rows if row.start_frames == start}
        cells = []
        for policy in policies:
            row = found.get(policy)
            cells.append("-" if row is None else f"{_plain(row.score, 3)} ({_plain(row.hallucination, 2)})")
        clips = max(row.clips for row in found.values())
        lines.append(f"{start:>6} {clips:>5} " + " ".join(f"{cell:>{width}}" for cell in cells))
    return "\n".join(lines)


def _value(found: Paired | None) -> str:
    return "-" if found is None else f"{found.value:.3f}"


def _ends(found: Paired | None) -> str:
    return "" if found is None or found.low is None else f"[{found.low:+.3f}, {found.high:+.3f}]"


def _plain(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
