"""Names and shapes of the eight released checkpoints: each is recognised, fits, and survives both other namings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from maskscope.errors import CheckpointError
from maskscope.model import PRESETS
from maskscope.model.checkpoints import load_model
from maskscope.model.fit import check_fit, expected_shapes, meta_model, nearest_preset
from maskscope.model.keymap import from_ours, recognise_naming, to_ours

RELEASED = [name for name in PRESETS if name != "compact"]

Shapes = dict[str, tuple[int, ...]]


@pytest.fixture(scope="module")
def manifests(shared: Path) -> dict[str, Shapes]:
    plain = json.loads((shared / "golden" / "checkpoint_manifests.json").read_text())
    return {name: {key: tuple(shape) for key, shape in shapes.items()} for name, shapes in plain.items()}


def weightless(shapes: Shapes) -> dict[str, torch.Tensor]:
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def test_all_eight_are_there(manifests: dict[str, Shapes]) -> None:
    assert sorted(manifests) == sorted(RELEASED)


@pytest.mark.parametrize("preset", RELEASED)
def test_released_names_are_recognised_and_fit(manifests: dict[str, Shapes], preset: str) -> None:
    shapes = manifests[preset]
    assert recognise_naming(shapes) == "official"
    assert nearest_preset(shapes, "official") == preset
    assert expected_shapes(PRESETS[preset], "official") == shapes
    model = meta_model(PRESETS[preset])
    model.load_state_dict(to_ours(weightless(shapes), "official"), strict=True, assign=True)


@pytest.mark.parametrize("preset", RELEASED)
def test_through_transformers_names_and_back(manifests: dict[str, Shapes], preset: str) -> None:
    theirs = from_ours(to_ours(weightless(manifests[preset]), "official"), "transformers")
    assert recognise_naming(theirs) == "transformers"
    assert nearest_preset({name: tuple(t.shape) for name, t in theirs.items()}, "transformers") == preset
    back = from_ours(to_ours(theirs, "transformers"), "official")
    assert {name: tuple(tensor.shape) for name, tensor in back.items()} == manifests[preset]


@pytest.mark.parametrize("preset", RELEASED)
def test_no_released_model_passes_for_another(manifests: dict[str, Shapes], preset: str) -> None:
    for other in RELEASED:
        if other != preset:
            with pytest.raises(CheckpointError, match=f"does not fit {other}: "):
                check_fit(manifests[preset], PRESETS[other], "official", "it")


def test_a_file_like_the_released_one_loads(manifests: dict[str, Shapes], tmp_path: Path) -> None:
    """One number per tensor on the disk, seen at its full shape, so that the file is small."""
    state = {
        name: torch.tensor(index / 1000).expand(shape)
        for index, (name, shape) in enumerate(manifests["sam2.1-hiera-tiny"].items())
    }
    path = tmp_path / "checkpoint"
    torch.save({"model": state}, path)
    assert path.stat().st_size < 1_000_000
    model = load_model(path, device="cpu")
    assert model.config == PRESETS["sam2.1-hiera-tiny"]
    assert torch.equal(model.memory_tokens.temporal_encoding.detach(), state["maskmem_tpos_enc"])
    assert torch.equal(model.mask_decoder.conv_s1.weight.detach(), state["sam_mask_decoder.conv_s1.weight"])
