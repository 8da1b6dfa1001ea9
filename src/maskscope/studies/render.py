"""The overlay of a run that went backwards: drawn afterwards from the masks, in order of time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from maskscope.data.async_writer import AsyncWriter
from maskscope.data.output import writing
from maskscope.data.overlay import OverlayWriter, draw_overlay
from maskscope.data.prefetch import prefetch
from maskscope.data.rle import read_rle
from maskscope.data.source import VideoSource


def sort_records(path: Path) -> None:
    """Put the lines of a mask file into order of frames; the file is replaced whole.

    Raises:
        OutputError: it cannot be written.
    """
    beside = path.with_name(f".{path.name}.part")
    with writing(path), path.open("rb") as lines:
        places: list[tuple[int, int]] = []
        offset = 0
        for line in lines:
            places.append((int(json.loads(line)["frame"]), offset))
            offset += len(line)
        with beside.open("wb") as ordered:
            for _, place in sorted(places):
                lines.seek(place)
                ordered.write(lines.readline())
        os.replace(beside, path)


def render_overlay(source: VideoSource, records: Path, target: Path, fps: float) -> Iterator[int]:
    """Draw a sorted mask file over its video; hands out the number of frames done after each.

    Args:
        source: the video, which can be read again.
        records: from `RleWriter`, in order of frames.
        target: the MP4; replaced if it exists.
        fps: frames per second, for the header.

    Raises:
        VideoError: the video cannot be read.
        OutputError: the overlay cannot be written.
    """
    by_frame = groupby(read_rle(records), key=lambda record: record.frame)
    index, group = next(by_frame)
    start_s: float | None = None
    overlay = OverlayWriter(target, fps, source.height, source.width, overwrite=True)
    with AsyncWriter(overlay) as writer:
        for done, frame in enumerate(prefetch(source.frames(index)), start=1):
            if frame.index != index:  # damaged when it was tracked
                continue
            objects = list(group)
            start_s = frame.time_s if start_s is None else start_s
            drawn = draw_overlay(
                frame.rgb,
                np.stack([record.mask() for record in objects]),
                [record.object for record in objects],
                scores=[record.object_score or 0.0 for record in objects],
            )
            writer.write(drawn, frame.time_s - start_s)
            yield done
            following = next(by_frame, None)
            if following is None:
                break
            index, group = following
