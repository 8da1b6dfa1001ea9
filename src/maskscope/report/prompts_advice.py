"""Which prompt, how many, when again: rules over the table of a prompt study, each citing the figures it used."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

from maskscope.report.prompts_table import FIRST_J, LATE, SECONDS, PromptRow

AS_GOOD: Final = 0.02
"""J&F within which two ways of prompting count as equal."""
HOLDS: Final = 0.5
"""J&F below which an object is not followed."""
STEADY: Final = 0.95
"""Share of a score that a prompt may cost by being off, to be called off without harm."""
TELLS: Final = 0.9
"""AUC from which a signal is called one."""

HEEDLESS: Final = 0.8
"""Share of a right prompt's first J, from which a wrong one shows that the model does not heed where it is pointed."""

Question = Literal["which prompt", "when again", "how exact", "wrong prompts"]
_SIMPLE: Final = ("1 click", "3 clicks", "5 clicks", "box", "mask")


@dataclass(frozen=True)
class Finding:
    """What a rule says.

    Attributes:
        question: that it answers.
        rule: its condition, in words.
        says: the answer, as a part of a sentence.
        cites: figures it used, as "axis/name: figure".
    """

    question: Question
    rule: str
    says: str
    cites: tuple[str, ...]


@dataclass(frozen=True)
class Advice:
    """What a study recommends.

    Attributes:
        sentence: which prompt, how many, when again.
        findings: the rules that fired, at most one a question.
        truth: what scores are against, "annotated" or "own run".
    """

    sentence: str
    findings: tuple[Finding, ...]
    truth: str


@dataclass(frozen=True)
class Rule:
    """Of the table; the first of a question that finds something is taken."""

    question: Question
    when: str
    find: Callable[[_Table], tuple[str, Sequence[PromptRow]] | None]


def advise(rows: Sequence[PromptRow], truth: str = "annotated") -> Advice:
    """Go through `RULES`. Without what a rule needs it says nothing.

    Args:
        rows: from `prompt_rows`.
        truth: "own run" leaves the mask out, as masks are what the others are compared with.
    """
    table = _Table(tuple(rows), truth)
    findings: dict[Question, Finding] = {}
    for rule in RULES:
        if rule.question in findings:
            continue
        found = rule.find(table)
        if found is not None:
            says, used = found
            findings[rule.question] = Finding(rule.question, rule.when, says, tuple(map(cite, used)))
    said = [findings[each].says for each in ("which prompt", "when again") if each in findings]
    if not said:
        sentence = "Nothing was measured that recommends a prompt: run the parts kind and density."
    else:
        sentence = "; ".join(said) + "."
        sentence = sentence[0].upper() + sentence[1:]
        if truth != "annotated":
            sentence += " (Compared with the model's own run, not with true masks.)"
    return Advice(sentence, tuple(findings.values()), truth)


def cite(row: PromptRow) -> str:
    """A row as rules cite it."""
    name = f"{row.axis}/{row.name}" + (f" {row.percent} %" if row.percent else "")
    told = []
    if row.score is not None:
        told.append(f"J&F {_span(row)}")
    for key, unit in ((FIRST_J, "first J"), (LATE, "late J&F"), (SECONDS, "s"), ("auc", "AUC")):
        value = row.value(key)
        if value is not None:
            told.append(f"{value:.1f} s" if unit == "s" else f"{unit} {value:.3f}")
    return f"{name}: {', '.join(told)} ({row.records} records)"


@dataclass(frozen=True)
class _Table:
    rows: tuple[PromptRow, ...]
    truth: str

    def of(self, axis: str) -> list[PromptRow]:
        return [row for row in self.rows if row.axis == axis and row.score is not None]

    def named(self, axis: str, name: str) -> PromptRow | None:
        return next((row for row in self.of(axis) if row.name == name), None)

    @cached_property
    def kinds(self) -> list[PromptRow]:
        left_out = "mask" if self.truth != "annotated" else ""
        return [row for row in self.of("kind") if row.name in _SIMPLE and row.name != left_out]

    @cached_property
    def best(self) -> PromptRow | None:
        return max(self.kinds, key=_score, default=None)

    @cached_property
    def chosen(self) -> PromptRow | None:
        """The cheapest prompt that is as good as the best."""
        if self.best is None:
            return None
        good = [row for row in self.kinds if _score(row) >= _score(self.best) - AS_GOOD]
        return min(good, key=_seconds)

    @cached_property
    def once(self) -> PromptRow | None:
        """The chosen prompt, or its like of which densities were tried."""
        if self.chosen is None:
            return None
        name = "3 clicks" if "click" in self.chosen.name else self.chosen.name
        return self.named("kind", name)

    @cached_property
    def again(self) -> list[tuple[int, PromptRow]]:
        """Intervals of repeated prompts of that kind, in frames."""
        if self.once is None:
            return []
        found = [(row, re.fullmatch(rf"{self.once.name}, every (\d+) frames", row.name)) for row in self.of("density")]
        return sorted(((int(match[1]), row) for row, match in found if match), key=lambda pair: pair[0])

    @cached_property
    def interval(self) -> tuple[int, PromptRow] | None:
        """The longest interval that is as good as the best."""
        if not self.again:
            return None
        best = max(_score(row) for _, row in self.again)
        return max(((every, row) for every, row in self.again if _score(row) >= best - AS_GOOD), key=lambda p: p[0])


def _nothing_holds(table: _Table) -> tuple[str, Sequence[PromptRow]] | None:
    best = table.best
    if best is None or _score(best) >= HOLDS:
        return None
    says = (
        f"no prompt holds the object (the best, {_a(best)}, reaches J&F {_span(best)}): change the model or the picture"
    )
    return says, [best]


def _cheapest(table: _Table) -> tuple[str, Sequence[PromptRow]] | None:
    if table.chosen is None or table.best is None:
        return None
    chosen, best = table.chosen, table.best
    says = f"give {_a(chosen)} ({_seconds(chosen):.1f} s): J&F {_span(chosen)}"
    if best is chosen:
        return says, [best]
    return f"{says}, as good as {_a(best)} ({_seconds(best):.1f} s, {_score(best):.2f})", [chosen, best]


def _not_worth(table: _Table) -> tuple[str, Sequence[PromptRow]] | None:
    if table.best is None or _score(table.best) >= HOLDS or table.interval is None or table.once is None:
        return None
    every, row = table.interval
    if _score(row) >= HOLDS:
        return None
    return f"prompts every {every} frames do not hold it either (J&F {_span(row)})", [row]


def _once_is_enough(table: _Table) -> tuple[str, Sequence[PromptRow]] | None:
    if table.interval is None or table.once is None:
        return None
    best = max((row for _, row in table.again), key=_score)
    if _score(best) - _score(table.once) > AS_GOOD:
        return None
    return "once is enough: no interval of new prompts gains more than " + f"{AS_GOOD:.2f}", [table.once, best]


def _correct_when_it_slips(table: _Table) -> tuple[str, Sequence[PromptRow]] | None:
    if table.interval is None or table.once is None:
        return None
    _, repeated = table.interval
    good = [row for row in table.of("online") if _score(row) >= _score(repeated) - AS_GOOD]
    cheap = min(good, key=_seconds, default=None)
    if cheap is None or _seconds(cheap) > _seconds(repeated):
        return None
    corrections = (cheap.value("prompts") or 1.0) - 1
    says = (
        f"watch it and correct with 3 clicks when IoU falls below 0.75 ({corrections:.1f} corrections a clip, "
        f"{_seconds(cheap):.0f} s with watching): J&F {_span(cheap)}"
    )
    return says, [table.once, cheap, repeated]


def _interval_pays(table: _Table) -> tuple[str, Sequence[PromptRow]] | None:
    if table.interval is None or table.once is None:
        return None
    every, row = table.interval
    gain = _score(row) - _score(table.once)
    says = (
        f"say it again every {every} frames ({row.name.partition(',')[0]}, {_seconds(row):.0f} s): J&F {_span(row)}, "
    )
    return says + f"{gain:+.2f} over saying it once", [table.once, row]


def _how_exact(table: _Table) -> tuple[str, Sequence[PromptRow]] | None:
    said, used = [], []
    for name, base in (
        ("box shifted", "box"), ("box too large", "box"), ("box too small", "box"), ("click shifted", "1 click"),
    ):  # fmt: skip
        exact = table.named("kind", base)
        tried = sorted((row for row in table.of("jitter") if row.name == name), key=lambda row: row.percent)
        if exact is None or not tried:
            continue
        steady = 0
        for row in tried:
            if _score(row) < STEADY * _score(exact):
                break
            steady = row.percent
            last = row
        said.append(f"{name} by {f'up to {steady}' if steady else f'even {tried[0].percent}'} %")
        said[-1] += " costs less than 5 %" if steady else " costs more than 5 %"
        used += [exact, last if steady else tried[0]]
    return ("; ".join(said), _distinct(used)) if said else None


def _is_not_heeded(table: _Table) -> tuple[str, Sequence[PromptRow]] | None:
    for name, base in (("click on the background", "1 click"), ("box on the background", "box")):
        right, wrong = table.named("kind", base), table.named("wrong", name)
        if right is None or wrong is None:
            continue
        ours, theirs = right.value(FIRST_J) or 0.0, wrong.value(FIRST_J) or 0.0
        if ours and theirs >= HEEDLESS * ours:
            says = f"the model does not heed where it is pointed: a {name} finds the object like {_a(right)} on it "
            return says + f"(J {theirs:.2f} and {ours:.2f}), so look at the first mask, or give a mask", [right, wrong]
    return None


def _wrong_is_told(table: _Table) -> tuple[str, Sequence[PromptRow]] | None:
    telling = [row for row in table.rows if row.axis == "telling"]
    best = max(telling, key=_auc, default=None)
    if best is None or _auc(best) < TELLS:
        return None
    return f"a wrong prompt is told by {best.name} (AUC {_auc(best):.2f})", [best]


def _wrong_is_not_told(table: _Table) -> tuple[str, Sequence[PromptRow]] | None:
    telling = [row for row in table.rows if row.axis == "telling"]
    best = max(telling, key=_auc, default=None)
    if best is None:
        return None
    says = f"nothing the model says tells a wrong prompt well (best: {best.name}, AUC {_auc(best):.2f})"
    return f"{says}: look at the first mask", telling


RULES: Final = (
    Rule("which prompt", f"no kind of prompt reaches J&F {HOLDS}", _nothing_holds),
    Rule("which prompt", f"the one of least human time whose J&F is within {AS_GOOD} of the best", _cheapest),
    Rule("when again", f"neither once nor again reaches J&F {HOLDS}", _not_worth),
    Rule("when again", f"no interval of new prompts gains more than {AS_GOOD} J&F", _once_is_enough),
    Rule(
        "when again",
        f"correcting when it slips is within {AS_GOOD} J&F of the best interval, in no more human time",
        _correct_when_it_slips,
    ),
    Rule("when again", f"the longest interval whose J&F is within {AS_GOOD} of the best", _interval_pays),
    Rule("how exact", f"the largest jitter up to which {STEADY:.0%} of J&F is left", _how_exact),
    Rule(
        "wrong prompts", f"a prompt on the background reaches {HEEDLESS:.0%} of a right one's first J", _is_not_heeded
    ),
    Rule("wrong prompts", f"a signal's AUC between right and wrong prompts is {TELLS} or more", _wrong_is_told),
    Rule("wrong prompts", f"no signal's AUC is {TELLS} or more", _wrong_is_not_told),
)
"""In order; of each question the first that finds something."""


def _score(row: PromptRow) -> float:
    return 0.0 if row.score is None else row.score.estimate


def _seconds(row: PromptRow) -> float:
    found = row.value(SECONDS)
    return float("inf") if found is None else found


def _auc(row: PromptRow) -> float:
    return row.value("auc") or 0.0


def _a(row: PromptRow) -> str:
    return row.name if row.name[0].isdigit() else f"a {row.name}"


def _span(row: PromptRow) -> str:
    if row.score is None:
        return "-"
    return f"{row.score.estimate:.2f} [{row.score.low:.2f}, {row.score.high:.2f}]"


def _distinct(rows: Sequence[PromptRow]) -> list[PromptRow]:
    """Each once, in order; rows hold mappings and have no hash."""
    return [row for place, row in enumerate(rows) if row not in rows[:place]]
