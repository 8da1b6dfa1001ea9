"""The training loop: by steps, resumable to the bit, with averaged weights and one line of log every few steps."""

from __future__ import annotations

import copy
import dataclasses
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from maskscope.data.output import writing
from maskscope.errors import CheckpointError, MaskscopeError, SettingError
from maskscope.model.checkpoints import save_checkpoint
from maskscope.model.outputs import DecodedMasks
from maskscope.model.precision import preferred_dtype
from maskscope.model.sam2 import SAM2
from maskscope.training.batches import Batch, ClipSource, GroupBatches, load_batches
from maskscope.training.log import RunLog
from maskscope.training.losses import Losses, sam2_losses
from maskscope.training.optimise import average_weights, build_optimiser, freeze, mean_weights, set_rates
from maskscope.training.recipe import Cycle, Recipe, Stretch, stretches
from maskscope.training.recipe_file import to_plain
from maskscope.training.state import Progress, RunState, read_state, write_state
from maskscope.training.team import Team
from maskscope.training.unroll import unroll

_log = logging.getLogger(__name__)
LOG_EVERY = 20
STATE_NAME, WEIGHTS_NAME, LOG_NAME = "checkpoint.pt", "weights.safetensors", "log.jsonl"

Numbered = list[tuple[int, Batch]]
"""The groups of one step that this process computes, each with its number."""


@dataclass(frozen=True)
class StepReport:
    """One step of a run.

    Attributes:
        step: how many are done.
        steps: how many there will be.
        losses: by name, mean over the step's clips.
    """

    step: int
    steps: int
    losses: dict[str, float]


class Trainer:
    """One run.

    The same recipe and clips give the same weights to the bit on the same machine with the same number of processes,
    however often the run is killed and started again. The forward pass is autocast to bfloat16 where
    `preferred_dtype` finds that faster; a run that is taken up again keeps the precision it began with.

    Args:
        model: trained in place, on its device.
        recipe: what decides the run.
        clips: where clips come from.
        out: folder of log, checkpoint and weights; a checkpoint in it is resumed.
        about: what else a checkpoint must agree with to be resumed, such as a digest of the data.
        team: the processes that train together; each needs the same initial model.
        validate: scores of the averaged model, asked after each phase.
        watch: told of every step, in the process that leads.
        stop: asked after every step; True saves and ends the run.

    Raises:
        SettingError: a part to freeze that is not there, groups that cannot be shared out, or a checkpoint of another
            recipe.
        CheckpointError: a checkpoint that is damaged or of another model.
    """

    def __init__(
        self,
        model: SAM2,
        recipe: Recipe,
        clips: ClipSource,
        out: Path,
        *,
        about: Mapping[str, str] | None = None,
        team: Team | None = None,
        validate: Callable[[SAM2], dict[str, float]] | None = None,
        watch: Callable[[StepReport], None] = lambda _: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.model, self.recipe, self.clips, self.out = model, recipe, clips, out
        self.identity: dict[str, Any] = {**to_plain(recipe), **(about or {})}
        self.team = team or Team()
        self.validate, self.watch, self.stop = validate, watch, stop
        for stretch in stretches(recipe):
            if stretch.phase.groups % self.team.size:
                raise SettingError(
                    f"a step of {stretch.phase.groups} groups cannot be shared out among {self.team.size} processes",
                    "choose a number of processes that divides the groups",
                )
        fast = preferred_dtype(model.device) == torch.bfloat16
        self.precision = "bfloat16" if self.team.agreed(fast, model.device) else "float32"
        self.averaged = copy.deepcopy(model).eval().requires_grad_(False)
        self.ends: dict[int, dict[str, Tensor]] = {}
        self._set_out(recipe.cycles[0])
        self.progress = Progress()
        self.state_path, self.weights, self.log = out / STATE_NAME, out / WEIGHTS_NAME, RunLog(out / LOG_NAME)
        with self.team.together(model.device):
            with writing(out):
                out.mkdir(parents=True, exist_ok=True)
            if self.state_path.is_file():
                self._resume()
            if self.team.leads:
                self.log.cut(self.progress.step)
        self._recent: list[Tensor] = []

    def run(self, workers: int = 0) -> bool:
        """Train until the recipe is done.

        Args:
            workers: processes that make clips; 0 makes them in place.

        Returns:
            False when stopped before.

        Raises:
            MaskscopeError: the loss is no number; the batch is kept beside the log.
            OutputError: checkpoint or log cannot be written.
        """
        self.model.train()
        for stretch in stretches(self.recipe):
            if self.progress.step < stretch.end:
                if self.progress.step == stretch.cycle_begin > 0:
                    self._begin_cycle(stretch.cycle)
                if not self._run_phase(stretch, workers):
                    return False
            if self.progress.step == stretch.cycle_end == stretch.end:
                self._end_cycle()
            if self.team.leads and self.progress.step == stretch.end:
                self._save()
                self._validate()
        return True

    def _begin_cycle(self, cycle: Cycle) -> None:
        """Go on from the averaged weights, with nothing remembered of the last cycle's gradients."""
        if cycle.begins_with:
            self.averaged.load_state_dict(mean_weights([self.ends[number] for number in cycle.begins_with]))
        self.model.load_state_dict(self.averaged.state_dict())
        self._set_out(cycle)

    def _end_cycle(self) -> None:
        """Keep the weights if a later cycle begins with them."""
        number = sum(end <= self.progress.step for end in {s.cycle_end for s in stretches(self.recipe)})
        if any(number in later.begins_with for later in self.recipe.cycles):
            self.ends[number] = {name: value.clone() for name, value in self.averaged.state_dict().items()}

    def _set_out(self, cycle: Cycle) -> None:
        self.model.zero_grad(set_to_none=True)  # what is frozen now must not count in the gradient's norm
        freeze(self.model, self.recipe, cycle)
        self.optimiser = build_optimiser(self.model, self.recipe)

    def _run_phase(self, stretch: Stretch, workers: int) -> bool:
        _log.info("%s until step %d", stretch.phase, stretch.end)
        saved = self._then = time.monotonic()
        for parts in self._parts(stretch, workers):
            stopped = self._step(stretch, parts)
            due = time.monotonic() - saved >= self.recipe.checkpoint_minutes * 60
            if self.team.leads and (due or stopped):
                self._save()
                saved = time.monotonic()
            if stopped:
                return False
        return True

    def _parts(self, stretch: Stretch, workers: int) -> Iterator[Numbered]:
        """This process's share of every step that is left of a phase."""
        groups = stretch.phase.groups
        mine = range(self.team.rank, groups, self.team.size)
        numbers = [step * groups + group for step in range(self.progress.step, stretch.end) for group in mine]
        weights = stretch.cycle.prompt_weights or self.recipe.prompt_weights
        of_cycle = stretch.cycle.correction_clicks
        corrections = self.recipe.correction_clicks if of_cycle is None else of_cycle
        batches = GroupBatches(self.clips, stretch.phase, weights, corrections)
        loader = load_batches(batches, numbers, workers)
        parts: Numbered = []
        for number, batch in zip(numbers, loader, strict=True):
            parts.append((number, batch))
            if len(parts) == len(mine):
                yield parts
                parts = []

    def _step(self, stretch: Stretch, parts: Numbered) -> bool:
        """One step of the optimiser; True when some process was asked to stop."""
        rate = set_rates(self.optimiser, self.recipe, stretch, self.progress.step)
        self.optimiser.zero_grad(set_to_none=True)
        terms = torch.stack([self._backward(number, batch, 1 / len(parts)) for number, batch in parts]).mean(0)
        now = time.monotonic()
        aside = torch.tensor([now - self._then, float(self.stop())])
        self._then = now
        mean = self.team.average(self.model.parameters(), torch.cat((terms, aside)))
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm))
        if not (math.isfinite(norm) and math.isfinite(mean.sum().item())):
            self._keep_offenders(parts)
        self.optimiser.step()
        since = self.progress.step - stretch.cycle_begin
        average_weights(self.averaged, self.model, self.recipe.ema_decay, since)
        self.progress.step += 1
        self.progress.seconds += mean[-2].item()
        if self.team.leads:
            self._report(mean[:-2], norm, rate, stretch)
        return bool(mean[-1] > 0)

    def _backward(self, number: int, batch: Batch, share: float) -> Tensor:
        """Gradients of one group, added to those before; returns its losses, detached on the CPU."""
        device = self.model.device
        batch = batch.to(device)
        with torch.random.fork_rng([device] if device.type == "cuda" else [], device_type="cuda"):
            torch.manual_seed(int(np.random.SeedSequence([self.recipe.seed, number]).generate_state(1)[0]))
            with torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
                outputs = unroll(
                    self.model, batch.images(), batch.prompt, batch.times, batch.corrections, batch.masks_tbhw
                )
        losses = losses_of(outputs, batch.masks_tbhw, self.recipe)
        (losses.total * share).backward()
        return torch.stack([value.detach().float().cpu() for value in vars(losses).values()])

    def _keep_offenders(self, parts: Numbered) -> None:
        paths = []
        for number, batch in parts:
            paths.append(self.out / f"not-a-number-{number}.npz")
            with writing(paths[-1]):
                np.savez_compressed(paths[-1], frames=batch.frames_tbhwc.numpy(), masks=batch.masks_tbhw.numpy())
        raise MaskscopeError(
            f"loss or gradient is no number at step {self.progress.step}; its clips are in {paths[0]}",
            "look at them; lower the learning rate if they are in order",
        )

    def _report(self, terms: Tensor, norm: float, rate: float, stretch: Stretch) -> None:
        names = [field.name for field in dataclasses.fields(Losses)]
        step = self.progress.step
        self.watch(StepReport(step, self.recipe.steps, dict(zip(names, terms.tolist(), strict=True))))
        self._recent.append(terms)
        if step % LOG_EVERY and step != stretch.end:
            return
        mean = torch.stack(self._recent).mean(0)
        self._recent.clear()
        phase = stretch.phase
        line: dict[str, Any] = {"step": step, "seconds": round(self.progress.seconds, 1)}
        line |= {name: round(value, 4) for name, value in zip(names, mean.tolist(), strict=True)}
        line |= {"norm": round(norm, 3), "lr": rate, "shape": [phase.groups, phase.clips, phase.frames, *phase.size_hw]}
        self.log.write(line)
        _log.info("%s", line)

    def _validate(self) -> None:
        step = self.progress.step
        if self.validate is None or self.log.has(step, "validation"):
            return
        line = {"step": step, "seconds": round(self.progress.seconds, 1), "validation": self.validate(self.averaged)}
        self.log.write(line)
        _log.info("%s", line)

    def _save(self) -> None:
        """The state to go on from, and the averaged weights to use."""
        state = RunState(
            self.model.state_dict(),
            self.averaged.state_dict(),
            self.optimiser.state_dict(),
            self.progress,
            self.identity,
            self.ends,
            self.precision,
        )
        write_state(self.state_path, state)
        save_checkpoint(self.averaged, self.weights, {"step": str(self.progress.step)})

    def _resume(self) -> None:
        state = read_state(self.state_path, self.identity)
        cycle = next((s.cycle for s in stretches(self.recipe) if state.progress.step <= s.end), self.recipe.cycles[-1])
        self._set_out(cycle)
        try:
            self.model.load_state_dict(state.model)
            self.averaged.load_state_dict(state.averaged)
            self.optimiser.load_state_dict(state.optimiser)
        except (RuntimeError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:160]
            raise CheckpointError(
                f"{self.state_path} is of another model ({reason})", "name another folder, or remove it to start afresh"
            ) from None
        self.progress, self.ends, self.precision = state.progress, state.ends, state.precision
        _log.info("resumed at step %d, minute %.1f", self.progress.step, self.progress.seconds / 60)


def losses_of(outputs: list[list[DecodedMasks]], masks_tbhw: Tensor, recipe: Recipe) -> Losses:
    """Losses of all masks that the model itself had to find, taken together; each answer to a click counts as one.

    Click and box frames may have another number of candidates than tracked ones, so those are judged apart.
    """
    by_count: dict[int, list[tuple[int, DecodedMasks]]] = {}
    for t, answers in enumerate(outputs):
        for answer in answers:
            by_count.setdefault(answer.mask_logits_bmhw.shape[1], []).append((t, answer))
    parts: list[tuple[float, Losses]] = []
    for judged in by_count.values():
        part = sam2_losses(
            torch.cat([o.mask_logits_bmhw for _, o in judged]),
            torch.cat([o.predicted_iou_bm for _, o in judged]),
            torch.cat([o.object_score_logits_b for _, o in judged]),
            torch.cat([masks_tbhw[t] for t, _ in judged]),
            recipe.losses,
        )
        parts.append((len(judged) / sum(map(len, by_count.values())), part))
    names = [field.name for field in dataclasses.fields(Losses)]
    return Losses(**{name: torch.stack([share * getattr(part, name) for share, part in parts]).sum() for name in names})
