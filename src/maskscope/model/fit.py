"""Do these tensors make this model? Size and family are read off names and shapes; a misfit is told in one line."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import torch

from maskscope.errors import CheckpointError
from maskscope.model.config import HieraConfig, SAM2Config
from maskscope.model.keymap import Naming, from_ours, our_name
from maskscope.model.presets import PRESETS, with_image_size
from maskscope.model.sam2 import SAM2

Shapes = Mapping[str, tuple[int, ...]]

_SAM21_ONLY = ("object_pointer.no_object_spatial", "memory_tokens.pointer_time_projection.weight")
_SHOWN = 3  # names of each kind of misfit


def meta_model(config: SAM2Config) -> SAM2:
    """The model without memory for its weights: for shapes, and to assign weights to."""
    with torch.device("meta"):
        return SAM2(config)


@lru_cache(maxsize=16)
def expected_shapes(config: SAM2Config, naming: Naming) -> Shapes:
    """Name and shape of every tensor of a model, in the names of one scheme."""
    state = from_ours(meta_model(config).state_dict(), naming)
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def nearest_preset(found: Shapes, naming: Naming) -> str:
    """The preset most like these tensors: by width of the trunk, then its depth, then by what only SAM 2.1 has."""
    ours = {our_name(name, naming): shape for name, shape in found.items()}
    width = ours.get("image_encoder.trunk.pos_embed", ())[1:2] or (0,)
    blocks = {int(match[1]) for name in ours if (match := re.match(r"image_encoder\.trunk\.blocks\.(\d+)", name or ""))}
    family = "sam2.1" if any(name in ours for name in _SAM21_ONLY) else "sam2"

    def distance(preset: str) -> tuple[int, int, bool]:
        trunk = PRESETS[preset].trunk
        if not isinstance(trunk, HieraConfig):
            is_compact = naming == "maskscope" and not blocks
            return (-1 if is_compact else 1 << 30, 0, False)
        return abs(trunk.embed_dim - width[0]), abs(sum(trunk.stages) - len(blocks)), PRESETS[preset].family != family

    return min(PRESETS, key=distance)


def preset_of(config: SAM2Config) -> str | None:
    """The preset that a configuration is, whatever its input size; None for one's own."""
    for name, preset in PRESETS.items():
        if dataclasses.replace(with_image_size(config, preset.image_size), family=preset.family) == preset:
            return name
    return None


def check_fit(found: Shapes, config: SAM2Config, naming: Naming, source: str) -> None:
    """Compare tensors with what a model needs.

    Args:
        found: names and shapes of the tensors, in the names of `naming`.
        config: of the model.
        naming: whose names they are.
        source: what the message calls them, such as the file's path.

    Raises:
        CheckpointError: a tensor is missing, too many, or of another shape; names the first few of each.
    """
    expected = expected_shapes(config, naming)
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    misshapen = [
        f"{name} is {found[name]} instead of {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    misfits = [
        _count(missing, "missing"),
        _count(unexpected, "unexpected"),
        _count(misshapen, "of another shape"),
    ]
    if not any(misfits):
        return
    preset = preset_of(config)
    nearest = preset or nearest_preset(found, naming)
    model = preset or f"its {config.family} configuration"
    raise CheckpointError(
        f"{source} does not fit {model}: of {len(expected)} tensors {'; '.join(filter(None, misfits))}",
        f"the nearest known model is {nearest}: give its unchanged file, or a config that describes this one",
    )


def _count(names: Sequence[str], what: str) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} {what} ({', '.join(names[:_SHOWN])}{more})"
