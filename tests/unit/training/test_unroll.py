"""A clip through the model: gradients reach all parts, memory is what the tracker reads, the matching start."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from maskscope.model.memory_attention import MemoryAttentionLayer
from maskscope.model.presets import COMPACT, with_image_size
from maskscope.model.sam2 import ADOPTED_BIAS, ADOPTED_SCALE, SAM2
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.tracker import Tracker
from maskscope.training.batches import GroupBatches
from maskscope.training.clips import ClipSampler
from maskscope.training.corpus import Corpus
from maskscope.training.initialise import start_matching
from maskscope.training.loop import losses_of
from maskscope.training.recipe import Phase, Recipe
from maskscope.training.unroll import ClipMemory, Corrections, FirstPrompt, unroll

SMALL = Phase(1, 1, 3, (64, 96), groups=1)
RECIPE = Recipe()


@pytest.mark.parametrize("weights", [(1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0)], ids=["mask", "click", "box"])
def test_gradients_reach_every_part_through_memory(corpus: Corpus, weights: tuple[float, float, float]) -> None:
    torch.manual_seed(0)
    model = SAM2(COMPACT)
    batch = GroupBatches(ClipSampler(corpus), SMALL, weights)[0]
    outputs = unroll(model, batch.images(), batch.prompt, batch.times)
    assert [len(answers) for answers in outputs] == [int(weights[0] != 1.0), 1, 1]
    losses_of(outputs, batch.masks_tbhw, RECIPE).total.backward()  # type: ignore[no-untyped-call]
    for part in ("image_encoder", "memory_attention", "memory_encoder", "mask_decoder", "object_pointer"):
        gradients = [p.grad for p in getattr(model, part).parameters() if p.grad is not None]
        assert max(float(g.abs().max()) for g in gradients) > 0, part


def test_a_mask_prompt_is_remembered_as_the_tracker_remembers_it(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = SAM2(with_image_size(COMPACT, SMALL.size_hw)).eval().requires_grad_(False)
    batch = GroupBatches(ClipSampler(corpus), SMALL, (1.0, 0, 0))[0]
    assert batch.prompt.mask_bhw is not None
    written: list[torch.Tensor] = []
    remember = ClipMemory.remember

    def noted(self: ClipMemory, time: int, spatial: torch.Tensor, pointer: torch.Tensor, **rest: bool) -> None:
        written.append(spatial)
        remember(self, time, spatial, pointer, **rest)

    monkeypatch.setattr(ClipMemory, "remember", noted)
    with torch.inference_mode():
        unroll(model, batch.images(), batch.prompt, batch.times)
        frame = batch.frames_tbhwc[0, 0].numpy()
        tracker = Tracker(model, options=SessionOptions(memory_dtype=torch.float32))
        tracker.step(frame, [Prompt(1, mask=batch.prompt.mask_bhw[0].numpy())])
    [memory] = tracker.session.tracks[1].bank.prompted.values()
    torch.testing.assert_close(written[0][0], memory.features_khw, rtol=1e-3, atol=1e-3)


def test_memory_reads_what_the_stock_policy_reads() -> None:
    model = SAM2(COMPACT).eval()
    memory = ClipMemory()
    for t in range(10):
        memory.remember(t, torch.full((1, 64 + 64, 2, 3), float(t)), torch.full((1, 128), float(t)))
    tokens = memory.tokens(model, now=10)
    spatial = tokens.values_bnk[0, : 7 * 6].reshape(7, 6, 64)[:, 0, 0]
    assert spatial.tolist() == [0, 4, 5, 6, 7, 8, 9]
    assert tokens.num_pointer_tokens == 10 * 2
    slots = tokens.positions_bnk[0, : 7 * 6].reshape(7, 6, 64) - tokens.positions_bnk[0, :6][None]
    encoding = model.memory_tokens.temporal_encoding[:, 0, 0]
    torch.testing.assert_close(slots[1, 0], encoding[5] - encoding[6])
    torch.testing.assert_close(slots[6, 0], encoding[0] - encoding[6])


def test_a_corrected_frame_is_read_as_a_prompted_one() -> None:
    model = SAM2(COMPACT).eval()
    memory = ClipMemory()
    for t in range(10):
        memory.remember(
            t, torch.full((1, 64 + 64, 2, 3), float(t)), torch.full((1, 128), float(t)), prompted=t in (2, 5)
        )
    tokens = memory.tokens(model, now=10)
    spatial = tokens.values_bnk[0, : 8 * 6].reshape(8, 6, 64)[:, 0, 0]
    assert spatial.tolist() == [0, 2, 5, 4, 6, 7, 8, 9]
    slots = tokens.positions_bnk[0, : 8 * 6].reshape(8, 6, 64)
    torch.testing.assert_close(slots[1], slots[0])
    torch.testing.assert_close(slots[2], slots[0])
    assert not torch.equal(slots[3], slots[0])
    pointers = tokens.values_bnk[0, 8 * 6 :].reshape(10, 2, 64)[:, 0, 0]
    assert tokens.num_pointer_tokens == 10 * 2
    assert pointers.tolist() == [0, 2, 5, 1, 3, 4, 6, 7, 8, 9]


def test_corrections_are_judged_remembered_and_learnt_from(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = SAM2(COMPACT)
    batches = GroupBatches(ClipSampler(corpus), dataclasses.replace(SMALL, clips=2), (0, 0.5, 0.5), 2)
    number = next(n for n in range(40) if (found := batches[n].corrections) and len(found.frames) == 2)
    batch = batches[number]
    assert batch.corrections is not None
    assert batch.corrections == batches[number].corrections
    later = batch.corrections.frames[1]
    given: list[FirstPrompt] = []
    encode = SAM2.encode_prompts

    def noted(self: SAM2, points: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor, **rest: object) -> object:
        given.append(FirstPrompt(mask, points, labels))
        return encode(self, points, labels, mask, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(SAM2, "encode_prompts", noted)
    outputs = unroll(model, batch.images(), batch.prompt, batch.times, batch.corrections, batch.masks_tbhw)
    assert [len(answers) for answers in outputs] == [3 if t in (0, later) else 1 for t in range(3)]
    begun = 0 if batch.prompt.labels_bn is None else batch.prompt.labels_bn.shape[1]
    counts = [0 if one.labels_bn is None else one.labels_bn.shape[1] for one in given]
    expected = {0: [begun, begun + 1, begun + 2], later: [0, 1, 2]}
    assert counts == [count for t in range(3) for count in expected.get(t, [0])]
    assert [one.mask_bhw is not None for one in given[:3]] == [False, True, True]
    assert given[1].mask_bhw is not None
    assert float(given[1].mask_bhw.detach().abs().max()) <= 32
    losses_of(outputs, batch.masks_tbhw, RECIPE).total.backward()  # type: ignore[no-untyped-call]
    assert model.prompt_encoder.mask_downscaling[0].weight.grad is not None
    plain = unroll(model, batch.images(), batch.prompt, batch.times)
    torch.testing.assert_close(plain[0][0].mask_logits_bmhw, outputs[0][0].mask_logits_bmhw)


def test_nothing_follows_a_mask_prompt(corpus: Corpus) -> None:
    assert GroupBatches(ClipSampler(corpus), SMALL, (1.0, 0, 0), 2)[0].corrections is None
    assert GroupBatches(ClipSampler(corpus), SMALL, (0, 1.0, 0))[0].corrections is None
    with_clicks, without = (GroupBatches(ClipSampler(corpus), SMALL, (0, 1.0, 0), n)[3] for n in (2, 0))
    assert with_clicks.times == without.times
    assert Corrections((0,), 2, (0, 3 * 64, 2)).seed == (with_clicks.corrections or Corrections((), 0, ())).seed


def test_the_matching_start_finds_the_object_again_before_any_training(corpus: Corpus) -> None:
    torch.manual_seed(0)
    model = SAM2(COMPACT).eval()
    batch = GroupBatches(ClipSampler(corpus), dataclasses.replace(SMALL, clips=4, frames=1), (1.0, 0, 0))[0]
    images, masks = batch.images()[0], batch.masks_tbhw[0][:, None].float()
    start_matching(model, images, masks)
    with torch.no_grad():
        image = model.encode_image(images)
        memory = model.encode_memory(image, masks * ADOPTED_SCALE + ADOPTED_BIAS, torch.ones(len(masks)), binarize=True)
        tokens = ClipMemory([memory], [torch.zeros(len(masks), 128)], [0]).tokens(model, 1)
        layer = model.memory_attention.layers[0]
        assert isinstance(layer, MemoryAttentionLayer)
        cross = layer.cross_attn_image
        assert model.appearance_key is not None
        assert cross.sharpness is not None
        assert tokens.appearance_bna is not None
        own = model.appearance_key(image.embedding_bchw).flatten(2).transpose(1, 2)
        weights = (cross.sharpness(own) @ tokens.appearance_bna.transpose(1, 2)).softmax(-1)
        small = torch.nn.functional.avg_pool2d(masks, 16).flatten(1)
        seen = (weights[..., :24] @ small[..., None])[..., 0]
    assert seen[small > 0.5].mean() > 2 * seen[small == 0].mean()
