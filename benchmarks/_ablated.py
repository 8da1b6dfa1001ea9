"""The shipped model with something taken away while it tracks: memories, pointers, parts, pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import nn

from maskscope.memory.bank import MemoryBank
from maskscope.memory.policies import registry
from maskscope.memory.policies.stock import StockPolicy
from maskscope.memory.policy import Candidates, Moment, Selection
from maskscope.memory.settings import PolicyKind, ReadSettings, check_range
from maskscope.model import SAM2
from maskscope.model.config import MemoryConfig
from maskscope.model.memory_attention import MemoryAttentionLayer

POLICY = "ablated"


@dataclass(frozen=True)
class AblatedSettings(ReadSettings):
    """What of the stock policy is left.

    Attributes:
        recent: spatial memories of recent frames that are read, the newest; the stock policy reads 6.
        pointers: whether object pointers are read.
        absence: whether an object may be judged absent.
    """

    recent: int = 6
    pointers: bool = True
    absence: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "recent", 0, 6)


class AblatedPolicy(StockPolicy):
    """The stock policy, which reads less."""

    def __init__(self, config: MemoryConfig, settings: AblatedSettings) -> None:
        super().__init__(config)
        self.settings = settings

    def select(self, bank: MemoryBank, moment: Moment) -> Selection:
        """Prompted memories, and what is left of the others."""
        selection = super().select(bank, moment)
        recent = [read for read in selection.spatial if read.frame_index not in bank.prompted]
        dropped = recent[: len(recent) - self.settings.recent]  # the oldest come first
        spatial = tuple(read for read in selection.spatial if read not in dropped)
        return replace(selection, spatial=spatial, pointers=selection.pointers if self.settings.pointers else ())

    def believe(self, candidates: Candidates, chosen: int, bank: MemoryBank, moment: Moment) -> bool:
        """What the model says, unless nothing may be absent."""
        return not self.settings.absence or super().believe(candidates, chosen, bank, moment)


registry.add(PolicyKind(POLICY, "the stock policy, reading less", "this benchmark", AblatedPolicy, AblatedSettings))


@dataclass(frozen=True)
class Variant:
    """One row: what is taken away.

    Attributes:
        label: in the table.
        policy: memory policy with its settings.
        image_size: (height, width) of the model's input; None is the model's own.
        change: takes parts out of a model, in place.
    """

    label: str
    policy: str = "stock"
    image_size: tuple[int, int] | None = None
    change: Callable[[SAM2], None] | None = None


def without_appearance(model: SAM2) -> None:
    """Memory attention compares mixed features alone, as in SAM 2."""
    for layer in model.memory_attention.layers:
        assert isinstance(layer, MemoryAttentionLayer)
        layer.cross_attn_image.sharpness = None


def without_refinement(model: SAM2) -> None:
    """Masks as SAM 2's decoder upscales them."""
    model.mask_decoder.refine_middle = nn.Sequential()
    model.mask_decoder.refine_fine = nn.Sequential()


BASE = "as shipped"
VARIANTS = (
    Variant(BASE),
    Variant("memory of 3 frames instead of 7", f"{POLICY}:recent=2"),
    Variant("memory of 2 frames", f"{POLICY}:recent=1"),
    Variant("prompted memory only", f"{POLICY}:recent=0"),
    Variant("no object pointers", f"{POLICY}:pointers=off"),
    Variant("nothing is ever absent", f"{POLICY}:absence=off"),
    Variant("older memories read by half of their tokens", "stock:thin=0.5"),
    Variant("older memories read by a tenth of their tokens", "stock:thin=0.1"),
    Variant("no appearance key", change=without_appearance),
    Variant("no refinement blocks", change=without_refinement),
    Variant("512 x 288", image_size=(288, 512)),
    Variant("736 x 416", image_size=(416, 736)),
)
