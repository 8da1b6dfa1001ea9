"""What a readiness run found out, as data: a page, a monitor or another program needs nothing else, and no model.

Every number that a reader may see is a `Figure`: value, unit, interval, and the metric of `records.parquet` whose rows
it follows from. No words for readers are in here, only names; the wording belongs to the page.

`ReadinessResult.write` and `ReadinessResult.read` go to JSON and back; `figures()` has every figure by its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Final

from maskscope.errors import RecordError
from maskscope.readiness.figure import Figure
from maskscope.readiness.parts import (
    Advice,
    Baseline,
    ClipFacts,
    Cost,
    Endurance,
    PictureMeasure,
    Stage,
    Sweep,
    WatchLimit,
)
from maskscope.readiness.plain import from_plain, to_plain
from maskscope.readiness.room import advise
from maskscope.records import write_whole

FORMAT: Final = "maskscope.readiness/3"
_BEFORE_ADVISED: Final = "maskscope.readiness/2"
RESULT_NAME: Final = "readiness.json"
PAGE_NAME: Final = "readiness.html"
LANGUAGES: Final = ("en", "ja")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessResult:
    """Everything that a readiness run found out.

    Attributes:
        clip: what was looked at.
        baseline: the clip as it is.
        picture: measures, see `MEASURES`.
        sweeps: by axis, in the order of `AXES`; one that could not be made has a limit without value.
        endurance: of each policy, stock first.
        cost: expected.
        plan: advice, in the order of `STAGES`.
        verdict: whether short tasks can start: the latest stage of the advice that concerns them.
        watch: limits for a monitor.
        notes: sentences in English about what was left out, and why.
        passes, frames_tracked: work that was done.
        seconds: that it took; 0 where parts were taken over from an earlier call.
        format: of the JSON.
    """

    clip: ClipFacts
    baseline: Baseline
    picture: tuple[PictureMeasure, ...]
    sweeps: tuple[Sweep, ...]
    endurance: tuple[Endurance, ...]
    cost: Cost
    plan: tuple[Advice, ...]
    verdict: Stage
    watch: tuple[WatchLimit, ...]
    notes: tuple[str, ...]
    passes: int
    frames_tracked: int
    seconds: float
    format: str = FORMAT

    def figures(self) -> dict[str, Figure]:
        """Every figure by its name.

        Raises:
            RecordError: two figures share one name.
        """
        found: dict[str, Figure] = {}
        for figure in _figures(self):
            if figure.name in found and found[figure.name] != figure:
                raise RecordError(f"two figures are called {figure.name}")
            found[figure.name] = figure
        return found

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_json(cls, plain: Any) -> ReadinessResult:
        """The inverse of `to_json`; of the format before, what is advised is added from its limits.

        Raises:
            RecordError: another format, or damaged.
        """
        came = plain.get("format") if isinstance(plain, dict) else None
        if came == _BEFORE_ADVISED and isinstance(plain.get("sweeps"), list):
            sweeps = [each | {"advised": None} if isinstance(each, dict) else each for each in plain["sweeps"]]
            earlier = from_plain(cls, plain | {"format": FORMAT, "sweeps": sweeps})
            return replace(earlier, sweeps=tuple(advise(each) for each in earlier.sweeps))
        if came != FORMAT:
            raise RecordError(f"this is no readiness result of the format {FORMAT}, but {came!r}", "compute it again")
        return from_plain(cls, plain)

    def write(self, path: Path | str) -> None:
        """Write the JSON file, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        write_whole(Path(path), (json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n").encode())

    @classmethod
    def read(cls, path: Path | str) -> ReadinessResult:
        """Read what `write` has written.

        Raises:
            RecordError: missing, damaged, or of another format.
        """
        try:
            return cls.from_json(json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            if isinstance(error, RecordError):
                raise
            if isinstance(error, FileNotFoundError):
                raise RecordError(f"there is no {path}", f"give {RESULT_NAME} of an earlier run") from error
            raise RecordError(f"{path} cannot be read as a readiness result ({error})", "compute it again") from error


def _figures(value: Any) -> Iterator[Figure]:
    if isinstance(value, Figure):
        yield value
    elif is_dataclass(value):
        for each in fields(value):
            yield from _figures(getattr(value, each.name))
    elif isinstance(value, tuple):
        for each in value:
            yield from _figures(each)
