"""Gated working memory: a frame that does not continue what memory shows is not written to it.

After a camera cut, or in frames that someone put in between, the object is most likely gone, and what the tracker finds
there is wrong; written to memory it would be believed later. The reading of memory stays SAM 2's, by rank.

Source: Bromley, Moore, Saini, Poland, Carrano, arXiv 2410.22451 (rule and kinds of threshold; no code, no numbers).
Ours: the numbers; that a frame also counts as continuing if it shows what a prompted frame shows; the recovery rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from torch import Tensor

from maskscope.memory.bank import MemoryBank
from maskscope.memory.policy import Moment, Outcome
from maskscope.memory.ranked import RankedPolicy, past
from maskscope.memory.scene import SceneSettings, SceneWatch
from maskscope.memory.settings import PolicyKind, check_range
from maskscope.model.config import MemoryConfig


@dataclass(frozen=True)
class GatedSettings(SceneSettings):
    """How a change of scene is told, and for how long it is held to be one.

    Attributes:
        patience: frames. After so many without one written, a frame in which the object is seen is written whatever
            it shows, and the window begins anew with it: a cut that stays is the new scene.
    """

    patience: int = 24

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "patience", 1)


class GatedPolicy(RankedPolicy):
    """Writes frames that continue what memory shows."""

    def __init__(self, config: MemoryConfig, settings: GatedSettings | None = None) -> None:
        super().__init__(config)
        self.settings = settings or GatedSettings()
        self.watch = SceneWatch(self.settings)

    def admit(self, outcome: Outcome, bank: MemoryBank, moment: Moment) -> bool:
        """It continues the window, or shows what a prompted frame shows, or is held against it long enough."""
        verdict = self.watch.judge(outcome.candidates.embedding_chw, bank, moment)
        if not verdict.changed or verdict.known:
            return True
        refused = abs(moment.frame_index - past(bank, moment)[0]) - 1
        return refused >= self.settings.patience and outcome.visible

    def note(self, outcome: Outcome, bank: MemoryBank, moment: Moment) -> Mapping[str, Tensor]:
        """The pooled embedding and its distance."""
        return self.watch.note(outcome, bank, moment)

    def remembered(self, bank: MemoryBank, frames: Sequence[int]) -> Iterable[int]:
        """Pointers, and the window."""
        return islice(frames, max(self.config.max_pointers, self.settings.window))


GATED = PolicyKind(
    "gated",
    "writes a frame only if its embedding continues the frames in memory, so cuts and interjections stay out",
    "Bromley et al. 2024, arXiv 2410.22451; numbers and recovery ours",
    GatedPolicy,
    GatedSettings,
)
