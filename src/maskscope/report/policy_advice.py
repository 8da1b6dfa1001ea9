"""The memory policy to try where a tracker loses its object, as it was measured; comes with the package once it was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from maskscope.assets import folder
from maskscope.errors import RecordError
from maskscope.records import write_whole
from maskscope.report.policy_rows import CONTROL
from maskscope.report.policy_table import BANDS, Choice

FORMAT: Final = "maskscope.policy-advice/1"
FILE: Final = "policy_advice.json"


@dataclass(frozen=True)
class PolicyAdvice:
    """What is recommended under one family of transformations.

    Attributes:
        policy: of memory; "stock" where no other was surely better at any severity.
        gain: in J&F over the stock policy, a fraction; 0 for the stock policy.
        low: lower end of its interval of 95 % over clips.
        high: upper end.
        severity: those it was measured at, such as "4-5"; of several the one with the largest gain.
        command: that tracks a video with it.
        model: name of the weights it was measured with.
        clips: of how many clips.
    """

    policy: str
    gain: float
    low: float
    high: float
    severity: str
    command: str
    model: str
    clips: int

    @property
    def changes_something(self) -> bool:
        """Whether another policy than the stock one is recommended."""
        return self.policy != CONTROL


def policy_advice(family: str, path: Path | None = None, severity: int | None = None) -> PolicyAdvice | None:
    """What was measured of a family, such as "occlusion"; of "occlusion/rest" that, or else of "occlusion".

    Args:
        family: of transformations, or "clean", "long".
        path: file to read; by default the one of the package.
        severity: of the family; what was measured at its band, or else, as without it, the severity with the largest
            gain.

    Returns:
        None where there is no file, or nothing in it of the family.

    Raises:
        RecordError: the file is damaged or of another version.
    """
    advice = _read(path or folder() / FILE)
    names, band = (family, family.partition("/")[0]), BANDS.get(severity or 0)
    keys = [*(f"{name}:{band}" for name in names), *names]
    return next((advice[key] for key in keys if key in advice), None)


def strongest_advice(path: Path | None = None) -> tuple[str, PolicyAdvice] | None:
    """Family and recommendation with the largest gain of all; None where nothing is surely better than stock.

    Raises:
        RecordError: the file is damaged or of another version.
    """
    found = {name: each for name, each in _read(path or folder() / FILE).items() if each.changes_something}
    name, advice = max(found.items(), key=lambda item: item[1].gain, default=("", None))
    return None if advice is None else (name.partition(":")[0], advice)


def advice_of(choices: Sequence[Choice]) -> dict[str, PolicyAdvice]:
    """Family -> the recommendation with the largest gain over its severities; clips as they are are "clean".

    Each severity's is there, too, under family and band, such as "occlusion:4-5".

    A family of which only a variant was measured has that one's under its own name, too. Of several trackers the first
    one's counts.
    """
    found: dict[str, PolicyAdvice] = {}
    for choice in choices:
        gain, name = choice.row.gain, choice.family or "clean"
        if gain is None or choice.tracker != choices[0].tracker:
            continue
        low, high = (gain.gain if end is None else end for end in (gain.low, gain.high))
        command = f"maskscope track VIDEO --model {choice.tracker} --policy {choice.policy}"
        mean, low, high = (round(value, 4) for value in (gain.gain, low, high))
        advice = PolicyAdvice(choice.policy, mean, low, high, choice.band, command, choice.tracker, gain.clips)
        before = found.get(name)
        if before is None or advice.gain > before.gain:
            found[name] = advice
        if choice.family:
            found[f"{name}:{choice.band}"] = advice
    for name, advice in sorted(found.items(), key=lambda item: -item[1].gain):
        family, colon, band = name.partition(":")
        found.setdefault(family.partition("/")[0] + colon + band, advice)
    return found


def write_advice(advice: dict[str, PolicyAdvice], path: Path | None = None) -> Path:
    """Write the file, by default the one of the package.

    Raises:
        OutputError: it cannot be written.
    """
    target = path or folder() / FILE
    content = {"format": FORMAT, "advice": {name: asdict(one) for name, one in advice.items()}}
    write_whole(target, (json.dumps(content, indent=1) + "\n").encode())
    _read.cache_clear()
    return target


@lru_cache(maxsize=4)
def _read(path: Path) -> dict[str, PolicyAdvice]:
    """Empty where there is no file."""
    if not path.exists():
        return {}
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise RecordError(f"{path} is {content['format']!r}, expected {FORMAT!r}", "make it again")
        names = [field.name for field in fields(PolicyAdvice)]
        return {name: PolicyAdvice(**{key: one[key] for key in names}) for name, one in content["advice"].items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{path} is no advice on policies ({error!r:.80})", "make it again") from error
