"""The pointer in space: a planted pointer that one place asks for, tokens applied to frames, and a tracked clip."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from listened import FRAMES, OBJECTS, check_only_listens, model_with, track, truth
from maskscope.errors import SettingError
from maskscope.model import SAM2
from maskscope.model.outputs import DecodedMasks
from maskscope.observe.grid import Regions
from maskscope.observe.measures.overlap import grid_iou
from maskscope.observe.measures.pointer_map import (
    PointerInfluence,
    StoredTokens,
    fit,
    pointer_influence,
    token_mask_logits,
)

MASK = np.zeros((4, 4), bool)
MASK[1:3, 1:3] = True


# -- by hand ------------------------------------------------------------------------------------------------------


def test_a_planted_pointer_is_found_where_it_is_asked_for() -> None:
    """Queries of the object's cells are along the pointer's key, the others along that of a spatial memory."""
    asks = torch.from_numpy(MASK.ravel())
    q = torch.where(asks[:, None], torch.tensor([10.0, 0.0]), torch.tensor([0.0, 10.0]))[None]
    k = torch.tensor([[0.0, 5.0], [0.0, 5.0], [5.0, 0.0]])[None]
    influence = pointer_influence(q, k, 1)
    expected = 1 / (1 + 2 * math.exp(-50 / 2**0.5))
    assert influence[asks].tolist() == pytest.approx([expected] * 4)
    assert influence[~asks].tolist() == pytest.approx([0] * 12, abs=1e-6)
    found = dict(fit(influence.reshape(4, 4).numpy(), Regions.of(MASK, (4, 4))))
    assert found["iou"] == 1.0
    assert found["mass"] == pytest.approx(0.25)
    assert found["chance"] == pytest.approx(0.25 / 1.75)


def test_a_pointer_that_everybody_asks_for_says_nothing_of_places() -> None:
    q, k = torch.ones(1, 16, 2), torch.ones(1, 4, 2)
    influence = pointer_influence(q, k, 2)
    assert influence.tolist() == pytest.approx([0.5] * 16)
    found = dict(fit(influence.reshape(4, 4).numpy(), Regions.of(MASK, (4, 4))))
    assert found["ratio"] == pytest.approx(1)
    assert found["iou"] == pytest.approx(found["chance"])


@torch.inference_mode()
def test_a_token_applied_to_its_own_frame_gives_its_own_mask() -> None:
    """Each of three candidates, and the single mask; applied to another frame's embedding it gives another."""
    model = model_with()
    torch.manual_seed(0)
    images = model.encode_image(torch.randn(1, 3, 128, 128))
    prompt = model.encode_prompts(None, None, None, batch=1)
    conditioned = model.condition_on_memory(images, None)
    several: DecodedMasks = model.decode_candidates(conditioned, prompt, multimask=True)
    for m in range(3):
        token = several.output_tokens_bmc[0, m]
        own = token_mask_logits(model.mask_decoder, token, m + 1, several.upscaled_bchw[0])
        torch.testing.assert_close(own, several.mask_logits_bmhw[0, m], rtol=1e-4, atol=1e-3)
    other = token_mask_logits(model.mask_decoder, token, 3, several.upscaled_bchw[0].flip(-1))
    torch.testing.assert_close(other, own.flip(-1))


# -- listening ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> SAM2:
    return model_with()


@pytest.mark.parametrize(
    "make", [lambda model: PointerInfluence(model, truth, every=1), lambda model: StoredTokens(model, truth)]
)
def test_tracking_is_the_same_with_them(model: SAM2, make) -> None:  # type: ignore[no-untyped-def]
    check_only_listens(model, make)


def test_influence_in_a_tracked_clip(model: SAM2) -> None:
    maps = {}
    listener = PointerInfluence(
        model, truth, every=2, sink=lambda frame, i, tap, found: maps.__setitem__((frame, i, tap), found)
    )
    with listener:
        track(model, [listener])
    taps = [f"memory_attention.{layer}.cross" for layer in range(2)]
    assert set(maps) == {(2, i, tap) for i in OBJECTS for tap in taps}
    assert all(found.shape == (8, 8) and found.min() >= 0 and found.max() <= 1 for found in maps.values())
    for metric in ("mass", "ratio", "iou", "chance"):
        found = [r for r in listener.readings if r.metric == f"pointer_influence_{metric}"]
        assert {(r.frame, r.object, r.tap) for r in found} == set(maps)
    mass = [r.value for r in listener.readings if r.metric == "pointer_influence_mass"]
    assert mass == [pytest.approx(float(found.mean())) for found in maps.values()]


def test_stored_tokens_of_a_tracked_clip(model: SAM2) -> None:
    listener = StoredTokens(model, truth, lags=(1, 2))
    with listener:
        results = track(model, [listener])
    by_frame = [{r.metric.partition(".")[2] for r in listener.readings if r.frame == t} for t in range(FRAMES)]
    assert by_frame[0] == {"own"}
    assert by_frame[1] == {"own", "first", "lag_1"}
    assert by_frame[2] == by_frame[3] == {"own", "first", "lag_1", "lag_2"}
    for t in range(1, FRAMES):
        for object_id in OBJECTS:
            predicted = (results[t].objects[object_id].mask_logits_hw > 0).numpy()
            (own,) = (
                r.value
                for r in listener.readings
                if (r.metric, r.frame, r.object) == ("stored_token_iou.own", t, object_id)
            )
            expected = grid_iou(predicted, Regions.of(truth(t)[object_id], predicted.shape))
            assert own == pytest.approx(expected, abs=2e-3), "what the tracker itself answered"
    at = {(r.metric, r.frame, r.object): r.value for r in listener.readings}
    assert at["stored_token_iou.first", 1, 1] == at["stored_token_iou.lag_1", 1, 1]


def test_absent_is_a_state(model: SAM2) -> None:
    def nothing(frame: int) -> dict[int, np.ndarray]:
        return {1: np.zeros_like(truth(frame)[1])}

    tokens, influence = StoredTokens(model, nothing), PointerInfluence(model, nothing, every=1)
    with tokens, influence:
        track(model, [tokens, influence], frames=2)
    assert {(r.object, r.value, r.state) for r in tokens.readings} == {(1, None, "absent")}
    assert [(r.metric, r.state, r.object) for r in influence.readings] == [("pointer_influence_iou", "absent", 1)]


def test_a_lag_below_one(model: SAM2) -> None:
    with pytest.raises(SettingError, match="lag is 0"):
        StoredTokens(model, truth, lags=(1, 0))
