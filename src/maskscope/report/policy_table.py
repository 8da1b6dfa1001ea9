"""Which memory policy when: a recommendation for each condition, and whether it holds on clips it was not made from."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from maskscope.evaluate.statistics import Bootstrap, Interval, mean_interval
from maskscope.report.policy_rows import CONTROL, Cell, PolicyRow, compare_policies

BANDS: Final = {1: "1-2", 2: "1-2", 3: "3", 4: "4-5", 5: "4-5"}
"""Severities that are one condition."""

LEAST_CLIPS: Final = 3
"""With fewer an interval says nothing, and the stock policy is recommended."""

_TIE: Final = 1e-9


@dataclass(frozen=True)
class Choice:
    """What is recommended under one condition.

    Attributes:
        tracker: name of the weights.
        family: of transformations, empty for clips as they are.
        band: severities, as in `PolicyRow`.
        rows: of all policies tried, the stock one first.
        policy: the recommended one.
    """

    tracker: str
    family: str
    band: str
    rows: tuple[PolicyRow, ...]
    policy: str

    @property
    def row(self) -> PolicyRow:
        """Of the recommended policy."""
        return next(row for row in self.rows if row.policy == self.policy)


@dataclass(frozen=True)
class Held:
    """One recommendation on clips that it was not made from.

    Attributes:
        family: of transformations.
        band: severities.
        policy: recommended by the other clips.
        best: highest mean J&F of these.
        clips: how many these are.
        is_best: whether no policy that was tried has a higher mean.
        gain: mean J&F of the recommended policy less the stock one's.
        possible: the same of the best policy, which nobody can know beforehand; 0 or more.
        of_clip: clip -> mean gain of the recommended policy on its objects.
    """

    family: str
    band: str
    policy: str
    best: str
    clips: int
    is_best: bool
    gain: float
    possible: float
    of_clip: dict[str, float]


@dataclass(frozen=True)
class HeldOut:
    """How recommendations did on clips that they were not made from.

    Attributes:
        held: one for each condition and half.
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
    def stock_best(self) -> int:
        """How often the stock policy was: what recommending it always would come to."""
        return sum(each.possible <= _TIE for each in self.held)

    @property
    def changed(self) -> tuple[Held, ...]:
        """Those that recommend another policy than the stock one."""
        return tuple(each for each in self.held if each.policy != CONTROL)

    @property
    def hurt(self) -> int:
        """How many of those lose on clips they were not made from."""
        return sum(each.gain < -_TIE for each in self.changed)


def choices(
    cells: Sequence[Cell], *, clips: Collection[str] | None = None, bootstrap: Bootstrap | None = None
) -> list[Choice]:
    """A recommendation for each condition: the stock policy, unless another surely gains over it.

    A policy surely gains where the lower end of its interval is above 0 on three clips or more; of several that do, the
    one with the largest gain is taken.

    Args:
        cells: from `read_cells`.
        clips: only these; None for all.
        bootstrap: how intervals are made; by default BCa at 95 %, 10,000 draws, seed 0.
    """
    rows = compare_policies(
        cells, lambda severity: BANDS.get(severity, str(severity)), clips=clips, bootstrap=bootstrap
    )
    groups: dict[tuple[str, str, str], list[PolicyRow]] = {}
    for row in rows:
        groups.setdefault((row.tracker, row.family, row.band), []).append(row)
    return [
        Choice(*where, tuple(group), _recommended(group))
        for where, group in groups.items()
        if any(row.policy == CONTROL for row in group)
    ]


def _recommended(rows: Sequence[PolicyRow]) -> str:
    best, most = CONTROL, 0.0
    for row in rows:
        gain = row.gain
        if gain is None or gain.low is None or row.clips < LEAST_CLIPS:
            continue
        if gain.low > 0 and gain.gain > most:
            best, most = row.policy, gain.gain
    return best


def half_of(clip: str) -> int:
    """0 or 1: which half a clip belongs to, by its name alone, so that no run can choose."""
    return hashlib.sha256(clip.encode()).digest()[0] % 2


def held_out(cells: Sequence[Cell], bootstrap: Bootstrap | None = None) -> HeldOut:
    """Recommend by one half of the clips, look at the other half, and the other way round.

    A half's recommendations ask for a lower end above 0 on `LEAST_CLIPS` clips, as always.
    """
    names = sorted({cell.clip for cell in cells})
    halves = tuple(tuple(name for name in names if half_of(name) == half) for half in (0, 1))
    found: list[Held] = []
    for made, tried in (halves, halves[::-1]):
        recommended = {
            (choice.tracker, choice.family, choice.band): choice.policy
            for choice in choices(cells, clips=made, bootstrap=bootstrap)
        }
        for choice in choices(cells, clips=tried, bootstrap=Bootstrap(resamples=1, method="percentile")):
            policy = recommended.get((choice.tracker, choice.family, choice.band))
            if policy is not None and (one := _held(choice, policy, cells, tried)) is not None:
                found.append(one)
    of_clip: dict[str, list[float]] = {}
    for each in found:
        if each.policy != CONTROL:
            for clip, brought in each.of_clip.items():
                of_clip.setdefault(clip, []).append(brought)
    gain = mean_interval(list(of_clip.values()), bootstrap) if of_clip else None
    return HeldOut(tuple(found), gain, (halves[0], halves[1]))


def _held(choice: Choice, policy: str, cells: Sequence[Cell], clips: Collection[str]) -> Held | None:
    """None where the recommended policy was not tried on these clips."""
    gains = {row.policy: row.gain.gain for row in choice.rows if row.gain is not None}
    if policy not in gains or CONTROL not in gains:
        return None
    best = max(gains, key=lambda name: (gains[name], name == CONTROL))
    of_clip: dict[str, float] = {}
    for clip in clips:
        alone = [cell for cell in cells if cell.family == choice.family and cell.policy in (policy, CONTROL)]
        rows = compare_policies(
            [cell for cell in alone if BANDS.get(cell.severity, "0") == choice.band and cell.tracker == choice.tracker],
            lambda _: choice.band,
            clips={clip},
            bootstrap=Bootstrap(resamples=1, method="percentile"),
        )
        gain = next((row.gain for row in rows if row.policy == policy), None)
        if gain is not None:
            of_clip[clip] = gain.gain
    is_best = gains[policy] >= gains[best] - _TIE
    return Held(
        choice.family, choice.band, policy, best, len(of_clip), is_best, gains[policy], max(gains[best], 0.0), of_clip
    )
