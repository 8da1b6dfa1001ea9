"""Each part of the model alone: shapes, and the rules that goldens exercise only in passing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from maskscope.errors import ShapeError
from maskscope.model import SAM2
from maskscope.model.config import MaskDecoderConfig, SAM2Config
from maskscope.model.layers.norm import LayerNorm2d
from maskscope.model.mask_decoder import NO_OBJECT_LOGIT, MaskDecoder, silence_absent, upsample_logits
from maskscope.model.object_pointer import ObjectPointer
from maskscope.model.prompt_encoder import NOT_A_POINT
from random_models import random_model, small_config

DIM, MEMORY = 128, 64


@pytest.fixture(scope="module")
def model() -> SAM2:
    return random_model().set_precision(torch.float64)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(1, 3, 96, 160, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


# -- shapes -------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def test_shapes_along_the_path(model: SAM2, images: Tensor) -> None:
    h, w, b, s, p = 6, 10, 2, 3, 4
    features = model.encode_image(images)
    assert features.embedding_bchw.shape == (1, DIM, h, w)
    assert features.middle_bchw.shape == (1, DIM // 4, 2 * h, 2 * w)
    assert features.fine_bchw.shape == (1, DIM // 8, 4 * h, 4 * w)
    tokens = model.lay_out_memory(
        torch.zeros(b, s, MEMORY, h, w).double(),
        [[6, 1, 0]] * b,
        torch.zeros(b, p, DIM).double(),
        torch.ones(b, p).double(),
    )
    pieces = DIM // MEMORY
    assert tokens.values_bnk.shape == tokens.positions_bnk.shape == (b, s * h * w + p * pieces, MEMORY)
    assert tokens.num_pointer_tokens == p * pieces
    conditioned = model.condition_on_memory(features.expand(b), tokens)
    assert conditioned.embedding_bchw.shape == (b, DIM, h, w)
    points, labels = torch.zeros(b, 5, 2).double(), torch.ones(b, 5, dtype=torch.int64)
    prompt = model.encode_prompts(points, labels, None, batch=b, image_size=(96, 160))
    assert prompt.sparse_bnc.shape == (b, 6, DIM)
    assert prompt.dense_bchw.shape == (b, DIM, h, w)
    for multimask, m in ((True, 3), (False, 1)):
        decoded = model.decode_masks(conditioned, prompt, multimask)
        assert decoded.mask_logits_bmhw.shape == (b, m, 4 * h, 4 * w)
        assert decoded.predicted_iou_bm.shape == (b, m)
        assert decoded.output_tokens_bmc.shape == (b, m, DIM)
        assert decoded.object_score_logits_b.shape == (b,)
        assert decoded.attended_bchw.shape == (b, DIM, h, w)
        assert decoded.upscaled_bchw.shape == (b, DIM // 8, 4 * h, 4 * w)
    assert model.point_to(decoded.output_tokens_bmc[:, 0], decoded.object_score_logits_b).shape == (b, DIM)
    memory = model.encode_memory(features, decoded.mask_logits_bmhw, decoded.object_score_logits_b, binarize=True)
    assert memory.shape == (b, MEMORY, h, w)


@pytest.mark.parametrize("shape", [(1, 3, 96, 100), (1, 3, 90, 96), (1, 4, 96, 96)])
def test_pictures_of_other_sides_are_refused(model: SAM2, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="multiples of 32"):
        model.encode_image(torch.zeros(shape, dtype=torch.float64))


# -- image encoder ------------------------------------------------------------------------------------------------


@torch.inference_mode()
def test_a_batch_of_pictures_is_encoded_one_by_one(model: SAM2) -> None:
    pictures = torch.randn(3, 3, 96, 160, dtype=torch.float64)
    together = model.encode_image(pictures)
    for index in range(3):
        alone = model.encode_image(pictures[index : index + 1])
        torch.testing.assert_close(together.embedding_bchw[index], alone.embedding_bchw[0], rtol=0, atol=1e-10)
        torch.testing.assert_close(together.fine_bchw[index], alone.fine_bchw[0], rtol=0, atol=1e-10)


def test_layer_norm_over_channels() -> None:
    norm, x = LayerNorm2d(5).double(), torch.randn(2, 5, 3, 4, dtype=torch.float64)
    out = norm(x)
    torch.testing.assert_close(out.mean(1), torch.zeros(2, 3, 4).double())
    expected = (x - x.mean(1, keepdim=True)) / (x.var(1, unbiased=False, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(out, expected)


# -- memory attention ---------------------------------------------------------------------------------------------


def conditioned(model: SAM2, features: Tensor, values: Tensor, positions: Tensor, pointers: int) -> Tensor:
    from maskscope.model.outputs import MemoryTokens

    return model.memory_attention(features, MemoryTokens(values, positions, pointers))


@torch.inference_mode()
def test_the_order_of_memories_does_not_matter_but_their_place_does(model: SAM2) -> None:
    h, w = 4, 6
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(1, DIM, h, w, dtype=torch.float64, generator=generator)
    values, positions = (torch.randn(1, 2 * h * w + 2, MEMORY, dtype=torch.float64, generator=generator) for _ in "ab")
    first, second, pointers = (slice(0, h * w), slice(h * w, 2 * h * w), slice(2 * h * w, None))

    def arranged(x: Tensor, *parts: slice) -> Tensor:
        return torch.cat([x[:, part] for part in parts], dim=1)

    reference = conditioned(model, features, values, positions, 2)
    exchanged = [arranged(x, second, first, pointers) for x in (values, positions)]
    torch.testing.assert_close(conditioned(model, features, *exchanged, 2), reference, rtol=0, atol=1e-9)
    moved = [torch.cat((x[:, : h * w].roll(1, dims=1), x[:, h * w :]), dim=1) for x in (values, positions)]
    assert (conditioned(model, features, *moved, 2) - reference).abs().max() > 1e-3
    turned = [torch.cat((x[:, : 2 * h * w], x[:, 2 * h * w :].flip(1)), dim=1) for x in (values, positions)]
    torch.testing.assert_close(conditioned(model, features, *turned, 2), reference, rtol=0, atol=1e-9)


@torch.inference_mode()
def test_the_shortcut_through_narrow_values_is_exact(model: SAM2) -> None:
    """softmax(q k^T) (m W + b) by the plain formula, one layer's cross-attention."""
    from maskscope.model.layers.position import rotary_angles, rotate
    from maskscope.model.outputs import MemoryTokens

    h, w = 4, 6
    layer = model.memory_attention.layers[0].cross_attn_image
    x = torch.randn(1, h * w, DIM, dtype=torch.float64)
    values, positions = (torch.randn(1, 2 * h * w + 3, MEMORY, dtype=torch.float64) for _ in "ab")
    angles = rotary_angles(DIM, h, w, 10000.0, x.device, x.dtype)
    q = rotate(layer.q_proj(x)[:, None], angles)[:, 0]
    keys = layer.k_proj(values + positions)
    placed = rotate(keys[:, None, : 2 * h * w], angles)[:, 0]
    k = torch.cat((placed, keys[:, 2 * h * w :]), dim=1)
    weights = (q @ k.transpose(1, 2) / DIM**0.5).softmax(-1)
    expected = layer.out_proj(weights @ layer.v_proj(values))
    out = layer.attend_memory(x, MemoryTokens(values, positions, 3), (h, w))
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-10)


# -- memory tokens ------------------------------------------------------------------------------------------------


@torch.inference_mode()
def test_positions_are_place_and_time(model: SAM2) -> None:
    h, w = 3, 4
    spatial = torch.randn(2, 2, MEMORY, h, w, dtype=torch.float64)
    pointers = torch.randn(2, 1, DIM, dtype=torch.float64)
    distances = torch.tensor([[3.0], [-5.0]], dtype=torch.float64)
    tokens = model.lay_out_memory(spatial, [[6, 0], [6, 4]], pointers, distances, 16)
    n = h * w
    assert torch.equal(tokens.values_bnk[1, n + 5], spatial[1, 1, :, 1, 1])
    time = model.memory_tokens.temporal_encoding[:, 0, 0]
    between = tokens.positions_bnk[0, :n] - tokens.positions_bnk[0, n : 2 * n]
    torch.testing.assert_close(between, (time[6] - time[0]).expand(n, -1))
    between = tokens.positions_bnk[1, n : 2 * n] - tokens.positions_bnk[0, n : 2 * n]
    torch.testing.assert_close(between, (time[4] - time[0]).expand(n, -1))
    assert torch.equal(tokens.values_bnk[0, 2 * n :].flatten(), pointers[0, 0]), "a pointer's pieces stay neighbours"
    pieces = tokens.positions_bnk[:, 2 * n :]
    assert torch.equal(pieces[:, 0], pieces[:, 1])
    assert not torch.allclose(pieces[0], pieces[1]), "the sign and size of the distance count"


@torch.inference_mode()
def test_sam2_pointers_know_no_time() -> None:
    older = random_model(small_config("sam2"))
    tokens = older.lay_out_memory(torch.zeros(1, 1, MEMORY, 2, 2), [[0]], torch.ones(1, 2, DIM), torch.ones(1, 2))
    assert tokens.positions_bnk[0, 4:].abs().max() == 0


# -- mask decoder -------------------------------------------------------------------------------------------------


def decoder(**changes: float) -> MaskDecoder:
    return MaskDecoder(replace(SAM2Config(dim=32), mask_decoder=MaskDecoderConfig(**changes)))  # type: ignore[arg-type]


def masks(*insides: int, doubtful: int) -> Tensor:
    """(1, len, 1, 100) logits: so many pixels clearly inside, then so many at zero, the rest clearly outside."""
    out = torch.full((1, len(insides), 1, 100), -5.0)
    for m, inside in enumerate(insides):
        out[0, m, 0, :inside] = 5.0
        out[0, m, 0, inside : inside + doubtful] = 0.0
    return out


def test_an_unstable_mask_gives_way_to_the_best_candidate() -> None:
    iou = torch.tensor([[0.99, 0.3, 0.8, 0.5]])
    stable, unstable = masks(50, 10, 20, 30, doubtful=1), masks(50, 10, 20, 30, doubtful=2)
    kept_logits, kept_iou = decoder().prefer_stable(stable, iou)  # 50 of 51: 0.9804
    assert torch.equal(kept_logits, stable[:, :1])
    assert kept_iou.tolist() == [[pytest.approx(0.99)]]
    other_logits, other_iou = decoder().prefer_stable(unstable, iou)  # 50 of 52: 0.9615
    assert torch.equal(other_logits, unstable[:, 2:3])
    assert other_iou.tolist() == [[pytest.approx(0.8)]]


def test_each_object_is_judged_for_itself() -> None:
    logits = torch.cat((masks(50, 10, 20, 30, doubtful=0), masks(50, 10, 20, 30, doubtful=9)))
    iou = torch.tensor([[0.1, 0.2, 0.3, 0.9], [0.1, 0.9, 0.3, 0.2]])
    chosen, chosen_iou = decoder().prefer_stable(logits, iou)
    assert torch.equal(chosen[0], logits[0, :1])
    assert torch.equal(chosen[1], logits[1, 1:2])
    assert chosen_iou.flatten().tolist() == pytest.approx([0.1, 0.9])


def test_an_empty_mask_is_stable_and_the_threshold_is_configured() -> None:
    iou = torch.tensor([[0.1, 0.9, 0.2, 0.3]])
    empty = masks(0, 10, 20, 30, doubtful=0)
    assert torch.equal(decoder().prefer_stable(empty, iou)[0], empty[:, :1])
    doubtful = masks(50, 10, 20, 30, doubtful=10)
    assert torch.equal(decoder(stability_threshold=0.8).prefer_stable(doubtful, iou)[0], doubtful[:, :1])
    assert not torch.equal(decoder(stability_threshold=0.9).prefer_stable(doubtful, iou)[0], doubtful[:, :1])


@torch.inference_mode()
def test_the_single_masks_token_is_kept_when_its_mask_gives_way(model: SAM2, images: Tensor) -> None:
    """As in the reference: the pointer is that of the single mask even where another mask is shown."""
    features = model.condition_on_memory(model.encode_image(images), None)
    prompt = model.encode_prompts(None, None, None, batch=1, image_size=(96, 160))
    always, never = (
        SAM2(replace(model.config, mask_decoder=replace(model.config.mask_decoder, stability_threshold=t))).double()
        for t in (2.0, 0.0)
    )
    outputs = []
    for other in (always, never):
        other.load_state_dict(model.state_dict())
        outputs.append(other.eval().decode_masks(features, prompt, multimask=False))
    assert not torch.equal(outputs[0].mask_logits_bmhw, outputs[1].mask_logits_bmhw)
    assert torch.equal(outputs[0].output_tokens_bmc, outputs[1].output_tokens_bmc)


def test_absent_objects_are_silenced() -> None:
    logits = torch.randn(3, 2, 4, 4)
    out = silence_absent(logits, torch.tensor([0.1, 0.0, -3.0]))
    assert torch.equal(out[0], logits[0])
    assert out[1:].unique().tolist() == [NO_OBJECT_LOGIT]


def test_upsampling_keeps_a_plane() -> None:
    plane = torch.arange(4.0)[None, None, None, :].expand(1, 1, 3, 4)
    out = upsample_logits(plane, (6, 8))
    assert out[0, 0, 0].tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]


# -- object pointer and memory encoder ----------------------------------------------------------------------------


def test_an_absent_object_points_to_the_learned_vector() -> None:
    pointer = ObjectPointer(small_config())
    token = torch.randn(3, DIM)
    out = pointer(token, torch.tensor([0.5, 0.0, -0.5]))
    torch.testing.assert_close(out[0], pointer.projection(token)[0])
    assert torch.equal(out[1], pointer.no_object_pointer[0])
    assert torch.equal(out[2], pointer.no_object_pointer[0])


def test_a_soft_pointer_mixes_by_probability() -> None:
    config = small_config()
    pointer = ObjectPointer(replace(config, memory=replace(config.memory, soft_no_object_pointer=True)))
    token = torch.randn(1, DIM)
    half = pointer(token, torch.zeros(1))
    torch.testing.assert_close(half, 0.5 * pointer.projection(token) + 0.5 * pointer.no_object_pointer)


def test_memories_of_absent_objects_are_marked_in_sam21_only() -> None:
    features = torch.randn(2, MEMORY, 2, 2)
    newer, older = ObjectPointer(small_config()), ObjectPointer(small_config("sam2"))
    marked = newer.mark_absent(features, torch.tensor([1.0, -1.0]))
    assert torch.equal(marked[0], features[0])
    assert newer.no_object_spatial is not None
    torch.testing.assert_close(marked[1] - features[1], newer.no_object_spatial[0, :, None, None].expand(-1, 2, 2))
    assert torch.equal(older.mark_absent(features, torch.tensor([1.0, -1.0])), features)


@torch.inference_mode()
def test_a_thresholded_memory_knows_no_strength(model: SAM2, images: Tensor) -> None:
    features = model.encode_image(images)
    logits = torch.randn(1, 1, 96, 160, dtype=torch.float64)
    score = torch.ones(1, dtype=torch.float64)
    hard = [model.encode_memory(features, x, score, binarize=True) for x in (logits, 9 * logits)]
    soft = [model.encode_memory(features, x, score, binarize=False) for x in (logits, 9 * logits)]
    assert torch.equal(*hard)
    assert not torch.allclose(*soft)


# -- prompts ------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def test_points_are_pixel_centres_of_the_input(model: SAM2) -> None:
    encoder = model.prompt_encoder
    points = torch.tensor([[[39.5, 23.5], [7.0, 2.0]]], dtype=torch.float64)
    labels = torch.tensor([[1, 0]])
    tokens = encoder.encode_points(points, labels, (48, 80))
    place = encoder.pe_layer(torch.tensor([0.5, 0.5], dtype=torch.float64))
    torch.testing.assert_close(tokens[0, 0], place + encoder.point_embeddings[1].weight[0])
    place = encoder.pe_layer(torch.tensor([7.5 / 80, 2.5 / 48], dtype=torch.float64))
    torch.testing.assert_close(tokens[0, 1], place + encoder.point_embeddings[0].weight[0])
    assert torch.equal(tokens[0, 2], encoder.not_a_point_embed.weight[0]), "one padding token"


@torch.inference_mode()
def test_no_prompt_is_two_padding_tokens(model: SAM2) -> None:
    prompt = model.encode_prompts(None, None, None, batch=2, image_size=(64, 96))
    padding = model.prompt_encoder.not_a_point_embed.weight[0]
    assert torch.equal(prompt.sparse_bnc, padding.expand(2, 2, -1))
    nothing = model.prompt_encoder.no_mask_embed.weight[0]
    assert torch.equal(prompt.dense_bchw, nothing[None, :, None, None].expand(2, -1, 4, 6))
    assert NOT_A_POINT == -1


@torch.inference_mode()
def test_an_adopted_mask_is_its_own_answer(model: SAM2, images: Tensor) -> None:
    features = model.encode_image(images)
    mask = torch.zeros(1, 1, 96, 160, dtype=torch.float64)
    mask[..., 32:64, 40:120] = 1
    decoded, pointer = model.adopt_mask(features, mask)
    assert decoded.predicted_iou_bm.tolist() == [[1.0]]
    assert decoded.object_score_logits_b.tolist() == [10.0]
    assert torch.equal(upsample_logits(decoded.mask_logits_bmhw, (96, 160))[..., 34:62, 42:118] > 0,
                       mask[..., 34:62, 42:118] > 0)  # fmt: skip
    assert pointer.shape == (1, DIM)
    nothing, absent = model.adopt_mask(features, torch.zeros_like(mask))
    assert nothing.object_score_logits_b.tolist() == [-10.0]
    assert torch.equal(absent, model.object_pointer.no_object_pointer)
