"""From answers to rows of results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from maskscope.evaluate.boundary import frame_boundary_f, tolerance_radius_px
from maskscope.evaluate.region import frame_region_similarity
from maskscope.records import Record
from maskscope.studies.prompting.following import Answer
from maskscope.studies.prompting.footage import Footage
from maskscope.studies.prompting.time_model import TimeModel
from maskscope.studies.prompting.trials import Trial

PROTOCOL = "behind-the-first"
"""J and F of all frames behind the first one, prompted ones included, as in the SAM 2 protocol; the first is apart."""


@dataclass(frozen=True)
class RowMaker:
    """Makes rows of one object of one clip.

    Attributes:
        base: makes a row, with run, clip, object, model and policy filled in.
        footage: the object.
        time: of the simulated users.
    """

    base: Callable[..., Record]
    footage: Footage
    time: TimeModel

    def of(self, trial: Trial) -> Callable[..., Record]:
        """Makes rows of a trial."""
        return self.named(
            trial.axis, trial.name, trial.percent, trial.seed, kind=trial.kind, clicks=trial.clicks, every=trial.every
        )

    def named(
        self, axis: str, name: str, percent: int = 0, seed: int = 0, **facts: str | int | float | None
    ) -> Callable[..., Record]:
        """Makes rows of anything else that is tried; `facts` are kept beside them."""
        provenance = json.dumps({"trial": {key: value for key, value in facts.items() if value is not None}})
        return partial(
            self.base,
            family=f"prompt/{axis}",
            transform=name,
            severity=percent,
            seed=seed,
            provenance=provenance,
        )

    def frame(self, row: Callable[..., Record], t: int, answer: Answer) -> Iterator[Record]:
        """How good an answer is, and how sure the model is of it."""
        truth, known = self.footage.truth(t), self.footage.known(t)
        found = answer.mask
        if known is not None:
            truth, found = truth & known, found & known
        radius = tolerance_radius_px(*self.footage.size)
        yield row(metric="j", frame=t, value=frame_region_similarity(found, truth), protocol=PROTOCOL)
        yield row(metric="f", frame=t, value=frame_boundary_f(found, truth, radius), protocol=PROTOCOL)
        yield row(metric="object_score_logit", frame=t, value=answer.object_score_logit)
        yield row(metric="predicted_iou", frame=t, value=min(max(answer.predicted_iou, 0.0), 1.0))

    def region(self, t: int, answer: Answer) -> float:
        """J of an answer, 0..1."""
        truth, known = self.footage.truth(t), self.footage.known(t)
        found = answer.mask
        return frame_region_similarity(*((found, truth) if known is None else (found & known, truth & known)))
