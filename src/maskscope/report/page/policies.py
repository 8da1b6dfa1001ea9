"""Which memory policy to try, where that is the remedy and policies were compared."""

from __future__ import annotations

from collections.abc import Iterable

from maskscope.report.page.names import listed
from maskscope.report.page.rows import Condition
from maskscope.report.policy_advice import PolicyAdvice, policy_advice


def advised(conditions: Iterable[Condition]) -> str:
    """A sentence for each policy that is recommended under these conditions; empty where nothing was compared."""
    found: dict[PolicyAdvice, list[str]] = {}
    for each in conditions:
        advice = policy_advice(each.family or "clean")
        if advice is not None:
            found.setdefault(advice, []).append(str(each))
    return " ".join(_sentence(advice, listed(names)) for advice, names in found.items())


def _sentence(advice: PolicyAdvice, under: str) -> str:
    if not advice.changes_something:
        return f"Of the policies compared on {advice.clips} clips none is surely better than stock under {under}."
    gain, low, high = (100 * value for value in (advice.gain, advice.low, advice.high))
    return (
        f"Under {under} the policy {advice.policy} gained most on {advice.clips} clips, {gain:+.1f} points of J&F "
        f"(95 % interval {low:+.1f} to {high:+.1f}): {advice.command}."
    )
