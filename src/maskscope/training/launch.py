"""From a recipe to running processes."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path

import cv2
import torch
from torch import nn
from torch.multiprocessing.spawn import spawn

from maskscope.model.checkpoints import load_model
from maskscope.model.presets import COMPACT
from maskscope.model.sam2 import SAM2
from maskscope.training.batches import StepBatches
from maskscope.training.clips import ClipSampler
from maskscope.training.corpus import Corpus, held_out_sequences, open_corpus
from maskscope.training.imagenet_trunk import load_imagenet_trunk
from maskscope.training.initialise import start_matching
from maskscope.training.loop import Trainer
from maskscope.training.recipe import Phase, Recipe
from maskscope.training.team import join_team


def new_model(recipe: Recipe, corpus: Corpus) -> SAM2:
    """The compact model before its first step."""
    torch.manual_seed(recipe.seed)
    if recipe.initial is not None:
        model = load_model(recipe.initial, device="cpu").float()
        return _prepared(model, recipe)
    model = SAM2(COMPACT)
    model.image_encoder.trunk.load_state_dict(load_imagenet_trunk())
    if recipe.matching_start:
        phase = Phase(1.0, 24, 1, recipe.phases[0].size_hw)
        sampler = ClipSampler(corpus, recipe.clips, recipe.seed + 1)
        batch = StepBatches(sampler, phase, (1.0, 0.0, 0.0))[0]
        start_matching(model, batch.images()[0], batch.masks_tbhw[0][:, None].float())
    return _prepared(model, recipe)


def _prepared(model: SAM2, recipe: Recipe) -> SAM2:
    for module in model.memory_attention.modules():
        if isinstance(module, nn.Dropout):
            module.p = recipe.dropout
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch types no call with a format alone
    return model


def launch(recipe: Recipe, data: Path, out: Path, cache: Path, processes: int = 1, workers: int = 0) -> None:
    """Train in this process, or in several that average their gradients.

    Args:
        data: training root, see `maskscope.training.corpus`.
        out: folder of log, checkpoint and weights; resumed if it has a checkpoint.
        cache: folder of the decoded data.
        processes: that train together on CPU, one thread each.
        workers: further processes per process that make clips; 0 makes them in place.
    """
    open_corpus(data, cache)  # decoded once, before several processes want it
    if processes == 1:
        _work(0, 1, recipe, data, out, cache, workers)
        return
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", str(_free_port()))
    spawn(_work, (processes, recipe, data, out, cache, workers), nprocs=processes)


def _work(rank: int, size: int, recipe: Recipe, data: Path, out: Path, cache: Path, workers: int) -> None:
    """One process of the team; each builds the same model from the recipe's seed."""
    logging.basicConfig(level=logging.INFO if rank == 0 else logging.WARNING, format="%(asctime)s %(message)s")
    cv2.setNumThreads(1)
    if size > 1:
        torch.set_num_threads(1)
    corpus = open_corpus(data, cache)
    team = join_team(rank, size)
    Trainer(new_model(recipe, corpus), recipe, corpus, out, held_out_sequences(corpus), team).run(workers)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
