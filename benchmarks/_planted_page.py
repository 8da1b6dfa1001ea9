"""What came of planted faults: the confusion matrix, shares with their intervals, and a page of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from maskscope.observe.blame import NOT_DETERMINED
from maskscope.records import write_whole
from maskscope.stages import STAGES, Stage

NO_BLAME = "no blame"
UNDISTURBED = "undisturbed"
SHOWN_MISSES = 12
NAMES: Mapping[str, str] = {stage: stage.replace("_", " ") for stage in STAGES}


@dataclass(frozen=True)
class Outcome:
    """One case: what was planted, and what was named where the object was lost.

    Attributes:
        clip: where.
        stage: that was perturbed; None of an undisturbed run.
        kind: of the fault, or "undisturbed".
        strength: of the fault; of an undisturbed run the number of its noise.
        frames: that were perturbed.
        lost: the object was lost where the clean run holds it.
        named: a position, "not determined", or "no blame" without a loss.
        confidence: of the blame, 0..1.
        reason: of the blame, one sentence.
    """

    clip: str
    stage: Stage | None
    kind: str
    strength: float
    frames: tuple[int, ...]
    lost: bool
    named: str
    confidence: float
    reason: str

    @property
    def right(self) -> bool:
        """What was planted was named."""
        return self.lost and self.named == self.stage


@dataclass(frozen=True)
class Share:
    """So many of so many, with the 95 % interval of Wilson."""

    count: int
    total: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """0..1 each; None of nothing."""
        if not self.total:
            return None
        found = binomtest(self.count, self.total).proportion_ci(0.95, method="wilson")
        return float(found.low), float(found.high)

    def __str__(self) -> str:
        if (found := self.interval) is None:
            return "nothing to count"
        return f"{100 * self.count / self.total:.1f} % [{100 * found[0]:.1f}, {100 * found[1]:.1f}] of {self.total}"

    def to_json(self) -> dict[str, Any]:
        """For the record."""
        return {"count": self.count, "total": self.total, "wilson_95": self.interval}


def faults_of(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Those with a fault."""
    return [each for each in outcomes if each.stage is not None]


def confusion(outcomes: Sequence[Outcome]) -> dict[str, dict[str, int]]:
    """Planted -> named -> how often, where the object was lost."""
    columns = (*STAGES, NOT_DETERMINED)
    lost = [each for each in faults_of(outcomes) if each.lost]
    return {s: {n: sum(each.stage == s and each.named == n for each in lost) for n in columns} for s in STAGES}


def top1(outcomes: Sequence[Outcome]) -> Share:
    """Lost cases that name the planted position."""
    lost = [each for each in faults_of(outcomes) if each.lost]
    return Share(sum(each.right for each in lost), len(lost))


def determined(outcomes: Sequence[Outcome]) -> Share:
    """Right ones among the lost cases that name a position at all."""
    named = [each for each in faults_of(outcomes) if each.lost and each.named in STAGES]
    return Share(sum(each.right for each in named), len(named))


def quiet(outcomes: Sequence[Outcome]) -> Share:
    """Undisturbed runs in which no position is blamed."""
    runs = [each for each in outcomes if each.stage is None]
    return Share(sum(each.named in (NO_BLAME, NOT_DETERMINED) for each in runs), len(runs))


def never_lost(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Positions at which no fault lost the object -> how many were planted."""
    planted = {s: [each for each in faults_of(outcomes) if each.stage == s] for s in STAGES}
    return {s: len(cases) for s, cases in planted.items() if cases and not any(each.lost for each in cases)}


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """All figures, for the record."""
    return {
        "confusion": confusion(outcomes),
        "top1": top1(outcomes).to_json(),
        "right_where_determined": determined(outcomes).to_json(),
        "undisturbed_without_blame": quiet(outcomes).to_json(),
        "never_lost": never_lost(outcomes),
    }


def matrix(outcomes: Sequence[Outcome]) -> Iterator[list[str]]:
    """Rows of the confusion matrix as text, the header first."""
    yield ["planted at", *NAMES.values(), NOT_DETERMINED, "lost", "not lost", "named rightly"]
    for stage, row in confusion(outcomes).items():
        mine = [each for each in faults_of(outcomes) if each.stage == stage]
        kept = sum(not each.lost for each in mine)
        yield [NAMES[stage], *map(str, row.values()), str(len(mine) - kept), str(kept), str(top1(mine))]


def by_strength(outcomes: Sequence[Outcome]) -> Iterator[list[str]]:
    """Rows by kind, strength and position as text, the header first."""
    yield ["kind", "strength", "planted at", "planted", "lost", "named rightly"]
    faults = faults_of(outcomes)
    keys = sorted({(each.kind, each.strength, STAGES.index(each.stage)) for each in faults if each.stage})
    for kind, strength, place in keys:
        these = [e for e in faults if (e.kind, e.strength, e.stage) == (kind, strength, STAGES[place])]
        lost, right = sum(e.lost for e in these), sum(e.right for e in these)
        yield [kind, f"{strength:g}", NAMES[STAGES[place]], str(len(these)), str(lost), str(right) if lost else ""]


def said(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The figures, a sentence each."""
    yield f"The planted position is named first where the object was lost: {top1(outcomes)}."
    yield f"Where a position is named at all, it is the planted one: {determined(outcomes)}."
    yield f"Undisturbed runs in which no position is blamed: {quiet(outcomes)}."
    for stage, count in never_lost(outcomes).items():
        yield (
            f"Faults at {NAMES[stage]} never lost the object ({count} planted): this position alone cannot lose it in "
            "this model, at these strengths."
        )


def aligned(rows: Iterator[list[str]]) -> str:
    """For a terminal."""
    table = list(rows)
    widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)


def markdown(rows: Iterator[list[str]]) -> str:
    """For a page."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def report(outcomes: Sequence[Outcome], planned: int) -> str:
    """For a terminal."""
    parts = [f"{len(outcomes)} of {planned} cases", aligned(matrix(outcomes)), aligned(by_strength(outcomes))]
    return "\n\n".join([*parts, "\n".join(said(outcomes))])


def write_page(path: Path, outcomes: Sequence[Outcome], header: Mapping[str, Any], command: str) -> None:
    """Write the page.

    Args:
        path: Markdown file.
        outcomes: all there are.
        header: of the file of outcomes: "planned", "clips" with their J, and "request".
        command: that makes it.

    Raises:
        OutputError: it cannot be written.
    """
    request, clips = header["request"], header["clips"]
    height, width = request["image_size"]
    wrong = [each for each in faults_of(outcomes) if each.lost and not each.right]
    page = f"""# Is the blame right? Faults that were planted

A diagnosis names the position that lost the object ([the rule](measures/blame.md)). Here the answer is known: on a clip
that the model tracks well, the output of exactly one position is perturbed on some frames, by noise, by a shift, or by
another clip's activation, at three strengths each. Where the object is lost, all positions are patched and the loss is
blamed. Undisturbed runs see the same clip with the faint noise of another recording; any blame there is a false one.

    {command}

{len(outcomes)} of {header["planned"]} planned cases, in a drawn order that covers positions, kinds and strengths
evenly. Model `{request["model"]}` at {height} x {width}, {request["frames"]} frames of each of {len(clips)} clips (J of
the clean runs {100 * min(clips.values()):.0f} to {100 * max(clips.values()):.0f} %).

## What came of it

{chr(10).join("- " + each for each in said(outcomes))}

Rows: where the fault was. Columns: what was blamed for the first loss after it.

{markdown(matrix(outcomes))}

## By kind and strength

{markdown(by_strength(outcomes))}

## How to read it

- Brackets are 95 % intervals of Wilson over cases. Cases of one clip resemble each other, so for clips unlike these the
  intervals are too narrow.
- Noise is in standard deviations of the activation itself, a shift in shares of the grid's width (of a pointer: of its
  length), "other clip" is the other's share in the mixture.
- A fault that loses nothing says that the rest of the model makes up for it. It has no place in the shares: there is
  nothing to blame.
- Faults at the object pointer and memory features last from the prompted frame on over most of the clip. They act only
  through what is read later, where a few bad memories are outvoted by good ones.
- "Not determined" counts as wrong in the first share, and as right in undisturbed runs.
- A planted fault leaves everything before it untouched to the last bit. A real disturbance changes the picture, so all
  positions a little: there the blame is less sure than here, and these figures are an upper bound.
{_misses(wrong)}"""
    write_whole(path, page.encode())


def _misses(wrong: Sequence[Outcome]) -> str:
    if not wrong:
        return ""
    rows = [["clip", "planted", "named", "why"]]
    for each in wrong[:SHOWN_MISSES]:
        planted = (
            f"{NAMES[each.stage or '']}, {each.kind} {each.strength:g}, frames {each.frames[0]} to {each.frames[-1]}"
        )
        rows.append([each.clip, planted, NAMES.get(each.named, each.named), each.reason])
    more = f" (the first {SHOWN_MISSES} of {len(wrong)})" if len(wrong) > SHOWN_MISSES else ""
    return f"\n## Where it was wrong{more}\n\n{markdown(iter(rows))}\n"
