"""Which memory policy when: a recommendation for each condition. Whether it holds elsewhere: `policy_check`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from maskscope.evaluate.statistics import Bootstrap
from maskscope.report.policy_rows import CONTROL, Cell, PolicyRow, compare_policies

BANDS: Final = {1: "1-2", 2: "1-2", 3: "3", 4: "4-5", 5: "4-5"}
"""Severities that are one condition."""

LEAST_CLIPS: Final = 3
"""With fewer an interval says nothing, and the stock policy is recommended."""

ERROR: Final = 0.05
"""Chance of recommending another policy in a condition in which none gains, for all that were tried together."""


@dataclass(frozen=True)
class Rule:
    """When another policy than the stock one is recommended.

    Whoever tries five policies and looks at five intervals finds one above 0 by luck sooner than one in twenty times;
    so the error is divided by the number tried (Bonferroni), and of several that gain the one whose lower end is
    highest is taken, not the one that may have been luckiest. A gain that nobody would see is no reason to change.

    Attributes:
        corrected: do so; otherwise every interval has 95 % of its own, and the largest gain is taken.
        least_gain: of J&F in the mean, a fraction.
        always: not a rule but this policy, whatever was measured; to compare with.
    """

    corrected: bool = True
    least_gain: float = 0.01
    always: str = ""


RULE: Final = Rule()
"""The one that page and advice follow."""

PLAIN: Final = Rule(corrected=False, least_gain=0.0)
"""The largest gain whose own interval of 95 % lies above 0."""


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


def choices(
    cells: Sequence[Cell],
    *,
    clips: Collection[str] | None = None,
    bootstrap: Bootstrap | None = None,
    rule: Rule = RULE,
) -> list[Choice]:
    """A recommendation for each condition: the stock policy, unless another surely gains over it.

    Args:
        cells: from `read_cells`.
        clips: only these; None for all.
        bootstrap: how intervals of the rows are made; by default BCa at 95 %, 10,000 draws, seed 0.
        rule: what surely means.
    """
    bootstrap = bootstrap or Bootstrap()
    rows = compare_policies(cells, _band, clips=clips, bootstrap=bootstrap)
    tried = max(len({cell.policy for cell in cells} - {CONTROL}), 1)
    surer = replace(bootstrap, confidence=1 - 2 * ERROR / tried)  # what lies below its lower end is ERROR / tried
    sure = compare_policies(cells, _band, clips=clips, bootstrap=surer) if rule.corrected else rows
    groups: dict[tuple[str, str, str], list[PolicyRow]] = {}
    low: dict[tuple[str, str, str, str], float] = {}
    for row, other in zip(rows, sure, strict=True):
        groups.setdefault((row.tracker, row.family, row.band), []).append(row)
        if other.gain is not None and other.gain.low is not None:
            low[row.tracker, row.family, row.band, row.policy] = other.gain.low
    return [
        Choice(
            *where, tuple(group), rule.always or _recommended(group, [low.get((*where, r.policy)) for r in group], rule)
        )
        for where, group in groups.items()
        if any(row.policy == CONTROL for row in group) and (not rule.always or rule.always in {r.policy for r in group})
    ]


def _band(severity: int) -> str:
    return BANDS.get(severity, str(severity))


def _recommended(rows: Sequence[PolicyRow], lows: Sequence[float | None], rule: Rule) -> str:
    best, most = CONTROL, 0.0
    for row, low in zip(rows, lows, strict=True):
        if row.gain is None or low is None or row.clips < LEAST_CLIPS:
            continue
        rank = low if rule.corrected else row.gain.gain
        if low > 0 and row.gain.gain >= rule.least_gain and rank > most:
            best, most = row.policy, rank
    return best
