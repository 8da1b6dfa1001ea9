"""Everything that decides a training run, in one frozen place; the defaults make the compact model."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from maskscope.training.clips import ClipConfig
from maskscope.training.losses import LossWeights


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one batch shape.

    Args:
        share: of the whole running time.
        clips: per batch and process.
        frames: per clip.
        size_hw: pixels, multiples of 32.
    """

    share: float
    clips: int
    frames: int
    size_hw: tuple[int, int]


@dataclass(frozen=True)
class Recipe:
    """A run.

    Args:
        minutes: of wall time; learning rates follow the clock, so a slower machine takes fewer steps.
        phases: in order; shares sum to one.
        prompt_weights: of mask, click and box in frame 0.
        learning_rate: peak, of everything but the trunk.
        trunk_rate: peak, of the trunk.
        warm_up: share of the time over which rates rise.
        final_rate: the cosine's end, as a fraction of the peak.
        weight_decay: of matrices; vectors have none.
        clip_norm: largest gradient norm.
        ema_decay: of the averaged weights.
        frozen_stages: first stages of the trunk that keep their ImageNet weights (with the stem).
        train_depthwise: also train depth-wise kernels, which are slow on CPU.
        dropout: in memory attention.
        initial: weights to start from instead of ImageNet's trunk alone; the matching start is left out then.
        matching_start: begin with memory attention as feature matching (see `maskscope.training.initialise`).
        checkpoint_minutes: between checkpoints.
    """

    minutes: float = 60.0
    phases: tuple[Phase, ...] = (Phase(0.4, 3, 4, (224, 384)), Phase(0.6, 2, 6, (288, 512)))
    prompt_weights: tuple[float, float, float] = (0.6, 0.2, 0.2)
    learning_rate: float = 8e-4
    trunk_rate: float = 1.5e-4
    warm_up: float = 0.03
    final_rate: float = 0.02
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    ema_decay: float = 0.998
    frozen_stages: int = 2
    train_depthwise: bool = False
    dropout: float = 0.1
    initial: Path | None = None
    matching_start: bool = True
    checkpoint_minutes: float = 3.0
    seed: int = 0
    clips: ClipConfig = field(default_factory=ClipConfig)
    losses: LossWeights = field(default_factory=LossWeights)
