"""The one picture for the engineer: each condition with what is left, when the object is lost, and what to change.

Drawn in HTML and CSS without scripts, so that it shows in a mail's preview and on paper.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Final

from maskscope.evaluate.robustness import BREAKING_RETENTION
from maskscope.remedies import REMEDIES
from maskscope.report.page.names import LOST, OUTCOME_WORDS, percent, sentence
from maskscope.report.page.rows import of_frames
from maskscope.report.page.section import Evidence
from maskscope.report.page.verdict import Finding, fails_as_filmed

_COLOURS: Final = {
    "hit": "#7fb77e",
    "absence": "#d8dee9",
    "miss": "#c0392b",
    "drift": "#e08e45",
    "hallucination": "#8e5aa8",
}
_WORST_FIRST: Final = ("hallucination", "miss", "drift", "hit", "absence")
_MOST_PIECES: Final = 400
_BADGES: Final = {"holds": "holds", "weakens": "weakens", "breaks": "breaks", "unknown": "not scored"}
_AGAINST_A_FAILURE: Final = {"holds": "no worse", "weakens": "worse", "breaks": "much worse", "unknown": "not scored"}


def ledger(evidence: Evidence, findings: Sequence[Finding]) -> str:
    """A row for each condition: name and verdict, a bar with its interval, the frames in colours, what to change."""
    failed = fails_as_filmed(findings)
    rows = "".join(_row(evidence, each, failed and not each.condition.is_clean) for each in findings)
    single = len(evidence.diagnosis.clips) == 1
    used = {row.state for row in evidence.rows.of("outcome")} & set(_COLOURS) if single else set()
    keys = "".join(
        f'<span><i style="background:{colour}"></i>{OUTCOME_WORDS[name]}</span>'
        for name, colour in _COLOURS.items()
        if name in used
    )
    annotated = evidence.diagnosis.facts.truth == "annotated"
    truth = "the true ones" if annotated else "those of the undisturbed run"
    itself = " (of that: the overlap itself)" if annotated else ""
    strip = " The coloured band below is the clip from its first frame to its last." if used else ""
    return (
        f'<figure class="ledger"><h2>{escape(_title(findings))}</h2>{rows}<div class="keys">{keys}</div>'
        f"<figcaption>Bars: how much of the masks' overlap with {truth} is left, against the clip as filmed{itself}. "
        f"Black lines: 95 % intervals. Below the dashed line at {percent(BREAKING_RETENTION)} a condition counts as "
        f"breaking.{strip}</figcaption></figure>"
    )


def _title(findings: Sequence[Finding]) -> str:
    disturbed = [each for each in findings if not each.condition.is_clean]
    holding = sum(each.level == "holds" for each in disturbed)
    if not disturbed:
        return "Only the clip as filmed was looked at"
    if fails_as_filmed(findings):
        return f"It fails as filmed; {holding} of {len(disturbed)} conditions make it no worse"
    if holding == len(disturbed):
        return f"All {holding} conditions hold" if holding > 1 else "The one condition holds"
    breaking = sum(each.level == "breaks" for each in disturbed)
    return f"{holding} of {len(disturbed)} conditions hold, {breaking} {'breaks' if breaking == 1 else 'break'}"


def _row(evidence: Evidence, finding: Finding, after_a_failure: bool) -> str:
    kept = finding.score if finding.condition.is_clean else finding.retention
    figures = "" if kept is None else percent(kept.estimate)
    level, badge, change = finding.level, _BADGES[finding.level], _change(finding)
    if after_a_failure:
        badge = _AGAINST_A_FAILURE[finding.level]
        if level == "holds":  # as bad as before is nothing to be green about
            level, change = "unknown", change if finding.blamed else "As it is as filmed"
    bar = ""
    if kept is not None:
        value, low, high = (min(max(100 * v, 0), 100) for v in (kept.estimate, kept.low, kept.high))
        bar = (
            f'<div class="bar {level}" role="img" aria-label="{figures}, {kept.low:.2f} to {kept.high:.2f}">'
            f'<b style="width:{value:.1f}%"></b><u style="left:{low:.1f}%;width:{max(high - low, 0.3):.1f}%"></u>'
            f'<s style="left:{100 * BREAKING_RETENTION:.0f}%"></s></div>'
        )
    if finding.condition.is_clean and evidence.diagnosis.facts.truth != "annotated":  # compared with itself: no finding
        level, badge, bar, figures, change = "unknown", "the yardstick", "", "", "What the others are compared with"
    return (
        f'<div class="row"><div class="what"><strong>{escape(sentence(str(finding.condition)))}</strong>'
        f'<em class="{level}">{badge}</em></div>'
        f'<div class="how"><div class="line">{bar}<span>{figures}</span></div>{_band(evidence, finding)}</div>'
        f'<div class="change">{change}</div></div>'
    )


def _change(finding: Finding) -> str:
    if finding.blamed is not None:
        return f"Change: {escape(REMEDIES[finding.blamed].change)}"
    if finding.losses:
        return "Lost; the stage to blame is not determined"
    if finding.level == "holds":
        return "Nothing to change"
    return "Never lost, but the outline suffers" if finding.score else ""


def _band(evidence: Evidence, finding: Finding) -> str:
    """The frames of a single clip, each in the colour of the worst that happened to an object."""
    if len(evidence.diagnosis.clips) > 1:
        return ""
    worst: dict[int, str] = {}
    for row in of_frames(evidence.rows.at("outcome", finding.condition, None)):
        if row.frame is None or row.state not in _COLOURS:
            continue
        before = worst.get(row.frame)
        if before is None or _WORST_FIRST.index(row.state) < _WORST_FIRST.index(before):
            worst[row.frame] = row.state
    if not worst:
        return ""
    first, last = min(worst), max(worst)
    total = last - first + 1
    frames = Counter(worst.values())
    says = ", ".join(f"{OUTCOME_WORDS[name]} {frames[name]}" for name in _COLOURS if frames[name])
    pieces = "".join(
        f'<rect x="{start - first}" width="{stop - start + 1}" height="10" fill="{_COLOURS[state]}"/>'
        for start, stop, state in _runs(worst)[:_MOST_PIECES]
    )
    return (
        f'<svg class="band" viewBox="0 0 {total} 10" preserveAspectRatio="none" role="img" '
        f'aria-label="frames: {escape(says)}">{pieces}</svg>'
    )


def _runs(states: dict[int, str]) -> list[tuple[int, int, str]]:
    """Frames in a row of one state: first, last, state; losses first, should there be too many."""
    runs: list[tuple[int, int, str]] = []
    for frame, state in sorted(states.items()):
        if runs and runs[-1][2] == state and runs[-1][1] == frame - 1:
            runs[-1] = (runs[-1][0], frame, state)
        else:
            runs.append((frame, frame, state))
    return sorted(runs, key=lambda run: run[2] not in LOST) if len(runs) > _MOST_PIECES else runs
