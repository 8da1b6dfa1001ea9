"""What the findings say of the stages: what each filters, what each knows of the object, and what harms it."""

from __future__ import annotations

from collections.abc import Iterable

from maskscope.report.findings_shape import CONTROLS, FEEDS, LEAST_CLIPS, REGIONS, Findings, Passage
from maskscope.report.findings_words import (
    MOST_NAMED,
    ON,
    Part,
    Table,
    cell,
    first,
    more,
    negative,
    short,
    too_few,
)
from maskscope.report.page.names import listed, sentence, with_ends


def filtering(found: Findings) -> Part | None:
    """Does each stage filter? None where no transformed run was compared with its clean one."""
    if not found.passages:
        return None
    evidence = [text for region in REGIONS if (text := _of_region(found.passages, region))]
    evidence += _emphasis(found)
    return Part(
        "filtering",
        "Does each stage filter a disturbance?",
        _filters(found),
        tuple(evidence),
        tuple(_against_filtering(found)),
        (_passage_table(found),),
        "filtering",
    )


def _filters(found: Findings) -> str:
    if len(found.clips) < LEAST_CLIPS:
        return too_few(found)
    lower, higher, unclear = (
        [each for each in found.passages if each.ratio.verdict == verdict] for verdict in ("lower", "higher", "unclear")
    )
    if not higher and not unclear:
        return "Yes: behind every stage a disturbance is smaller than before it, on the object and on the background."
    held = f"it filters at {listed([_where(each) for each in lower])}" if lower else "no stage can be said to filter"
    if higher:
        return f"No, not each: a disturbance grows at {listed([_where(each) for each in higher])}; {held}."
    return f"Not shown for each: {held}; at {listed([_where(each) for each in unclear])} the interval includes 1."


def _where(passage: Passage) -> str:
    return f"{short(passage.stage)} ({passage.region})"


def _of_region(passages: Iterable[Passage], region: str) -> str:
    mine = [each for each in passages if each.region == region]
    if not mine:
        return ""
    said = [f"{with_ends(each.ratio.interval)} at {short(each.stage)}" for each in mine]
    return sentence(f"{ON[region]}, what is left of the distance before the stage is {listed(said)} (below 1 filters).")


def _emphasis(found: Findings) -> list[str]:
    said = {
        "higher": "the background's disturbance is filtered more than the object's",
        "lower": "the object's disturbance is filtered more than the background's",
        "unclear": "object and background are filtered alike, as far as the clips can tell",
    }
    return [
        f"At {short(stage)} {said[effect.verdict]} (ratio of ratios {with_ends(effect.interval)})."
        for stage, effect in found.emphasis.items()
        if effect.verdict in said
    ]


def _against_filtering(found: Findings) -> list[str]:
    lines = []
    for each in found.passages:
        opposite = {"lower": "higher", "higher": "lower"}.get(each.ratio.verdict)
        cells = [(c, effect) for c, effect in each.by_condition.items() if effect.verdict == opposite]
        if cells:
            named = listed([f"{condition} ({with_ends(effect.interval)})" for condition, effect in first(cells)])
            verb = "grows" if opposite == "higher" else "shrinks"
            lines.append(f"At {short(each.stage)}, {ON[each.region]}, it {verb} under {named}{more(cells)}.")
        if each.ratio.verdict in ("lower", "higher") and each.ratio.against:
            clips = each.ratio.against
            named = listed([f"{clip} ({value:.2f})" for clip, value in first(clips)])
            of = f"{len(clips)} of {len(each.ratio.by_clip)} clips"
            lines.append(f"At {short(each.stage)}, {ON[each.region]}, {of} say the opposite: {named}{more(clips)}.")
    return lines


def _passage_table(found: Findings) -> Table:
    shown = [each for each in found.conditions if not each.is_clean]
    columns = [(each.stage, each.region) for each in found.passages]
    at = {(each.stage, each.region): each for each in found.passages}
    header = ("", *(f"{short(FEEDS[stage])} to {short(stage)}, {region}" for stage, region in columns))
    rows = [("all", *(with_ends(at[key].ratio.interval) for key in columns))]
    for condition in shown:
        effects = [at[key].by_condition.get(condition) for key in columns]
        rows.append((str(condition), *(cell(effect.interval if effect else None) for effect in effects)))
    return Table("What a stage leaves of a disturbance (ratio of distances, geometric mean)", header, tuple(rows))


def controls(found: Findings) -> Part | None:
    """Is it the object that features tell apart? None where separation was not measured."""
    if not found.knowledge:
        return None
    evidence: list[str] = []
    against: list[str] = []
    beyond: list[str] = []
    not_beyond: list[str] = []
    for each in found.knowledge:
        name = short(each.place.stage)
        weak = [CONTROLS[key] for key, effect in each.above.items() if effect.verdict != "higher"]
        (not_beyond if weak or not each.above else beyond).append(name)
        beside = listed([f"{CONTROLS[key]} {with_ends(value, 3)}" for key, value in each.controls.items()])
        evidence.append(f"{sentence(name)}: AUC {with_ends(each.auc.interval, 3)}; {beside}.")
        if weak and len(found.clips) >= LEAST_CLIPS:
            against.append(f"{sentence(name)} is not surely above {listed(weak)}.")
        for key, effect in each.above.items():
            if effect.verdict == "higher" and effect.against:
                clips = [f"{clip} ({value:+.3f})" for clip, value in first(effect.against)]
                against.append(f"At {name}, {CONTROLS[key]} does better on {listed(clips)}{more(effect.against)}.")
    if len(found.clips) < LEAST_CLIPS:
        answer = too_few(found)
    elif not not_beyond:
        answer = "Yes: every position tells the object apart better than all controls do."
    elif beyond:
        answer = f"Only in part: better than all controls at {listed(beyond)}, not surely at {listed(not_beyond)}."
    else:
        answer = "Not shown: no position is surely better than all controls."
    steps = [
        f"{with_ends(step.interval, 3)} from {short(FEEDS[stage])} to {short(stage)}"
        for stage, step in found.steps.items()
    ]
    if steps:
        evidence.append(f"AUC changes by {listed(steps)}; it cannot rise above 1.")
    header = ("position", "AUC", *CONTROLS.values(), *(f"above {name}" for name in CONTROLS.values()))
    rows = [
        (
            short(each.place.stage),
            with_ends(each.auc.interval, 3),
            *(cell(each.controls.get(key), 3) for key in CONTROLS),
            *(cell(above.interval if (above := each.above.get(key)) else None, 3) for key in CONTROLS),
        )
        for each in found.knowledge
    ]
    table = Table("Separation beside its controls, on clips as they are", header, tuple(rows))
    return Part(
        "controls", "Is it the object that the features tell apart?", answer, tuple(evidence), tuple(against), (table,)
    )


def separation(found: Findings) -> Part | None:
    """What do transformations do to separation? None where there are none."""
    shown = [each for each in found.conditions if not each.is_clean]
    if not shown or not found.falls:
        return None
    falls = [
        (effect, condition, place)
        for condition, of_each in found.falls.items()
        for place, effect in of_each.items()
        if effect.verdict == "lower"
    ]
    if len(found.clips) < LEAST_CLIPS:
        answer = too_few(found)
    elif not falls:
        answer = "No transformation surely lowers separation at any position."
    else:
        effect, condition, place = min(falls, key=lambda each: each[0].interval.estimate)
        answer = (
            f"Separation surely falls in {len(falls)} of {sum(map(len, found.falls.values()))} cells, most under "
            f"{condition} at {short(place.stage)}, by {with_ends(negative(effect.interval), 3)}."
        )
    rises = [
        (condition, place, effect)
        for condition, of_each in found.falls.items()
        for place, effect in of_each.items()
        if effect.verdict == "higher"
    ]
    against = [
        f"Under {condition} separation at {short(place.stage)} rises, by {with_ends(effect.interval, 3)}."
        for condition, place, effect in rises
    ]
    places = [each.place for each in found.knowledge]
    header = ("", "J", "frames lost", *(short(place.stage) for place in places))
    rows = [
        (
            str(condition),
            cell(found.scores.get(condition)),
            cell(found.lost.get(condition)),
            *(cell(found.separation.get(condition, {}).get(place), 3) for place in places),
        )
        for condition in found.conditions
    ]
    title = "J, share of frames on which the object is lost, and AUC at the positions"
    return Part(
        "separation",
        "What do transformations do to separation?",
        answer,
        (),
        tuple(against[:MOST_NAMED]),
        (Table(title, header, tuple(rows)),),
    )
