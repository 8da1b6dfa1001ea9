"""What it costs to look: tracking with the default measures at all five positions against tracking alone.

    python benchmarks/observing.py                       # compact, and SAM 2.1 tiny at 1024 with stand-in weights
    python benchmarks/observing.py --models compact --frames 24 --check

Both trackers take every frame, one after the other and each first in turn, so a drift of the machine's speed hits both.
Some measures look at every eighth frame only, so times are summed over blocks of eight; reported are the median ratio
over blocks, with their range, once memory is full. Then: what five positions patched at once cost, in tracking passes,
and whether memory grows with the records only. With --check the exit code is 1 when a figure misses its target.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import memory as long_stream
from _table import command_line
from maskscope.assets import demo_clip
from maskscope.data.video import open_video
from maskscope.errors import MaskscopeError, OutputError
from maskscope.model import PRESETS, SAM2
from maskscope.model.checkpoints import load_model
from maskscope.model.precision import default_device, preferred_dtype
from maskscope.observe.patching import Side, patch_positions
from maskscope.studies.observed_run import EVERY, ObservedRun
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.tracker import Tracker
from maskscope.transforms.base import SourceClip
from tracking import MEMORY_FULL, stand_in

OBJECT = 1
STAND_IN = "sam2.1-hiera-tiny"
MOST_TIMES_AS_SLOW = {"compact": 1.25, STAND_IN: 1.15}
MOST_PASSES = 6.0
MARKS = (200, 1000)  # frames after which the process is weighed
SPARE_MB, READING_BYTES = 20.0, 600  # what may grow beside readings, and what one of them may take
WARM_UP = -(-(MEMORY_FULL + 1) // EVERY) * EVERY  # frames, whole blocks


@dataclass(frozen=True)
class Film:
    """Frames with the masks of one object, in memory, so that reading them costs neither side anything.

    Attributes:
        frames: (h, w, 3) uint8 each.
        labels: (h, w) uint8 each.
    """

    frames: Sequence[NDArray[np.uint8]]
    labels: Sequence[NDArray[np.uint8]]
    name: str = "film"

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        height, width = self.frames[0].shape[:2]
        return height, width

    def frame(self, index: int) -> NDArray[np.uint8]:
        """(h, w, 3) uint8 RGB."""
        return self.frames[index]

    def masks(self, index: int) -> NDArray[np.uint8]:
        """(h, w) uint8 label map."""
        return self.labels[index]

    @property
    def prompts(self) -> list[Prompt]:
        """The object by its first mask."""
        return [Prompt(OBJECT, mask=self.labels[0] == OBJECT)]


@dataclass(frozen=True)
class Ratio:
    """Median and range, of observed to bare."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, observed_s: Sequence[float], bare_s: Sequence[float]) -> Ratio:
        """Of paired times."""
        ratios = [a / b for a, b in zip(observed_s, bare_s, strict=True)]
        return cls(statistics.median(ratios), min(ratios), max(ratios))

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.least:.2f}, {self.most:.2f}]"


@dataclass(frozen=True)
class Growth:
    """Resident memory while observing.

    Attributes:
        resident_mb: by number of frames.
        readings: likewise.
    """

    resident_mb: dict[int, float]
    readings: dict[int, int]

    @property
    def unexplained_mb(self) -> float:
        """Growth between the first and the last mark that readings do not account for."""
        first, last = min(self.resident_mb), max(self.resident_mb)
        explained = (self.readings[last] - self.readings[first]) * READING_BYTES / 2**20
        return self.resident_mb[last] - self.resident_mb[first] - explained


def bundled(count: int) -> Film:
    """The first frames of the bundled clip, one of its animals."""
    clip = demo_clip()
    frames = [frame.rgb for frame in open_video(clip.video_path).frames(0, count)]
    return Film(frames, [np.where(labels == OBJECT, labels, np.uint8(0)) for labels in clip.masks[:count]])


def model_of(name: str) -> SAM2:
    """The compact model, or a released one with stand-in weights: cost does not depend on them."""
    if name == STAND_IN:
        model = stand_in()
        return model.set_precision(preferred_dtype(default_device()))
    model = load_model(name)
    return model.set_precision(preferred_dtype(model.device))


def blocks(times_s: Sequence[float]) -> list[float]:
    """Sums over whole blocks, after the warm-up."""
    steady = times_s[WARM_UP:]
    return [sum(steady[begin : begin + EVERY]) for begin in range(0, len(steady) - EVERY + 1, EVERY)]


def observing(model: SAM2, film: Film) -> tuple[Ratio, float]:
    """How many times as slow, and seconds a frame of tracking alone."""
    bare, run = Tracker(model), ObservedRun(model, SourceClip(film), film.prompts)
    seconds: dict[str, list[float]] = {"bare": [], "observed": []}
    steps = {
        "bare": lambda t: bare.step(film.frames[t], film.prompts if t == 0 else ()),
        "observed": lambda _: run.step(),
    }
    for t in range(film.num_frames):
        for name in sorted(steps, reverse=bool(t % 2)):
            begin = time.perf_counter()
            steps[name](t)
            seconds[name].append(time.perf_counter() - begin)
    return Ratio.of(blocks(seconds["observed"]), blocks(seconds["bare"])), statistics.median(seconds["bare"])


def patching(model: SAM2, film: Film) -> Ratio:
    """Tracking passes that it takes to run both sides and patch all five positions; the disturbed side is darker."""
    dark = [frame // 2 for frame in film.frames]
    sides = [Side(model, frames.__getitem__, film.num_frames, {0: film.prompts}) for frames in (film.frames, dark)]
    patched, bare = patch_positions(sides[0], sides[1]), Tracker(model)
    seconds: dict[str, list[float]] = {"bare": [], "patched": []}
    for t in range(film.num_frames):
        begin = time.perf_counter()
        bare.step(film.frames[t], film.prompts if t == 0 else ())
        middle = time.perf_counter()
        next(patched)
        seconds["bare"].append(middle - begin)
        seconds["patched"].append(time.perf_counter() - middle)
    return Ratio.of(blocks(seconds["patched"]), blocks(seconds["bare"]))


class Wandering:
    """The square of `memory.py` as a clip, drawn when asked: a film of a thousand frames would weigh itself."""

    name = "wandering"

    def __init__(self, num_frames: int) -> None:
        self.num_frames, self.size = num_frames, (long_stream.HEIGHT, long_stream.WIDTH)
        self._frames = long_stream.frames(num_frames)
        self._at: tuple[int, NDArray[np.uint8], NDArray[np.uint8]] | None = None

    def _read(self, index: int) -> tuple[int, NDArray[np.uint8], NDArray[np.uint8]]:
        while self._at is None or self._at[0] < index:
            frame, (top, left) = next(self._frames)
            labels = np.zeros(self.size, np.uint8)
            labels[top : top + long_stream.SIDE, left : left + long_stream.SIDE] = OBJECT
            self._at = (0 if self._at is None else self._at[0] + 1, frame, labels)
        return self._at

    def frame(self, index: int) -> NDArray[np.uint8]:
        """(h, w, 3) uint8 RGB."""
        return self._read(index)[1]

    def masks(self, index: int) -> NDArray[np.uint8]:
        """(h, w) uint8 label map."""
        return self._read(index)[2]


def growth(model: SAM2, marks: Sequence[int] = MARKS) -> Growth:
    """Weigh the process after so many observed frames."""
    clip = Wandering(max(marks))
    run = ObservedRun(model, SourceClip(clip), [Prompt(OBJECT, mask=clip.masks(0) == OBJECT)])
    resident: dict[int, float] = {}
    readings: dict[int, int] = {}
    for t in range(1, max(marks) + 1):
        run.step()
        if t in marks:
            readings[t] = len(run.readings())
            resident[t] = long_stream.resident_mb()
            print(f"{t:>6} frames {resident[t]:>8.1f} MB {readings[t]:>8} readings", flush=True)
    return Growth(resident, readings)


def shortfalls(slower: dict[str, Ratio], passes: Ratio | None, grown: Growth | None) -> list[str]:
    """What misses its target, one line each; not a number misses it."""
    found = [
        f"observing {name} takes {ratio.median:.2f} times as long as tracking, expected at most {most}"
        for name, ratio in slower.items()
        if not ratio.median <= (most := MOST_TIMES_AS_SLOW.get(name, max(MOST_TIMES_AS_SLOW.values())))
    ]
    if passes is not None and not passes.median <= MOST_PASSES:
        found.append(f"patching five positions takes {passes.median:.2f} passes, expected at most {MOST_PASSES:.0f}")
    if grown is not None and not grown.unexplained_mb <= SPARE_MB:
        found.append(f"{grown.unexplained_mb:.1f} MB grew beside readings, expected at most {SPARE_MB:.0f}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=f"compact,{STAND_IN}", help="by name, with commas [%(default)s]")
    parser.add_argument("--frames", type=int, default=40, help="of the bundled clip [%(default)s]")
    parser.add_argument("--slow-frames", type=int, default=24, help=f"of {STAND_IN} [%(default)s]")
    parser.add_argument("--marks", default="200,1000", help="frames to weigh at, 0 for none [%(default)s]")
    parser.add_argument("--no-patching", action="store_true", help="leave out the interventions")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--check", action="store_true", help="exit code 1 when a figure misses its target")
    options = parser.parse_args(arguments)
    names = [name.strip() for name in options.models.split(",") if name.strip()]
    marks = tuple(int(word) for word in options.marks.split(",") if int(word))
    if min(options.frames, options.slow_frames) < WARM_UP + EVERY:
        parser.error(f"give {WARM_UP + EVERY} frames or more: the first {WARM_UP} are warming up")
    if unknown := [name for name in names if name not in PRESETS]:
        parser.error(f"there is no model {unknown[0]!r}; there are {', '.join(PRESETS)}")
    slower: dict[str, Ratio] = {}
    bare_s: dict[str, float] = {}
    passes: Ratio | None = None
    grown: Growth | None = None
    try:
        for name in names:
            film, model = bundled(options.slow_frames if name == STAND_IN else options.frames), model_of(name)
            slower[name], bare_s[name] = observing(model, film)
            print(f"{name}: observing takes {slower[name]} times as long as tracking ({bare_s[name]:.3f} s a frame)")
            if name == names[0] and not options.no_patching:
                passes = patching(model, film)
                print(f"{name}: patching all five positions takes {passes} tracking passes")
            if name == names[0] and len(marks) > 1:
                grown = growth(model, marks)
                print(f"{name}: {grown.unexplained_mb:.1f} MB grew beside readings (at {READING_BYTES} bytes each)")
            del model
        if options.json:
            _write(options.json, slower, bare_s, passes, grown)
    except MaskscopeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    below = shortfalls(slower, passes, grown) if options.check else []
    for line in below:
        print(f"falls short: {line}", file=sys.stderr)
    return 1 if below else 0


def _write(
    path: Path, slower: dict[str, Ratio], bare_s: dict[str, float], passes: Ratio | None, grown: Growth | None
) -> None:
    record = {
        "command": command_line(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "machine": platform.machine(),
        "times_as_slow": {name: asdict(ratio) for name, ratio in slower.items()},
        "seconds_a_frame_tracking_alone": bare_s,
        "patching_passes": None if passes is None else asdict(passes),
        "memory": None if grown is None else {**asdict(grown), "unexplained_mb": grown.unexplained_mb},
    }
    try:
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {path} ({error.strerror})", "give --json a file in a folder") from error


if __name__ == "__main__":
    sys.exit(main())
