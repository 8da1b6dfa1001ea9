"""Ours: what each of the others does best, arranged so that finding an object again does not cost inventing it.

Policies that read only frames with the object find it again more often, and also where it is not: nothing in memory
speaks of absence any more. So here
- good frames are read by rank, as in `motion` and `paths`; the previous frame is read whatever it is, also if the
  object was absent, unless the scene has changed: absence is remembered for as long as it lasts, and no longer;
- a frame that does not continue the scene (`gated`) is not read, unless the object was verified on it;
- after an absence only sure frames are read, until the object is seen surely again: those just before it was lost hold
  a part of it, or some of what came before it, and those of its return are no better;
- anchors are kept from moments in which a look-alike was told apart (`distractor`);
- a return is verified. After an absence or a change of scene a mask is believed only if what it holds looks, to the
  image encoder, like the object did: like a prompted frame, an anchor or a sure frame from before. The candidate is
  then chosen by predicted IoU and likeness together. A little doubt of the model's is overruled the same way;
- a mask that from one frame to the next holds something quite unlike the object has slid onto what covers it;
- who is turned away that often is let in in the end: objects change while hidden, too.
While the object is seen and looks like itself, nothing changes and there are no anchors, all this is SAM 2 bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import Final

import torch
from torch import Tensor

from maskscope.memory.anchors import ANCHOR, AnchorSettings, newest_anchors, tells_apart
from maskscope.memory.bank import FrameMemory, MemoryBank
from maskscope.memory.looks import LOOK, likeness, looks
from maskscope.memory.policy import Candidates, Moment, Outcome, PointerRead
from maskscope.memory.ranked import RankedPolicy, past
from maskscope.memory.scene import Cells, Rule, SceneSettings, SceneWatch
from maskscope.memory.settings import PolicyKind, check_range
from maskscope.model.config import MemoryConfig

GOOD: Final = "good"  # note, empty: the frame is read as a recent one
SURE: Final = "sure"  # note, empty: it is read so also while the object is searched for
SEARCH: Final = "search"  # note: (1,) frames for which the search goes on after this one
AWAY: Final = "away"  # note, empty: absent in another scene, which says nothing about this one
VIEW: Final = "view"  # note: the frame's pooled embedding, whether or not it is read; (c * grid * grid,) float32
STRAYED: Final = "strayed"  # note, empty: another scene, and nothing shows yet that the object is there
LIKENESS: Final = "likeness"  # note: (1,) of the look to those remembered then
CLAIMS: Final = "claims"  # note: (1,) frames in a row on which the model saw the object and was not believed


@dataclass(frozen=True)
class CompositeSettings(AnchorSettings, SceneSettings):
    """What is good enough to be read, and what is believed after an absence.

    Attributes:
        read_iou: predicted IoU above which a frame is read, as a fraction of what is usual for this object, 0..1.
        min_iou: likewise of a sure frame and test 1 of an anchor: models differ in how sure they are of themselves.
        sure_area: area of a sure frame is at least this share of what is usual for this object, 0..1.
        search: frames. After an absence only sure frames are read until there is a new one, at most for so long; 0 is
            not at all.
        absence: read the previous frame also if the object was absent on it.
        verify: likeness that a return must have, as a fraction of what is usual for this object, 0..1; 0 believes all.
        part: likeness that is enough where the model sees the object and is fairly sure of the mask, likewise: what
            shows of an object behind something shares its cells with that, and looks like both.
        lost: likeness below which an object that was seen just before is taken to be covered, likewise: the mask has
            slid onto something else; 0 never.
        part_iou: predicted IoU above which it is fairly sure, as a fraction of what is usual for this object, 0..1.
        likeness_weight: of likeness against predicted IoU when the mask of a return is chosen, 0..1.
        doubt: object score logit above which a return is believed if it is verified; 0 never overrules the model.
        patience: frames. A return that the model claims on so many in a row is believed whatever it looks like.
        gate: whether changes of scene are told at all.
        drift: a scene that moved away step by step, each frame near the one before, has not changed, and a changed one
            in which the object is verified, or claimed for long, becomes the scene. Something large that passes
            before the object moves away step by step, too, and is then not told from a scene that does.
    """

    rule: Rule = "fixed"
    cells: Cells = "median"
    read_iou: float = 0.7
    min_iou: float = 0.9
    sure_area: float = 0.5
    search: int = 24
    absence: bool = True
    verify: float = 0.82
    part: float = 0.5
    lost: float = 0.4
    part_iou: float = 0.5
    likeness_weight: float = 0.5
    doubt: float = -1.0
    patience: int = 24
    gate: bool = True
    drift: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()  # of both
        for name in ("read_iou", "sure_area", "verify", "part", "lost", "part_iou", "likeness_weight"):
            check_range(self, name, 0, 1)
        check_range(self, "search", 0)
        check_range(self, "patience", 1)
        check_range(self, "doubt", -100, 0)


class CompositePolicy(RankedPolicy):
    """Every frame is written; notes say what it may be read as."""

    def __init__(self, config: MemoryConfig, settings: CompositeSettings | None = None) -> None:
        super().__init__(config)
        self.settings = settings or CompositeSettings()
        self.watch = SceneWatch(self.settings)

    # -- what is there --------------------------------------------------------------------------------------------

    def choose_mask(self, candidates: Candidates, bank: MemoryBank, moment: Moment) -> int:
        """Highest predicted IoU; of a return, with likeness."""
        if candidates.prompted or self._continues(candidates, bank, moment):
            return super().choose_mask(candidates, bank, moment)
        weight = self.settings.likeness_weight
        found = looks(candidates.embedding_chw, candidates.mask_logits_mhw)
        alike = likeness(found, self._known(bank, moment)).tolist()
        scores = [weight * a + (1 - weight) * iou for a, iou in zip(alike, candidates.predicted_iou_m, strict=True)]
        return max(range(len(scores)), key=scores.__getitem__)

    def believe(self, candidates: Candidates, chosen: int, bank: MemoryBank, moment: Moment) -> bool:
        """The model's word while the object is seen; a return must look like the object, or be claimed for long."""
        claimed = candidates.object_score_logit > 0
        if candidates.object_score_logit <= self.settings.doubt or not self.settings.verify:
            return claimed
        continues = self._continues(candidates, bank, moment)
        if continues and not (claimed and self.settings.lost):
            return claimed
        found = looks(candidates.embedding_chw, candidates.mask_logits_mhw[chosen][None])
        if not found.any():
            return claimed
        alike = float(likeness(found, self._known(bank, moment))) / self._usual(bank, moment)
        if continues:
            return alike >= self.settings.lost
        if alike >= self.settings.verify:
            return True
        fairly_sure = candidates.predicted_iou_m[chosen] > self.settings.part_iou * self._usual_iou(bank, moment)
        if claimed and fairly_sure and alike >= self.settings.part:
            return True
        return claimed and self._counted(CLAIMS, bank, moment) >= self.settings.patience

    def _continues(self, candidates: Candidates, bank: MemoryBank, moment: Moment) -> bool:
        """The object was seen just before, and the scene goes on."""
        previous = self._previous(bank, moment)
        if previous is None or previous.summary.object_score_logit <= 0:
            return False
        return not self._changed(candidates, bank, moment)

    def _previous(self, bank: MemoryBank, moment: Moment) -> FrameMemory | None:
        frames = past(bank, moment)
        return bank.get(frames[0]) if frames else None

    def _changed(self, candidates: Candidates, bank: MemoryBank, moment: Moment) -> bool:
        """It is unlike the window and the prompts; with `drift` also: it did not get there step by step."""
        if not self.settings.gate:
            return False
        verdict = self.watch.judge(candidates.embedding_chw, bank, moment)
        if not verdict.changed or verdict.known:
            return False
        if not self.settings.drift:
            return True
        # The window holds good frames alone: where masks have been poor for a while it is old, not the scene new.
        previous = self._previous(bank, moment)
        if previous is None or VIEW not in previous.notes or STRAYED in previous.notes:
            return True
        return not self.watch.near(verdict.scene, previous.notes[VIEW], bank, moment)

    def _known(self, bank: MemoryBank, moment: Moment) -> Iterator[FrameMemory]:
        """Frames whose look is believed: prompted ones, anchors, the latest sure ones."""
        frames = [t for t in past(bank, moment) if t in bank.tracked]
        anchors = newest_anchors(self.settings, bank, frames, moment)
        sure = islice((t for t in frames if t not in anchors and _has(bank, t, SURE)), self.config.num_frames - 1)
        yield from bank.prompted.values()
        yield from (bank.tracked[t] for t in (*anchors, *sure))

    def _latest(self, bank: MemoryBank, moment: Moment) -> list[FrameMemory]:
        """What is usual now: the latest good frames and, so that a few poor ones do not become usual, sure ones."""
        frames = past(bank, moment)
        found = [
            islice((t for t in frames if _has(bank, t, note)), self.config.num_frames - 1) for note in (GOOD, SURE)
        ]
        return [bank.tracked[t] for of_note in found for t in of_note]

    def _usual(self, bank: MemoryBank, moment: Moment) -> float:
        """How alike the object is to itself; 1 while only prompts are known."""
        known = [float(m.notes[LIKENESS]) for m in self._known(bank, moment) if LIKENESS in m.notes]
        return max(median(known), 1e-3) if known else 1.0

    def _usual_iou(self, bank: MemoryBank, moment: Moment) -> float:
        """How sure the model is of the object's mask; 0 while only prompts are known, which it is not asked about."""
        return median([m.summary.predicted_iou for m in self._latest(bank, moment)] or [0.0])

    def _sure(self, outcome: Outcome, bank: MemoryBank, moment: Moment) -> bool:
        """The mask is as good as usual, and not much smaller: none of the object is hidden."""
        summary, settings = outcome.summary, self.settings
        usual_area = median([m.summary.area_fraction for m in self._latest(bank, moment)] or [0.0])
        whole = summary.area_fraction >= settings.sure_area * usual_area
        return whole and summary.predicted_iou > settings.min_iou * self._usual_iou(bank, moment)

    def _counted(self, note: str, bank: MemoryBank, moment: Moment) -> int:
        """A count that the previous frame has; 0 where it has none."""
        previous = self._previous(bank, moment)
        return 0 if previous is None or note not in previous.notes else int(previous.notes[note])

    # -- what is remembered ---------------------------------------------------------------------------------------

    def note(self, outcome: Outcome, bank: MemoryBank, moment: Moment) -> Mapping[str, Tensor]:
        """Look and likeness of a seen object; whether the frame is good, an anchor, or of another scene."""
        seen, empty = outcome.candidates, torch.zeros(0)
        changed, view = self._changed(seen, bank, moment), {}
        if self.settings.gate and self.settings.drift:
            view = {VIEW: self.watch.judge(seen.embedding_chw, bank, moment).scene}
        if not outcome.visible:
            claims = self._counted(CLAIMS, bank, moment) + 1 if seen.object_score_logit > 0 else 0
            notes = view | {CLAIMS: torch.tensor([claims]), SEARCH: torch.tensor([self.settings.search])}
            return notes | {AWAY: empty, STRAYED: empty} if changed else notes
        scene = self.watch.note(outcome, bank, moment) if self.settings.gate else {}
        look = looks(seen.embedding_chw, outcome.mask_logits_hw[None])
        notes = view | {LOOK: look[0]}
        if seen.prompted:
            return notes | scene
        alike = likeness(look, self._known(bank, moment))
        alike_enough = float(alike) >= self.settings.verify * self._usual(bank, moment)
        if changed and not alike_enough and self._counted(CLAIMS, bank, moment) < self.settings.patience:
            notes[STRAYED] = empty
        usual_iou, sure = self._usual_iou(bank, moment), self._sure(outcome, bank, moment)
        searched = self._counted(SEARCH, bank, moment)
        if searched > 1 and not sure:
            notes[SEARCH] = torch.tensor([searched - 1])
        if outcome.summary.predicted_iou > self.settings.read_iou * usual_iou:
            notes |= {GOOD: empty, LIKENESS: alike} | scene
            notes |= {SURE: empty} if sure else {}
            if alike_enough and usual_iou and tells_apart(self.settings, outcome, bank, moment, usual_iou):
                notes[ANCHOR] = empty
        return notes

    # -- what is read ---------------------------------------------------------------------------------------------

    def anchors(self, bank: MemoryBank, frames: Sequence[int], moment: Moment) -> list[int]:
        """The newest ones."""
        return newest_anchors(self.settings, bank, frames, moment)

    def latest(self, bank: MemoryBank, frames: Sequence[int], moment: Moment, count: int) -> list[int]:
        """Good frames, or sure ones; and the previous one unless it shows another scene without the object."""
        return list(islice(self._read(bank, frames, self._searching(bank, moment)), count))

    def wanted(self, bank: MemoryBank, frames: Sequence[int], moment: Moment, count: int) -> Iterable[int]:
        """Those of both."""
        return {t for searching in (False, True) for t in islice(self._read(bank, frames, searching), count)}

    def pointed(self, bank: MemoryBank, frames: Sequence[int], moment: Moment, limit: int) -> list[PointerRead]:
        """Of the same frames, by rank."""
        read = self._read(bank, frames, self._searching(bank, moment))
        return super().pointed(bank, list(islice(read, limit)), moment, limit)

    def remembered(self, bank: MemoryBank, frames: Sequence[int]) -> Iterable[int]:
        """Pointers, the window and looks of good frames, areas of all; and the frame before, whatever it is."""
        count = max(self.config.max_pointers + self.settings.anchors, self.settings.window)
        good = islice((t for t in frames if _has(bank, t, GOOD)), count)
        sure = islice((t for t in frames if _has(bank, t, SURE)), count)
        seen = islice((t for t in frames if _has(bank, t, LOOK)), self.settings.area_frames)
        return [*frames[:1], *good, *sure, *seen]

    def _searching(self, bank: MemoryBank, moment: Moment) -> bool:
        """The object is away, or was and has not been seen surely since."""
        return self._counted(SEARCH, bank, moment) > 0

    def _read(self, bank: MemoryBank, frames: Sequence[int], searching: bool) -> Iterator[int]:
        for rank, t in enumerate(frames):
            memory = bank.get(t)
            if memory is None:
                continue
            good = memory.summary.prompted or (SURE if searching else GOOD) in memory.notes
            absent = memory.summary.object_score_logit <= 0
            previous = rank == 0 and AWAY not in memory.notes and (self.settings.absence or not absent)
            if good or previous:
                yield t


def _has(bank: MemoryBank, frame_index: int, note: str) -> bool:
    memory = bank.get(frame_index)
    return memory is not None and note in memory.notes


COMPOSITE = PolicyKind(
    "composite",
    "reads good frames, anchors and the latest absence; after an absence believes a mask only if it looks alike",
    "ours, from the four above",
    CompositePolicy,
    CompositeSettings,
)
