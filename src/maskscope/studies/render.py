"""The overlay of a run that went backwards: drawn afterwards from the masks, in order of time."""

from __future__ import annotations

import json
from array import array
from collections.abc import Generator
from itertools import groupby
from pathlib import Path

import numpy as np

from maskscope.data.async_writer import AsyncWriter
from maskscope.data.output import writing
from maskscope.data.overlay import OverlayWriter, draw_overlay
from maskscope.data.prefetch import prefetch
from maskscope.data.rle import read_rle
from maskscope.data.source import VideoSource


def sort_records(path: Path, target: Path) -> None:
    """Copy a mask file with its lines in order of frames; memory holds 16 bytes for each line.

    Raises:
        OutputError: it cannot be written.
    """
    with writing(target), path.open("rb") as lines:
        frames, offsets = array("q"), array("q")
        offset = 0
        for line in lines:
            frames.append(int(json.loads(line)["frame"]))
            offsets.append(offset)
            offset += len(line)
        with target.open("wb") as ordered:
            for place in np.argsort(np.asarray(frames), kind="stable"):
                lines.seek(offsets[place])
                ordered.write(lines.readline())


def render_overlay(source: VideoSource, records: Path, target: Path, fps: float) -> Generator[int]:
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
