"""Records of a diagnosed clip, brought down from frames to the clip: what a table over many clips is made of."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from maskscope.records import Record

OUTCOME_SHARE: Final = "outcome_share"
GIVEN_FRAME: Final = 0
"""Its mask is given, so it does not count for how well an object is followed."""

_Key = tuple[str, str, str | None, str, int | None]  # metric, transformation, stage, tap, object
RATIO: Final = "filtering_ratio"
LEAST_RATIO: Final = 1e-6  # has a logarithm
_OF_A_LOSS: Final = ("loss", "blame")
_SCORES: Final = ("j", "outcome")


@dataclass(slots=True)
class _Sum:
    """Of the frames of one key."""

    first: Record
    total: float = 0.0
    count: int = 0
    states: Counter[str] = field(default_factory=Counter)


def clip_means(records: Iterable[Record], run: str) -> Iterator[Record]:
    """Rows without frames; what has no frame already stays, and so do losses and their blame, with their first frame.

    - a measure of frames becomes its mean over the frames that have a value, or, where none has, its commonest state;
      `filtering_ratio` its geometric mean, for which half and double are equally far from 1;
    - `outcome` becomes `outcome_share.NAME`, the shares of the frames;
    - `j` and `outcome` leave out the frame on which the mask is given.

    A measure that the clip has as a whole, too (`recovered_j`, CKA), keeps that figure and gets no mean.

    Args:
        records: of one clip, any number of conditions.
        run: identity of the rows that come out.
    """
    sums: dict[_Key, _Sum] = {}
    outcomes: dict[_Key, _Sum] = {}
    whole: dict[_Key, list[Record]] = defaultdict(list)
    kept: list[Record] = []
    for row in records:
        key = (row.metric, row.transform, row.stage, row.tap, row.object)
        if row.frame is None:
            whole[key].append(row)
        elif row.metric.startswith(_OF_A_LOSS):
            kept.append(row)
        elif row.metric not in _SCORES or row.frame != GIVEN_FRAME:
            found = (outcomes if row.metric == "outcome" else sums).setdefault(key, _Sum(row))
            if row.value is not None:
                found.total += math.log(max(row.value, LEAST_RATIO)) if row.metric.startswith(RATIO) else row.value
                found.count += 1
            elif row.state is not None:
                found.states[row.state] += 1
    rows = [row for several in whole.values() for row in several] + kept
    rows += [_mean(each) for key, each in sums.items() if key not in whole]
    rows += [row for each in outcomes.values() for row in _shares(each)]
    return (replace(row, run=run) for row in rows)


def _mean(found: _Sum) -> Record:
    if found.count:
        mean = found.total / found.count
        value = math.exp(mean) if found.first.metric.startswith(RATIO) else mean
        return replace(found.first, frame=None, value=value, state=None)
    return replace(found.first, frame=None, value=None, state=found.states.most_common(1)[0][0])


def _shares(found: _Sum) -> Iterator[Record]:
    total = found.states.total()
    for name, count in sorted(found.states.items()):
        yield replace(found.first, frame=None, metric=f"{OUTCOME_SHARE}.{name}", value=count / total, state=None)
