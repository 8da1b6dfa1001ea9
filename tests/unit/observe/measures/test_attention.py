"""Attention by groups of keys: mass by hand, the model's own weights, and which memory was read."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from listened import FRAMES, OBJECTS, check_only_listens, model_with, track, truth
from maskscope.errors import SettingError, ShapeError
from maskscope.model import SAM2
from maskscope.model.outputs import MemoryTokens
from maskscope.observe.grid import Regions
from maskscope.observe.intervene import Intervened
from maskscope.observe.measures.attention import (
    MemoryGaze,
    TokenGaze,
    gaze,
    group_memory,
    group_picture,
    slot_name,
    spread,
)
from maskscope.observe.measures.attention_weights import attention_mass, memory_queries_keys, projected
from maskscope.observe.measures.known_memories import KnownMemories, fingerprint
from maskscope.observe.reading import Reading
from maskscope.tracking.observer import Observation

GRID = (2, 2)
MASK = np.array([[True, False], [False, False]])
HERE = Regions.of(MASK, GRID)


def key(*scores: float) -> Tensor:
    """Keys of one head with d = 1, whose scores against a query of 1 are these."""
    return torch.tensor(scores)[None, :, None]


QUERY = torch.ones(1, 1, 1)


# -- by hand ------------------------------------------------------------------------------------------------------


def test_mass_of_groups_by_hand() -> None:
    """Weights 6 : 2 : 1 : 1."""
    mass = attention_mass(QUERY, key(math.log(6), math.log(2), 0, 0), torch.tensor([0, 1, 1, 2]), 3)
    assert mass.mean_g.tolist() == pytest.approx([0.6, 0.3, 0.1])
    assert mass.share_g.tolist() == [0.25, 0.5, 0.25]
    entropy = -sum(p * math.log(p) for p in (0.6, 0.2, 0.1, 0.1)) / math.log(4)
    assert float(mass.entropy_n) == pytest.approx(entropy)


def test_the_scale_is_the_square_root_of_the_width() -> None:
    q, k = torch.ones(1, 1, 4), torch.tensor([[[1.0, 1, 1, 1], [0, 0, 0, 0]]])
    expected = math.exp(2) / (math.exp(2) + 1)
    assert float(attention_mass(q, k, torch.tensor([0, 1]), 2).mean_g[0]) == pytest.approx(expected)


def test_heads_are_averaged() -> None:
    k = torch.cat((key(50, 0), key(0, 50)))
    mass = attention_mass(QUERY.expand(2, 1, 1), k, torch.tensor([0, 1]), 2)
    assert mass.mean_g.tolist() == pytest.approx([0.5, 0.5])


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    q, k, group = torch.randn(2, 9, 4), torch.randn(2, 17, 4), torch.arange(17) % 3
    whole = attention_mass(q, k, group, 3)
    monkeypatch.setattr("maskscope.observe.measures.attention_weights._CHUNK_WEIGHTS", 70)
    pieces = attention_mass(q, k, group, 3)
    torch.testing.assert_close(pieces.of_queries_ng, whole.of_queries_ng)
    torch.testing.assert_close(pieces.entropy_n, whole.entropy_n)
    with pytest.raises(ShapeError, match="none empty"):
        attention_mass(q, k, group[:5], 3)


def test_enrichment_counts_against_the_uniform_share() -> None:
    """Two memories of four cells and two pointer tokens; all attention is on the object's cell of the first."""
    groups = group_memory(["prompted", "recent_1"], [HERE, None], 4, 2)
    assert groups.group_m.tolist() == [0, 1, 1, 1, 5, 5, 5, 5, 6, 6]
    assert groups.names[0] == ("prompted", "object")
    assert groups.names[5] == ("recent_1", "other"), "what is not known is neither"
    found = dict(gaze(attention_mass(QUERY, key(60, *[0.0] * 9), groups.group_m, 7), groups, "attention"))
    assert found["attention_mass.prompted"] == pytest.approx(1)
    assert found["attention_enrichment.prompted"] == pytest.approx(10 / 4)
    assert found["attention_enrichment.prompted.object"] == pytest.approx(10)
    assert found["attention_enrichment.prompted.background"] == pytest.approx(0, abs=1e-6)
    assert found["attention_enrichment.object"] == pytest.approx(10)
    assert found["attention_mass.pointers"] == pytest.approx(0, abs=1e-6)
    assert found["attention_entropy"] == pytest.approx(0, abs=1e-6)
    assert "attention_mass.recent_1.object" not in found, "there are no such keys"


def test_memories_that_are_read_in_part_keep_their_regions() -> None:
    groups = group_memory(["prompted", "recent_1"], [HERE, None], 4, 2, torch.tensor([0, 2, 4, 5, 6, 7]))
    assert groups.group_m.tolist() == [0, 1, 5, 5, 5, 5, 6, 6]


def test_without_preference_everything_is_at_one() -> None:
    groups = group_memory(["prompted", "recent_1"], [HERE, HERE], 4, 2)
    found = dict(gaze(attention_mass(QUERY, key(*[0.3] * 10), groups.group_m, 7), groups, "attention"))
    assert found["attention_entropy"] == pytest.approx(1)
    enrichment = [value for name, value in found.items() if "enrichment" in name]
    assert len(enrichment) == 9, "three of each slot but the pointers' one, and two over all"
    assert enrichment == [pytest.approx(1)] * 9


def test_outline_cells_belong_to_neither() -> None:
    pixels = np.zeros((4, 4), bool)
    pixels[0, :3] = pixels[1, :2] = True
    assert group_picture(Regions.of(pixels, GRID)).group_m.tolist() == [0, 2, 1, 1]


def test_slots_and_queries() -> None:
    assert [slot_name(slot, 7) for slot in (0, 5, 6)] == ["recent_1", "recent_6", "prompted"]
    assert spread(np.array([[True, False], [True, True]]), 9).tolist() == [0, 2, 3]
    assert spread(np.ones((3, 3), bool), 3).tolist() == [0, 4, 8]


# -- the model's own weights --------------------------------------------------------------------------------------


@pytest.mark.parametrize("appearance", [0, 8])
@torch.inference_mode()
def test_queries_and_keys_are_those_of_the_forward_path(appearance: int) -> None:
    """Weights from them, applied to the values, give what memory attention itself reads."""
    layer = model_with(appearance).memory_attention.layers[0].cross_attn_image
    torch.manual_seed(0)
    n, m, dim, k = 12, 2 * 12 + 3, 128, 64
    looks = (torch.randn(2, n, appearance), torch.randn(2, m, appearance)) if appearance else (None, None)
    memory = MemoryTokens(torch.randn(2, m, k), torch.randn(2, m, k), 3, looks[1])
    x = torch.randn(2, n, dim)
    queries, keys = memory_queries_keys(layer, x, memory, (3, 4), looks[0])
    every_key = torch.arange(m)
    weights = torch.stack(
        [attention_mass(q, own, every_key, m).of_queries_ng for q, own in zip(queries, keys, strict=True)]
    )
    read = layer.out_proj(layer.v_proj(weights @ memory.values_bnk))
    torch.testing.assert_close(read, layer.attend_memory(x, memory, (3, 4), looks[0]), rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_projected_queries_and_keys_are_those_of_the_decoder() -> None:
    attention = model_with().mask_decoder.transformer.final_attn_token_to_image
    torch.manual_seed(0)
    q, k = torch.randn(1, 5, 128), torch.randn(1, 7, 128)
    heads_q, heads_k = projected(attention, q, k)
    values = attention.split_heads(attention.v_proj(k))
    weights = (heads_q @ heads_k.mT / heads_q.shape[-1] ** 0.5).softmax(-1)
    expected = attention.out_proj((weights @ values).transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(q, k, k), expected, rtol=1e-3, atol=1e-4)
    mass = attention_mass(heads_q[0], heads_k[0], torch.arange(7), 7)
    torch.testing.assert_close(mass.of_queries_ng, weights[0].mean(0))


# -- which memory was read ----------------------------------------------------------------------------------------


def written(known: KnownMemories, frame: int, features: Tensor) -> None:
    known.written(Observation("memory_features", frame, (1,), features[None]))


def test_memories_are_known_again_by_what_they_hold() -> None:
    torch.manual_seed(0)
    known, memories = KnownMemories(), {t: torch.randn(4, 6, 6) for t in (0, 3, 5)}
    for t, features in memories.items():
        written(known, t, features)
    at_rest = torch.stack([memories[t].to(torch.bfloat16).float() for t in (3, 0, 5)])
    assert known.recognise(1, 6, [6, 6, 0], fingerprint(at_rest)) == [3, 0, 5]
    assert known.recognise(1, 6, [0], fingerprint(torch.randn(1, 4, 6, 6))) == [None]
    assert known.recognise(2, 6, [0], fingerprint(at_rest[:1])) == [None], "another object's"


def test_of_equal_memories_the_slot_decides() -> None:
    known, still = KnownMemories(), torch.ones(4, 6, 6)
    for t in range(5):
        written(known, t, still)
    prints = fingerprint(still.expand(3, -1, -1, -1))
    assert known.recognise(1, 5, [2, 1, 0], prints) == [2, 3, 4]
    assert known.recognise(1, -1, [2, 1, 0], prints) == [2, 1, 0], "backwards, too"


def test_a_frame_that_is_written_again_is_another_memory() -> None:
    torch.manual_seed(0)
    known, before, after = KnownMemories(), torch.randn(4, 6, 6), torch.randn(4, 6, 6)
    written(known, 3, before)
    written(known, 3, after)
    prints = fingerprint(torch.stack((before, after)))
    assert known.recognise(1, 4, [0, 0], prints) == [None, 3]


def test_old_memories_that_nobody_reads_are_let_go() -> None:
    torch.manual_seed(0)
    known, first = KnownMemories(), torch.randn(4, 6, 6)
    written(known, 0, first)
    for t in range(1, 100):
        written(known, t, torch.randn(4, 6, 6))
        assert known.recognise(1, t + 1, [6], fingerprint(first[None])) == [0]
    assert len(known._prints[1]) == 64


# -- listening ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> SAM2:
    return model_with(8)


@pytest.mark.parametrize("make", [lambda model: MemoryGaze(model, truth), lambda model: TokenGaze(model, truth)])
def test_tracking_is_the_same_with_them(model: SAM2, make) -> None:  # type: ignore[no-untyped-def]
    check_only_listens(model, make)


def values(readings: list[Reading], metric: str, **where: object) -> list[float | None]:
    return [r.value for r in readings if r.metric == metric and all(getattr(r, name) == v for name, v in where.items())]


def test_memory_gaze_of_a_tracked_clip(model: SAM2) -> None:
    listener = MemoryGaze(model, truth)
    with listener:
        track(model, [listener])
    for object_id in OBJECTS:
        for tap in ("memory_attention.0.cross", "memory_attention.1.cross"):
            where = {"object": object_id, "tap": tap}
            assert len(values(listener.readings, "attention_entropy", **where)) == FRAMES - 1
            for frame in range(1, FRAMES):
                slots = ["prompted", "pointers", *(f"recent_{age}" for age in range(1, frame))]
                found = [values(listener.readings, f"attention_mass.{s}", frame=frame, **where) for s in slots]
                assert sum(mass for (mass,) in found if mass is not None) == pytest.approx(1, abs=1e-4)
    assert not values(listener.readings, "attention_mass.recent_3", frame=3), "that frame was prompted"
    assert all(r.stage == "memory_conditioned" for r in listener.readings)
    known = {r.metric for r in listener.readings if r.frame == 3}
    assert {"attention_enrichment.recent_2.object", "attention_enrichment.prompted.background"} <= known


def test_memory_gaze_is_the_attention_of_the_objects_cells(model: SAM2) -> None:
    """Against the whole map of weights, written out."""
    seen: list[tuple[float, float]] = []

    class Whole(MemoryGaze):
        def _of_object(self, passage, row, regions, frames, frame, object_id):  # type: ignore[no-untyped-def]
            layer = self.model.memory_attention.layers[1].cross_attn_image
            looks = passage.appearance_bna
            q, k = memory_queries_keys(layer, passage.queries[1], passage.memory, passage.grid, looks)
            weights = (q[row, 0] @ k[row, 0].mT / q.shape[-1] ** 0.5).softmax(-1)
            readings = list(super()._of_object(passage, row, regions, frames, frame, object_id))
            if frame == 1:
                return readings  # the frame before it was prompted
            cells = regions.object.size
            slot = passage.slots_bs[row].index(0)
            then = torch.from_numpy(Regions.of(truth(frame - 1)[object_id], passage.grid).object.ravel())
            asked = weights[torch.from_numpy(regions.object.ravel())]
            own = float(asked[:, slot * cells : (slot + 1) * cells][:, then].sum(-1).mean())
            (told,) = values(readings, "attention_mass.recent_1.object", tap="memory_attention.1.cross")
            assert told is not None
            seen.append((told, own))
            return readings

    listener = Whole(model, lambda t: truth(t) if t else None)
    with listener:
        track(model, [listener], frames=4)
    assert len(seen) == 4, "two objects, on frames 2 and 3"
    for told, own in seen:
        assert told == pytest.approx(own, rel=1e-3)


def test_absent_is_a_state_and_unknown_is_nothing(model: SAM2) -> None:
    def partly(frame: int) -> dict[int, np.ndarray]:
        return {1: np.zeros_like(truth(frame)[1])}

    for kind, metric in ((MemoryGaze, "attention_enrichment.object"), (TokenGaze, "mask_tokens_enrichment.object")):
        listener = kind(model, partly)
        with listener:
            track(model, [listener], frames=2)
        assert {(r.metric, r.state, r.object) for r in listener.readings} == {(metric, "absent", 1)}


def test_token_gaze_of_a_tracked_clip(model: SAM2) -> None:
    listener = TokenGaze(model, truth, every=2)
    with listener:
        track(model, [listener])
    assert {r.frame for r in listener.readings} == {0, 2}
    assert {r.tap for r in listener.readings} == {"mask_decoder.0", "mask_decoder.1", "mask_decoder.final"}
    for token in ("object_score_token", "iou_token", "mask_tokens"):
        (entropy,) = values(listener.readings, f"{token}_entropy", frame=2, object=1, tap="mask_decoder.final")
        (mass,) = values(listener.readings, f"{token}_mass.object", frame=2, object=1, tap="mask_decoder.final")
        assert entropy is not None
        assert mass is not None
        assert 0 < entropy <= 1
        assert 0 < mass < 1


def test_behind_a_stand_in_it_hears_what_was_made_and_not_what_was_put_in_place(model: SAM2) -> None:
    before = Intervened(
        model, {"image_embedding": lambda _, image: replace(image, embedding_bchw=-image.embedding_bchw)}
    )
    after = Intervened(model, {"memory_conditioned": lambda _, conditioned: conditioned + 1})
    found = {}
    for name, stand_in in (("none", model), ("before", before), ("after", after)):
        gaze = MemoryGaze(model, truth)
        with gaze:
            track(stand_in if isinstance(stand_in, SAM2) else stand_in.as_model, [gaze], frames=2)
        found[name] = values(gaze.readings, "attention_entropy", object=1)
    assert len(found["before"]) == len(found["none"]) == 2, "one frame, two layers"
    assert found["before"] != found["none"]
    assert found["after"] == []


def test_another_run_of_the_same_model_is_not_heard(model: SAM2) -> None:
    """Two trackers in turn, one of them listened to."""
    alone, beside = MemoryGaze(model, truth), MemoryGaze(model, truth)
    with alone:
        track(model, [alone], frames=3)

    def other_run(observation: Observation) -> None:
        if observation.stage == "image_embedding" and observation.frame_index == 2:
            track(model, [], frames=2)

    with beside:
        track(model, [other_run, beside], frames=3)
    assert beside.readings == alone.readings


def test_listening_twice_and_never(model: SAM2) -> None:
    listener = MemoryGaze(model, truth)
    with listener, pytest.raises(SettingError, match="already"):
        listener.__enter__()
    with pytest.raises(SettingError, match="every=5"):
        TokenGaze(model, truth, every=0)
