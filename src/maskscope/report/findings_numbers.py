"""What a diagnosis of many clips says: figures with intervals over clips, their controls, and their counter-examples.

Made from rows of clips, not of frames (`maskscope.studies.clip_means`). A clip counts once, whatever its length; its
objects count within it. Whether something holds is decided here, by intervals alone, and said in words elsewhere.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskscope.evaluate.statistics import Bootstrap, Interval, mean_interval
from maskscope.records import Record
from maskscope.report.findings_shape import (
    CONTROLS,
    FEEDS,
    LOST_OUTCOMES,
    REGIONS,
    SEPARATION,
    Blamed,
    Effect,
    Findings,
    Knowledge,
    Passage,
    Unnamed,
)
from maskscope.report.page.reasons import kind_of
from maskscope.report.page.rows import CLEAN, Condition, Place, Rows
from maskscope.report.page.verdict import losses_of
from maskscope.stages import Stage

Values = dict[str, dict[int | None, float]]
"""By clip, then by object."""


def findings(records: Iterable[Record], facts: Mapping[str, Any] | None = None) -> Findings:
    """From rows of clips.

    Args:
        records: as `maskscope.studies.clip_means` makes them.
        facts: that were kept beside them; "onset" is read.
    """
    rows = list(records)
    table = _Table(rows)
    conditions = table.rows.conditions
    disturbed = table.rows.disturbed
    positions = table.rows.places(SEPARATION, taps=False)
    taps = [place for place in table.rows.places(SEPARATION, taps=True) if place.tap]
    decoded = table.rows.places("early_j", taps=True)
    falls = {each: _falls(table, each, positions) for each in disturbed}
    early = {each: _intervals(table, "early_j", each, decoded) for each in conditions}
    steps = {
        after: _difference(table, "early_j", after, before) for before, after in pairwise(decoded) if len(decoded) > 1
    }
    blamed, by_clip = _blamed(table.rows, conditions)
    kinds, unnamed = _unnamed(table.rows)
    return Findings(
        clips=tuple(dict.fromkeys(row.clip for row in rows)),
        objects=len({(row.clip, row.object) for row in rows if row.metric == "j"}),
        conditions=conditions,
        passages=tuple(_passages(table, disturbed)),
        emphasis=_emphasis(table, disturbed),
        knowledge=tuple(found for place in positions if (found := _knowledge(table, place)) is not None),
        steps={
            stage: effect
            for stage, fed_from in FEEDS.items()
            if (effect := _difference(table, SEPARATION, Place(stage), Place(fed_from))) is not None
        },
        separation={each: _intervals(table, SEPARATION, each, positions) for each in conditions},
        falls={each: found for each, found in falls.items() if found},
        taps={
            place: (auc, _mean(table.values(f"{SEPARATION}_control", CLEAN, place)))
            for place in taps
            if (auc := _mean(table.values(SEPARATION, CLEAN, place))) is not None
        },
        onset=dict((facts or {}).get("onset", {})),
        clip_onsets=_clip_onsets(table.rows),
        early={each: found for each, found in early.items() if found},
        early_steps={place: effect for place, effect in steps.items() if effect is not None},
        early_rise=_difference(table, "early_j", decoded[-1], decoded[0]) if len(decoded) > 1 else None,
        scores={each: j for each in conditions if (j := _mean(table.values("j", each, None))) is not None},
        lost={each: share for each in conditions if (share := _lost(table, each)) is not None},
        blamed=blamed,
        blame_shares=_blame_shares(by_clip),
        recovered=_recovered(table, disturbed),
        blamed_by_clip=by_clip,
        intervened=any(row.family for row in table.rows.of("blame")),
        across=tuple(found for place in positions if (found := _knowledge(table, place, "_others")) is not None),
        kinds=kinds,
        unnamed=unnamed,
    )


class _Table:
    """Rows by metric, condition and place; of those the values by clip and object."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.rows = Rows(records)

    def values(self, metric: str, condition: Condition, place: Place | None) -> Values:
        found: Values = {}
        for row in self.rows.at(metric, condition, place):
            if row.value is not None and row.frame is None:
                found.setdefault(row.clip, {})[row.object] = row.value
        return found


def _mean(values: Values) -> Interval | None:
    """Over clips, each of which counts once."""
    means = [float(np.mean(list(of_objects.values()))) for of_objects in values.values() if of_objects]
    return mean_interval(means) if means else None


def _intervals(table: _Table, metric: str, condition: Condition, places: Sequence[Place]) -> dict[Place, Interval]:
    found = {place: _mean(table.values(metric, condition, place)) for place in places}
    return {place: interval for place, interval in found.items() if interval is not None}


def _effect(values: Values, neutral: float = 0.0, back: Callable[[float], float] = float) -> Effect | None:
    """Of values in a space in which they can be averaged; `back` leads out of it."""
    found = _mean(values)
    if found is None:
        return None
    by_clip = {clip: back(float(np.mean(list(of_each.values())))) for clip, of_each in values.items() if of_each}
    return Effect(Interval(back(found.estimate), back(found.low), back(found.high)), neutral, by_clip)


def _less(ours: Values, theirs: Values) -> Values:
    """Differences, where both are known; a figure that belongs to no object is every object's."""
    found: Values = {}
    for clip, of_objects in ours.items():
        other = theirs.get(clip, {})
        pairs = {number: value - other.get(number, other.get(None, math.nan)) for number, value in of_objects.items()}
        known = {number: value for number, value in pairs.items() if not math.isnan(value)}
        if known:
            found[clip] = known
    return found


def _difference(table: _Table, metric: str, place: Place, before: Place) -> Effect | None:
    return _effect(_less(table.values(metric, CLEAN, place), table.values(metric, CLEAN, before)))


def _falls(table: _Table, condition: Condition, places: Sequence[Place]) -> dict[Place, Effect]:
    found = {
        place: _effect(_less(table.values(SEPARATION, condition, place), table.values(SEPARATION, CLEAN, place)))
        for place in places
    }
    return {place: effect for place, effect in found.items() if effect is not None}


def _logs(table: _Table, stage: Stage, region: str, condition: Condition) -> Values:
    values = table.values(f"filtering_ratio.{region}", condition, Place(stage))
    return {clip: {n: math.log(v) for n, v in of_objects.items() if v > 0} for clip, of_objects in values.items()}


def _pooled(each: Sequence[Values]) -> Values:
    """Means over conditions of each clip, so that a clip counts once."""
    found: dict[str, list[float]] = {}
    for values in each:
        for clip, of_objects in values.items():
            if of_objects:
                found.setdefault(clip, []).append(float(np.mean(list(of_objects.values()))))
    return {clip: {None: float(np.mean(means))} for clip, means in found.items()}


def _passages(table: _Table, disturbed: Sequence[Condition]) -> Iterable[Passage]:
    for stage in FEEDS:
        for region in REGIONS:
            logs = {each: _logs(table, stage, region, each) for each in disturbed}
            over_all = _effect(_pooled(list(logs.values())), 1.0, math.exp)
            if over_all is not None:
                of_each = {each: _effect(_pooled([values]), 1.0, math.exp) for each, values in logs.items()}
                known = {each: effect for each, effect in of_each.items() if effect is not None}
                yield Passage(stage, region, over_all, known)


def _emphasis(table: _Table, disturbed: Sequence[Condition]) -> dict[Stage, Effect]:
    found = {}
    for stage in FEEDS:
        both = [_less(*(_logs(table, stage, region, each) for region in REGIONS)) for each in disturbed]
        effect = _effect(_pooled(both), 1.0, math.exp)
        if effect is not None:
            found[stage] = effect
    return found


def _knowledge(table: _Table, place: Place, ending: str = "") -> Knowledge | None:
    auc = table.values(f"{SEPARATION}{ending}", CLEAN, place)
    ours = _effect(auc, 0.5)
    if ours is None:
        return None
    controls = {
        name: table.values(f"{SEPARATION}_{name}{ending}", CLEAN, place if name == "control" else None)
        for name in CONTROLS
    }
    means = {name: _mean(values) for name, values in controls.items()}
    above = {name: _effect(_less(auc, values)) for name, values in controls.items()}
    return Knowledge(
        place,
        ours,
        {name: mean for name, mean in means.items() if mean is not None},
        {name: effect for name, effect in above.items() if effect is not None},
    )


def _clip_onsets(rows: Rows) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for row in rows.of("onset", CLEAN):
        found[row.clip] = row.tap if row.stage is not None else None
    return found


def _lost(table: _Table, condition: Condition) -> Interval | None:
    """Of all frames but the given one; a state that no frame has leaves no row."""
    shares: Values = {}
    for name in ("hit", "absence", *LOST_OUTCOMES):
        for clip, of_objects in table.values(f"outcome_share.{name}", condition, None).items():
            for number, value in of_objects.items():
                mine = shares.setdefault(clip, {})
                mine[number] = mine.get(number, 0.0) + (value if name in LOST_OUTCOMES else 0.0)
    return _mean(shares)


def _blamed(
    rows: Rows, conditions: Sequence[Condition]
) -> tuple[dict[Condition, Blamed], dict[str, dict[Stage | None, int]]]:
    """By condition, and of transformed clips by clip; without blame, losses alone."""
    losses = losses_of(rows)
    found = {}
    for condition in conditions:
        mine = [loss for loss in losses if loss.condition == condition]
        stages: Counter[Stage | None] = Counter()
        for loss in mine:
            stages[loss.stage] += loss.frames
        found[condition] = Blamed(len(mine), sum(loss.frames for loss in mine), dict(stages))
    by_clip: dict[str, dict[Stage | None, int]] = {}
    for loss in losses:
        if not loss.condition.is_clean:
            mine_of_clip = by_clip.setdefault(loss.clip, {})
            mine_of_clip[loss.stage] = mine_of_clip.get(loss.stage, 0) + loss.frames
    return found, by_clip


def _unnamed(rows: Rows) -> tuple[dict[str, tuple[int, int]], tuple[Unnamed, ...]]:
    """Of transformed clips: lost frames and blamed ones by kind of loss; and the losses without a stage, by reason."""
    kinds: dict[str, tuple[int, int]] = {}
    found: dict[tuple[str, str], list[int]] = {}
    for loss in losses_of(rows):
        if loss.condition.is_clean:
            continue
        lost, blamed = kinds.get(loss.kind, (0, 0))
        kinds[loss.kind] = lost + loss.frames, blamed + (loss.frames if loss.stage is not None else 0)
        if loss.stage is None:
            found.setdefault((loss.kind, kind_of(loss.reason)), []).append(loss.frames)
    unnamed = (Unnamed(kind, reason, len(frames), sum(frames)) for (kind, reason), frames in found.items())
    return kinds, tuple(sorted(unnamed, key=lambda each: (-each.frames, each.kind, each.reason)))


def _blame_shares(by_clip: Mapping[str, Mapping[Stage | None, int]]) -> dict[Stage | None, Interval]:
    stages = list(dict.fromkeys(stage for of_clip in by_clip.values() for stage in of_clip))
    if not stages:
        return {}
    rows = [[*(of_clip.get(stage, 0) for stage in stages), sum(of_clip.values())] for of_clip in by_clip.values()]

    def shares(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(sums[:, :-1] / np.maximum(sums[:, -1:], 1))

    return dict(zip(stages, Bootstrap(method="percentile").intervals(rows, shares), strict=True))


def _recovered(table: _Table, disturbed: Sequence[Condition]) -> dict[Stage, Interval]:
    found = {}
    for place in table.rows.places("recovered_j", taps=False):
        interval = _mean(_pooled([table.values("recovered_j", each, place) for each in disturbed]))
        if interval is not None:
            found[place.stage] = interval
    return found
