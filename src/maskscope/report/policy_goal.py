"""Does our own policy reach what it was made for, and what does it cost? From the records alone.

The aims: 10 points of J&F over the stock policy where the object is completely hidden and where 8 or more foreign
frames are put in; nothing lost on clips as they are, beyond the interval; absences and returns both better; 0.9 of its
speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from maskscope.evaluate.statistics import Bootstrap
from maskscope.report.policy_rows import CLEAN, CONTROL, Cell, Paired, PolicyRow, compare_policies

OURS: Final = "composite"
LEAST_GAIN: Final = 0.10
LEAST_SPEED: Final = 0.9
_ABOVE: Final = 1e-9
COSTLY: Final = -0.005
"""J&F below which a mean change is listed as a cost."""

OCCLUSION: Final = "occlusion"
CUT: Final = "interjection/cut"
HIDDEN: Final = (5,)
"""Severities of `occlusion` that hide all of the object."""
EIGHT: Final = (4, 5)
"""Severities of `interjection/cut` with 8 or more foreign frames."""


@dataclass(frozen=True)
class Aim:
    """One line of the answer.

    Attributes:
        about: what is asked.
        aim: how much of it.
        stock: what the stock policy has, as text; empty of a ratio.
        ours: what ours has.
        gain: with its interval, as text.
        met: yes, no, or yes in the mean only; empty of a part of another line.
    """

    about: str
    aim: str
    stock: str
    ours: str
    gain: str
    met: str


@dataclass(frozen=True)
class Cost:
    """A condition in which ours scores less than the stock policy.

    Attributes:
        family: of transformations.
        severity: of these.
        gain: of J&F, negative.
        worst: clip that loses most.
        worst_gain: of its objects, mean.
        others_gain: of all other clips, mean of objects; None where there are none.
    """

    family: str
    severity: str
    gain: Paired
    worst: str
    worst_gain: float
    others_gain: float | None


def aims(cells: Sequence[Cell], bootstrap: Bootstrap | None = None) -> list[Aim]:
    """The answer, line by line; empty where the records do not hold what it takes."""
    hidden, cut = _row(cells, OCCLUSION, HIDDEN, bootstrap), _row(cells, CUT, EIGHT, bootstrap)
    clean = _row(cells, CLEAN, (0,), bootstrap)
    if hidden is None or cut is None or clean is None:
        return []
    least = f"{100 * LEAST_GAIN:+.0f} or more"
    found = [_gained("complete occlusion (severity 5)", least, hidden, "j_and_f", LEAST_GAIN)]
    found.append(_gained("8 foreign frames or more (severities 4 and 5)", least, cut, "j_and_f", LEAST_GAIN))
    for severity, frames in zip(EIGHT, (8, 16), strict=True):
        if (part := _row(cells, CUT, (severity,), bootstrap)) is not None:
            found.append(replace(_gained(f"of these {frames} frames", "", part, "j_and_f", 0.0), met=""))
    found.append(_kept("clips as they are", clean))
    for name, measure in (("absence", "disappearance"), ("return", "reappearance")):
        for where, row in (("complete occlusion", hidden), ("8 foreign frames or more", cut)):
            found.append(_gained(f"{name}, {where}", "better", row, measure, _ABOVE))
    ratios = _speeds(cells)
    if ratios:
        middle, slowest = median(ratios.values()), min(ratios, key=lambda place: ratios[place])
        text = f"{middle:.2f}x; least {ratios[slowest]:.2f}x ({slowest})"
        met = "yes" if ratios[slowest] >= LEAST_SPEED else "in the median" if middle >= LEAST_SPEED else "no"
        found.append(Aim("frames per second, median over conditions", f"{LEAST_SPEED:.1f}x or more", "", "", text, met))
    return found


def costs(cells: Sequence[Cell], bootstrap: Bootstrap | None = None) -> list[Cost]:
    """Conditions, one severity each, in which ours scores less, the worst first."""
    found = []
    for row in compare_policies(cells, bootstrap=bootstrap):
        gain = row.gain
        if row.policy != OURS or gain is None or gain.gain > COSTLY:
            continue
        of_clip = _of_clips(cells, row)
        worst = min(of_clip, key=lambda clip: sum(of_clip[clip]) / len(of_clip[clip]))
        rest = [value for clip, values in of_clip.items() if clip != worst for value in values]
        mean = sum(of_clip[worst]) / len(of_clip[worst])
        found.append(Cost(row.family, row.band, gain, worst, mean, sum(rest) / len(rest) if rest else None))
    return sorted(found, key=lambda cost: cost.gain.gain)


def goal_text(cells: Sequence[Cell], bootstrap: Bootstrap | None = None) -> str:
    """The section of the page; empty without what it takes."""
    rows = aims(cells, bootstrap)
    if not rows:
        return ""
    lines = [
        f"`{OURS}` was made to gain {100 * LEAST_GAIN:.0f} points over `{CONTROL}` where the object is completely "
        "hidden and where 8 or more foreign frames are put in, to lose nothing on clips as they are beyond the "
        "interval, to be better both while the object is away and when it is back, and to keep "
        f"{LEAST_SPEED:.1f} of the speed. "
        "*Yes* means that the whole interval says so, *in the mean* that only the mean does. On frames that do not "
        "show the object nothing is the right answer and scores 1; so J&F holds absences and returns together, and "
        "both are told apart below it.",
        "",
        f"| | aim | {CONTROL} | {OURS} | gain | met |",
        "|---|---|---|---|---|---|",
        *(f"| {a.about} | {a.aim} | {a.stock} | {a.ours} | {a.gain} | {a.met} |" for a in rows),
    ]
    spent = costs(cells, bootstrap)
    if spent:
        lines += [
            "",
            f"What it costs, by {-100 * COSTLY:.1f} points or more:",
            "",
            "| condition | severity | gain | most on | others, mean |",
            "|---|---|---|---|---|",
        ]
    for each in spent:
        others = "-" if each.others_gain is None else f"{100 * each.others_gain:+.1f}"
        worst = f"{each.worst} {100 * each.worst_gain:+.1f}"
        lines.append(f"| {each.family or 'clean'} | {each.severity} | {_interval(each.gain)} | {worst} | {others} |")
    return "\n".join(lines)


def _row(
    cells: Sequence[Cell], family: str, severities: tuple[int, ...], bootstrap: Bootstrap | None
) -> PolicyRow | None:
    """Ours over these severities together."""
    wanted = [c for c in cells if c.family == family and c.severity in severities and c.policy in (OURS, CONTROL)]
    rows = compare_policies(wanted, lambda _: "", bootstrap=bootstrap)
    return next((row for row in rows if row.policy == OURS and row.gain is not None), None)


def _gained(about: str, aim: str, row: PolicyRow, measure: str, least: float) -> Aim:
    found = row.measures.get(measure)
    if found is None:
        return Aim(about, aim, "-", "-", "-", "not measured")
    surely = found.low is not None and found.low >= least
    met = "yes" if surely else "in the mean" if found.gain >= least else "no"
    return Aim(about, aim, f"{100 * found.control:.1f}", f"{100 * found.value:.1f}", _interval(found), met)


def _kept(about: str, row: PolicyRow) -> Aim:
    found = row.gain
    assert found is not None
    high = found.gain if found.high is None else found.high
    met = "yes" if high >= 0 else "no"
    control, value = f"{100 * found.control:.1f}", f"{100 * found.value:.1f}"
    return Aim(about, "none lost beyond the interval", control, value, _interval(found), met)


def _speeds(cells: Sequence[Cell]) -> dict[str, float]:
    """Condition -> median of the ratios over its clips, each of one study."""
    rows = compare_policies([cell for cell in cells if cell.object is None])
    return {
        f"{row.family or 'clean'}{f' {row.band}' if row.family else ''}": row.fps_ratio
        for row in rows
        if row.policy == OURS and row.fps_ratio is not None
    }


def _of_clips(cells: Sequence[Cell], row: PolicyRow) -> dict[str, list[float]]:
    """Clip -> gains on its objects under the row's condition."""
    here = [
        c
        for c in cells
        if (c.tracker, c.family, str(c.severity)) == (row.tracker, row.family, row.band) and "j_and_f" in c.values
    ]
    stock = {(c.clip, c.object): c.values["j_and_f"] for c in here if c.policy == CONTROL}
    found: dict[str, list[float]] = {}
    for c in here:
        if c.policy == OURS and (c.clip, c.object) in stock:
            found.setdefault(c.clip, []).append(c.values["j_and_f"] - stock[c.clip, c.object])
    return found


def _interval(found: Paired) -> str:
    ends = "" if found.low is None or found.high is None else f" [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
    return f"{100 * found.gain:+.1f}{ends}"
