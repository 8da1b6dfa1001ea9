"""Frames a second of each family of transformations at its worst severity, 480p, one core.

    python benchmarks/transforms.py
    python benchmarks/transforms.py --dataset DIR --sequence dog --json benchmarks/records/transforms.json

The clip is held in memory, so that decoding does not count; without --dataset it is the one that comes with the
package. Each variant of a family is planned anew and drawn once, frame by frame in order, as an evaluation does: what
is drawn on first use, such as foreign footage, counts. Repetitions take turns, so that a drift of the machine's speed
hits all alike. Time is that of the processor, of all threads together, so that other programs do not count. Reported
are the median over repetitions and the range; planning is counted apart. With --check, the exit code is 1 when any
variant draws fewer than 60 frames a second.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from statistics import median

import cv2

from _table import command_line
from maskscope.assets import demo_clip
from maskscope.data.davis import DavisDataset
from maskscope.data.video import open_video
from maskscope.errors import MaskscopeError
from maskscope.transforms.base import SEVERITIES, ClipFrame, SourceClip
from maskscope.transforms.chain import Recipe, transform
from maskscope.transforms.material import ProceduralMaterial
from maskscope.transforms.registry import BUILT_IN, family

LEAST_FPS = 60.0
HEIGHT_PX = 480


@dataclass(frozen=True)
class InMemory:
    """A clip whose frames are all at hand."""

    name: str
    frames: tuple[ClipFrame, ...]

    @property
    def num_frames(self) -> int:
        """How many."""
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        height, width = self.frames[0].visible_hw.shape
        return height, width

    def at(self, index: int) -> ClipFrame:
        """Frame `index`."""
        return self.frames[index]


@dataclass(frozen=True)
class Speed:
    """One variant: frames a second and milliseconds of planning, of each repetition."""

    family: str
    variant: str
    severity: int
    num_frames: int
    fps: tuple[float, ...]
    plan_ms: tuple[float, ...]


def variants_of(name: str) -> list[str | None]:
    """Kinds of a family; of variants that only name a course of time or a number behind a hyphen, the plain one."""
    found = getattr(family(name), "variants", ())
    return [one for one in found if one.partition("-")[0] not in found or "-" not in one] or [None]


def bundled(num_frames: int) -> InMemory:
    """The clip that comes with the package."""
    demo = demo_clip()
    rgb = [frame.rgb for frame in open_video(demo.video_path).frames(0, num_frames)]
    frames = [
        ClipFrame(image, masks, masks, None, float(t))
        for t, (image, masks) in enumerate(zip(rgb, demo.masks, strict=False))
    ]
    return InMemory("demo", tuple(frames))


def of_dataset(root: Path, sequence: str | None, num_frames: int) -> InMemory:
    """A sequence of a data set, as it is."""
    found = DavisDataset(root)
    clip = SourceClip(found[sequence or found.sequences[0]])
    return InMemory(clip.name, tuple(clip.at(t) for t in range(min(num_frames, clip.num_frames))))


def measure(clip: InMemory, names: Sequence[str], severity: int, repetitions: int) -> list[Speed]:
    """Every variant of the families, in turns; those that the clip does not allow are left out, and said."""
    found: dict[tuple[str, str | None], Speed] = {}
    keys = [(name, variant) for name in names for variant in variants_of(name)]
    for _ in range(repetitions):
        for name, variant in list(keys):
            begin = time.process_time()
            try:
                changed = transform(clip, [Recipe(name, severity, 0, variant)], ProceduralMaterial())
            except MaskscopeError as error:
                print(f"left out: {error}", file=sys.stderr)
                keys.remove((name, variant))
                continue
            planned = time.process_time()
            for t in range(changed.num_frames):
                changed.at(t)
            seconds = max(time.process_time() - planned, 1e-6)
            so_far = found.get((name, variant), Speed(name, variant or "-", severity, changed.num_frames, (), ()))
            found[name, variant] = replace(
                so_far,
                fps=(*so_far.fps, changed.num_frames / seconds),
                plan_ms=(*so_far.plan_ms, 1000 * (planned - begin)),
            )
    return list(found.values())


def print_table(clip: InMemory, speeds: Sequence[Speed]) -> None:
    height, width = clip.size
    print(f"{clip.name}, {clip.num_frames} frames of {width}x{height}, severity {speeds[0].severity}, one core")
    print(f"{'family':<13} {'variant':<16} {'frames':>6} {'fps':>8} {'lowest':>8} {'highest':>8} {'plan ms':>8}")
    rule = "-" * 73
    for name in dict.fromkeys(speed.family for speed in speeds):
        print(rule)
        for one in (speed for speed in speeds if speed.family == name):
            print(
                f"{name:<13} {one.variant:<16} {one.num_frames:>6} {median(one.fps):>8.0f} {min(one.fps):>8.0f} "
                f"{max(one.fps):>8.0f} {median(one.plan_ms):>8.0f}"
            )


def write_record(path: Path, clip: InMemory, speeds: Sequence[Speed]) -> None:
    packages = ("maskscope", "numpy", "opencv-python-headless")
    record = {
        "benchmark": "frames a second of transformations, one core, decoding excluded",
        "command": command_line(),
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in packages}},
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
        "clip": {"name": clip.name, "frames": clip.num_frames, "size_hw": clip.size},
        "speeds": [asdict(speed) | {"median_fps": median(speed.fps)} for speed in speeds],
    }
    path.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, metavar="DIR", help="folder in the layout of DAVIS")
    parser.add_argument("--sequence", metavar="NAME", help="of it (default: the first)")
    parser.add_argument("--families", nargs="+", metavar="NAME", default=list(BUILT_IN), choices=list(BUILT_IN))
    parser.add_argument("--severity", type=int, default=SEVERITIES[-1], choices=SEVERITIES[1:], metavar="1-5")
    parser.add_argument("--frames", type=int, default=48, metavar="N", help="of the clip at most")
    parser.add_argument("--repetitions", type=int, default=5, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write a record")
    parser.add_argument("--check", action="store_true", help=f"fail below {LEAST_FPS:.0f} frames a second")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    try:
        if options.dataset:
            clip = of_dataset(options.dataset, options.sequence, options.frames)
        else:
            clip = bundled(options.frames)
        speeds = measure(clip, options.families, options.severity, options.repetitions)
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")
    if not speeds:
        parser.exit(2, f"error: {clip.name} allows none of these\n")
    if clip.size[0] != HEIGHT_PX:
        print(f"frames are {clip.size[0]} pixels high, the promise is for {HEIGHT_PX}", file=sys.stderr)
    print_table(clip, speeds)
    if options.json:
        write_record(options.json, clip, speeds)
    if not options.check:
        return 0
    slow = [one for one in speeds if median(one.fps) < LEAST_FPS]
    for one in slow:
        print(f"too slow: {one.family}/{one.variant}, {median(one.fps):.1f} of {LEAST_FPS:.0f} frames a second")
    return 1 if slow or {one.family for one in speeds} != set(options.families) else 0


if __name__ == "__main__":
    sys.exit(main())
