"""Reading older memories in part: an option beside every policy, which goes on deciding everything else.

The cost of memory attention grows with the tokens that are read. Prompted frames, those read like them (anchors) and
the newest frame say what the object is and where it was just now: they stay whole. Of the others a share is read, the
tokens that `maskscope.tracking.salience` ranks first. What is stored stays whole, so nothing is lost to a pass that is
repeated, turned round or corrected.

Idea: Efficient-SAM2, arXiv 2602.08224, which finds salient tokens by attention; how they are found here is ours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from maskscope.memory.bank import Eviction, MemoryBank
from maskscope.memory.policy import Branch, Branching, Candidates, MemoryPolicy, Moment, Outcome, Selection
from maskscope.model.config import MemoryConfig


def thinned(policy: MemoryPolicy, config: MemoryConfig, share: float) -> MemoryPolicy:
    """The policy, reading only `share` of the tokens of older frames; itself where that is all of them."""
    if share == 1:
        return policy
    if isinstance(policy, Branching):
        return _ThinnedBranching(policy, config, share)
    return _Thinned(policy, config, share)


def thin(selection: Selection, bank: MemoryBank, moment: Moment, share: float, prompted_slot: int) -> Selection:
    """The same reads, those of older tracked frames with `share` of their tokens.

    Args:
        selection: what a policy wants to read.
        bank: says which frames were prompted.
        moment: the frame at hand; the newest frame is the nearest one that was not prompted.
        share: of each older frame's tokens, above 0 and at most 1.
        prompted_slot: temporal slot of what is read like a prompted frame.
    """

    def may_be_thin(frame_index: int, slot: int) -> bool:
        return slot != prompted_slot and frame_index not in bank.prompted

    older = [read.frame_index for read in selection.spatial if may_be_thin(read.frame_index, read.slot)]
    newest = min(older, key=lambda t: abs(moment.frame_index - t), default=None)
    spatial = (
        replace(read, share=share) if may_be_thin(read.frame_index, read.slot) and read.frame_index != newest else read
        for read in selection.spatial
    )
    return replace(selection, spatial=tuple(spatial))


class _Thinned:
    """Hands every question on, and thins what is selected."""

    def __init__(self, policy: MemoryPolicy, config: MemoryConfig, share: float) -> None:
        self.policy, self.config, self.share = policy, config, share

    def select(self, bank: MemoryBank, moment: Moment) -> Selection:
        selection = self.policy.select(bank, moment)
        return thin(selection, bank, moment, self.share, self.config.num_frames - 1)

    def choose_mask(self, candidates: Candidates, bank: MemoryBank, moment: Moment) -> int:
        return self.policy.choose_mask(candidates, bank, moment)

    def believe(self, candidates: Candidates, chosen: int, bank: MemoryBank, moment: Moment) -> bool:
        return self.policy.believe(candidates, chosen, bank, moment)

    def admit(self, outcome: Outcome, bank: MemoryBank, moment: Moment) -> bool:
        return self.policy.admit(outcome, bank, moment)

    def note(self, outcome: Outcome, bank: MemoryBank, moment: Moment) -> Mapping[str, Tensor]:
        return self.policy.note(outcome, bank, moment)

    def evict(self, bank: MemoryBank, moment: Moment, pivots: Collection[int]) -> Eviction:
        return self.policy.evict(bank, moment, pivots)

    def state_dict(self) -> dict[str, Any]:
        return self.policy.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.policy.load_state_dict(state)


class _ThinnedBranching(_Thinned):
    """Of a policy that keeps several accounts."""

    def branch(self, candidates: Sequence[Candidates], banks: Sequence[MemoryBank], moment: Moment) -> Sequence[Branch]:
        assert isinstance(self.policy, Branching)
        return self.policy.branch(candidates, banks, moment)
