"""The clip as it is in a few figures, and what a monitor of the installation should hold it to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

import numpy as np

from maskscope.readiness.blocks import BLOCK_FRAMES, block_draws, ends
from maskscope.readiness.figure import Figure
from maskscope.readiness.parts import Baseline, PictureMeasure, WatchLimit
from maskscope.studies.own_masks import FORWARD_BACKWARD
from maskscope.studies.readiness.clean import CleanRun
from maskscope.studies.readiness.endurance import LOST_RUN
from maskscope.studies.readiness.passes import Seen


def baseline(clean: CleanRun) -> Baseline:
    """The clip as it is, before anything is done to it."""
    js = [each.j for each in clean.result.seen if each.visible]
    back = [value for _, _, value in clean.backward]
    scores = [each.score for each in clean.result.seen if each.visible]

    def share(name: str, values: Sequence[float], metric: str, state: str) -> Figure:
        if not values:
            return Figure(name=name, value=None, unit="share", metric=metric, state=state)
        low, high = _block_interval(values)
        return Figure(name=name, value=float(np.mean(values)), unit="share", low=low, high=high, metric=metric)

    return Baseline(
        j=share("baseline.j", js if clean.given else [], "j", "no true masks were given"),
        consistency=share(
            "baseline.consistency", back, FORWARD_BACKWARD,
            "true masks were given" if clean.given else "the way back met no object",
        ),
        score=Figure(
            name="baseline.score", value=float(median(scores)), unit="logit", metric="object_score_logit"
        ),
        predicted_iou=Figure(
            name="baseline.predicted_iou", value=float(median(clean.predicted_iou)), unit="share",
            metric="predicted_iou",
        ),
        losses=Figure(name="baseline.losses", value=float(_losses(clean.result.seen)), unit="count", metric="j"),
        prompt_area=Figure(name="prompt.area", value=clean.prompt_area, unit="share", metric="prompt.area"),
        prompt_border=Figure(name="prompt.border", value=clean.prompt_border, unit="share", metric="prompt.border"),
        prompt_score=Figure(
            name="prompt.score", value=clean.prompt_score, unit="logit", metric="object_score_logit"
        ),
        black_frames=Figure(
            name="baseline.black_frames", value=clean.view.course.black_share(), unit="share",
            metric="baseline.black_frames",
        ),
    )  # fmt: skip


def _losses(seen: Sequence[Seen]) -> int:
    """Runs of frames on which an object that is seen is lost."""
    runs, losses = dict[int, int](), 0
    for each in seen:
        if each.visible:
            runs[each.object] = runs.get(each.object, 0) + 1 if each.lost else 0
            losses += runs[each.object] == LOST_RUN
    return losses


def _block_interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Of a mean over frames, drawn in blocks; none where there is one block alone."""
    parts = [values[k : k + BLOCK_FRAMES] for k in range(0, len(values), BLOCK_FRAMES)]
    if len(parts) < 2:
        return None, None
    sums = np.array([(sum(part), len(part)) for part in parts])
    drawn = block_draws(len(parts)) @ sums
    return ends(drawn[:, 0] / drawn[:, 1]) or (None, None)


def watch_limits(picture: Sequence[PictureMeasure], threshold: Figure) -> Iterator[WatchLimit]:
    """Limits for a monitor: the threshold on the object score, and the ranges of the picture."""
    if threshold.value is not None:
        yield WatchLimit(signal="object_score_logit", low=threshold.value, high=None, source=threshold.name)
    for each in picture:
        low, high = each.safe_low, each.safe_high
        if low is not None or high is not None:
            yield WatchLimit(
                signal=each.figure.name, low=low.value if low else None, high=high.value if high else None,
                source=(high or low or each.figure).name,
            )  # fmt: skip
