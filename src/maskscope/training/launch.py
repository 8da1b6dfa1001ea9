"""From a recipe to weights: in this process, in several that it starts, or in those that `torchrun` started."""

from __future__ import annotations

import math
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch
from torch import nn
from torch.multiprocessing.spawn import ProcessContext, ProcessException, start_processes

from maskscope.errors import MaskscopeError, SettingError
from maskscope.model.checkpoints import load_model
from maskscope.model.config import SAM2Config
from maskscope.model.precision import chosen_device, default_device
from maskscope.model.presets import COMPACT
from maskscope.model.sam2 import SAM2
from maskscope.training.batches import GroupBatches
from maskscope.training.clips import ClipSampler
from maskscope.training.corpus import Corpus, held_out_sequences, open_corpus
from maskscope.training.imagenet_trunk import load_imagenet_trunk
from maskscope.training.initialise import start_matching
from maskscope.training.loop import StepReport, Trainer
from maskscope.training.recipe import Phase, Recipe, stretches
from maskscope.training.recipe_clips import RecipeClips
from maskscope.training.recipe_file import check_recipe
from maskscope.training.team import Team, joined, team_of_environment
from maskscope.training.validate import validate


@dataclass(frozen=True)
class TrainOptions:
    """Where a run takes from and leaves what; the recipe alone decides what is learned.

    Args:
        data: training root, see `maskscope.training.corpus`.
        out: folder of log, checkpoint and weights; resumed if it has a checkpoint.
        cache: folder of the decoded data.
        processes: that train together on a CPU, one thread each; None is one a core, as far as they divide the work.
        workers: further processes for each that make clips; 0 makes them in place.
        device: None is the GPU if there is one, else the CPU.
    """

    data: Path
    out: Path
    cache: Path
    processes: int | None = None
    workers: int = 0
    device: str | None = None


def train(
    recipe: Recipe,
    options: TrainOptions,
    *,
    watch: Callable[[StepReport], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Train a compact model.

    Under `torchrun` this process takes its place among the others, on the GPU of its local number if there is one.

    Args:
        recipe: what to do.
        options: where, and with how many processes.
        watch: told of every step, in the process that leads.
        stop: asked after every step, in the process that leads; True saves and ends the run.

    Returns:
        False when stopped before the end.

    Raises:
        DatasetError: data that cannot be trained on.
        SettingError: a recipe, device or number of processes that does not work out.
        CheckpointError: weights to start from, or a checkpoint, that cannot be used.
        OutputError: no room for checkpoint, log or decoded data.
        MaskscopeError: the loss is no number, or what another process of the team met.
    """
    check_recipe(recipe)
    team = team_of_environment()
    device = _device(options.device)
    if team.size > 1:
        return _work(team, recipe, options, device, watch, stop)
    processes = options.processes or _processes(recipe, device)
    if processes == 1:
        return _work(Team(), recipe, options, device, watch, stop)
    if device.type != "cpu":
        raise SettingError(f"{processes} processes on one {device.type}", "use torchrun for several GPUs")
    open_corpus(
        options.data, options.cache, scenes=recipe.scenes_to_draw
    )  # before others are started, so that bad data is told at once
    with _others(processes, recipe, options):
        return _work(Team(0, processes), recipe, options, device, watch, stop)


def new_model(recipe: Recipe, corpus: Corpus) -> SAM2:
    """The compact model before its first step: the recipe's initial weights, or a fresh one."""
    if recipe.initial is None:
        return prepared(fresh_model(recipe, corpus), recipe)
    torch.manual_seed(recipe.seed)
    return prepared(load_model(recipe.initial, device="cpu").float(), recipe)


def fresh_model(recipe: Recipe, corpus: Corpus, config: SAM2Config = COMPACT, pretrained: bool = True) -> SAM2:
    """A model that no step has changed, drawn from the recipe's seed.

    Args:
        recipe: its seed, and whether memory attention begins as feature matching.
        corpus: of the clips on which that begins.
        config: of a model with the compact one's trunk.
        pretrained: whether the trunk has ImageNet's weights.
    """
    torch.manual_seed(recipe.seed)
    model = SAM2(config)
    if pretrained:
        model.image_encoder.trunk.load_state_dict(load_imagenet_trunk())
    if recipe.matching_start:
        size = stretches(recipe)[0].phase.size_hw
        sampler = ClipSampler(corpus, recipe.clips, recipe.seed + 1)  # clips that no step sees
        batch = GroupBatches(sampler, Phase(1, 24, 1, size, groups=1), (1.0, 0.0, 0.0))[0]
        start_matching(model, batch.images()[0], batch.masks_tbhw[0][:, None].float())
    return model


def prepared(model: SAM2, recipe: Recipe) -> SAM2:
    """The model with the recipe's dropout, laid out for fast convolutions."""
    for module in model.memory_attention.modules():
        if isinstance(module, nn.Dropout):
            module.p = recipe.dropout
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch types no call with a format alone
    return model


def _work(
    team: Team,
    recipe: Recipe,
    options: TrainOptions,
    device: torch.device,
    watch: Callable[[StepReport], None],
    stop: Callable[[], bool],
) -> bool:
    """One process of the team; each builds the same model from the recipe's seed."""
    cv2.setNumThreads(1)
    if team.size > 1 and device.type == "cpu":
        torch.set_num_threads(1)  # see `maskscope.training.team`
    with joined(team, device):
        with team.together(device):
            if team.leads:  # decoded once, before the others want it
                open_corpus(options.data, options.cache, scenes=recipe.scenes_to_draw)
        with team.together(device):
            corpus = open_corpus(options.data, options.cache, scenes=recipe.scenes_to_draw)
            model = new_model(recipe, corpus).to(device)
        held_out, size = held_out_sequences(corpus), stretches(recipe)[-1].phase.size_hw
        trainer = Trainer(
            model,
            recipe,
            RecipeClips(corpus, recipe),
            options.out,
            team=team,
            validate=(lambda averaged: validate(averaged, corpus, held_out, size)) if held_out else None,
            watch=watch,
            stop=stop,
        )
        finished = trainer.run(options.workers)
        team.meet(device)  # nobody ends well while the one that writes fails
        return finished


@contextmanager
def _others(processes: int, recipe: Recipe, options: TrainOptions) -> Iterator[None]:
    """The rest of a team that this process leads; they end with it, however it ends."""
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ["MASTER_PORT"] = str(_free_port())
    context = start_processes(_follow, (processes, recipe, options), nprocs=processes - 1, join=False)
    assert context is not None
    try:
        yield
        while not context.join():
            pass
    except RuntimeError as error:  # a connection that broke; what broke it says more
        raise MaskscopeError(f"a process of the team failed: {_last_words(context) or error}") from error
    except MaskscopeError:
        _last_words(context)  # the others have met the same, and may still be writing
        raise
    finally:
        for process in context.processes:
            if process.is_alive():
                process.terminate()


def _last_words(context: ProcessContext) -> str:
    """The last line that some process of the team left when it failed; waits for it a moment."""
    try:
        while not context.join(timeout=10, grace_period=5):
            if any(process.is_alive() for process in context.processes):
                break
    except ProcessException as failure:
        return failure.msg.strip().splitlines()[-1].rpartition("Error: ")[2]
    return ""


def _follow(index: int, size: int, recipe: Recipe, options: TrainOptions) -> None:
    """A process that was started by the one that leads, which alone is told to stop: Ctrl-C reaches them all."""
    parent = os.getppid()
    signal.signal(signal.SIGINT, lambda *_: os._exit(1) if os.getppid() != parent else None)  # torch: parent has died
    _work(Team(index + 1, size), recipe, options, torch.device("cpu"), lambda _: None, lambda: False)


def _device(name: str | None) -> torch.device:
    """The device asked for, tried out; under `torchrun` the GPU of this process's local number."""
    name = name or default_device().type
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    return chosen_device(name)


def _processes(recipe: Recipe, device: torch.device) -> int:
    """One a core on a CPU, as far as every phase's groups can be shared out; one for a GPU."""
    if device.type != "cpu":
        return 1
    shared = math.gcd(*(stretch.phase.groups for stretch in stretches(recipe)))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(n for n in range(1, shared + 1) if shared % n == 0 and n <= cores)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
