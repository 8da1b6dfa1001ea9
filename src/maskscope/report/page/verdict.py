"""What holds, what breaks, and what to change first: numbers for each condition and the paragraph for the engineer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from maskscope.evaluate.robustness import BREAKING_RETENTION
from maskscope.evaluate.statistics import Interval
from maskscope.records import Record
from maskscope.remedies import REMEDIES
from maskscope.report.page.intervals import mean_of, retention_of, share_of
from maskscope.report.page.names import LOST, SHORT_NAMES, count, listed, percent, sentence
from maskscope.report.page.policies import advised
from maskscope.report.page.rows import CLEAN, Condition, Rows, condition_of, of_frames
from maskscope.report.page.section import Evidence
from maskscope.stages import STAGES, Stage

HOLDING_RETENTION: Final = 0.95
"""From here on a condition holds, if no object is lost that is not lost anyway."""

FALSE_ALARM: Final = "false alarm"

FEW: Final = 0.1
"""Share of the lost frames; a stage that is named for fewer is no reason to change anything."""

_RELATIVE: Final = {
    "holds": "It is no worse than as filmed under {}.",
    "weakens": "It gets worse under {}.",
    "breaks": "It gets much worse under {}.",
}
"""What is said of conditions where the clip as filmed is not followed: nothing holds that does not hold before."""

_OF_BLAME: Final = ("blame_confidence", "blame_reason")

Level = Literal["holds", "weakens", "breaks", "unknown"]


@dataclass(frozen=True, slots=True)
class Loss:
    """The object is lost on frames in a row.

    Attributes:
        condition: under which.
        clip: in which.
        frame: the first.
        object: its number.
        frames: how many; at least 1.
        kind: "lost" or "false alarm".
        stage: to blame; None where it could not be determined.
        confidence: of the blame, 0..1; None likewise.
        reason: of the blame, one sentence; empty where none was given.
    """

    condition: Condition
    clip: str
    frame: int
    object: int | None
    frames: int
    kind: str
    stage: Stage | None
    confidence: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition at a glance.

    Attributes:
        condition: which.
        level: "unknown" where nothing was scored.
        score: mean J.
        retention: share of the clean score that is left; None of the clean clip.
        lost: share of frames on which the object is lost.
        losses: one after the other.
        blamed: the stage that most lost frames are blamed on; None where none is determined, or for few of them.
    """

    condition: Condition
    level: Level
    score: Interval | None
    retention: Interval | None
    lost: Interval | None
    losses: tuple[Loss, ...]
    blamed: Stage | None


def losses_of(rows: Rows) -> tuple[Loss, ...]:
    """All losses with their blame, in the order of conditions and frames."""
    keyed = {metric: {_key(row): row for row in rows.of(metric)} for metric in ("loss", "blame", *_OF_BLAME)}
    found = []
    for key, row in {**keyed["blame"], **keyed["loss"]}.items():
        if row.frame is None:
            continue
        loss, blame = keyed["loss"].get(key), keyed["blame"].get(key)
        confidence, reason = (keyed[metric].get(key) for metric in _OF_BLAME)
        stage = next((each for each in STAGES if blame is not None and each == blame.state), None)
        found.append(
            Loss(
                rows.known(condition_of(row)),
                row.clip,
                row.frame,
                row.object,
                max(1, round(loss.value or 1)) if loss is not None else 1,
                (loss.state if loss is not None else None) or "lost",
                stage,
                confidence.value if stage is not None and confidence is not None else None,
                (reason.state if reason is not None else None) or "",
            )
        )
    order = {condition: i for i, condition in enumerate(rows.conditions)}
    return tuple(sorted(found, key=lambda loss: (order[loss.condition], loss.clip, loss.frame, loss.object or 0)))


def findings_of(evidence: Evidence) -> tuple[Finding, ...]:
    """One for each condition, the clip as it is first."""
    rows = evidence.rows
    losses = losses_of(rows)
    clean = list(of_frames(rows.at("j", CLEAN, None)))
    clean_losses = sum(loss.condition.is_clean for loss in losses)
    return tuple(
        _finding(rows, each, clean, tuple(loss for loss in losses if loss.condition == each), clean_losses)
        for each in rows.conditions
    )


def _finding(
    rows: Rows, condition: Condition, clean: Sequence[Record], losses: tuple[Loss, ...], clean_losses: int
) -> Finding:
    frames = list(of_frames(rows.at("j", condition, None)))
    score = mean_of(frames)
    retention = None if condition.is_clean else retention_of(frames, clean)
    kept = score if condition.is_clean else retention
    weight: Counter[Stage] = Counter()
    for loss in losses:
        if loss.stage is not None:
            weight[loss.stage] += loss.frames
    lost = sum(loss.frames for loss in losses)
    level: Level = "unknown"
    if kept is not None:
        more = len(losses) > (0 if condition.is_clean else clean_losses)
        whole = kept.estimate >= (BREAKING_RETENTION if condition.is_clean else HOLDING_RETENTION)
        level = "holds" if whole and not more else "breaks" if kept.estimate < BREAKING_RETENTION else "weakens"
    return Finding(
        condition=condition,
        level=level,
        score=score,
        retention=retention,
        lost=share_of(of_frames(rows.at("outcome", condition, None)), LOST),
        losses=losses,
        blamed=weight.most_common(1)[0][0] if weight and sum(weight.values()) >= FEW * lost else None,
    )


def fails_as_filmed(findings: Sequence[Finding]) -> bool:
    """Whether the clip breaks without any transformation, so that a condition can at best make it no worse."""
    return any(each.condition.is_clean and each.level == "breaks" for each in findings)


def paragraph(evidence: Evidence, findings: Sequence[Finding]) -> list[str]:
    """Sentences for somebody who knows the plant and not the model; the last says what to change first."""
    clips, facts = evidence.diagnosis.clips, evidence.diagnosis.facts
    where = f"the clip {clips[0]}" if len(clips) == 1 else f"{len(clips)} clips"
    clean = next((each for each in findings if each.condition.is_clean), None)
    disturbed = [each for each in findings if not each.condition.is_clean]
    if all(each.score is None for each in findings):
        return [
            f"The records of {where} hold no scores of masks, so nothing can be said of what holds and what breaks."
        ]
    annotated = facts.truth == "annotated"
    said = [_of_clean(clean, where)] if annotated and clean is not None and clean.score is not None else []
    groups = {level: [each for each in disturbed if each.level == level] for level in ("holds", "weakens", "breaks")}
    phrases = (
        _RELATIVE
        if fails_as_filmed(findings)
        else {
            "holds": "Tracking holds under {}.",
            "weakens": "It weakens under {}." if groups["holds"] else "Tracking weakens under {}.",
            "breaks": "It breaks under {}." if groups["holds"] or groups["weakens"] else "Tracking breaks under {}.",
        }
    )
    said += [
        phrases[level].format(listed([_with_share(each, level, not i) for i, each in enumerate(_worst_first(group))]))
        for level, group in groups.items()
        if group
    ]
    if (unknown := [each for each in disturbed if each.level == "unknown"]) and disturbed:
        said.append(f"Nothing was scored under {listed([str(each.condition) for each in unknown])}.")
    if first := _first_loss(disturbed, facts.fps):
        said.append(first)
    if not annotated:
        said.append(
            f"There are no true masks of {where}: all is compared with the undisturbed run's own, so this says what a "
            f"condition changes, not how right the masks are."
        )
    looked_into = any(row.family for row in evidence.rows.of("blame"))
    return [*said, advice(findings, looked_into)]


def advice(findings: Sequence[Finding], looked_into: bool = True) -> str:
    """What to change first, from where most frames are lost.

    Args:
        findings: of all conditions.
        looked_into: whether losses were looked into by interventions.
    """
    losses = [loss for each in findings for loss in each.losses]
    if not losses:
        bad = [each for each in findings if each.level in ("breaks", "weakens")]
        if bad:
            return (
                "The object is never lost, but its outline suffers: look at the overlays before you change anything "
                "in the installation."
            )
        return "Nothing needs to be changed for these conditions."
    weight: Counter[Stage] = Counter()
    for loss in losses:
        if loss.stage is not None:
            weight[loss.stage] += loss.frames
    total = sum(loss.frames for loss in losses)
    if not weight and not looked_into:
        return (
            f"It was not looked into which stage loses the object ({count(len(losses), 'loss')}, "
            f"{count(total, 'frame')}): that takes interventions, which were left out here."
        )
    if not weight:
        return (
            f"Which stage loses the object is not determined for {count(len(losses), 'loss')} "
            f"({count(total, 'frame')}): the evidence below does not single one out, so do not buy anything on it."
            f"{_alarms(losses)}{_as_filmed(losses)}"
        )
    traced = sum(weight.values())
    if traced < FEW * total:
        return (
            f"A stage is named for {traced} of {total} lost frames only, too few to act on."
            f"{_alarms(losses)}{_as_filmed(losses)}"
        )
    stage, frames = weight.most_common(1)[0]
    blamed = [loss for loss in losses if loss.stage == stage]
    sure = [loss.confidence for loss in blamed if loss.confidence is not None]
    confidence = f", with a confidence of {percent(sum(sure) / len(sure))}" if sure else ""
    remedy = REMEDIES[stage]
    of = f"{SHORT_NAMES[stage]}{confidence}"
    under = listed([str(each) for each in dict.fromkeys(loss.condition for loss in blamed)])
    part = f"{f'All {total}' if frames == total else f'{frames} of {total}'} lost frames (under {under}) are"
    rest = f" For the other {total - traced}{', most of them,' if 2 * traced < total else ''} no stage can be named."
    rest = rest + _alarms(losses) + _as_filmed(losses) if traced < total else ""
    if remedy.by_policy and (compared := advised(dict.fromkeys(loss.condition for loss in blamed))):
        rest += f" {compared}"
    return f"Change first: {remedy.change}. {part} lost {remedy.where} (stage: {of}), and {remedy.because}.{rest}"


def _alarms(losses: Sequence[Loss]) -> str:
    """Of the frames without a stage, those that show a mask and not the object: another trouble than losing it."""
    frames = sum(loss.frames for loss in losses if loss.stage is None and loss.kind == FALSE_ALARM)
    if not frames:
        return ""
    are = "is a false alarm" if frames == 1 else "are false alarms"
    return (
        f" Of those without a stage, {frames} {are}: a mask is shown while the object is out of the picture or hidden."
    )


def _as_filmed(losses: Sequence[Loss]) -> str:
    """What to do where there is no better run to compare with."""
    frames = sum(loss.frames for loss in losses if loss.condition.is_clean)
    if not frames:
        return ""
    return (
        f" As filmed {count(frames, 'frame')} are lost already, and no better run tells why: first mark the object "
        "otherwise (another frame, more clicks), or try another memory policy on the clip as filmed."
    ).replace("1 frame are", "1 frame is")


def _of_clean(clean: Finding, where: str) -> str:
    assert clean.score is not None
    overlap = f"its masks overlap the true ones by {percent(clean.score.estimate)}{_ends(clean.score)}"
    if clean.losses:
        lost = sum(loss.frames for loss in clean.losses)
        return f"Even as filmed, the object is lost on {count(lost, 'frame')} of {where} ({overlap})."
    how = "" if clean.level == "holds" else " poorly"
    return f"The tracker follows the object{how} through {where} as filmed ({overlap})."


def _ends(interval: Interval) -> str:
    """Of a share, in percent; nothing where they say nothing."""
    if interval.low == interval.high:
        return ""
    return f", 95 % interval {percent(interval.low)} to {percent(interval.high)}"


def _with_share(finding: Finding, level: str, first: bool) -> str:
    if finding.retention is None or level == "holds":
        return str(finding.condition)
    if finding.retention.estimate >= HOLDING_RETENTION:
        return f"{finding.condition} (the object is lost more often than as filmed)"
    left = percent(finding.retention.estimate)
    return f"{finding.condition} ({left}{' of the overlap is left' if first else ''})"


def _worst_first(group: Sequence[Finding]) -> list[Finding]:
    return sorted(group, key=lambda each: each.retention.estimate if each.retention else 1.0)


def _first_loss(disturbed: Sequence[Finding], fps: float | None) -> str:
    worst = max(disturbed, key=lambda each: sum(loss.frames for loss in each.losses), default=None)
    if worst is None or not worst.losses:
        return ""
    lost = sum(loss.frames for loss in worst.losses)
    first = min(worst.losses, key=lambda loss: loss.frame)
    several = len({loss.clip for loss in worst.losses}) > 1
    at = (
        f"frame {first.frame}"
        + (f" of {first.clip}" if several else "")
        + (f" ({first.frame / fps:.1f}\N{NO-BREAK SPACE}s)" if fps else "")
    )
    return sentence(
        f"most frames are lost under {worst.condition}: {lost}, in {count(len(worst.losses), 'stretch')}, "
        f"the first at {at}."
    )


def _key(row: Record) -> tuple[Condition, str, int | None, int | None]:
    return condition_of(row), row.clip, row.object, row.frame
