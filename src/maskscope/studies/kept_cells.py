"""Samples of a clip's cells in a file, and the rows of read-outs of other clips that are made from many such files."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from maskscope.errors import RecordError
from maskscope.observe.measures.other_clips import CellSample, across_clips
from maskscope.records import Record, write_whole

_HEAD = "head"


def write_cells(path: Path, samples: Iterable[CellSample]) -> None:
    """Write a file of NumPy arrays that appears whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    kept = list(samples)
    head = [[each.object, each.place, each.frame, *each.counts] for each in kept]
    arrays = {_HEAD: np.array(json.dumps(head))}
    for number, each in enumerate(kept):
        arrays |= {f"{number}.object": each.object_nc, f"{number}.background": each.background_nc}
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    write_whole(path, content.getvalue())


def read_cells(path: Path) -> list[CellSample]:
    """What `write_cells` wrote.

    Raises:
        RecordError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return [
                CellSample(number, place, frame, arrays[f"{row}.object"], arrays[f"{row}.background"], (ours, theirs))
                for row, (number, place, frame, ours, theirs) in enumerate(json.loads(str(arrays[_HEAD])))
            ]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise RecordError(f"{path} is no whole file of cells", "remove the clip's job and compute it again") from error


def rows_across_clips(samples: Mapping[str, Sequence[CellSample]], rows: Iterable[Record]) -> Iterator[Record]:
    """Rows of clips as they are, beside those they have already; none where fewer than two clips have cells.

    Args:
        samples: of each clip; of which there are none, that is said by a state.
        rows: of the same clips; say run, model and all else that a row names.
    """
    if sum(map(bool, samples.values())) < 2:
        return
    like: dict[str, Record] = {}
    for row in rows:
        if not row.family:
            like.setdefault(row.clip, row)
    for clip, readings in across_clips(samples).items():
        if clip in like:
            for each in readings:
                columns = {name: getattr(each, name) for name in each.__slots__}
                yield replace(like[clip], **columns)
