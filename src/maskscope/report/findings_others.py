"""What the findings say of read-outs of other clips: whether what tells one object apart tells the others, too."""

from __future__ import annotations

from maskscope.report.findings_shape import CONTROLS, LEAST_CLIPS, Findings, Knowledge
from maskscope.report.findings_words import Part, Table, cell, first, more, short, too_few
from maskscope.report.page.names import count, listed, sentence, with_ends


def others(found: Findings) -> Part | None:
    """Does what tells the object apart hold on clips it was not fitted on? None where that was not measured."""
    if not found.across:
        return None
    evidence: list[str] = []
    against: list[str] = []
    for each in found.across:
        name = short(each.place.stage)
        beside = listed([f"{CONTROLS[key]} {with_ends(value, 3)}" for key, value in each.controls.items()])
        clips = count(len(each.auc.by_clip), "clip")
        evidence.append(f"{sentence(name)}: AUC {with_ends(each.auc.interval, 3)} ({clips}); {beside}.")
        low = sorted(((clip, auc) for clip, auc in each.auc.by_clip.items() if auc < 0.5), key=lambda one: one[1])
        if low:
            named = listed([f"{clip} ({auc:.2f})" for clip, auc in first(low)])
            against.append(
                f"At {name}, the read-out of the other clips points away from the object on {named}{more(low)}."
            )
    return Part(
        "others",
        "Does what tells the object apart hold on other clips?",
        _answer(found),
        tuple(evidence),
        tuple(against),
        (_table(found),),
    )


def _answer(found: Findings) -> str:
    if min(len(each.auc.by_clip) for each in found.across) < LEAST_CLIPS:
        return too_few(found)
    held = [short(each.place.stage) for each in found.across if _holds(each)]
    if not held:
        return "Not shown: no position's read-out of other clips is surely better than chance and all controls."
    if len(held) == len(found.across):
        return "Yes: at every position a read-out of other clips does better than chance and all controls."
    return f"Only in part: better than chance and all controls at {listed(held)}."


def _holds(each: Knowledge) -> bool:
    above = [effect.verdict for effect in each.above.values()]
    return each.auc.verdict == "higher" and bool(above) and set(above) == {"higher"}


def _table(found: Findings) -> Table:
    within = {each.place: each.auc.interval for each in found.knowledge}
    header = (
        "position",
        "fitted on the prompted frame",
        "fitted on other clips",
        *(f"{name}, other clips" for name in CONTROLS.values()),
        *(f"above {name}" for name in CONTROLS.values()),
    )
    rows = [
        (
            short(each.place.stage),
            cell(within.get(each.place), 3),
            with_ends(each.auc.interval, 3),
            *(cell(each.controls.get(key), 3) for key in CONTROLS),
            *(cell(above.interval if (above := each.above.get(key)) else None, 3) for key in CONTROLS),
        )
        for each in found.across
    ]
    return Table("AUC of read-outs fitted on all other clips, on clips as they are", header, tuple(rows))
