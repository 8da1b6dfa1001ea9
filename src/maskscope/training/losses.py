"""SAM 2's training losses: focal and dice on the best candidate, predicted IoU, visible or not.

Source: Ravi et al., arXiv 2408.00714, appendix "training"; facebookresearch/sam2 `training/loss_fns.py`.
Shapes: n frames of objects (any mix of clips and times), m candidates, H x W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class LossWeights:
    """Of the terms in the total.

    Attributes:
        others: share of the mask terms that candidates other than the best take, 0..1. SAM 2 has 0; where one candidate
            comes to win always, the rest learns nothing any more, unless it is pushed a little, too (Rupprecht et al.,
            arXiv 1612.00197, relaxed winner takes all).
    """

    focal: float = 20.0
    dice: float = 1.0
    iou: float = 1.0
    occlusion: float = 1.0
    others: float = 0.0


@dataclass(frozen=True)
class Losses:
    """Scalars: the weighted total, each unweighted term (detached), and the mean IoU of the masks that were picked."""

    total: Tensor
    focal: Tensor
    dice: Tensor
    iou: Tensor
    occlusion: Tensor
    true_iou: Tensor


def focal_loss(logits: Tensor, target: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Sigmoid focal loss (Lin et al., arXiv 1708.02002), mean over pixels: (..., H, W) -> (...)."""
    crossentropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    probability = logits.sigmoid()
    miss = probability + target - 2 * probability * target  # 1 - p_t
    weight = alpha * target + (1 - alpha) * (1 - target)
    return (weight * miss**gamma * crossentropy).mean((-1, -2))


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """1 - (2 |p t| + 1) / (|p| + |t| + 1): (..., H, W) -> (...)."""
    probability = logits.sigmoid()
    overlap = (probability * target).sum((-1, -2))
    return 1 - (2 * overlap + 1) / (probability.sum((-1, -2)) + target.sum((-1, -2)) + 1)


def mask_iou(predicted: Tensor, target: Tensor) -> Tensor:
    """IoU of boolean masks (..., H, W); two empty masks agree."""
    union = (predicted | target).sum((-1, -2))
    overlap = (predicted & target).sum((-1, -2))
    return torch.where(union > 0, overlap / union.clamp(min=1), torch.ones_like(overlap, dtype=torch.float32))


def sam2_losses(
    mask_logits_nmhw: Tensor,
    predicted_iou_nm: Tensor,
    object_score_logits_n: Tensor,
    target_nHW: Tensor,
    weights: LossWeights,
) -> Losses:
    """Losses of n decoded frames.

    The candidate of the lowest mask loss is pushed towards the target, alone unless `weights.others` says otherwise;
    every candidate learns its IoU. A frame without the object teaches only that it is absent. Which candidate is best
    is decided at the logits' own size, the loss itself is taken at full size, where the boundary is.

    Args:
        mask_logits_nmhw: (n, m, h, w) before the object score silences anything.
        predicted_iou_nm: (n, m).
        object_score_logits_n: (n,).
        target_nHW: (n, H, W) bool.
        weights: of the terms.
    """
    logits = mask_logits_nmhw.float()
    target = target_nHW.to(logits.dtype)
    visible = target_nHW.flatten(1).any(1)
    count = visible.sum().clamp(min=1)
    small = F.interpolate(target[:, None], size=logits.shape[-2:], mode="area").expand_as(logits)
    with torch.set_grad_enabled(torch.is_grad_enabled() and weights.others > 0):
        cost = weights.focal * focal_loss(logits, small) + weights.dice * dice_loss(logits, small)
    best = cost.argmin(1)
    reached_nm = mask_iou(logits > 0, small > 0.5)
    chosen = logits[torch.arange(len(logits)), best]
    full = F.interpolate(chosen[:, None], size=target.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    focal = (focal_loss(full, target) * visible).sum() / count
    dice = (dice_loss(full, target) * visible).sum() / count
    iou = ((predicted_iou_nm.float() - reached_nm).abs().mean(1) * visible).sum() / count
    occlusion = F.binary_cross_entropy_with_logits(object_score_logits_n.float(), visible.float())
    masks = weights.focal * focal + weights.dice * dice
    if weights.others and logits.shape[1] > 1:
        rest = (cost.sum(1) - cost.gather(1, best[:, None])[:, 0]) / (logits.shape[1] - 1)
        masks = (1 - weights.others) * masks + weights.others * (rest * visible).sum() / count
    total = masks + weights.iou * iou + weights.occlusion * occlusion
    picked = reached_nm.take_along_dim(predicted_iou_nm.argmax(1, keepdim=True), 1)[:, 0]
    true_iou = (picked * visible).sum() / count
    return Losses(total, focal.detach(), dice.detach(), iou.detach(), occlusion.detach(), true_iou)
