"""Does a monitor that runs for hours keep its memory flat? Watches synthetic frames and weighs itself.

    python benchmarks/watch.py                  # 5,000 frames of the compact model
    python benchmarks/watch.py --frames 1000    # a quick look
    python benchmarks/watch.py --frames 30000 --height 96 --image-size 64x96 --json FILE   # 20 minutes of a camera

What can grow with time is kept by the frame, not by the pixel, so that many small frames stand for hours of large ones.
Resident memory is printed at 500 frames, at nine more moments and at the end; objects that are alive are counted
there, too. Exit code 1: it grew by more than 20 MB in between.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from _table import write_record
from maskscope.cli.options import parse_size
from maskscope.data.source import Frame, VideoSource
from maskscope.data.synthetic.plant import PlantConfig, iter_plant
from maskscope.errors import MaskscopeError
from maskscope.model.checkpoints import load_model
from maskscope.readiness.parts import WatchLimit
from maskscope.studies.watch import WatchOptions, watch_stream
from maskscope.tracking.prompts import Prompt

FIRST_MARK: Final = 500
LIMIT_MB: Final = 20.0
MARKS: Final = 10
_HEIGHT_PX: Final = 144
_KEPT: Final = 50  # frames that are drawn once and shown forth and back, so that drawing costs no time


@dataclass(frozen=True)
class Mark:
    """What the process held after so many frames."""

    frame: int
    resident_mb: float
    objects_alive: int
    frames_per_s: float


class Endless(VideoSource):
    """A few frames of the conveyor, forth and back for ever."""

    name, fps = "made-up stream", 25.0

    def __init__(self, height_px: int = _HEIGHT_PX) -> None:
        config = PlantConfig(scene="conveyor", num_frames=_KEPT, height_px=height_px)
        drawn = list(iter_plant(config))
        self.height, self.width = config.height_px, config.width_px
        self.first_mask = drawn[0].visible == 1
        self._frames = [frame.rgb for frame in (*drawn, *reversed(drawn))]

    @property
    def num_frames(self) -> None:
        """It has no end."""
        return None

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while True:
            yield Frame(index, index / 25.0, self._frames[index % len(self._frames)])
            index += 1


def resident_mb() -> float:
    """What this process holds in physical memory now, not at its peak."""
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=5000, metavar="N", help=f"more than {FIRST_MARK} (5000)")
    parser.add_argument("--model", default="compact", metavar="NAME", help="(compact)")
    parser.add_argument("--height", type=int, default=_HEIGHT_PX, metavar="PX", help=f"of a frame ({_HEIGHT_PX})")
    parser.add_argument("--image-size", metavar="HxW", help="of the model's input (as trained)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as a record")
    given = parser.parse_args(arguments)
    if given.frames <= FIRST_MARK:
        parser.error(f"--frames {given.frames} leaves nothing after frame {FIRST_MARK}")
    stream = Endless(given.height)
    step = (given.frames - FIRST_MARK) / MARKS
    marks = {FIRST_MARK + round(k * step) for k in range(MARKS + 1)}
    held: list[Mark] = []
    begin = time.perf_counter()

    def weigh(line: Mapping[str, Any]) -> None:
        if line["type"] == "frame" and line["frame"] + 1 in marks:
            number = line["frame"] + 1
            rate = number / (time.perf_counter() - begin)
            mark = Mark(number, round(resident_mb(), 1), len(gc.get_objects()), round(rate, 2))
            held.append(mark)
            print(
                f"frame {number:6d}: {mark.resident_mb:7.1f} MB resident, {mark.objects_alive} objects, "
                f"{rate:.1f} frames/s",
                flush=True,
            )

    options = WatchOptions(keep_going=True, max_frames=given.frames)
    limit = WatchLimit(signal="luma.object", low=0.0, high=None, source="given")
    try:
        model = load_model(given.model, device="cpu", image_size=parse_size(given.image_size))
        watch_stream(stream, [Prompt(1, mask=stream.first_mask)], [limit], options, model=model, write=weigh)
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")
    grown = held[-1].resident_mb - held[0].resident_mb
    if given.json:
        facts = {"model": Path(given.model).name, "frame_px": [stream.height, stream.width], "input": given.image_size}
        write_record(given.json, "watch", "memory of a monitor", {"marks": held}, **facts)
    print(f"grown by {grown:.1f} MB between frames {FIRST_MARK} and {given.frames}")
    return int(grown > LIMIT_MB)


if __name__ == "__main__":
    sys.exit(main())
