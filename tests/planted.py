"""Runs of a small model with random weights, clean and with a fault at one position."""

from __future__ import annotations

from dataclasses import replace

import torch

from maskscope.model import SAM2
from maskscope.observe.intervene import Intervened, Replacement
from maskscope.observe.patching import Side
from maskscope.tracking.prompts import Prompt
from random_models import moving_square, random_model, small_config, square_mask

SIDE = 64  # pixels of the frames and of the model's input
LENGTH = 5


def tiny_model() -> SAM2:
    # the bias sees to it that the object stays visible
    return random_model(small_config(image_size=(SIDE, SIDE)), object_score_bias=6.0)


def course(model: SAM2, length: int = LENGTH, observers=(), first: int = 0) -> Side:  # type: ignore[no-untyped-def]
    frames = moving_square(first + length, SIDE, SIDE)[first:]
    prompts = {0: [Prompt(1, mask=square_mask(first, SIDE, SIDE))]}
    return Side(model, frames.__getitem__, length, prompts, observers)


def truth(frame_index: int):  # type: ignore[no-untyped-def]
    return {1: square_mask(frame_index, SIDE, SIDE)}


def upside_down(output):  # type: ignore[no-untyped-def]
    """A fault that every position can have: features turned over, tokens reversed."""
    if isinstance(output, torch.Tensor):
        return output.flip(-1) if output.ndim == 2 else output.flip(-2)
    names = [name for name in output.__dataclass_fields__ if name.endswith("hw")]
    return replace(output, **{name: getattr(output, name).flip(-2) for name in names})


def fault(frames) -> Replacement:  # type: ignore[no-untyped-def]
    return lambda frame_index, output: upside_down(output) if frame_index in frames else output


def faulty(model: SAM2, stage, frames=(2,)) -> SAM2:  # type: ignore[no-untyped-def]
    return Intervened(model, {stage: fault(frames)}).as_model
