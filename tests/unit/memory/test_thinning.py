"""Which memories are read in part, whatever the policy, and that nothing else of the policy changes."""

from __future__ import annotations

import pytest
import torch

from maskscope.errors import SettingError
from maskscope.memory.bank import FrameMemory, FrameSummary, MemoryBank
from maskscope.memory.policies import registry
from maskscope.memory.policies.composite import GOOD
from maskscope.memory.policies.paths import PathsPolicy
from maskscope.memory.policies.stock import StockPolicy
from maskscope.memory.policy import Branching, Moment, Selection, SpatialRead
from maskscope.memory.thinning import thin
from maskscope.model.config import MemoryConfig
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.tracker import Tracker
from random_models import moving_square, random_model, square_mask

CONFIG = MemoryConfig()


def bank_of(*tracked: int, prompted: tuple[int, ...] = (0,)) -> MemoryBank:
    bank = MemoryBank()
    for t in (*prompted, *tracked):
        summary = FrameSummary(t, t in prompted, 5.0, 0.9, 0.1)
        notes = {GOOD: torch.zeros(0)}  # or `composite` would not read them
        bank.write(FrameMemory(summary, torch.zeros(2), torch.zeros(1, 1, 1), torch.zeros(1, 1), notes))
    return bank


def shares(selection: Selection) -> dict[int, float]:
    return {read.frame_index: read.share for read in selection.spatial}


def test_prompted_anchors_and_the_newest_are_whole() -> None:
    reads = (SpatialRead(0, 6), SpatialRead(4, 6), SpatialRead(7, 2), SpatialRead(8, 1), SpatialRead(9, 0))
    selection = thin(Selection(reads, (), 16), bank_of(4, 7, 8, 9), Moment(10), 0.5, 6)
    assert shares(selection) == {0: 1, 4: 1, 7: 0.5, 8: 0.5, 9: 1}
    assert [read.slot for read in selection.spatial] == [6, 6, 2, 1, 0], "order and slots stay"


def test_a_prompted_frame_that_is_read_as_recent_is_whole() -> None:
    reads = (SpatialRead(0, 6), SpatialRead(3, 3), SpatialRead(5, 2), SpatialRead(6, 1))
    selection = thin(Selection(reads, (), 16), bank_of(5, 6, prompted=(0, 3)), Moment(7), 0.5, 6)
    assert shares(selection) == {0: 1, 3: 1, 5: 0.5, 6: 1}


def test_backwards_the_newest_is_the_frame_after() -> None:
    reads = (SpatialRead(9, 6), SpatialRead(7, 1), SpatialRead(6, 0))
    assert shares(thin(Selection(reads, (), 16), bank_of(6, 7, prompted=(9,)), Moment(5, True), 0.5, 6))[6] == 1


@pytest.mark.parametrize("name", registry.BUILT_IN)
def test_it_goes_with_every_policy(name: str) -> None:
    policy = registry.policy(f"{name}:thin=0.25")(CONFIG)
    plain = registry.policy(name)(CONFIG)
    assert isinstance(policy, Branching) is isinstance(plain, Branching), "pathways stay pathways"
    bank = bank_of(*range(1, 30))
    whole, part = (p.select(bank, Moment(30)) for p in (plain, policy))
    assert [(r.frame_index, r.slot, r.weight) for r in whole.spatial] == [
        (r.frame_index, r.slot, r.weight) for r in part.spatial
    ]
    assert whole.pointers == part.pointers
    assert sorted(shares(part).values()) == [0.25] * 5 + [1.0] * 2


def test_all_of_them_is_the_policy_itself() -> None:
    assert type(registry.policy("stock:thin=1")(CONFIG)) is StockPolicy
    assert type(registry.policy("paths")(CONFIG)) is PathsPolicy


@pytest.mark.parametrize("share", ["0", "1.5", "nan"])
def test_shares_that_mean_nothing(share: str) -> None:
    with pytest.raises(SettingError, match=r"thin is .*, expected 0.01 to 1"):
        registry.policy(f"composite:thin={share}")


def test_thin_by_one_is_bit_identical_and_less_is_not() -> None:
    """A real model with rotary positions: all tokens by way of thinning, and half of them."""
    model, frames = random_model(), moving_square(6)
    logits = {}
    for policy in ("stock", "stock:thin=1", "stock:thin=0.5"):
        tracker = Tracker(model, policy)
        said = [Prompt(1, mask=square_mask(0))]
        results = [tracker.step(frame, said if t == 0 else ()) for t, frame in enumerate(frames)]
        logits[policy] = torch.stack([result.objects[1].mask_logits_hw for result in results])
    assert torch.equal(logits["stock"], logits["stock:thin=1"])
    assert torch.equal(logits["stock"][:3], logits["stock:thin=0.5"][:3]), "no older frame yet"
    assert not torch.equal(logits["stock"][3:], logits["stock:thin=0.5"][3:])
