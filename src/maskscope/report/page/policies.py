"""Which memory policy to try, where that is the remedy and policies were compared."""

from __future__ import annotations

from collections.abc import Iterable

from maskscope.report.page.names import listed
from maskscope.report.page.rows import Condition
from maskscope.report.policy_advice import PolicyAdvice, policy_advice, strongest_advice


def advised(conditions: Iterable[Condition]) -> str:
    """A sentence for each policy that is recommended under these conditions; empty where nothing was compared.

    What befalls the object in a film of its own is not known. Where nothing is surely better on clips as filmed, the
    policy that gained most anywhere is named beside, and under what.
    """
    found: dict[PolicyAdvice, list[str]] = {}
    elsewhere = False
    for each in conditions:
        advice = policy_advice(each.family or "clean", severity=each.severity)
        if advice is not None:
            found.setdefault(advice, []).append("on clips as filmed" if each.is_clean else _under(each, advice))
            elsewhere = elsewhere or (each.is_clean and not advice.changes_something)
    sentences = [_sentence(advice, listed(where)) for advice, where in found.items()]
    if elsewhere and (strongest := strongest_advice()) is not None and strongest[1] not in found:
        family, advice = strongest
        sentences.append(_sentence(advice, f"under {family} of severity {advice.severity}"))
    return " ".join(sentences)


def _under(condition: Condition, advice: PolicyAdvice) -> str:
    """What was compared may have been another severity."""
    first, _, last = advice.severity.partition("-")
    same = int(first) <= condition.severity <= int(last or first)
    return f"under {condition}" if same else f"under {condition.family} of severity {advice.severity}"


def _sentence(advice: PolicyAdvice, where: str) -> str:
    if not advice.changes_something:
        return f"Of the policies compared on {advice.clips} clips none is surely better than stock {where}."
    gain, low, high = (100 * value for value in (advice.gain, advice.low, advice.high))
    return (
        f"{where[0].upper()}{where[1:]} the policy {advice.policy} gained most surely on {advice.clips} clips, "
        f"{gain:+.1f} points of J&F (95 % interval {low:+.1f} to {high:+.1f}): {advice.command}."
    )
