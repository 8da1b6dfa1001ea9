"""A start from which memory attention already matches features, without any change to SAM 2's architecture.

The neck begins as a (partly whitened) principal component projection of ImageNet features; of its `dim` directions the
weakest few are given to the mask, the strongest carry appearance. The memory encoder passes both through, the values
carry everything, and the keys read appearance only: the appearance key where the model has one, else those of
cross-attention. So a pixel first asks "where did I look like this?" and receives "was that inside the mask?". All of it
is an initial value; nothing is frozen.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from maskscope.model.memory_attention import MemoryAttentionLayer
from maskscope.model.sam2 import SAM2

MASK_CHANNELS = 16
WHITENING = 0.35
"""Exponent on the variances: 0 leaves principal components as they are, 0.5 makes all equally strong."""

SHARPNESS = 2.0
"""Gain of the queries: a perfect match outweighs about a thousand unrelated tokens."""

QUIET = 0.1
"""What begins near zero begins at this share of its usual size."""


@torch.no_grad()
def start_matching(model: SAM2, images_fchw: Tensor, masks_f1hw: Tensor) -> None:
    """Set neck, memory encoder and memory attention in place.

    Args:
        images_fchw: (f, 3, H, W) normalised photos that the statistics come from.
        masks_f1hw: (f, 1, H, W) of 0 and 1, likewise.
    """
    dim, k = model.config.dim, model.config.memory.dim
    appearance = k - MASK_CHANNELS
    rotation = torch.linalg.qr(torch.randn(dim, dim))[0]
    levels = model.image_encoder.trunk(images_fchw)
    _set_neck(model, levels, rotation)

    looks, marks = rotation[:, :appearance], rotation[:, -MASK_CHANNELS:]
    encoder = model.memory_encoder
    _set(encoder.pix_feat_proj, torch.eye(dim) - marks @ marks.T)
    _set(encoder.out_proj, torch.cat((looks.T, marks.T)))
    _set_mask_embedding(model, masks_f1hw, marks)
    sharpness = SHARPNESS
    if model.appearance_key is not None:
        _set(model.appearance_key.projection, rotation[:, : model.config.memory.appearance_dim].T)
        sharpness = QUIET * SHARPNESS
    for layer in model.memory_attention.layers:
        assert isinstance(layer, MemoryAttentionLayer)
        cross = layer.cross_attn_image
        _set(cross.q_proj, sharpness * torch.eye(dim))
        _set(cross.k_proj, torch.cat((looks, torch.zeros(dim, MASK_CHANNELS)), dim=1))
        nn.init.orthogonal_(cross.v_proj.weight)
        nn.init.orthogonal_(cross.out_proj.weight)
        for quiet in (layer.self_attn.out_proj, layer.linear2):
            quiet.weight.mul_(QUIET)


def _set(module: nn.Module | Tensor, matrix: Tensor, bias: Tensor | None = None) -> None:
    """Weight of a linear layer or 1 x 1 convolution; the bias is zero unless given."""
    assert isinstance(module, nn.Linear | nn.Conv2d)
    module.weight.copy_(matrix.reshape(module.weight.shape))
    if module.bias is not None:
        module.bias.copy_(torch.zeros_like(module.bias) if bias is None else bias)


def _principal(samples_nc: Tensor, keep: int, whitening: float) -> tuple[Tensor, Tensor]:
    """(keep, c) projection to unit mean variance and the (c,) mean; the strongest component first."""
    mean = samples_nc.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov(samples_nc.T))
    values, vectors = values.flip(0)[:keep].clamp(min=1e-6), vectors.flip(1)[:, :keep]
    scale = (values + 1e-3 * values[0]) ** -whitening
    scale = scale / (values * scale**2).mean().sqrt()
    return scale[:, None] * vectors.T, mean


def _set_neck(model: SAM2, levels: list[Tensor], rotation: Tensor) -> None:
    """Strides 16 and 32 jointly to `dim` rotated components; strides 4 and 8 to unit variance."""
    laterals = [block.conv for block in model.image_encoder.neck.convs]
    stride32, stride16, stride8, stride4 = (conv for conv in laterals if isinstance(conv, nn.Conv2d))
    coarse = F.interpolate(levels[3], scale_factor=2.0, mode="nearest")
    joint = torch.cat((levels[2], coarse), dim=1).permute(0, 2, 3, 1).flatten(0, 2)
    matrix, mean = _principal(joint, model.config.dim, WHITENING)
    matrix = rotation @ matrix
    split = levels[2].shape[1]
    _set(stride16, matrix[:, :split], -matrix @ mean)
    _set(stride32, matrix[:, split:])
    for convolution, level in ((stride8, levels[1]), (stride4, levels[0])):
        samples = level.permute(0, 2, 3, 1).flatten(0, 2)
        nn.init.orthogonal_(convolution.weight)
        weight = convolution.weight[:, :, 0, 0] / samples.std(0)
        _set(convolution, weight, -weight @ samples.mean(0))


def _set_mask_embedding(model: SAM2, masks_f1hw: Tensor, marks: Tensor) -> None:
    """Last layer of the mask downsampler: its input's principal components, in the directions kept for the mask."""
    memory = model.config.memory
    encoder = model.memory_encoder.mask_downsampler.encoder
    hidden = encoder[:-1](masks_f1hw * memory.mask_scale + memory.mask_bias)
    matrix, mean = _principal(hidden.permute(0, 2, 3, 1).flatten(0, 2), MASK_CHANNELS, WHITENING)
    matrix = marks @ matrix
    _set(encoder[-1], matrix, -matrix @ mean)
