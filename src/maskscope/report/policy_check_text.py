"""How the table of policies held on clips it was not made from, as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from maskscope.evaluate.statistics import Bootstrap
from maskscope.report.policy_check import NEAR, HeldOut, held_out
from maskscope.report.policy_goal import OURS
from maskscope.report.policy_names import NAMES, band_of
from maskscope.report.policy_rows import CONTROL, Cell
from maskscope.report.policy_table import PLAIN, RULE, Rule

_RULES: Final = {
    "this page's": RULE,
    "the largest gain whose own interval is above 0": PLAIN,
    f"always `{OURS}`": Rule(always=OURS),
    f"always `{CONTROL}`": Rule(always=CONTROL),
}

_FEW: Final = "There are too few clips to make the table from one half and try it on the other."


def check_text(cells: Sequence[Cell], bootstrap: Bootstrap | None = None) -> str:
    """The rule beside simpler ones, then condition by condition."""
    halves = {name: held_out(cells, bootstrap, rule) for name, rule in _RULES.items()}
    mine, ours = halves["this page's"], halves[f"always `{OURS}`"]
    if not mine.held:
        return _FEW
    lines = [
        f"Clips fall into halves by a hash of their names ({len(mine.halves[0])} and {len(mine.halves[1])} clips): the "
        "table was made from one and tried on the other, and the other way round. Then each clip was left out in turn. "
        f"Of a condition only what every policy has counts. *Changed* are conditions in which another policy than "
        f"`{CONTROL}` was recommended, with what that brought there; *all* is over all conditions, of what the best "
        "policy of each would have brought.",
        "",
        f"| rule | made from | conditions | the best of those tried | within {100 * NEAR:.0f} point of it | changed "
        "| of these lost | changed, gain | all, gain |",
        "|---|---|---|---|---|---|---|---|---|",
        *(f"| {name} | half of the clips | {_counts(held)} |" for name, held in halves.items() if held.held),
    ]
    for name, rule in _RULES.items():
        held = held_out(cells, bootstrap, rule, one_by_one=True)
        if held.held:
            lines.append(f"| {name} | all but one | {_counts(held)} |")
    if ours.held and ours.brought > mine.brought:
        lines += [
            "",
            f"A table of many conditions from few clips finds large gains and misses small ones: who takes `{OURS}` "
            f"everywhere has {100 * (ours.brought - mine.brought):+.1f} points more in the mean than who follows the "
            f"table, and loses some in {ours.hurt} of {len(ours.held)} conditions, against {mine.hurt}.",
        ]
    return "\n".join([*lines, "", held_text(mine)])


def held_text(found: HeldOut) -> str:
    """What the check by halves came to, with counts."""
    count = len(found.held)
    if not count:
        return _FEW
    lines = [
        f"- In {found.best} of {count} conditions the recommended policy was the best of those tried, in {found.near} "
        f"none was better by more than {100 * NEAR:.0f} point."
    ]
    if found.gain is not None:
        low, high = 100 * found.gain.low, 100 * found.gain.high
        lines.append(
            f"- Where another policy than `{CONTROL}` was recommended ({len(found.changed)} of {count}), it brought "
            f"{100 * found.gain.estimate:+.1f} [{low:+.1f}, {high:+.1f}] points of J&F; in {found.hurt} of "
            f"{len(found.changed)} it cost some."
        )
    else:
        lines.append(f"- No half recommended another policy than `{CONTROL}`.")
    lines += [
        f"- Over all conditions the recommendations brought {100 * found.brought:+.1f} points; who had known the best "
        f"policy of each beforehand would have had {100 * found.possible:+.1f}.",
        "",
        "| condition | severity | clips | recommended | gain | best | its gain |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in found.held:
        name, band = NAMES.get(each.family, each.family), band_of(each.family, each.band)
        lines.append(
            f"| {name} | {band} | {each.clips} | {each.policy} | {100 * each.gain:+.1f} | {each.best} | "
            f"{100 * each.possible:+.1f} |"
        )
    return "\n".join(lines)


def _counts(found: HeldOut) -> str:
    gain = "-"
    if found.gain is not None:
        low, high = 100 * found.gain.low, 100 * found.gain.high
        gain = f"{100 * found.gain.estimate:+.1f} [{low:+.1f}, {high:+.1f}]"
    counts = (len(found.held), found.best, found.near, len(found.changed), found.hurt)
    return " | ".join([*map(str, counts), gain, f"{100 * found.brought:+.1f} of {100 * found.possible:+.1f}"])
