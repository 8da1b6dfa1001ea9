"""Names of the weights: ours, the official checkpoints', and those of transformers, as one two-way table each.

Sources of the names: the checkpoints of facebookresearch/sam2, and `Sam2VideoModel` of huggingface/transformers.
Two things are more than a renaming there: transformers stacks the four point embeddings into one matrix, and stores the
random matrix of the positions twice (older files of it only once).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final, Literal

import torch
from torch import Tensor

from maskscope.errors import CheckpointError

Naming = Literal["maskscope", "official", "transformers"]

# Ours, official. A row ending with a dot stands for everything below it.
_OFFICIAL: Final = (
    ("prompt_encoder.mask_downsample.", "mask_downsample."),
    ("prompt_encoder.", "sam_prompt_encoder."),
    ("mask_decoder.", "sam_mask_decoder."),
    ("memory_tokens.temporal_encoding", "maskmem_tpos_enc"),
    ("memory_tokens.no_memory_embedding", "no_mem_embed"),
    ("memory_tokens.no_memory_position", "no_mem_pos_enc"),
    ("memory_tokens.pointer_time_projection.", "obj_ptr_tpos_proj."),
    ("object_pointer.no_object_spatial", "no_obj_embed_spatial"),
    ("object_pointer.no_object_pointer", "no_obj_ptr"),
    ("object_pointer.projection.", "obj_ptr_proj."),
    ("image_encoder.", "image_encoder."),
    ("memory_attention.", "memory_attention."),
    ("memory_encoder.", "memory_encoder."),
)

# Ours, transformers. `#` is a number, `~` a word, `*` weight or bias; the first row that fits counts.
_TRANSFORMERS: Final = (
    ("image_encoder.trunk.pos_embed", "vision_encoder.backbone.pos_embed"),
    ("image_encoder.trunk.pos_embed_window", "vision_encoder.backbone.pos_embed_window"),
    ("image_encoder.trunk.patch_embed.proj.*", "vision_encoder.backbone.patch_embed.projection.*"),
    ("image_encoder.trunk.blocks.#.norm#.*", "vision_encoder.backbone.blocks.#.layer_norm#.*"),
    ("image_encoder.trunk.blocks.#.attn.~.*", "vision_encoder.backbone.blocks.#.attn.~.*"),
    ("image_encoder.trunk.blocks.#.mlp.layers.0.*", "vision_encoder.backbone.blocks.#.mlp.proj_in.*"),
    ("image_encoder.trunk.blocks.#.mlp.layers.1.*", "vision_encoder.backbone.blocks.#.mlp.proj_out.*"),
    ("image_encoder.trunk.blocks.#.proj.*", "vision_encoder.backbone.blocks.#.proj.*"),
    ("image_encoder.neck.convs.#.conv.*", "vision_encoder.neck.convs.#.*"),
    ("memory_attention.layers.#.~.out_proj.*", "memory_attention.layers.#.~.o_proj.*"),
    ("memory_attention.layers.#.~.~_proj.*", "memory_attention.layers.#.~.~_proj.*"),
    ("memory_attention.layers.#.linear#.*", "memory_attention.layers.#.linear#.*"),
    ("memory_attention.layers.#.norm#.*", "memory_attention.layers.#.layer_norm#.*"),
    ("memory_attention.norm.*", "memory_attention.layer_norm.*"),
    ("memory_tokens.temporal_encoding", "memory_temporal_positional_encoding"),
    ("memory_tokens.no_memory_embedding", "no_memory_embedding"),
    ("memory_tokens.no_memory_position", "no_memory_positional_encoding"),
    ("memory_tokens.pointer_time_projection.*", "temporal_positional_encoding_projection_layer.*"),
    ("prompt_encoder.not_a_point_embed.weight", "prompt_encoder.not_a_point_embed.weight"),
    ("prompt_encoder.no_mask_embed.weight", "prompt_encoder.no_mask_embed.weight"),
    ("prompt_encoder.mask_downscaling.0.*", "prompt_encoder.mask_embed.conv1.*"),
    ("prompt_encoder.mask_downscaling.1.*", "prompt_encoder.mask_embed.layer_norm1.*"),
    ("prompt_encoder.mask_downscaling.3.*", "prompt_encoder.mask_embed.conv2.*"),
    ("prompt_encoder.mask_downscaling.4.*", "prompt_encoder.mask_embed.layer_norm2.*"),
    ("prompt_encoder.mask_downscaling.6.*", "prompt_encoder.mask_embed.conv3.*"),
    ("prompt_encoder.mask_downsample.*", "mask_downsample.*"),
    ("mask_decoder.transformer.layers.#.~.out_proj.*", "mask_decoder.transformer.layers.#.~.o_proj.*"),
    ("mask_decoder.transformer.layers.#.~.~_proj.*", "mask_decoder.transformer.layers.#.~.~_proj.*"),
    ("mask_decoder.transformer.layers.#.mlp.layers.0.*", "mask_decoder.transformer.layers.#.mlp.proj_in.*"),
    ("mask_decoder.transformer.layers.#.mlp.layers.1.*", "mask_decoder.transformer.layers.#.mlp.proj_out.*"),
    ("mask_decoder.transformer.layers.#.norm#.*", "mask_decoder.transformer.layers.#.layer_norm#.*"),
    (
        "mask_decoder.transformer.final_attn_token_to_image.out_proj.*",
        "mask_decoder.transformer.final_attn_token_to_image.o_proj.*",
    ),
    (
        "mask_decoder.transformer.final_attn_token_to_image.~_proj.*",
        "mask_decoder.transformer.final_attn_token_to_image.~_proj.*",
    ),
    ("mask_decoder.transformer.norm_final_attn.*", "mask_decoder.transformer.layer_norm_final_attn.*"),
    ("mask_decoder.~_token.weight", "mask_decoder.~_token.weight"),
    ("mask_decoder.mask_tokens.weight", "mask_decoder.mask_tokens.weight"),
    ("mask_decoder.output_upscaling.0.*", "mask_decoder.upscale_conv1.*"),
    ("mask_decoder.output_upscaling.1.*", "mask_decoder.upscale_layer_norm.*"),
    ("mask_decoder.output_upscaling.3.*", "mask_decoder.upscale_conv2.*"),
    ("mask_decoder.conv_s#.*", "mask_decoder.conv_s#.*"),
    ("mask_decoder.output_hypernetworks_mlps.#.layers.0.*", "mask_decoder.output_hypernetworks_mlps.#.proj_in.*"),
    ("mask_decoder.output_hypernetworks_mlps.#.layers.1.*", "mask_decoder.output_hypernetworks_mlps.#.layers.0.*"),
    ("mask_decoder.output_hypernetworks_mlps.#.layers.2.*", "mask_decoder.output_hypernetworks_mlps.#.proj_out.*"),
    ("mask_decoder.~_head.layers.0.*", "mask_decoder.~_head.proj_in.*"),
    ("mask_decoder.~_head.layers.1.*", "mask_decoder.~_head.layers.0.*"),
    ("mask_decoder.~_head.layers.2.*", "mask_decoder.~_head.proj_out.*"),
    ("object_pointer.projection.layers.0.*", "object_pointer_proj.proj_in.*"),
    ("object_pointer.projection.layers.1.*", "object_pointer_proj.layers.0.*"),
    ("object_pointer.projection.layers.2.*", "object_pointer_proj.proj_out.*"),
    ("object_pointer.no_object_pointer", "no_object_pointer"),
    ("object_pointer.no_object_spatial", "occlusion_spatial_embedding_parameter"),
    ("memory_encoder.mask_downsampler.encoder.0.*", "memory_encoder.mask_downsampler.layers.0.conv.*"),
    ("memory_encoder.mask_downsampler.encoder.1.*", "memory_encoder.mask_downsampler.layers.0.layer_norm.*"),
    ("memory_encoder.mask_downsampler.encoder.3.*", "memory_encoder.mask_downsampler.layers.1.conv.*"),
    ("memory_encoder.mask_downsampler.encoder.4.*", "memory_encoder.mask_downsampler.layers.1.layer_norm.*"),
    ("memory_encoder.mask_downsampler.encoder.6.*", "memory_encoder.mask_downsampler.layers.2.conv.*"),
    ("memory_encoder.mask_downsampler.encoder.7.*", "memory_encoder.mask_downsampler.layers.2.layer_norm.*"),
    ("memory_encoder.mask_downsampler.encoder.9.*", "memory_encoder.mask_downsampler.layers.3.conv.*"),
    ("memory_encoder.mask_downsampler.encoder.10.*", "memory_encoder.mask_downsampler.layers.3.layer_norm.*"),
    ("memory_encoder.mask_downsampler.encoder.12.*", "memory_encoder.mask_downsampler.final_conv.*"),
    ("memory_encoder.pix_feat_proj.*", "memory_encoder.feature_projection.*"),
    ("memory_encoder.fuser.layers.#.gamma", "memory_encoder.memory_fuser.layers.#.scale"),
    ("memory_encoder.fuser.layers.#.dwconv.*", "memory_encoder.memory_fuser.layers.#.depthwise_conv.*"),
    ("memory_encoder.fuser.layers.#.norm.*", "memory_encoder.memory_fuser.layers.#.layer_norm.*"),
    ("memory_encoder.fuser.layers.#.pwconv#.*", "memory_encoder.memory_fuser.layers.#.pointwise_conv#.*"),
    ("memory_encoder.out_proj.*", "memory_encoder.projection.*"),
)

_POINTS: Final = tuple(f"prompt_encoder.point_embeddings.{i}.weight" for i in range(4))
_STACKED_POINTS: Final = "prompt_encoder.point_embed.weight"
_POSITION: Final = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
_SHARED_POSITIONS: Final = (
    "shared_image_embedding.positional_embedding",
    "prompt_encoder.shared_embedding.positional_embedding",
)


def recognise_naming(names: Iterable[str]) -> Naming | None:
    """Whose names these are, judged by parts that every SAM 2 has; None when they are of another model."""
    marks: dict[str, Naming] = {
        "memory_tokens.": "maskscope",
        "sam_mask_decoder.": "official",
        "vision_encoder.backbone.": "transformers",
    }
    for name in names:
        for mark, naming in marks.items():
            if name.startswith(mark):
                return naming
    return None


def our_name(name: str, naming: Naming) -> str | None:
    """Our name of one weight; None for an unknown one.

    Both copies of transformers' shared positions have our one name, and so has its stack of point embeddings (the name
    of the first).
    """
    if naming == "maskscope":
        return name
    if naming == "transformers" and name in _SHARED_POSITIONS:
        return _POSITION
    if naming == "transformers" and name == _STACKED_POINTS:
        return _POINTS[0]
    return _rename(name, naming, backward=True)


def to_ours(state: Mapping[str, Tensor], naming: Naming) -> dict[str, Tensor]:
    """The same weights under our names; tensors are shared, not copied.

    Raises:
        CheckpointError: a name the table does not know, or transformers' two copies of the positions differ.
    """
    out: dict[str, Tensor] = {}
    for name, tensor in with_both_positions(state).items() if naming == "transformers" else state.items():
        ours = our_name(name, naming)
        if ours is None:
            raise CheckpointError(f"{name} is no {naming} name of a SAM 2 weight", "use a SAM 2 or SAM 2.1 checkpoint")
        out[ours] = tensor
        if naming == "transformers" and name == _STACKED_POINTS:
            out.update(zip(_POINTS, torch.split(tensor, 1), strict=True))
    return out


def from_ours(state: Mapping[str, Tensor], naming: Naming) -> dict[str, Tensor]:
    """Inverse of `to_ours`.

    Raises:
        CheckpointError: a weight that the other side has no name for, such as those of the compact trunk.
    """
    if naming == "maskscope":
        return dict(state)
    out: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if naming == "transformers" and name in _POINTS:
            out.setdefault(_STACKED_POINTS, torch.cat([state[point] for point in _POINTS]))
        elif naming == "transformers" and name == _POSITION:
            out.update(dict.fromkeys(_SHARED_POSITIONS, tensor))
        else:
            theirs = _rename(name, naming, backward=False)
            if theirs is None:
                raise CheckpointError(f"{name} has no {naming} name", "only models with a Hiera trunk have these names")
            out[theirs] = tensor
    return out


def with_both_positions(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """transformers' weights with its second copy of the position matrix regenerated where a file has one of them.

    Raises:
        CheckpointError: both are there and differ, which no SAM 2 has.
    """
    held = [state[name] for name in _SHARED_POSITIONS if name in state]
    same_kind = len({(copy.shape, copy.device) for copy in held}) == 1
    if len(held) == 2 and same_kind and not held[0].is_meta and not torch.equal(*held):
        raise CheckpointError(
            f"{_SHARED_POSITIONS[0]} and {_SHARED_POSITIONS[1]} differ, expected two copies of one matrix",
            "tie them before saving: SAM 2 has one",
        )
    return {**state, **({name: state.get(name, held[0]) for name in _SHARED_POSITIONS} if held else {})}


def _rename(name: str, naming: Naming, backward: bool) -> str | None:
    """Rename by the first row that fits, unless the way back leads elsewhere: then the name is not of this scheme."""
    renamed = _first_fit(name, naming, backward)
    return renamed if renamed is not None and _first_fit(renamed, naming, not backward) == name else None


def _first_fit(name: str, naming: Naming, backward: bool) -> str | None:
    for pattern, template in _rows(naming, backward):
        if match := pattern.fullmatch(name):
            return template.format(*match.groups())
    return None


@cache
def _rows(naming: Naming, backward: bool) -> tuple[tuple[re.Pattern[str], str], ...]:
    """A table as (what to match, what to fill in)."""
    wildcards = {"#": r"(\d+)", "~": r"([a-z_]+?)", "*": "(weight|bias)"}
    rows = []
    for ours, theirs in _OFFICIAL if naming == "official" else _TRANSFORMERS:
        source, target = (theirs, ours) if backward else (ours, theirs)
        pattern = "".join(wildcards.get(char, re.escape(char)) for char in source)
        template = re.sub("[#~*]", "{}", target)
        if source.endswith("."):
            pattern, template = pattern + "(.+)", template + "{}"
        rows.append((re.compile(pattern), template))
    return tuple(rows)
