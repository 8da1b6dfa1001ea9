"""What the findings say of the layers: whether the object comes to be separate at a particular one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from maskscope.report.findings_shape import LEAST_CLIPS, Effect, Findings
from maskscope.report.findings_words import (
    NOT_DETERMINED,
    Part,
    Table,
    cell,
    first,
    more,
    range_of,
    tap_name,
    too_few,
)
from maskscope.report.page.names import count, listed, percent, sentence, with_ends
from maskscope.report.page.rows import CLEAN, Place
from maskscope.report.page.sections.separation import label_of


def emergence(found: Findings) -> Part | None:
    """Does the object emerge at a particular layer? None where no tap was measured."""
    if not (found.taps or found.early):
        return None
    evidence = [*_onset(found), *_early(found)]
    return Part(
        "emergence",
        "Does the object emerge at a particular layer?",
        _emerges(found),
        tuple(evidence),
        tuple(_against_emergence(found)),
        tuple(_emergence_tables(found)),
        "emergence",
    )


def _emerges(found: Findings) -> str:
    if len(found.clips) < LEAST_CLIPS:
        return too_few(found)
    above, plain = found.onset.get("above_control"), found.onset.get("separation_auc")
    step = above or plain
    jump = _largest_step(found)
    read = "No test for a step along the taps was made"
    if step is not None:
        beside = "above its control" if step is above else "by a linear read-out"
        read = f"separation {beside} has no step along the taps that can be made out"
        if step.get("tap"):
            at, sharp = tap_name(step["tap"]), step.get("earliest") == step.get("latest")
            read = f"separation {beside} steps up at {at}" + ("" if sharp else f" ({range_of(step)})")
            if ".cross" not in step["tap"]:
                read += ", which is no cross-attention to memory"
    if jump is None:
        return sentence(f"{read}.")
    place, effect, share = jump
    if effect.verdict != "higher":
        mask = "the mask decoded early does not surely improve at any layer"
    elif share >= 0.5:
        mask = f"the mask decoded early comes at {label_of(place)}, which brings {percent(share)} of the rise in J"
    else:
        mask = f"the mask decoded early comes by and by, at most {percent(share)} of the rise in J at one layer"
    return sentence(f"{read}; {mask}.")


def _largest_step(found: Findings) -> tuple[Place, Effect, float] | None:
    if not found.early_steps or found.early_rise is None:
        return None
    place, effect = max(found.early_steps.items(), key=lambda each: each[1].interval.estimate)
    rise = found.early_rise.interval.estimate
    return place, effect, effect.interval.estimate / rise if rise > 0 else 0.0


def _onset(found: Findings) -> list[str]:
    names = {"separation_auc": "AUC of the read-out", "above_control": "AUC above that of the control task"}
    lines = []
    for key, what in names.items():
        step = found.onset.get(key)
        if step is None:
            continue
        chance = "p below 0.001" if step["p"] < 0.001 else f"p {step['p']:.3f}"
        if step.get("tap"):
            lines.append(
                f"{what}: along the taps of stride 16 one step up fits best at {tap_name(step['tap'])}, by "
                f"{step['rise']:.3f} ({chance}; 95 % of the redraws {range_of(step)}; {count(step['clips'], 'clip')})."
            )
        else:
            lines.append(f"{what}: no step can be made out (best rise {step['rise']:.3f}, {chance}).")
    return lines


def _early(found: Findings) -> list[str]:
    clean = found.early.get(CLEAN, {})
    if len(clean) < 2 or found.early_rise is None:
        return []
    (_, begin), *_, (last, end) = clean.items()
    rise = found.early_rise.interval
    lines = [
        f"The frozen mask decoder makes a mask of J {with_ends(begin)} of the embedding without memory and of J "
        f"{with_ends(end)} after {label_of(last)}: a rise of {with_ends(rise)}."
    ]
    steps = [f"{with_ends(effect.interval)} at {label_of(place)}" for place, effect in found.early_steps.items()]
    return [*lines, f"From tap to tap J changes by {listed(steps)}."]


def _against_emergence(found: Findings) -> list[str]:
    lines = []
    if found.clip_onsets:
        places = Counter(found.clip_onsets.values())
        named = [
            f"{number} at {tap_name(tap)}" if tap is not None else f"{number} {NOT_DETERMINED}"
            for tap, number in places.most_common()
        ]
        lines.append(f"The step of each clip alone: {listed(named)}.")
    if found.early_rise is not None and found.early_rise.against:
        clips = found.early_rise.against
        named = [f"{clip} ({value:+.2f})" for clip, value in first(clips)]
        lines.append(
            f"From the first to the last tap, early decoding says the opposite on {listed(named)}{more(clips)}."
        )
    return lines


def _emergence_tables(found: Findings) -> Iterable[Table]:
    if found.taps:
        rows = [(label_of(place), with_ends(auc, 3), cell(other, 3)) for place, (auc, other) in found.taps.items()]
        yield Table("Along the taps, on clips as they are", ("tap", "AUC", "control task"), tuple(rows))
    if found.early:
        places = list(dict.fromkeys(place for of_each in found.early.values() for place in of_each))
        cells = [
            (str(condition), *(cell(of_each.get(place)) for place in places))
            for condition, of_each in found.early.items()
        ]
        yield Table("J of the mask decoded early", ("", *map(label_of, places)), tuple(cells))
