"""Several pathways of memory: where the model doubts, more than one account of what happened goes on.

Each pathway has a memory of its own and a score, the sum of log(predicted IoU) of the masks it chose. On each frame
every pathway proposes its candidates, and the best few of all go on. What is shown is the pathway that leads so far,
so an answer can be wrong that a later frame sets right: the leader's view of an earlier frame is what
`Session.known(object_id, frame_index)` says, of the latest `delay` frames in a stream and, if everything is kept, of
the whole video at its end, which is the published method's answer.

Source: SAM2Long, Ding et al., ICCV 2025, arXiv 2410.16268, written from the paper. Ours: streaming and both directions;
accounts with the same past count as one; a prompt ends all accounts but the leader's.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, TypeVar

import torch
from torch import Tensor

from maskscope.memory.bank import Eviction, FrameMemory, MemoryBank
from maskscope.memory.policy import Branch, Candidates, Moment, Outcome, PointerRead, Selection, SpatialRead
from maskscope.memory.ranked import RankedPolicy, past
from maskscope.memory.settings import PolicyKind, ReadSettings, check_range
from maskscope.model.config import MemoryConfig

SCORE: Final = "log_iou"  # note: (1,) float64, sum over the pathway since the prompt
ACCOUNT: Final = "account"  # note: (1,) int64, the same for the same choices since the prompt
PROMPTED_SCORE: Final = 10.0  # object score of a prompted frame, where frames are ranked by it
LEAST_IOU: Final = 1e-5  # so that its logarithm exists

Read = TypeVar("Read", SpatialRead, PointerRead)


@dataclass(frozen=True)
class PathsSettings(ReadSettings):
    """How many accounts, when they must differ, and how they read.

    Attributes:
        paths: accounts that go on.
        certainty: object score, without sign, above which on any pathway a frame is certain: the best accounts go on
            even if alike. On others, accounts go on whose predicted IoU differ in the second decimal.
        min_iou: predicted IoU above which a frame is read, 0..1; the object must be visible, too.
        low: factor of the keys of the memory with the lowest object score of those read ...
        high: ... and with the highest; the others lie between, by rank.
        delay: frames for which the leader's view can still be asked in a stream.
    """

    paths: int = 3
    certainty: float = 2.0
    min_iou: float = 0.3
    low: float = 0.95
    high: float = 1.05
    delay: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "paths", 1, 9)
        check_range(self, "certainty", 0)
        check_range(self, "min_iou", 0, 1)
        check_range(self, "low", 0.1, 10)
        check_range(self, "high", 0.1, 10)
        check_range(self, "delay", 0, 100)


@dataclass(frozen=True, slots=True)
class _Proposal:
    """A candidate of a pathway."""

    total: float  # the pathway's score with it
    look: float  # predicted IoU to two decimals, negative where the object is not visible
    branch: Branch


class PathsPolicy(RankedPolicy):
    """Keeps several accounts; see `maskscope.memory.policy.Branching`."""

    def __init__(self, config: MemoryConfig, settings: PathsSettings | None = None) -> None:
        super().__init__(config)
        self.settings = settings or PathsSettings()

    def branch(self, candidates: Sequence[Candidates], banks: Sequence[MemoryBank], moment: Moment) -> Sequence[Branch]:
        """The best by score; in doubt, the best that differ, and one of each pathway."""
        proposals = sorted(self._proposals(candidates, banks, moment), key=lambda p: p.total, reverse=True)
        count = self.settings.paths
        if max(abs(seen.object_score_logit) for seen in candidates) > self.settings.certainty:
            return [proposal.branch for proposal in proposals[:count]]
        kept: list[_Proposal] = []
        for proposal in proposals:
            if all(proposal.look != other.look for other in kept):
                kept.append(proposal)
        kept = kept[:count]
        for proposal in proposals:
            if len(kept) < count and all(proposal.branch.path != other.branch.path for other in kept):
                kept.append(proposal)
        return [proposal.branch for proposal in sorted(kept, key=lambda p: p.total, reverse=True)]

    def _proposals(
        self, candidates: Sequence[Candidates], banks: Sequence[MemoryBank], moment: Moment
    ) -> Iterator[_Proposal]:
        accounts: set[int] = set()
        for path, (seen, bank) in enumerate(zip(candidates, banks, strict=True)):
            score, account = _so_far(bank, moment)
            if account in accounts:
                continue
            accounts.add(account)
            visible = seen.object_score_logit > 0
            for index, iou in enumerate(seen.predicted_iou_m):
                look = round(iou, 2) if visible else -round(iou, 2)
                yield _Proposal(score + math.log(iou + LEAST_IOU), look, Branch(path, index, visible))

    def note(self, outcome: Outcome, bank: MemoryBank, moment: Moment) -> Mapping[str, Tensor]:
        """The pathway's score and account with this frame; both begin with the prompt."""
        if outcome.summary.prompted:
            score, account = 0.0, outcome.summary.frame_index
        else:
            score, account = _so_far(bank, moment)
            score += math.log(outcome.summary.predicted_iou + LEAST_IOU)
            account = hash((account, outcome.summary.frame_index, outcome.chosen))  # of numbers: the same in every run
        return {SCORE: torch.tensor([score], dtype=torch.float64), ACCOUNT: torch.tensor([account])}

    def latest(self, bank: MemoryBank, frames: Sequence[int], moment: Moment, count: int) -> list[int]:
        """The previous frame always, before it those in which the object was seen well."""
        return list(islice(self._trusted(bank, frames), count))

    def pointed(self, bank: MemoryBank, frames: Sequence[int], moment: Moment, limit: int) -> list[PointerRead]:
        """By rank; see `select`, which leaves only trusted frames."""
        return [PointerRead(t, rank) for rank, t in zip(range(1, limit), frames, strict=False)]

    def select(self, bank: MemoryBank, moment: Moment) -> Selection:
        """Trusted frames only, keys weighted by the rank of their object score."""
        frames = past(bank, moment)
        trusted = set(self._trusted(bank, frames)) | set(bank.prompted)
        view = MemoryBank(bank.prompted, {t: bank.tracked[t] for t in frames if t in trusted and t in bank.tracked})
        selection = super().select(view, moment)
        return Selection(
            self._weighted(bank, selection.spatial), self._weighted(bank, selection.pointers), selection.max_pointers
        )

    def remembered(self, bank: MemoryBank, frames: Sequence[int]) -> Iterable[int]:
        """Pointers."""
        return islice(self._trusted(bank, frames), self.config.max_pointers)

    def evict(self, bank: MemoryBank, moment: Moment, pivots: Collection[int]) -> Eviction:
        """Lossless, and masks of the latest frames stay for those who ask later."""
        eviction = super().evict(bank, moment, pivots)
        asked = {moment.frame_index - moment.step * age for age in range(self.settings.delay + 1)}
        return Eviction(set(eviction.features) - asked, set(eviction.frames) - asked)

    def _trusted(self, bank: MemoryBank, frames: Sequence[int]) -> Iterator[int]:
        """Newest first, the newest of all included whatever it is."""
        for rank, t in enumerate(frames):
            memory = bank.get(t)
            if memory is not None and (rank == 0 or self._seen_well(memory)):
                yield t

    def _seen_well(self, memory: FrameMemory) -> bool:
        summary = memory.summary
        return summary.prompted or (summary.object_score_logit > 0 and summary.predicted_iou > self.settings.min_iou)

    def _weighted(self, bank: MemoryBank, reads: Sequence[Read]) -> tuple[Read, ...]:
        """Factors from low to high by rank of the object score; one memory alone has none."""
        if len(reads) < 2:
            return tuple(reads)
        low, step = self.settings.low, (self.settings.high - self.settings.low) / (len(reads) - 1)
        ranked = sorted(range(len(reads)), key=lambda n: _object_score(bank, reads[n].frame_index))
        rank_of = {n: rank for rank, n in enumerate(ranked)}
        return tuple(replace(read, weight=low + step * rank_of[n]) for n, read in enumerate(reads))


def _object_score(bank: MemoryBank, frame_index: int) -> float:
    if frame_index in bank.prompted:
        return PROMPTED_SCORE
    return bank.tracked[frame_index].summary.object_score_logit


def _so_far(bank: MemoryBank, moment: Moment) -> tuple[float, int]:
    """Score and account of a pathway before the frame at hand."""
    frames = past(bank, moment)
    memory = bank.get(frames[0]) if frames else None
    if memory is None or SCORE not in memory.notes:
        return 0.0, 0
    return float(memory.notes[SCORE]), int(memory.notes[ACCOUNT])


PATHS = PolicyKind(
    "paths",
    "keeps three memories, one for each account of a doubtful moment, and shows the one that leads",
    "SAM2Long: Ding et al. 2025, arXiv 2410.16268",
    PathsPolicy,
    PathsSettings,
)
