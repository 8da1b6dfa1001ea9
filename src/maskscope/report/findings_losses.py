"""What the findings say of losses: where in the model the object is lost."""

from __future__ import annotations

from typing import Final

from maskscope.report.findings_shape import LEAST_CLIPS, Findings
from maskscope.report.findings_words import (
    MOST_NAMED,
    NOT_DETERMINED,
    Part,
    Table,
    more,
    shares,
    short,
)
from maskscope.report.page.names import count, listed, percent, sentence, with_ends
from maskscope.report.page.rows import CLEAN
from maskscope.report.page.verdict import FALSE_ALARM
from maskscope.stages import STAGES, Stage

LOST: Final = "lost"


def losses(found: Findings) -> Part | None:
    """Where is the object lost? None where nothing was done to the clips."""
    disturbed = {each: blamed for each, blamed in found.blamed.items() if not each.is_clean}
    if not disturbed:
        return None
    total, frames = (sum(getattr(each, name) for each in disturbed.values()) for name in ("losses", "frames"))
    clean = found.blamed.get(CLEAN)
    tables = [_loss_table(found)]
    if found.intervened and found.unnamed:
        tables.append(_reason_table(found))
    evidence = [f"Transformed clips lose the object {count(total, 'time')}, for {count(frames, 'frame')} in all."]
    if clean is not None:
        evidence.append(
            f"As they are, the clips lose it {count(clean.losses, 'time')} ({count(clean.frames, 'frame')})."
        )
    if found.intervened:
        evidence += _by_kind(found)
    if found.recovered:
        brought = [
            f"{with_ends(found.recovered[stage])} at {short(stage)}" for stage in STAGES if stage in found.recovered
        ]
        evidence.append(
            f"Putting the clean run's activation in its place brings back, of the loss in J, {listed(brought)}. Clean "
            "tokens at prompt attended bring every mask back, whatever went wrong before; the blame asks for more."
        )
    return Part(
        "losses",
        "Where is the object lost?",
        _blame(found, total),
        tuple(evidence),
        tuple(_against_blame(found)),
        tuple(tables),
        "losses" if total else "",
    )


def _blame(found: Findings, total: int) -> str:
    if not total:
        return "No transformation makes the model lose the object."
    if not found.intervened:
        return "Not looked for: the clips were observed without intervention, and blame needs one."
    named = {stage: share for stage, share in found.blame_shares.items() if stage is not None}
    unknown = found.blame_shares.get(None)
    rest = f"{shares(unknown)} of the lost frames are {NOT_DETERMINED}" if unknown else "all lost frames are blamed"
    if not named:
        return f"{sentence(NOT_DETERMINED)}: no loss can be blamed on one stage."
    ranked = sorted(named.items(), key=lambda each: -each[1].estimate)
    said = listed([f"{short(stage)} {shares(share)}" for stage, share in ranked])
    first, *others = ranked
    lead = f"Mostly at {short(first[0])}" if all(first[1].low > other.high for _, other in others) else "At several"
    if len(found.clips) < LEAST_CLIPS:
        lead = f"On these {count(len(found.clips), 'clip')}"
    elif unknown is not None and unknown.estimate > first[1].estimate:
        lead = "Mostly it cannot be determined"
    return f"{lead}: of the lost frames, {said}; {rest}."


def _by_kind(found: Findings) -> list[str]:
    """A loss of what is there and a mask of what is not are different things to explain."""
    said = []
    if LOST in found.kinds:
        lost, blamed = found.kinds[LOST]
        said.append(
            f"The object is in the picture on {lost} of these frames; {blamed} of them ({percent(blamed / lost)}) are "
            "blamed on a position."
        )
    if FALSE_ALARM in found.kinds:
        lost, blamed = found.kinds[FALSE_ALARM]
        on = "On the other" if said else "On"
        said.append(
            f"{on} {lost} it is out of the picture, or hidden, and a mask is shown all the same (false "
            f"alarms): {blamed or 'none'} of them are blamed. The blame looks for what no longer tells the object "
            "apart, and puts in place what the clip as it is has there: with no object there is nothing to tell apart, "
            "and what is put in place shows it."
        )
    return said


def _reason_table(found: Findings) -> Table:
    rows = tuple(
        (each.reason, "out of the picture" if each.kind == FALSE_ALARM else "in the picture", str(each.losses),
         str(each.frames))
        for each in found.unnamed
    )  # fmt: skip
    return Table(
        "Why no position is named, transformed clips", ("reason", "the object is", "losses", "lost frames"), rows
    )


def _against_blame(found: Findings) -> list[str]:
    named = {stage: share for stage, share in found.blame_shares.items() if stage is not None}
    if not named:
        return []
    first = max(named, key=lambda stage: named[stage].estimate)
    other = []
    for clip, stages in found.blamed_by_clip.items():
        known = [(frames, stage) for stage, frames in stages.items() if stage is not None]
        worst = max(known)[1] if known else None
        if worst is not None and worst != first:
            other.append(f"{clip} (most at {short(worst)})")
    if not other:
        return []
    return [f"Not most at {short(first)}: {listed(other[:MOST_NAMED])}{more(other)}."]


def _loss_table(found: Findings) -> Table:
    stages: list[Stage | None] = [stage for stage in STAGES if any(stage in b.stages for b in found.blamed.values())]
    stages.append(None)
    header = ("", "losses", "frames", *(short(stage) if stage else NOT_DETERMINED for stage in stages))
    rows = [
        (str(condition), str(each.losses), str(each.frames), *(str(each.stages.get(stage, 0)) for stage in stages))
        for condition, each in found.blamed.items()
    ]
    return Table("Losses, and lost frames by the stage to blame", header, tuple(rows))
