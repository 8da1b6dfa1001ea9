"""What a stress job measures beside scores: clips of coming and going under adaptive F, speed, and memory."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from maskscope.evaluate.adaptive import ComeAndGo
from maskscope.evaluate.frames import FrameObjects
from maskscope.evaluate.rules import Protocol
from maskscope.evaluate.tally import Tally
from maskscope.memory.bank import MemoryBank, held_bytes
from maskscope.records import Record

Labels = NDArray[np.uint8]

COSTS: Final = ("fps", "memory_mb")
"""Metrics that another run of the same job does not repeat."""

WARM_UP_FRAMES: Final = 2  # not timed: the prompt, and whatever is set up on the way
_MB: Final = 1 << 20


class Comings:
    """J and adaptive F over disappearance and reappearance clips, whatever the protocol scores frames with.

    A protocol that has adaptive F itself writes these rows with its other scores, and nothing is measured twice.

    Args:
        rules: which objects and frames count.
    """

    def __init__(self, rules: Protocol) -> None:
        self._tally = None if rules.moses else Tally(replace(rules, moses=True))

    def watch(self, frames: Iterable[tuple[Labels, Labels]]) -> Iterator[tuple[Labels, Labels]]:
        """The same pairs of predicted and true label maps, measured as they pass by."""
        for predicted, true in frames:
            if self._tally is not None:
                guess = FrameObjects.read(predicted, "prediction")
                self._tally.add(guess, FrameObjects.read(true, "true mask", self._tally.rules.void_label))
            yield predicted, true

    def records(self, record: Callable[..., Record]) -> Iterator[Record]:
        """`disappearance` and `reappearance` of each object that has such clips, fractions in 0..1."""
        if self._tally is None:
            return
        numbers = range(self._tally.num_frames)
        for number in self._tally.objects():
            if not (counted := self._tally.counted(number, numbers)):
                continue
            found = ComeAndGo.of(self._tally.score(number, counted))
            for metric, clips in (("disappearance", found.disappearance), ("reappearance", found.reappearance)):
                if clips is not None:
                    yield record(metric=metric, object=number, value=clips.j_and_f_adaptive)


@dataclass
class Cost:
    """How long tracking takes, and what memory the process holds meanwhile.

    Times are of the tracker alone: drawing and scoring a clip does not count. Memory is the highest that was held after
    a frame: of an accelerator what PyTorch has allocated, its own highest; else the process's resident memory, in which
    model, clip, program and what the allocator kept of earlier jobs are, too: that says nothing of a policy. What it
    remembers of all objects is counted apart, tensor by tensor, and is the same on every machine.
    """

    seconds: list[float] = field(default_factory=list)
    memory_bytes: int = 0
    remembered_bytes: int = 0

    @contextmanager
    def frame(self) -> Iterator[None]:
        """Around the work on one frame, which has to end with its result on the CPU."""
        if not self.seconds and torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        yield
        self.seconds.append(time.perf_counter() - began)
        self.memory_bytes = max(self.memory_bytes, _held_bytes())

    def remembers(self, banks: Iterable[MemoryBank]) -> None:
        """Count what is held in memory after a frame; no part of its time."""
        self.remembered_bytes = max(self.remembered_bytes, held_bytes(banks))

    @property
    def fps(self) -> float | None:
        """Frames per second at the median time of a frame, which other work on the machine moves least."""
        timed = self.seconds[WARM_UP_FRAMES:]
        return 1 / median(timed) if timed else None

    def records(self, record: Callable[..., Record]) -> Iterator[Record]:
        """`fps`, `memory_mb`, `remembered_mb`, of the whole clip; none of what could not be measured."""
        if self.fps is not None:
            yield record(metric="fps", value=self.fps)
        if self.memory_bytes:
            yield record(metric="memory_mb", value=self.memory_bytes / _MB)
        if self.remembered_bytes:
            yield record(metric="remembered_mb", value=self.remembered_bytes / _MB)


def _held_bytes() -> int:
    """0 where the system does not tell."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return int(torch.cuda.max_memory_allocated())
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * mmap.PAGESIZE
