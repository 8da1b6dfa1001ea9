"""The names of weights, against the released manifest's shape of things and against live transformers models."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from tiny import TINY, tiny_model

from maskscope.errors import CheckpointError
from maskscope.model import PRESETS, SAM2, SAM2Config
from maskscope.model.config import MemoryConfig
from maskscope.model.fit import meta_model
from maskscope.model.keymap import from_ours, our_name, recognise_naming, to_ours

SHARED = ("shared_image_embedding.positional_embedding", "prompt_encoder.shared_embedding.positional_embedding")
RELEASED = [name for name in PRESETS if name != "compact"]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    ("ours", "official", "transformers"),
    [
        ("memory_tokens.temporal_encoding", "maskmem_tpos_enc", "memory_temporal_positional_encoding"),
        ("memory_tokens.no_memory_embedding", "no_mem_embed", "no_memory_embedding"),
        ("object_pointer.no_object_pointer", "no_obj_ptr", "no_object_pointer"),
        ("object_pointer.no_object_spatial", "no_obj_embed_spatial", "occlusion_spatial_embedding_parameter"),
        ("object_pointer.projection.layers.1.bias", "obj_ptr_proj.layers.1.bias", "object_pointer_proj.layers.0.bias"),
        ("object_pointer.projection.layers.2.bias", "obj_ptr_proj.layers.2.bias", "object_pointer_proj.proj_out.bias"),
        (
            "memory_tokens.pointer_time_projection.weight",
            "obj_ptr_tpos_proj.weight",
            "temporal_positional_encoding_projection_layer.weight",
        ),
        ("prompt_encoder.mask_downsample.weight", "mask_downsample.weight", "mask_downsample.weight"),
        (
            "prompt_encoder.mask_downscaling.4.weight",
            "sam_prompt_encoder.mask_downscaling.4.weight",
            "prompt_encoder.mask_embed.layer_norm2.weight",
        ),
        (
            "mask_decoder.transformer.layers.1.cross_attn_image_to_token.out_proj.bias",
            "sam_mask_decoder.transformer.layers.1.cross_attn_image_to_token.out_proj.bias",
            "mask_decoder.transformer.layers.1.cross_attn_image_to_token.o_proj.bias",
        ),
        (
            "image_encoder.trunk.blocks.11.mlp.layers.1.weight",
            "image_encoder.trunk.blocks.11.mlp.layers.1.weight",
            "vision_encoder.backbone.blocks.11.mlp.proj_out.weight",
        ),
    ],
)
def test_names_by_hand(ours: str, official: str, transformers: str) -> None:
    assert our_name(official, "official") == ours
    assert our_name(transformers, "transformers") == ours
    tensor = {ours: torch.zeros(1)}
    assert list(from_ours(tensor, "official")) == [official]
    assert list(from_ours(tensor, "transformers")) == [transformers]


@pytest.mark.parametrize("naming", ["official", "transformers"])
@pytest.mark.parametrize("preset", RELEASED)
def test_round_trip_loses_nothing(preset: str, naming: str) -> None:
    state = meta_model(PRESETS[preset]).state_dict()
    theirs = from_ours(state, naming)
    assert recognise_naming(theirs) == naming
    back = to_ours(theirs, naming)
    assert {name: t.shape for name, t in back.items()} == {name: t.shape for name, t in state.items()}


@pytest.mark.parametrize("naming", ["maskscope", "official", "transformers"])
def test_round_trip_keeps_values(naming: str) -> None:
    state = tiny_model().state_dict()
    assert same(to_ours(from_ours(state, naming), naming), state)


def test_points_are_stacked_in_order_and_positions_stand_twice() -> None:
    state = tiny_model().state_dict()
    theirs = from_ours(state, "transformers")
    stacked = theirs["prompt_encoder.point_embed.weight"]
    assert stacked.shape == (4, TINY.dim)
    assert torch.equal(stacked[2:3], state["prompt_encoder.point_embeddings.2.weight"])
    assert torch.equal(theirs[SHARED[0]], theirs[SHARED[1]])


@pytest.mark.parametrize("dropped", SHARED)
def test_one_copy_of_the_positions_is_enough(dropped: str) -> None:
    state = tiny_model().state_dict()
    theirs = from_ours(state, "transformers")
    del theirs[dropped]
    assert same(to_ours(theirs, "transformers"), state)


def test_two_different_copies_are_refused() -> None:
    theirs = from_ours(tiny_model().state_dict(), "transformers")
    theirs[SHARED[0]] = theirs[SHARED[0]] + 1
    with pytest.raises(CheckpointError, match="differ, expected two copies of one matrix"):
        to_ours(theirs, "transformers")


@pytest.mark.parametrize(
    ("name", "naming"),
    [
        ("conv1.weight", "official"),
        ("prompt_encoder.no_mask_embed.weight", "official"),  # ours, not theirs
        ("sam_prompt_encoder.mask_downsample.weight", "official"),  # would collide with mask_downsample.weight
        ("maskmem_tpos_enc_extra", "official"),
        ("memory_attention.layers.0.self_attn.out_proj.weight", "transformers"),  # would collide with o_proj
        ("prompt_encoder.point_embeddings.0.weight", "transformers"),
        ("vision_encoder.backbone.blocks.0.mlp.proj_in.scale", "transformers"),
    ],
)
def test_unknown_names_are_refused(name: str, naming: str) -> None:
    assert our_name(name, naming) is None
    with pytest.raises(CheckpointError, match="name of a SAM 2 weight"):
        to_ours({name: torch.zeros(1)}, naming)


def test_the_compact_trunk_has_no_transformers_names() -> None:
    with pytest.raises(CheckpointError, match="has no transformers name"):
        from_ours(meta_model(PRESETS["compact"]).state_dict(), "transformers")


def test_names_of_other_models_are_not_recognised() -> None:
    assert recognise_naming(["conv1.weight", "fc.bias"]) is None
    assert recognise_naming(["image_encoder.blocks.0.norm1.weight", "mask_decoder.iou_token.weight"]) is None


# -- against the live library ---------------------------------------------------------------------------------------


THEIR_TINY = dataclasses.replace(TINY, dim=128, memory=MemoryConfig(dim=64))  # they fix the memory's width


def transformers_model(config: SAM2Config):
    """`Sam2VideoModel` of the same sizes, with random weights and its positions tied as in released files."""
    transformers = pytest.importorskip("transformers", reason="compares with the transformers library")
    trunk, dim, memory = config.trunk, config.dim, config.memory
    model = transformers.Sam2VideoModel(
        transformers.Sam2VideoConfig(
            vision_config=transformers.Sam2VisionConfig(
                backbone_config=transformers.Sam2HieraDetConfig(
                    hidden_size=trunk.embed_dim,
                    num_attention_heads=trunk.num_heads,
                    blocks_per_stage=list(trunk.stages),
                    embed_dim_per_stage=list(trunk.channels),
                    num_attention_heads_per_stage=[trunk.num_heads * 2**stage for stage in range(4)],
                    window_size_per_stage=list(trunk.window_sizes),
                    global_attention_blocks=list(trunk.global_blocks),
                    window_positional_embedding_background_size=list(trunk.position_grid),
                ),
                backbone_channel_list=list(reversed(trunk.channels)),
                fpn_hidden_size=dim,
            ),
            prompt_encoder_config=transformers.Sam2VideoPromptEncoderConfig(hidden_size=dim).to_dict(),
            mask_decoder_config=transformers.Sam2VideoMaskDecoderConfig(
                hidden_size=dim,
                mlp_dim=config.mask_decoder.hidden_dim,
                iou_head_hidden_dim=config.mask_decoder.iou_hidden_dim,
            ).to_dict(),
            enable_occlusion_spatial_embedding=memory.no_object_spatial,
            enable_temporal_pos_encoding_for_object_pointers=memory.pointer_time,
            memory_attention_hidden_size=dim,
            memory_attention_num_layers=config.memory_attention.num_layers,
            memory_attention_feed_forward_hidden_size=config.memory_attention.hidden_dim,
            memory_encoder_hidden_size=dim,
            memory_encoder_output_channels=memory.dim,
            mask_downsampler_embed_dim=dim,
            memory_fuser_embed_dim=dim,
            memory_fuser_intermediate_dim=4 * dim,
        )
    ).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        state = model.state_dict()
        for tensor in state.values():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.1)
        state[SHARED[1]].copy_(state[SHARED[0]])
    return model


@pytest.mark.parametrize("preset", ["sam2.1-hiera-tiny", "sam2-hiera-tiny", "sam2.1-hiera-base-plus"])
def test_transformers_has_exactly_these_names_and_shapes(preset: str) -> None:
    with torch.device("meta"):
        theirs = transformers_model(PRESETS[preset]).state_dict()
    ours = from_ours(meta_model(PRESETS[preset]).state_dict(), "transformers")
    assert {name: t.shape for name, t in ours.items()} == {name: t.shape for name, t in theirs.items()}


def test_weights_of_transformers_come_back_unchanged() -> None:
    theirs = transformers_model(THEIR_TINY).state_dict()
    model = SAM2(THEIR_TINY)
    model.load_state_dict(to_ours(theirs, "transformers"), strict=True)
    assert same(from_ours(model.state_dict(), "transformers"), dict(theirs))


def test_both_models_see_the_same_picture() -> None:
    """Weights under their right names give the same features at all three strides."""
    theirs = transformers_model(THEIR_TINY)
    ours = SAM2(THEIR_TINY).eval()
    ours.load_state_dict(to_ours(theirs.state_dict(), "transformers"), strict=True)
    images = torch.randn(1, 3, *THEIR_TINY.image_size, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        expected = theirs.vision_encoder(images).fpn_hidden_states
        fine, middle, embedding = ours.image_encoder(images)
    assert embedding.std() > 0.1
    for got, want in zip((fine, middle, embedding), expected, strict=True):
        assert got.shape == want.shape
        torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)


def test_files_of_transformers_hold_these_names(tmp_path) -> None:
    """What `save_pretrained` writes may differ from `state_dict` by its conversions; it does not for this model."""
    from maskscope.model.checkpoints import read_checkpoint

    theirs = transformers_model(THEIR_TINY)
    theirs.save_pretrained(tmp_path)
    found = read_checkpoint(tmp_path / "model.safetensors", config=THEIR_TINY)
    assert found.naming == "transformers"
    assert same(found.state, to_ours(theirs.state_dict(), "transformers"))
