"""Everything that decides a training run, in one frozen place; the defaults make the compact model."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from maskscope.training.clips import ClipConfig
from maskscope.training.losses import LossWeights

CLIPS_APART = 64
"""Clip numbers set aside for each step, so that no two steps share one whatever their batch size."""


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one batch shape.

    Args:
        steps: of the optimiser.
        clips: of one shape and one kind of prompt that go through the model together, a group.
        frames: per clip.
        size_hw: pixels, multiples of 32.
        groups: per step; processes that train together share them out, a lone one takes all in turn.
    """

    steps: int
    clips: int
    frames: int
    size_hw: tuple[int, int]
    groups: int = 2


@dataclass(frozen=True)
class Cycle:
    """Phases under one rise and fall of the learning rates; a later cycle goes on from the averaged weights.

    Args:
        phases: in order.
        learning_rate: peak, of everything but the trunk.
        trunk_rate: peak, of the trunk.
        prompt_weights: of mask, click and box in frame 0; None is the recipe's.
        clips: what clips are made of; None is the recipe's.
        frozen: parts that keep their weights in this cycle, beside the recipe's.
        correction_clicks: None is the recipe's.
        begins_with: numbers of earlier cycles, from 1; the cycle begins with the mean of the weights they ended with.
            Empty: with the last one's. (Wortsman et al., arXiv 2203.05482: runs from one start lie in one basin.)
    """

    phases: tuple[Phase, ...]
    learning_rate: float = 8e-4
    trunk_rate: float = 1.5e-4
    prompt_weights: tuple[float, float, float] | None = None
    clips: ClipConfig | None = None
    frozen: tuple[str, ...] = ()
    correction_clicks: int | None = None
    begins_with: tuple[int, ...] = ()

    @property
    def steps(self) -> int:
        """Of all its phases."""
        return sum(phase.steps for phase in self.phases)


FIRST_CYCLE = Cycle((Phase(900, 3, 4, (224, 384)), Phase(1300, 3, 4, (288, 512)), Phase(300, 2, 5, (352, 640))))
"""Matching, on real video, stills and pasted objects."""

HIDING_CYCLE = Cycle(
    (Phase(850, 3, 4, (288, 512)), Phase(320, 2, 6, (352, 640))),
    learning_rate=5e-4,
    trunk_rate=1e-4,
    prompt_weights=(0.5, 0.2, 0.3),
    clips=ClipConfig(video=0.42, still=0.2, paste=0.23, drawn=0.15, hiding=0.25, absence=0.4),
)
"""Absence and return, and more boxes: objects covered or cut away from, also in real video and drawn scenes."""

PROMPT_CYCLE = Cycle(
    (Phase(500, 8, 1, (288, 512)),),
    learning_rate=2e-3,
    trunk_rate=0.0,
    prompt_weights=(0.0, 0.5, 0.5),
    clips=ClipConfig(video=0.12, still=0.28, paste=0.1, drawn=0.1, crowd=0.4),
    frozen=(
        "image_encoder",
        "memory_attention",
        "memory_encoder",
        "mask_decoder",
        "prompt_encoder.no_mask_embed",
        "prompt_encoder.not_a_point_embed",
    ),
    begins_with=(1, 2),
)
"""Clicks and boxes that mean one thing among many alike. Only what encodes them learns: following stays as it is.

It begins with the mean of the two cycles before it: the first follows better, the second knows absence, and their mean
does both better than either.
"""

COMPACT_CYCLES = (FIRST_CYCLE, HIDING_CYCLE, PROMPT_CYCLE)


@dataclass(frozen=True)
class Recipe:
    """A run: with the data it decides the weights, up to the order in which a machine adds floating-point numbers.

    Args:
        cycles: in order.
        prompt_weights: of mask, click and box in frame 0.
        warm_up: share of a cycle over which rates rise.
        final_rate: the cosine's end, as a fraction of the peak.
        weight_decay: of matrices; vectors have none.
        clip_norm: largest gradient norm.
        ema_decay: of the averaged weights.
        frozen: parts that keep their weights, such as `image_encoder`; dots go deeper.
        frozen_stages: first stages of the compact trunk that keep their ImageNet weights (with the stem).
        train_depthwise: also train the trunk's depth-wise kernels, which are slow on CPU.
        dropout: in memory attention.
        correction_clicks: on each corrected frame of a clip that begins with a click or a box; SAM 2 has 7, 0 is none.
        initial: weights to start from instead of ImageNet's trunk alone; the matching start is left out then.
        matching_start: begin with memory attention as feature matching (see `maskscope.training.initialise`).
        checkpoint_minutes: between checkpoints; the one field that does not decide the weights.
        scenes: clips that are drawn and kept beside the data, for `ClipConfig.drawn`.
        seed: of clips, prompts, dropout and initial weights.
    """

    cycles: tuple[Cycle, ...] = COMPACT_CYCLES
    prompt_weights: tuple[float, float, float] = (0.6, 0.2, 0.2)
    warm_up: float = 0.03
    final_rate: float = 0.02
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    ema_decay: float = 0.998
    frozen: tuple[str, ...] = ()
    frozen_stages: int = 2
    train_depthwise: bool = False
    dropout: float = 0.1
    correction_clicks: int = 0
    initial: Path | None = None
    matching_start: bool = True
    checkpoint_minutes: float = 3.0
    scenes: int = 0
    seed: int = 0
    clips: ClipConfig = field(default_factory=ClipConfig)
    losses: LossWeights = field(default_factory=LossWeights)

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return sum(cycle.steps for cycle in self.cycles)

    @property
    def scenes_to_draw(self) -> int:
        """`scenes`, or none where no cycle shows any."""
        return self.scenes if any((cycle.clips or self.clips).drawn for cycle in self.cycles) else 0


@dataclass(frozen=True)
class Stretch:
    """Where a phase lies in a run: its steps are `begin` to `end - 1`, its cycle's `cycle_begin` to `cycle_end - 1`."""

    cycle: Cycle
    phase: Phase
    begin: int
    end: int
    cycle_begin: int
    cycle_end: int


def stretches(recipe: Recipe) -> list[Stretch]:
    """All phases of a run in order."""
    found, step = [], 0
    for cycle in recipe.cycles:
        begin = step
        for phase in cycle.phases:
            found.append(Stretch(cycle, phase, step, step + phase.steps, begin, begin + cycle.steps))
            step += phase.steps
    return found


def rate_factor(share: float, recipe: Recipe) -> float:
    """Linear warm-up, then a cosine to the final rate; `share` of the cycle is over."""
    if share < recipe.warm_up:
        return max(share / recipe.warm_up, 0.01)
    fall = min((share - recipe.warm_up) / (1 - recipe.warm_up), 1.0)
    return recipe.final_rate + (1 - recipe.final_rate) * 0.5 * (1 + math.cos(math.pi * fall))
