"""Does any memory policy grow with time? What each remembers, tensor by tensor, and what its process weighs.

    python benchmarks/policy_memory.py                       # every policy, 2,000 frames each
    python benchmarks/policy_memory.py --frames 400 --policies stock,composite

A square wanders over noise, is hidden for 30 of every 120 frames, and behind some of these the picture is another one,
so that every rule of a policy has something to do. The compact model takes it at a small input: what is remembered
grows with the input, how long it is remembered does not. Each policy has a process of its own, one after the other, as
the resident memory of a process that did something else before says nothing.
Exit code 1: more is remembered at the end than at frame 500, by more than a tenth, or the process grew by more than
20 MB after frame 500.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from _table import command_line
from maskscope.errors import MaskscopeError
from maskscope.memory.bank import held_bytes
from maskscope.memory.policies import registry
from maskscope.memory.policies.registry import BUILT_IN
from maskscope.model.checkpoints import load_model
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.tracker import Tracker
from memory import resident_mb

MARKS = (100, 200, 500, 1000, 1500, 2000)
SETTLED = 500
LIMIT_MB, LIMIT_SHARE = 20.0, 1.1
SIZE = (128, 224)
SIDE = 40
PERIOD, HIDDEN, FOREIGN = 120, range(60, 90), range(70, 80)
RECORD = Path(__file__).resolve().parent / "records" / "policy-memory.json"


@dataclass(frozen=True)
class Weight:
    """After so many frames: MB of every tensor remembered, frames that are known, and resident MB of the process."""

    frames: int
    remembered_mb: float
    known_frames: int
    resident_mb: float


def scene(count: int) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]]:
    """(H, W, 3) frames and the (H, W) mask of the square."""
    rng = np.random.default_rng(0)
    height, width = SIZE
    background, elsewhere = rng.integers(0, 120, (2, height, width, 3), dtype=np.uint8)
    for t in range(count):
        top = int((height - SIDE) * (0.5 + 0.4 * np.sin(t / 23)))
        left = int((width - SIDE) * (0.5 + 0.4 * np.cos(t / 31)))
        foreign = t % PERIOD in FOREIGN and t // PERIOD % 2
        frame = 255 - np.roll(elsewhere, t, axis=0) if foreign else np.roll(background, t // 4, axis=1)
        mask = np.zeros(SIZE, dtype=bool)
        if t % PERIOD not in HIDDEN:
            mask[top : top + SIDE, left : left + SIDE] = True
        frame = frame.copy()
        frame[mask] = (230, 190, 60)
        yield frame, mask


def weigh(policy: str, count: int) -> list[Weight]:
    """In this process."""
    tracker, found = Tracker(load_model("compact", device="cpu", image_size=SIZE), policy), []
    for t, (frame, mask) in enumerate(scene(count), 1):
        tracker.step(frame, [Prompt(1, mask=mask)] if t == 1 else ())
        if t in MARKS or t == count:
            track = tracker.session.tracks[1]
            known = max(len(bank) for bank in track.banks)
            found.append(Weight(t, round(held_bytes(track.banks) / 2**20, 3), known, round(resident_mb(), 1)))
    return found


def weigh_apart(policy: str, count: int) -> list[Weight]:
    """In a process of its own."""
    words = [sys.executable, __file__, "--frames", str(count), "--alone", policy]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    return [Weight(**each) for each in json.loads(done.stdout)]


def grows(weights: list[Weight]) -> bool:
    """Whether it is more than it was when it had settled."""
    before = next(each for each in weights if each.frames >= min(SETTLED, weights[-1].frames))
    after = [each for each in weights if each.frames >= before.frames]
    remembered = max(each.remembered_mb for each in after) > LIMIT_SHARE * before.remembered_mb
    return remembered or max(each.resident_mb for each in after) > before.resident_mb + LIMIT_MB


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=MARKS[-1], metavar="N")
    parser.add_argument("--policies", default=",".join(BUILT_IN), metavar="NAME[,NAME]")
    parser.add_argument("--json", type=Path, metavar="FILE", help=f"also write a record, such as {RECORD.name}")
    parser.add_argument("--alone", metavar="NAME", help="this policy in this process, as JSON")
    given = parser.parse_args()
    if given.frames < 2:
        parser.error(f"--frames is {given.frames}, expected 2 or more")
    try:
        for name in (given.alone or given.policies).split(","):
            registry.policy(name)
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")
    if given.alone:
        print(json.dumps([asdict(each) for each in weigh(given.alone, given.frames)]))
        return 0
    found = {}
    for policy in given.policies.split(","):
        found[policy] = weigh_apart(policy, given.frames)
        for each in found[policy]:
            print(
                f"{policy:<12} {each.frames:>5} frames {each.remembered_mb:>7.3f} MB in {each.known_frames:>3} frames, "
                f"process {each.resident_mb:>6.1f} MB",
                flush=True,
            )
    if given.json:
        facts = {
            "benchmark": "memory of policies",
            "command": command_line(),
            "model": "compact",
            "image_size": list(SIZE),
            "policies": {policy: [asdict(each) for each in weights] for policy, weights in found.items()},
        }
        given.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    growing = [policy for policy, weights in found.items() if grows(weights)]
    print(f"grows: {', '.join(growing)}" if growing else "none grows")
    return 1 if growing else 0


if __name__ == "__main__":
    sys.exit(main())
