"""What the labelling experiment comes to: curves, paired differences, labels saved; as numbers and as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from maskscope.evaluate.statistics import Interval, difference_interval

OURS = "label-next"
RESAMPLES = 2_000

Scores = dict[str, dict[int, dict[str, float]]]
"""Way -> labels -> clip -> J&F, 0..1; of random choice the mean over its seeds. All have the same clips."""


@dataclass(frozen=True)
class Saved:
    """Labels that `label-next` needs for another way's score with `labels`; None: more than were tried."""

    against: str
    labels: int
    j_and_f: float
    needed: float | None
    low: float | None
    high: float | None


def needed(curve: Mapping[int, float], goal: float) -> float | None:
    """Labels at which a curve first reaches a score, straight lines between; None where it does not."""
    points = sorted(curve.items())
    if points[0][1] >= goal:
        return float(points[0][0])
    for (before, low), (after, high) in pairwise(points):
        if low < goal <= high:
            return before + (after - before) * (goal - low) / (high - low)
    return None


def complete(scores: Scores) -> Scores:
    """Only the clips that every way was tried on with every number of labels."""
    common = set.intersection(*(set(each) for counts in scores.values() for each in counts.values()))
    return {
        way: {count: {clip: each[clip] for clip in sorted(common)} for count, each in counts.items()}
        for way, counts in scores.items()
    }


def digest(scores: Scores) -> dict[str, Any]:
    """Curves, differences with intervals over clips, and what is saved, as JSON values.

    Args:
        scores: with 0 labels, too; at least one clip.
    """
    scores = complete(scores)
    counts = sorted(scores[OURS])
    clips = sorted(scores[OURS][0])
    curves = {way: {n: float(np.mean(list(each[n].values()))) for n in counts} for way, each in scores.items()}
    differences = {}
    for way in scores:
        if way != OURS:
            each = {str(n): asdict(_difference(scores, way, [n])) for n in counts if n}
            differences[way] = {**each, "all": asdict(_difference(scores, way, [n for n in counts if n]))}
    others = [way for way in scores if not way.startswith(OURS)]
    return {
        "clips": clips,
        "curves": {way: {str(n): round(value, 4) for n, value in curve.items()} for way, curve in curves.items()},
        "label_next_less": differences,
        "saved": [asdict(_saved(scores, curves, way, n)) for way in others for n in counts if n],
    }


def _difference(scores: Scores, way: str, counts: Sequence[int]) -> Interval:
    clips = sorted(scores[OURS][0])
    ours, theirs = ([[scores[w][n][clip] for n in counts] for clip in clips] for w in (OURS, way))
    return difference_interval(ours, theirs)


def _saved(scores: Scores, curves: Mapping[str, Mapping[int, float]], way: str, labels: int) -> Saved:
    counts, clips = sorted(scores[OURS]), sorted(scores[OURS][0])
    ours, theirs = (np.array([[scores[w][n][clip] for n in counts] for clip in clips]) for w in (OURS, way))
    place, drawn = counts.index(labels), []
    for rows in np.random.default_rng(0).integers(len(clips), size=(RESAMPLES, len(clips))):
        curve = dict(zip(counts, ours[rows].mean(0).tolist(), strict=True))
        found = needed(curve, float(theirs[rows, place].mean()))
        drawn.append(np.inf if found is None else found)
    low, high = (float(np.quantile(drawn, share, method="nearest")) for share in (0.025, 0.975))
    goal = curves[way][labels]
    ends = [end if np.isfinite(end) else None for end in (low, high)]
    return Saved(way, labels, goal, needed(curves[OURS], goal), *ends)


# -- text -------------------------------------------------------------------------------------------------------------


def page(record: Mapping[str, Any]) -> str:
    """The digest of a record as Markdown."""
    found, asked = record["digest"], record["request"]
    curves = found["curves"]
    counts, ways = list(curves[OURS]), list(curves)
    rows = [
        f"| J&F, labels beside the first | {' | '.join(counts)} |",
        f"|---|{'---|' * len(counts)}",
        *(f"| {way} | {' | '.join(f'{100 * curve[n]:.1f}' for n in counts)} |" for way, curve in curves.items()),
    ]
    lines = [_about(record), "", *rows, ""]
    for way in ways:
        if way != OURS:
            gain = found["label_next_less"][way]["all"]
            told = f"{100 * gain['estimate']:+.1f} [{100 * gain['low']:+.1f}, {100 * gain['high']:+.1f}]"
            lines.append(f"- `{OURS}` less {way}, over all numbers of labels: {told}")
    largest = max(asked["labels"])
    lines += ["", "| score reached by | with labels | `label-next` needs (95 % interval) |", "|---|---|---|"]
    for one in found["saved"]:
        ends = ", ".join(_count(one[end], largest) for end in ("low", "high"))
        needs = f"{_count(one['needed'], largest)} [{ends}]"
        lines.append(f"| {one['against']}, J&F {100 * one['j_and_f']:.1f} | {one['labels']} | {needs} |")
    return "\n".join(lines)


def _drawn(seeds: int) -> str:
    return "drawn once" if seeds == 1 else f"the mean of {seeds} draws"


def _about(record: Mapping[str, Any]) -> str:
    found, asked = record["digest"], record["request"]
    size = "x".join(map(str, asked["image_size"]))
    use = {
        "prompts": "labels are given to the tracker as prompts, and all frames of the clip are scored",
        "finetune": "the model is fine-tuned on the first two thirds' labels and scored on the last thirds",
    }[asked["use"]]
    clips = ", ".join(found["clips"])
    return (
        f"Over {len(found['clips'])} clips ({clips}), model {asked['model']} at {size} in {asked['precision']}: {use}; "
        f"random choice is {_drawn(asked['seeds'])}. `{record['command']}`:"
    )


def _count(labels: float | None, largest: int) -> str:
    return f"more than {largest}" if labels is None else f"{labels:.1f}"
