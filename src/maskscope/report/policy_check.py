"""Do recommendations hold on clips they were not made from? Made from some clips, tried on the others."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from maskscope.evaluate.statistics import Bootstrap, Interval, mean_interval
from maskscope.report.policy_rows import CONTROL, Cell
from maskscope.report.policy_table import BANDS, RULE, Rule, choices

NEAR: Final = 0.01
"""J&F by which a policy may be below the best one and be as good for anybody who looks."""

_TIE: Final = 1e-9

_Condition = tuple[str, str, str]  # tracker, family, band
_Gains = dict[_Condition, dict[str, dict[str, list[float]]]]  # condition -> policy -> clip -> of its objects


@dataclass(frozen=True)
class Held:
    """One recommendation on clips that it was not made from.

    Attributes:
        family: of transformations.
        band: severities.
        policy: recommended by the other clips; where clips were left out one by one, most often.
        best: highest mean J&F of these, one policy for all of them.
        clips: how many these are; only what every policy has counts.
        is_best: whether no policy that was tried has a higher mean.
        is_near: whether none has one higher by more than `NEAR`.
        gain: mean J&F of the recommended policy less the stock one's.
        possible: the same of the best policy, which nobody can know beforehand; 0 or more.
        of_clip: clip -> gains on its objects, where another policy than the stock one was recommended.
    """

    family: str
    band: str
    policy: str
    best: str
    clips: int
    is_best: bool
    is_near: bool
    gain: float
    possible: float
    of_clip: dict[str, list[float]]


@dataclass(frozen=True)
class HeldOut:
    """How recommendations did on clips that they were not made from.

    Attributes:
        held: one for each condition and half, or one for each condition.
        gain: mean J&F brought back where another policy than the stock one was recommended, with its interval over
            clips; None where none was.
        halves: clips of the two halves.
    """

    held: tuple[Held, ...]
    gain: Interval | None
    halves: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def best(self) -> int:
        """How often the recommended policy was the best of those tried."""
        return sum(each.is_best for each in self.held)

    @property
    def near(self) -> int:
        """How often none was better by more than `NEAR`."""
        return sum(each.is_near for each in self.held)

    @property
    def changed(self) -> tuple[Held, ...]:
        """Those that recommend another policy than the stock one."""
        return tuple(each for each in self.held if each.policy != CONTROL)

    @property
    def hurt(self) -> int:
        """How many of those lose on clips they were not made from."""
        return sum(each.gain < -_TIE for each in self.changed)

    @property
    def brought(self) -> float:
        """Mean gain over all conditions, 0 where stock was recommended."""
        return sum(each.gain for each in self.held) / max(len(self.held), 1)

    @property
    def possible(self) -> float:
        """The same of who knew the best policy of each beforehand."""
        return sum(each.possible for each in self.held) / max(len(self.held), 1)


def half_of(clip: str) -> int:
    """0 or 1: which half a clip belongs to, by its name alone, so that no run can choose."""
    return hashlib.sha256(clip.encode()).digest()[0] % 2


def held_out(
    cells: Sequence[Cell], bootstrap: Bootstrap | None = None, rule: Rule = RULE, *, one_by_one: bool = False
) -> HeldOut:
    """Recommend by some clips and look at others.

    Args:
        cells: from `read_cells`.
        bootstrap: how intervals are made, as of `choices`.
        rule: of recommending.
        one_by_one: leave each clip out in turn, so that recommendations are made from all but one, as those of the page
            nearly are; otherwise from one half and tried on the other, and the other way round.
    """
    names = sorted({cell.clip for cell in cells})
    halves = tuple(tuple(name for name in names if half_of(name) == half) for half in (0, 1))
    folds = [halves, halves[::-1]]
    if one_by_one:
        folds = [(tuple(other for other in names if other != name), (name,)) for name in names]
    gains = _gains(cells)
    scores = [replace(c, values={"j_and_f": c.values["j_and_f"]}) for c in cells if "j_and_f" in c.values]
    draws = Bootstrap(resamples=1, method="percentile") if rule.always else bootstrap  # of a foregone conclusion none
    parts: dict[tuple[int, _Condition], list[tuple[str, str]]] = {}  # of a condition: policy recommended for a clip
    for number, (made, tried) in enumerate(folds):
        for choice in choices(scores, clips=made, bootstrap=draws, rule=rule):
            condition = (choice.tracker, choice.family, choice.band)
            of_policy = gains.get(condition, {})
            clips = [clip for clip in tried if clip in of_policy.get(choice.policy, {})]
            if clips:
                place = parts.setdefault((0 if one_by_one else number, condition), [])
                place += [(choice.policy, clip) for clip in clips]
    found = [_held(condition, gains[condition], part) for (_, condition), part in parts.items()]
    of_clip: dict[str, list[float]] = {}
    for each in found:
        for clip, brought in each.of_clip.items():
            of_clip.setdefault(clip, []).extend(brought)
    gain = mean_interval(list(of_clip.values()), bootstrap) if of_clip else None
    return HeldOut(tuple(found), gain, (halves[0], halves[1]))


def _gains(cells: Sequence[Cell]) -> _Gains:
    """Over the stock policy, of what every policy of a condition has."""
    scores: dict[_Condition, dict[str, dict[tuple[str, int, int], float]]] = {}
    for cell in cells:
        if cell.object is not None and "j_and_f" in cell.values:
            condition = (cell.tracker, cell.family, BANDS.get(cell.severity, str(cell.severity)))
            of_policy = scores.setdefault(condition, {}).setdefault(cell.policy, {})
            of_policy[cell.clip, cell.object, cell.severity] = cell.values["j_and_f"]
    found: _Gains = {}
    for condition, by_policy in scores.items():
        control = by_policy.get(CONTROL)
        if control is None:
            continue
        everywhere = sorted(set.intersection(*(set(of_place) for of_place in by_policy.values())))
        for policy, of_place in by_policy.items():
            mine = found.setdefault(condition, {}).setdefault(policy, {})
            for place in everywhere:
                mine.setdefault(place[0], []).append(of_place[place] - control[place])
    return found


def _held(condition: _Condition, gains: dict[str, dict[str, list[float]]], part: Sequence[tuple[str, str]]) -> Held:
    """What the recommended policies brought on these clips, and what each single one would have."""
    brought = _mean([gain for policy, clip in part for gain in gains[policy][clip]])
    means = {policy: _mean([gain for _, clip in part for gain in of_clip[clip]]) for policy, of_clip in gains.items()}
    best = max(means, key=lambda name: (means[name], name == CONTROL))
    policy = Counter(policy for policy, _ in part).most_common(1)[0][0]
    changed = {clip: gains[policy][clip] for policy, clip in part if policy != CONTROL}
    return Held(
        *condition[1:], policy, best, len(part), brought >= means[best] - _TIE, brought >= means[best] - NEAR,
        brought, max(means[best], 0.0), changed,
    )  # fmt: skip


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
