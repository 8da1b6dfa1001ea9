"""What a measure says: a value or a state, and of what; the study that ran it adds run, clip and model."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from maskscope.errors import RecordError
from maskscope.records import Record
from maskscope.stages import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One measured value, or the reason why there is none.

    Attributes:
        metric: what was measured, such as "separation_auc".
        value: finite, its range is the measure's; None where only a state was found.
        state: a kind rather than a number, such as "lost at this stride"; None where there is a value alone.
        stage: observation position; None for what belongs to none, such as a baseline on the picture itself.
        tap: finer place inside the stage, see `maskscope.observe.taps`; empty for the position itself.
        frame: number of the frame, from 0; None for the whole clip.
        object: its number; None for the whole frame.

    Raises:
        RecordError: no metric, neither value nor state, or a value that is not finite.
    """

    metric: str
    value: float | None = None
    state: str | None = None
    stage: Stage | None = None
    tap: str = ""
    frame: int | None = None
    object: int | None = None

    def __post_init__(self) -> None:
        if not self.metric:
            raise RecordError("a reading names its metric")
        if self.value is None and self.state is None:
            raise RecordError(f"{self.metric} has neither value nor state")
        if self.value is not None and not math.isfinite(self.value):
            raise RecordError(
                f"{self.metric} is {self.value}, expected a finite number", "give a state that says why there is none"
            )

    def record(self, **common: Any) -> Record:
        """As a row of results.

        Args:
            common: the other columns of `Record`: run and clip at least.

        Raises:
            RecordError: no name of run or clip.
        """
        return Record(**asdict(self), **common)
