"""One object of a session: its policy, its memory, and what the user said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from maskscope.memory.bank import MemoryBank
from maskscope.memory.policy import Candidates, MemoryPolicy
from maskscope.tracking.prompts import ClickSet
from maskscope.tracking.results import ObjectMasks


@dataclass(slots=True)
class ObjectTrack:
    """One object: who decides about its memory, the memory, and what the user said.

    `rivals` are the memories of other pathways, best first, where the policy holds several accounts of what happened
    for possible; `bank` is of the best one.
    """

    policy: MemoryPolicy
    bank: MemoryBank = field(default_factory=MemoryBank)
    rivals: list[MemoryBank] = field(default_factory=list)
    clicks: dict[int, ClickSet] = field(default_factory=dict)
    directions: dict[int, bool] = field(default_factory=dict)  # frame tracked from memory -> backwards
    pending: dict[int, tuple[ObjectMasks, bool]] = field(default_factory=dict)  # spoken of, not yet in memory

    @property
    def banks(self) -> list[MemoryBank]:
        """Of all pathways, the best first."""
        return [self.bank, *self.rivals]

    def fork(self, paths: Sequence[int]) -> None:
        """Go on with these pathways, in this order; one that is named twice becomes two."""
        banks = self.banks
        if list(paths) == [0] and len(banks) == 1:
            return
        goes_on = [banks[path] if path not in paths[:rank] else banks[path].copy() for rank, path in enumerate(paths)]
        self.bank, self.rivals = goes_on[0], goes_on[1:]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """What is found of one pathway of an object, and the memory it belongs in; `seen` where it was tracked."""

    object_id: int
    rank: int
    bank: MemoryBank
    masks: ObjectMasks
    seen: Candidates | None = None
