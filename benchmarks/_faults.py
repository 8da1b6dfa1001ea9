"""Faults to plant at one position of a model: noise, a shift, or another clip's activation, on chosen frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from maskscope.model.outputs import DecodedMasks
from maskscope.observe.intervene import Replacement
from maskscope.observe.patching import Activations
from maskscope.stages import STAGES, Stage

Kind = Literal["noise", "shift", "other clip"]
KINDS: tuple[Kind, ...] = ("noise", "shift", "other clip")
_STRENGTHS: Mapping[Kind, tuple[float, ...]] = {
    "noise": (2.0, 4.0, 8.0),  # deviations of the activation itself
    "shift": (0.125, 0.25, 0.5),  # of the grid's width, or of a vector's length, all the way round
    "other clip": (0.5, 0.75, 1.0),  # share of the other clip's activation in the mixture
}
WRITTEN: frozenset[Stage] = frozenset({"object_pointer", "memory_features"})
"""Positions that act only through what is read later: a few bad ones are outvoted by the others and by the prompted."""


def strengths(stage: Stage, kind: Kind) -> tuple[float, ...]:
    """To plant at a position; what is written needs twice the noise to be noticed."""
    factor = 2 if kind == "noise" and stage in WRITTEN else 1
    return tuple(factor * strength for strength in _STRENGTHS[kind])


def frames_of(stage: Stage, rng: np.random.Generator) -> tuple[int, ...]:
    """Frames for a fault: a short stretch; at what is written a long one from the prompted frame on."""
    if stage in WRITTEN:
        return tuple(range(int(rng.integers(8, 11))))
    begin = int(rng.integers(3, 6))
    return tuple(range(begin, begin + int(rng.integers(2, 5))))


@dataclass(frozen=True)
class Fault:
    """What is wrong, where, when and how much."""

    stage: Stage
    kind: Kind
    strength: float
    frames: tuple[int, ...]
    seed: int


def replacement_of(fault: Fault, other: Activations | None = None) -> Replacement:
    """The fault as a replacement: a function of fault and frame alone, so every run has the same fault.

    Args:
        fault: which.
        other: the other clip's activations, for its kind; of the same form.
    """

    def act(frame_index: int, output: Any) -> Any:
        if frame_index not in fault.frames:
            return output
        if fault.kind == "other clip":
            assert other is not None
            return blended(output, other.at(fault.stage, frame_index)[0], fault.strength)
        change = shifted if fault.kind == "shift" else noisy_with(fault, frame_index)
        if isinstance(output, DecodedMasks):  # the masks follow from the attended tokens
            return change(output.attended_bchw, fault.strength)
        return mapped(output, lambda x: change(x, fault.strength))

    return act


def noisy_with(fault: Fault, frame_index: int) -> Callable[[Tensor, float], Tensor]:
    """Normal noise of the frame's own."""
    stage = STAGES.index(fault.stage)
    generator = torch.Generator().manual_seed(fault.seed * 1_000_003 + frame_index * 31 + stage)

    def noisy(x: Tensor, deviations: float) -> Tensor:
        drawn = torch.randn(x.shape, generator=generator, dtype=torch.float32)
        return x + deviations * x.std() * drawn.to(x.device, x.dtype)

    return noisy


def shifted(x: Tensor, share: float) -> Tensor:
    """Rolled along the last axis; what leaves on one side enters on the other."""
    return x.roll(max(1, round(share * x.shape[-1])), dims=-1)


def blended(own: Any, other: Any, share: float) -> Any:
    """A mixture of two activations of one form."""
    if isinstance(own, Tensor):
        return torch.lerp(own, other, share)
    names = own.__dataclass_fields__
    return replace(own, **{name: torch.lerp(getattr(own, name), getattr(other, name), share) for name in names})


def mapped(output: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A tensor, or every map of an activation."""
    if isinstance(output, Tensor):
        return change(output)
    return replace(output, **{name: change(getattr(output, name)) for name in output.__dataclass_fields__})


def same_form(a: Any, b: Any) -> bool:
    """Whether one can stand for the other."""
    if isinstance(a, Tensor):
        return bool(a.shape == b.shape)
    return all(getattr(a, name).shape == getattr(b, name).shape for name in a.__dataclass_fields__)
