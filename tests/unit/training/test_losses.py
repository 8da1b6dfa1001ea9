"""Losses against hand-made cases and their formulas."""

from __future__ import annotations

import math

import pytest
import torch

from maskscope.training.losses import LossWeights, dice_loss, focal_loss, mask_iou, sam2_losses

WEIGHTS = LossWeights()


def test_focal_loss_of_one_pixel_is_the_formula() -> None:
    loss = focal_loss(torch.tensor([[1.0]]), torch.tensor([[1.0]]))
    p = 1 / (1 + math.exp(-1))
    assert loss.item() == pytest.approx(0.25 * (1 - p) ** 2 * -math.log(p), rel=1e-5)
    loss = focal_loss(torch.tensor([[1.0]]), torch.tensor([[0.0]]))
    assert loss.item() == pytest.approx(0.75 * p**2 * -math.log(1 - p), rel=1e-5)


def test_dice_loss_counts_overlap() -> None:
    target = torch.zeros(4, 4)
    target[:2] = 1
    assert dice_loss(target * 40 - 20, target).item() == pytest.approx(0, abs=1e-4)
    assert dice_loss((1 - target) * 40 - 20, target).item() == pytest.approx(1 - 1 / 17, abs=1e-4)


def test_iou_of_two_empty_masks_is_one() -> None:
    empty = torch.zeros(2, 4, 4, dtype=torch.bool)
    full = torch.ones(2, 4, 4, dtype=torch.bool)
    assert mask_iou(empty, empty).tolist() == [1, 1]
    assert mask_iou(full, empty).tolist() == [0, 0]


def case() -> tuple[torch.Tensor, torch.Tensor]:
    """Two frames of 16 x 16: the object in the upper half, and absent."""
    target = torch.zeros(2, 16, 16, dtype=torch.bool)
    target[0, :8] = True
    small = torch.nn.functional.avg_pool2d(target.float()[:, None], 4)
    right = small * 20 - 10
    return torch.cat((-right, right, torch.zeros_like(right)), dim=1), target


def test_only_the_best_candidate_and_only_where_the_object_is() -> None:
    logits, target = case()
    logits.requires_grad_()
    iou, score = torch.full((2, 3), 0.5, requires_grad=True), torch.zeros(2, requires_grad=True)
    losses = sam2_losses(logits, iou, score, target, WEIGHTS)
    losses.total.backward()
    assert logits.grad is not None
    assert iou.grad is not None
    assert score.grad is not None
    touched = logits.grad.abs().sum((-1, -2)) > 0
    assert touched.tolist() == [[False, True, False], [False, False, False]]
    assert (iou.grad[0] != 0).all(), "every candidate learns its IoU"
    assert (iou.grad[1] == 0).all()
    assert score.grad[0] < 0 < score.grad[1]
    assert losses.occlusion.item() == pytest.approx(math.log(2), abs=1e-5)
    assert losses.iou.item() == pytest.approx(0.5, abs=1e-5)


def test_total_is_the_weighted_sum() -> None:
    logits, target = case()
    losses = sam2_losses(logits, torch.full((2, 3), 0.2), torch.tensor([1.0, -1.0]), target, LossWeights(2, 3, 5, 7))
    parts = 2 * losses.focal + 3 * losses.dice + 5 * losses.iou + 7 * losses.occlusion
    assert losses.total.item() == pytest.approx(parts.item(), rel=1e-5)


def test_a_batch_without_any_object_still_has_a_finite_loss() -> None:
    logits, target = case()
    losses = sam2_losses(logits, torch.full((2, 3), 0.2), torch.zeros(2), torch.zeros_like(target), WEIGHTS)
    assert losses.total.item() == pytest.approx(math.log(2), abs=1e-5)


@pytest.mark.parametrize("others", [0.0, 0.2])
def test_other_candidates_learn_the_mask_only_if_told(others: float) -> None:
    logits, target = case()
    logits.requires_grad_()
    weights = LossWeights(others=others)
    losses = sam2_losses(logits, torch.full((2, 3), 0.2), torch.tensor([1.0, -1.0]), target, weights)
    losses.total.backward()
    assert logits.grad is not None
    pushed = logits.grad.abs().sum((-1, -2)) > 0
    shown = target.flatten(1).any(1)
    assert (pushed[shown].sum(1) == (3 if others else 1)).all()
    assert not pushed[~shown].any()


def test_a_lone_candidate_has_no_others() -> None:
    logits, target = case()
    given = logits[:, :1], torch.full((2, 1), 0.2), torch.tensor([1.0, -1.0]), target
    alone, told = (sam2_losses(*given, LossWeights(others=others)).total for others in (0.0, 0.5))
    assert alone.item() == told.item()
