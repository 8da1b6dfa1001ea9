"""Ranges that a running installation is held to, and when leaving one becomes an alarm."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from maskscope.errors import SettingError
from maskscope.readiness.parts import WatchLimit
from maskscope.readiness.result import ReadinessResult

PER_FRAME: Final = ("blur", "dark_share", "bright_share", "luma", "noise", "blockiness")
SIGNALS: Final = (
    "object_score_logit", "predicted_iou", "memory_distance", "size_px.object", "size_tokens.object", "motion.object",
    *(f"{name}.{place}" for name in PER_FRAME for place in ("object", "background")),
)  # fmt: skip
"""What is measured of every frame, and can have limits."""


def read_limits(path: Path | str) -> tuple[WatchLimit, ...]:
    """The limits that a readiness run found, of signals that every frame has.

    Raises:
        RecordError: no such result, or a damaged one.
        SettingError: it holds no limit that can be watched.
    """
    found = tuple(each for each in ReadinessResult.read(path).watch if each.signal in SIGNALS)
    if not found:
        raise SettingError(f"{path} holds no limit of a signal that every frame has", "give one, such as --limit")
    return found


def parse_limit(text: str) -> WatchLimit:
    """`SIGNAL=LOW:HIGH`, either end left out where it is open.

    Raises:
        SettingError: anything else, or a signal that is not known.
    """
    name, equals, span = text.partition("=")
    low, colon, high = span.partition(":")
    if name not in SIGNALS:
        raise SettingError(f"there is no signal {name!r} to watch", f"choose one of {', '.join(SIGNALS)}")
    try:
        ends = [float(end) if end.strip() else None for end in (low, high)]
    except ValueError:
        ends = [None, None]
    given = [end for end in ends if end is not None]
    if not (equals and colon and given) or not all(map(math.isfinite, given)) or given != sorted(given):
        raise SettingError(
            f"the limit {text!r} is not SIGNAL=LOW:HIGH", "for example object_score_logit=0: or blur.object=:0.5"
        )
    return WatchLimit(signal=name, low=ends[0], high=ends[1], source="given")


def joined(found: Iterable[WatchLimit], given: Iterable[WatchLimit]) -> tuple[WatchLimit, ...]:
    """Limits that were given take the place of those that were found.

    Raises:
        SettingError: there is none at all.
    """
    by_name = {each.signal: each for each in (*found, *given)}
    if not by_name:
        raise SettingError("there is no limit to watch", "give --thresholds readiness.json or --limit SIGNAL=LOW:HIGH")
    return tuple(by_name.values())


@dataclass
class Alarms:
    """Counts frames in a row on which a signal lies outside of its range; memory of one number a signal and object.

    Attributes:
        limits: ranges.
        hold_frames: an alarm is raised after so many frames in a row.
    """

    limits: Sequence[WatchLimit]
    hold_frames: int
    _held: dict[tuple[int, str], int] = field(default_factory=dict)

    def look(self, object_id: int, signals: Mapping[str, float]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Signals outside of their range now, and those of them whose alarm is raised with this frame.

        A signal without a value, as of an object that is not seen, is neither inside nor outside: its count stays.
        """
        outside, raised = [], []
        for limit in self.limits:
            value = signals.get(limit.signal)
            if value is None:
                continue
            out = (limit.low is not None and value < limit.low) or (limit.high is not None and value > limit.high)
            key = (object_id, limit.signal)
            self._held[key] = self._held.get(key, 0) + 1 if out else 0
            if out:
                outside.append(limit.signal)
            if self._held[key] == self.hold_frames:
                raised.append(limit.signal)
        return tuple(outside), tuple(raised)
