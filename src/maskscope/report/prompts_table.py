"""The table of a prompt study: what each way of prompting gives, from its records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from maskscope.evaluate.statistics import Bootstrap, Interval
from maskscope.records import Record

LEAST_CLIPS: Final = 5
"""Of as many clips, clips are drawn for intervals; of fewer, blocks of their frames."""
BLOCK_FRAMES: Final = 10
SCORE, LATE, FIRST_J, SECONDS = "j&f", "late_j&f", "first_j", "human_seconds"
FAMILY: Final = "prompt/"

_BOOTSTRAP: Final = Bootstrap(resamples=2000, method="percentile")
_Unit = tuple[str, int]
_Cell = tuple[str, str, int]  # axis, name, percent


@dataclass(frozen=True)
class PromptRow:
    """One way of prompting, over all objects and seeds.

    Attributes:
        axis: what was varied: "kind", "density", "jitter", "wrong", "offline", "online", "noc", "inside", or "telling".
        name: of the trial.
        percent: of the object's sides, by which a prompt was off; else 0.
        clips: how many.
        objects: how many.
        records: that the figures are of.
        figures: by name, each with its interval of 95 %:
            "j&f", of all frames behind the first; "late_j&f", of the last third; "first_j", J of the first frame;
            "human_seconds" and "prompts" a clip; "object_score_first" and "predicted_iou_first" on the first frame,
            "object_score_later" behind it; "noc@85", "noc@90" clicks, and "not_reached@85", "not_reached@90" shares;
            "separation_auc" and "fisher_ratio" at `prompt_attended`; "j_after_clicks_01" and so on;
            of "telling" only "auc", without an interval.
        missing: state -> objects with which it could not be done, or not be measured.
    """

    axis: str
    name: str
    percent: int
    clips: int
    objects: int
    records: int
    figures: Mapping[str, Interval]
    missing: Mapping[str, int] = field(default_factory=dict)

    @property
    def score(self) -> Interval | None:
        """J&F behind the first frame, 0..1."""
        return self.figures.get(SCORE)

    def value(self, name: str) -> float | None:
        """A figure without its interval."""
        found = self.figures.get(name)
        return None if found is None else found.estimate


def prompt_rows(records: Iterable[Record]) -> list[PromptRow]:
    """Rows in the order of the records; the ones that say what tells a wrong prompt come last.

    With `LEAST_CLIPS` clips or more a figure is the mean over objects of its mean over frames and seeds, and intervals
    come from drawing clips. With fewer it is the mean over all of these, and blocks of frames are drawn: intervals then
    say how steady a figure is on these clips, not what others would give.
    """
    cells: dict[_Cell, list[Record]] = defaultdict(list)
    for row in records:
        if row.family.startswith(FAMILY):
            cells[row.family.removeprefix(FAMILY), row.transform, row.severity].append(row)
    rows = [_row(cell, mine) for cell, mine in cells.items()]
    return [*rows, *_telling(cells)]


def _row(cell: _Cell, mine: Sequence[Record]) -> PromptRow:
    ends = {(row.clip, row.object, row.seed): 0 for row in mine}
    for row in mine:
        ends[row.clip, row.object, row.seed] = max(ends[row.clip, row.object, row.seed], row.frame or 0)

    def late(row: Record) -> bool:
        return 3 * (row.frame or 0) > 2 * ends[row.clip, row.object, row.seed]

    wanted: dict[str, tuple[tuple[str, ...], Callable[[Record], bool]]] = {
        SCORE: (("j", "f"), _behind),
        LATE: (("j", "f"), late),
        FIRST_J: (("j",), _first),
        SECONDS: ((SECONDS,), _any),
        "prompts": (("prompts",), _any),
        "object_score_first": (("object_score_logit",), _first),
        "predicted_iou_first": (("predicted_iou",), _first),
        "object_score_later": (("object_score_logit",), _behind),
        "predicted_iou_later": (("predicted_iou",), _behind),
        "noc@85": (("noc@85",), _any),
        "noc@90": (("noc@90",), _any),
        "separation_auc": (("separation_auc",), _any),
        "fisher_ratio": (("fisher_ratio",), _any),
    }
    clicks = sorted({row.metric for row in mine if row.metric.startswith("j_after_clicks_")})
    wanted |= {name: ((name,), _any) for name in clicks}
    by_metric: dict[str, list[Record]] = defaultdict(list)
    for row in mine:
        by_metric[row.metric].append(row)
    figures: dict[str, Interval] = {}
    for name, (metrics, holds) in wanted.items():
        chosen = [row for metric in metrics for row in by_metric.get(metric, ()) if row.value is not None]
        if found := _interval([(row, row.value or 0.0) for row in chosen if holds(row)]):
            figures[name] = found
    for metric in ("noc@85", "noc@90"):
        failures = [(row, float(row.state == "not reached")) for row in by_metric.get(metric, ())]
        if found := _interval(failures):
            figures[metric.replace("noc", "not_reached")] = found
    missing: dict[str, int] = defaultdict(int)
    for row in mine:
        if row.value is None and row.state is not None and row.metric in ("prompts", "separation_auc"):
            missing[row.state] += 1
    objects = {(row.clip, row.object) for row in mine}
    clips = {row.clip for row in mine}
    return PromptRow(*cell, len(clips), len(objects), len(mine), figures, dict(missing))


def _any(row: Record) -> bool:
    return True


def _first(row: Record) -> bool:
    return row.frame == 0


def _behind(row: Record) -> bool:
    return row.frame is not None and row.frame > 0


def _interval(valued: Sequence[tuple[Record, float]]) -> Interval | None:
    """Mean over objects and its interval; None without a value."""
    clips = {row.clip for row, _ in valued}
    sums: dict[_Unit, dict[tuple[str, int | None], list[float]]] = defaultdict(lambda: defaultdict(list))
    for row, value in valued:
        block = 0 if len(clips) >= LEAST_CLIPS else (row.frame or 0) // BLOCK_FRAMES
        sums[row.clip, block][row.clip, row.object].append(value)
    if not sums:
        return None
    if len(clips) >= LEAST_CLIPS:
        units = [(sum(float(np.mean(each)) for each in unit.values()), len(unit)) for unit in sums.values()]
    else:
        units = [(sum(sum(each) for each in unit.values()), sum(map(len, unit.values()))) for unit in sums.values()]
    return _BOOTSTRAP.intervals(units, lambda s: s[:, :1] / np.maximum(s[:, 1:], 1e-9))[0]


_SIGNALS: Final[dict[str, tuple[str, Callable[[Record], bool]]]] = {
    "object score, prompted frame": ("object_score_logit", _first),
    "predicted IoU, prompted frame": ("predicted_iou", _first),
    "object score, later frames": ("object_score_logit", _behind),
    "predicted IoU, later frames": ("predicted_iou", _behind),
}


def _telling(cells: Mapping[_Cell, Sequence[Record]]) -> list[PromptRow]:
    """How well each signal tells right prompts from wrong ones: 0.5 is chance, 1 without fail.

    Masks are left out: the model adopts them as they are, and says that it is sure.
    """
    rows: list[PromptRow] = []
    for name, (metric, holds) in _SIGNALS.items():
        sides: dict[str, list[float]] = {"kind": [], "wrong": []}
        used: list[Record] = []
        for (axis, trial, _), mine in cells.items():
            if axis not in sides or trial.startswith("mask"):
                continue
            values: dict[tuple[str, int | None, int], list[float]] = defaultdict(list)
            for row in mine:
                if row.metric == metric and row.value is not None and holds(row):
                    values[row.clip, row.object, row.seed].append(row.value)
                    used.append(row)
            sides[axis] += [float(np.mean(each)) for each in values.values()]
        if sides["kind"] and sides["wrong"]:
            right, wrong = np.array(sides["kind"])[:, None], np.array(sides["wrong"])[None]
            auc = float((right > wrong).mean() + 0.5 * (right == wrong).mean())
            clips, objects = {row.clip for row in used}, {(row.clip, row.object) for row in used}
            figure = {"auc": Interval(auc, auc, auc)}
            rows.append(PromptRow("telling", name, 0, len(clips), len(objects), len(used), figure))
    return rows
