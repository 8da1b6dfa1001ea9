"""What is trained and how fast: frozen parts, rates of the parts, averaged weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from maskscope.errors import SettingError
from maskscope.model.sam2 import SAM2
from maskscope.training.recipe import Cycle, Recipe, Stretch, rate_factor

TRUNK = "image_encoder.trunk."


def freeze(model: SAM2, recipe: Recipe, cycle: Cycle | None = None) -> None:
    """Take the frozen parts of the recipe and of the cycle out of training, and all others into it.

    Raises:
        SettingError: a part that the model has not, or nothing is left to train.
    """
    names = [name for name, _ in model.named_parameters()]
    frozen = (*recipe.frozen, *(cycle.frozen if cycle else ()))
    for part in frozen:
        if not any(_is_in(name, part) for name in names):
            parts = sorted({name.split(".")[0] for name in names})
            raise SettingError(f"the model has no part {part!r} to freeze", f"its parts: {', '.join(parts)}")
    stages = ("stem.", *(f"stages.{i}." for i in range(recipe.frozen_stages)))
    for name, parameter in model.named_parameters():
        in_trunk = name.removeprefix(TRUNK) if name.startswith(TRUNK) else ""
        slow = "depthwise" in in_trunk and not recipe.train_depthwise
        early = recipe.frozen_stages > 0 and in_trunk.startswith(stages)
        parameter.requires_grad_(not (early or slow or any(_is_in(name, part) for part in frozen)))
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise SettingError("every part of the model is frozen", "leave one or more to be trained")


def build_optimiser(model: SAM2, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW with groups for trunk and rest, and no decay on vectors; `set_rates` gives the rates."""
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((name.startswith(TRUNK), decay), []).append(parameter)
    rows = [
        {"params": members, "trunk": in_trunk, "weight_decay": decay} for (in_trunk, decay), members in groups.items()
    ]
    return torch.optim.AdamW(rows, betas=(0.9, 0.98), foreach=True)


def set_rates(optimiser: torch.optim.Optimizer, recipe: Recipe, stretch: Stretch, step: int) -> float:
    """Rates of this step; returns that of everything but the trunk."""
    share = (step - stretch.cycle_begin) / (stretch.cycle_end - stretch.cycle_begin)
    factor = rate_factor(share, recipe)
    for group in optimiser.param_groups:
        group["lr"] = factor * (stretch.cycle.trunk_rate if group["trunk"] else stretch.cycle.learning_rate)
    return factor * stretch.cycle.learning_rate


@torch.no_grad()
def average_weights(averaged: SAM2, model: SAM2, decay: float, steps: int) -> None:
    """Move the average towards the model; faster at first, so that the start is soon forgotten.

    Args:
        decay: in the long run.
        steps: taken since the average was the model itself.
    """
    decay = min(decay, (1 + steps) / (10 + steps))
    pairs = [(a, p) for a, p in zip(averaged.parameters(), model.parameters(), strict=True) if p.requires_grad]
    torch._foreach_lerp_([a for a, _ in pairs], [p.detach() for _, p in pairs], 1 - decay)


def mean_weights(many: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Mean of each tensor over state dictionaries of one model."""
    return {name: torch.stack([one[name] for one in many]).mean(0) for name in many[0]}


def _is_in(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")
