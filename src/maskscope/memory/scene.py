"""Whether a frame continues what memory shows: the distance of its embedding to those of the frames in memory.

Source: Bromley, Moore, Saini, Poland, Carrano, arXiv 2410.22451: the model's own image encoder, a regularized distance
d = ||(f - mean) / deviation|| over a window of memory frames, and three kinds of threshold. Thresholds, window, pooling
and what to do with a deviation of zero are not published; they are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from weakref import ReferenceType, ref

import torch
from torch import Tensor
from torch.nn import functional as F

from maskscope.memory.bank import MemoryBank
from maskscope.memory.policy import Moment, Outcome
from maskscope.memory.ranked import past
from maskscope.memory.settings import ReadSettings, check_range

Rule = Literal["fixed", "mean", "maximum"]
Cells = Literal["all", "median"]

SCENE: Final = "scene"  # note: the frame's embedding, pooled; (c * grid * grid,) float32
DISTANCE: Final = "distance"  # note: its distance when it was written; (1,) float32, absent while warming up
OPENS: Final = "opens"  # note, empty: with this frame the window begins anew

# Midway between what continued and what cut, in ten DAVIS sequences as the compact model sees them. Over all cells:
# distances up to 2.1 and from 3.4, ratios to the mean up to 1.6 and from 2.4, to the largest up to 1.3 and from 1.7.
# Of the median cell: up to 1.8 and from 2.6, 1.6 and 1.9, 1.2 and 1.4; with an occluder on the object up to 1.8.
THRESHOLDS: Final[dict[Cells, dict[Rule, float]]] = {
    "all": {"fixed": 2.6, "mean": 2.0, "maximum": 1.5},
    "median": {"fixed": 2.2, "mean": 1.75, "maximum": 1.3},
}


@dataclass(frozen=True)
class SceneSettings(ReadSettings):
    """How a change of scene is told.

    Attributes:
        rule: the threshold is of the distance itself ("fixed"), or of its ratio to the mean ("mean") or the largest
            ("maximum") distance that the frames of the window had when they were written.
        threshold: above it the frame shows something else; None is 2.6, 2.0 and 1.5 for the three rules, and 2.2, 1.75
            and 1.3 for the median cell. A distance has no unit, it counts deviations, root mean square.
        cells: the distance is over the whole embedding ("all"), which an object that leaves or is covered changes, too;
            or of the cell in the middle when they are ranked ("median"), which only a change of most of the picture is.
        window: frames of memory that a frame is compared with.
        warm_up: no change is told before so many frames are in the window.
        grid: cells on each side that the embedding is averaged over.
        spread: least deviation of a component over time, as a fraction of the embedding's deviation over its
            components. Without it the noise of a still scene would count as change.
        calm: distances below it are taken for it where a ratio is formed.
    """

    rule: Rule = "mean"
    threshold: float | None = None
    cells: Cells = "all"
    window: int = 7
    warm_up: int = 3
    grid: int = 4
    spread: float = 0.05
    calm: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, low in {"window": 2, "warm_up": 2, "grid": 1, "spread": 1e-6, "calm": 0}.items():
            check_range(self, name, low)
        check_range(self, "warm_up", 2, self.window)
        if self.threshold is not None:
            check_range(self, "threshold", 0)

    @property
    def limit(self) -> float:
        """The threshold that holds."""
        return THRESHOLDS[self.cells][self.rule] if self.threshold is None else self.threshold


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What is said of one frame.

    Attributes:
        scene: its pooled embedding.
        distance: to the window; None while there are too few frames in it.
        changed: it does not continue the window.
        known: although it does not, it shows what a prompted frame shows.
    """

    scene: Tensor
    distance: float | None
    changed: bool
    known: bool


class SceneWatch:
    """Compares frames with the window in memory. Its memory is in the notes of the bank's frames, it has none."""

    def __init__(self, settings: SceneSettings) -> None:
        self.settings = settings
        self._latest: tuple[ReferenceType[Tensor], Moment, Verdict] | None = None  # a policy asks more than once

    def judge(self, embedding_chw: Tensor, bank: MemoryBank, moment: Moment) -> Verdict:
        """Whether the frame at hand, which is not in memory yet, continues what memory shows."""
        if self._latest is None or self._latest[0]() is not embedding_chw or self._latest[1] != moment:
            self._latest = (ref(embedding_chw), moment, self._judge(embedding_chw, bank, moment))
        return self._latest[2]

    def near(self, scene: Tensor, other: Tensor, bank: MemoryBank, moment: Moment) -> bool:
        """Whether two pooled embeddings are no further apart than a frame may be from the window of this moment."""
        frames = self.window(bank, past(bank, moment))
        if len(frames) < self.settings.warm_up:
            return True
        deviation = regularized_deviation(_notes(bank, frames, SCENE), self.settings.spread)
        return self._length((scene - other) / deviation) <= self._limit(bank, frames)

    def _judge(self, embedding_chw: Tensor, bank: MemoryBank, moment: Moment) -> Verdict:
        settings, scene = self.settings, pooled(embedding_chw, self.settings.grid)
        frames = self.window(bank, past(bank, moment))
        if len(frames) < settings.warm_up:
            return Verdict(scene, None, False, False)
        scenes = _notes(bank, frames, SCENE)
        mean, deviation = scenes.mean(0), regularized_deviation(scenes, settings.spread)
        distance = self._length((scene - mean) / deviation)
        limit = self._limit(bank, frames)
        changed = distance > limit
        known = changed and any(
            self._length((scene - m.notes[SCENE]) / deviation) <= limit
            for m in bank.prompted.values()
            if SCENE in m.notes
        )
        return Verdict(scene, distance, changed, known)

    def window(self, bank: MemoryBank, frames: Sequence[int]) -> list[int]:
        """Of the frames in memory, newest first, those that a frame is compared with: back to where a scene began."""
        found: list[int] = []
        for t in frames:
            memory = bank.get(t)
            if memory is None or SCENE not in memory.notes:
                continue
            found.append(t)
            if len(found) == self.settings.window or memory.summary.prompted or OPENS in memory.notes:
                break
        return found

    def note(self, outcome: Outcome, bank: MemoryBank, moment: Moment) -> dict[str, Tensor]:
        """What later frames will be compared with."""
        verdict = self.judge(outcome.candidates.embedding_chw, bank, moment)
        notes = {SCENE: verdict.scene}
        if outcome.summary.prompted:
            return notes
        if verdict.distance is not None and not verdict.changed:
            notes[DISTANCE] = torch.tensor([verdict.distance])
        if verdict.changed:
            notes[OPENS] = torch.zeros(0)
        return notes

    def _length(self, deviations_n: Tensor) -> float:
        """Root mean square over all components, or over those of the median cell."""
        of_cells = deviations_n.reshape(-1, self.settings.grid**2).square().mean(0)
        return float((of_cells.median() if self.settings.cells == "median" else of_cells.mean()).sqrt())

    def _limit(self, bank: MemoryBank, frames: Sequence[int]) -> float:
        return self.settings.limit * self._unit(bank, frames)

    def _unit(self, bank: MemoryBank, frames: Sequence[int]) -> float:
        """What the threshold counts in: 1, or a distance that is usual here."""
        if self.settings.rule == "fixed":
            return 1.0
        usual = _notes(bank, frames, DISTANCE)
        if not len(usual):
            return self.settings.calm
        typical = usual.mean() if self.settings.rule == "mean" else usual.max()
        return max(float(typical), self.settings.calm)


def pooled(embedding_chw: Tensor, grid: int) -> Tensor:
    """(c, h, w) averaged over grid x grid cells: (c * grid * grid,) float32 on the CPU."""
    return F.adaptive_avg_pool2d(embedding_chw.float(), grid).flatten().cpu()


def regularized_deviation(scenes_wn: Tensor, spread: float) -> Tensor:
    """Deviation of each component over w frames, with a least one: (w, n) -> (n,)."""
    least = spread * scenes_wn.mean(0).std().clamp(min=1e-6)
    return (scenes_wn.var(0, correction=0) + least.square()).sqrt()


def _notes(bank: MemoryBank, frames: Sequence[int], name: str) -> Tensor:
    """A note of several frames, stacked; frames that lack it are left out."""
    memories = [bank.get(t) for t in frames]
    found = [m.notes[name] for m in memories if m is not None and name in m.notes]
    return torch.stack(found) if found else torch.zeros(0)
