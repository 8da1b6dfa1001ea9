"""The live line of a training run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Never

from tqdm import tqdm

if TYPE_CHECKING:
    from maskscope.training.loop import StepReport

SMOOTHING = 0.9


class StepBar:
    """Steps, rate, time left and the smoothed loss, on stderr; silent where that is no terminal."""

    def __init__(self) -> None:
        self.done = 0
        self._bar: tqdm[Never] | None = None
        self._loss: float | None = None

    def __call__(self, report: StepReport) -> None:
        """Show one more step."""
        self.done = report.step
        if self._bar is None:
            self._bar = tqdm(
                desc="training",
                total=report.steps,
                initial=report.step - 1,
                unit=" steps",
                file=sys.stderr,
                disable=None,  # where stderr is no terminal
                dynamic_ncols=True,
            )
        loss, iou = report.losses["total"], report.losses["true_iou"]
        self._loss = loss if self._loss is None else SMOOTHING * self._loss + (1 - SMOOTHING) * loss
        self._bar.set_postfix(loss=f"{self._loss:.3f}", iou=f"{iou:.2f}", refresh=False)
        self._bar.update(report.step - self._bar.n)

    def __enter__(self) -> StepBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
