from __future__ import annotations

import pytest
import torch

from _faults import STRENGTHS, Fault, blended, replacement_of, same_form, shifted
from maskscope.model.outputs import DecodedMasks, ImageFeatures
from maskscope.observe.blame import NOT_DETERMINED
from maskscope.observe.patching import Activations
from planted_faults import NO_BLAME, Outcome, confusion, quiet_share, top1


def image(value: float) -> ImageFeatures:
    return ImageFeatures(*(torch.full((1, 2, side, side), value) for side in (2, 8, 4)))


def decoded() -> DecodedMasks:
    tokens = torch.arange(8.0).reshape(1, 2, 2, 2)
    return DecodedMasks(torch.zeros(1, 3, 8, 8), torch.ones(1, 3), torch.ones(1), torch.ones(1, 3, 2), tokens, tokens)


def test_a_shift_goes_all_the_way_round() -> None:
    assert shifted(torch.tensor([1.0, 2, 3, 4]), 0.5).tolist() == [3, 4, 1, 2]
    assert shifted(torch.tensor([1.0, 2, 3, 4]), 0.01).tolist() == [4, 1, 2, 3]  # one cell at least


def test_a_mixture_of_activations() -> None:
    mixed = blended(image(0.0), image(4.0), 0.75)
    assert {float(x.mean()) for x in (mixed.embedding_bchw, mixed.fine_bchw, mixed.middle_bchw)} == {3.0}


def test_noise_follows_from_the_fault_and_the_frame_and_is_as_strong_as_it_says() -> None:
    torch.manual_seed(0)
    features = 3 * torch.randn(1, 16, 20, 20)
    act = replacement_of(Fault("memory_conditioned", "noise", 2.0, (5, 6), seed=4))
    assert act(4, features) is features
    first, second = act(5, features), act(6, features)
    assert torch.equal(first, act(5, features))
    assert not torch.equal(first, second)
    assert float((first - features).std()) == pytest.approx(6, rel=0.1)


def test_the_masks_follow_from_attended_tokens_and_another_clip_is_taken_whole() -> None:
    out = replacement_of(Fault("prompt_attended", "shift", 0.5, (5,), seed=0))(5, decoded())
    assert torch.equal(out, decoded().attended_bchw.flip(-1))  # tokens alone: the masks are computed from them
    held = Activations(keep=None)
    held.recorders(("prompt_attended",))["prompt_attended"](5, blended(decoded(), decoded(), 0))
    whole = replacement_of(Fault("prompt_attended", "other clip", 1.0, (5,), seed=0), held)(5, decoded())
    assert isinstance(whole, DecodedMasks)
    assert same_form(whole, decoded())
    assert not same_form(image(0.0), ImageFeatures(*(torch.zeros(1, 2, 3, 3) for _ in range(3))))


def outcome(stage, named: str, lost: bool = True) -> Outcome:
    return Outcome("clip", stage, next(iter(STRENGTHS)), 1.0, (5,), lost, named, 1.0, "")


def test_shares_count_lost_cases_and_undisturbed_runs() -> None:
    outcomes = [
        outcome("image_embedding", "image_embedding"),
        outcome("image_embedding", "memory_conditioned"),
        outcome("object_pointer", NOT_DETERMINED),
        outcome("object_pointer", NO_BLAME, lost=False),
        outcome(None, NO_BLAME, lost=False),
        outcome(None, NOT_DETERMINED),
        outcome(None, "memory_features"),
    ]
    assert top1(outcomes) == pytest.approx(1 / 3)
    assert quiet_share(outcomes) == pytest.approx(2 / 3)
    table = confusion(outcomes)
    assert table["image_embedding"]["memory_conditioned"] == table["object_pointer"][NOT_DETERMINED] == 1
    assert sum(sum(row.values()) for row in table.values()) == 3
    assert top1([]) is None
    assert quiet_share([]) is None
