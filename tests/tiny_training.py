"""A run small enough to be killed and repeated in a test; as a program, the one that is killed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

from maskscope.model import SAM2, SAM2Config
from maskscope.model.config import HieraConfig, MaskDecoderConfig, MemoryAttentionConfig, MemoryConfig
from maskscope.training.clips import ClipSampler
from maskscope.training.corpus import open_corpus
from maskscope.training.loop import StepReport, Trainer
from maskscope.training.recipe import Cycle, Phase, Recipe

TINY = SAM2Config(
    trunk=HieraConfig(embed_dim=8, stages=(1, 1, 1, 1), global_blocks=(2,), window_sizes=(4, 4, 4, 2)),
    image_size=(64, 96),
    dim=32,
    memory_attention=MemoryAttentionConfig(num_layers=1, hidden_dim=32, dropout=0.1),
    mask_decoder=MaskDecoderConfig(hidden_dim=32, iou_hidden_dim=32),
    memory=MemoryConfig(dim=16),
)
RECIPE = Recipe(
    cycles=(Cycle((Phase(2, 1, 2, (64, 96)),)), Cycle((Phase(1, 1, 2, (64, 96)), Phase(1, 1, 3, (64, 96))), 4e-4)),
    frozen_stages=0,
    checkpoint_minutes=0,  # after every step
)


def tiny_trainer(root: Path, cache: Path, out: Path, recipe: Recipe = RECIPE, pause_s: float = 0.0) -> Trainer:
    """The trainer of a model with little in it; `pause_s` gives time to be killed in."""
    torch.manual_seed(0)

    def watch(report: StepReport) -> None:
        time.sleep(pause_s)

    return Trainer(SAM2(TINY), recipe, ClipSampler(open_corpus(root, cache)), out, watch=watch)


if __name__ == "__main__":
    torch.set_num_threads(1)
    tiny_trainer(*map(Path, sys.argv[1:4]), pause_s=0.2).run()
