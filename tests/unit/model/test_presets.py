"""The presets against what the authors publish, and configurations as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from maskscope.errors import CheckpointError
from maskscope.model import PRESETS, SAM2, SAM2Config
from maskscope.model.presets import with_image_size

# Parameters in millions as in the table of facebookresearch/sam2's README (SAM 2.1).
PUBLISHED_M = {"tiny": 38.9, "small": 46.0, "base-plus": 80.8, "large": 224.4}


def parameters(config: SAM2Config) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in SAM2(config).parameters())


@pytest.mark.parametrize("size", PUBLISHED_M)
def test_parameter_counts_are_the_published_ones(size: str) -> None:
    newer, older = parameters(PRESETS[f"sam2.1-hiera-{size}"]), parameters(PRESETS[f"sam2-hiera-{size}"])
    assert newer / 1e6 == pytest.approx(PUBLISHED_M[size], abs=0.1)
    assert newer - older == 64 + 256 * 64 + 64, "no-object embedding, and the projection of the pointers' time"


def test_compact_is_compact() -> None:
    count = parameters(PRESETS["compact"])
    assert count < 10e6
    assert 2 * count < 20e6, "in half precision, bytes on disk"


def test_the_names() -> None:
    assert sorted(PRESETS) == sorted(
        ["compact"] + [f"{family}-hiera-{size}" for family in ("sam2", "sam2.1") for size in PUBLISHED_M]
    )


def test_families_differ_in_four_switches_only() -> None:
    for size in PUBLISHED_M:
        older, newer = PRESETS[f"sam2-hiera-{size}"], PRESETS[f"sam2.1-hiera-{size}"]
        assert replace(older, memory=newer.memory, family="sam2.1") == newer
        different = [k for k, v in vars(older.memory).items() if v != getattr(newer.memory, k)]
        assert sorted(different) == [
            "no_object_spatial",
            "pointer_time",
            "pointer_time_projected",
            "pointer_time_signed",
        ]


@pytest.mark.parametrize("name", PRESETS)
def test_configurations_survive_json(name: str) -> None:
    config = PRESETS[name]
    assert SAM2Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_another_input_size_is_the_same_model() -> None:
    config = with_image_size(PRESETS["sam2.1-hiera-tiny"], (512, 896))
    assert config.image_size == (512, 896)
    assert parameters(config) == parameters(PRESETS["sam2.1-hiera-tiny"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trunk": {"kind": "resnet"}}, "the trunk is 'resnet', expected one of"),
        ({"wings": 2}, "the configuration does not fit this version"),
        ({"memory": {"frames": 3}}, "the configuration does not fit this version"),
    ],
)
def test_a_configuration_of_another_version_is_refused(change: dict[str, object], message: str) -> None:
    plain = {**PRESETS["compact"].to_dict(), **change}
    with pytest.raises(CheckpointError, match=message):
        SAM2Config.from_dict(plain)
