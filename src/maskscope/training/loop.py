"""The training loop: by the clock, resumable, with averaged weights and one line of log every few steps."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from maskscope.errors import MaskscopeError
from maskscope.model.checkpoints import save_checkpoint
from maskscope.model.sam2 import SAM2
from maskscope.training.batches import Batch, StepBatches, load_batches
from maskscope.training.clips import ClipSampler
from maskscope.training.corpus import Corpus
from maskscope.training.losses import Losses, sam2_losses
from maskscope.training.recipe import Phase, Recipe
from maskscope.training.team import Team
from maskscope.training.unroll import unroll
from maskscope.training.validate import validate

_log = logging.getLogger(__name__)
LOG_EVERY = 20


@dataclass
class Progress:
    """Where a run is: steps taken and seconds spent, over all its restarts."""

    step: int = 0
    seconds: float = 0.0


class Trainer:
    """One run over a corpus.

    Args:
        model: trained in place.
        averaged: the exponential moving average of its weights; what is kept in the end.
        out: folder of log, checkpoints and weights; a checkpoint in it is resumed.
        held_out: store names of the validation sequences.
        team: the processes that train together; each needs the same initial model.
    """

    def __init__(
        self,
        model: SAM2,
        recipe: Recipe,
        corpus: Corpus,
        out: Path,
        held_out: list[str],
        team: Team | None = None,
    ) -> None:
        self.model, self.recipe, self.corpus, self.out, self.held_out = model, recipe, corpus, out, held_out
        self.team = team or Team()
        self.averaged = copy.deepcopy(model).eval().requires_grad_(False)
        freeze(model, recipe)
        self.optimiser = build_optimiser(model, recipe)
        self.progress = Progress()
        out.mkdir(parents=True, exist_ok=True)
        self.checkpoint = out / "checkpoint.pt"
        self.weights = out / "compact.safetensors"
        if self.checkpoint.is_file():
            self._resume()

    def run(self, workers: int = 0) -> None:
        """Train until the recipe's minutes are over.

        Raises:
            MaskscopeError: the loss is no number; the batch is kept beside the log.
        """
        end = 0.0
        self.model.train()
        for phase in self.recipe.phases:
            end += phase.share * self.recipe.minutes * 60
            if self.progress.seconds >= end:
                continue
            _log.info("phase %s until minute %.1f", phase, end / 60)
            self._run_phase(phase, end, workers)
            if self.team.leads:
                self._save()
                self._validate()

    def _run_phase(self, phase: Phase, end: float, workers: int) -> None:
        sampler = ClipSampler(self.corpus, self.recipe.clips, self.recipe.seed)
        batches = StepBatches(sampler, phase, self.recipe.prompt_weights, self.team.rank)
        saved, then = time.monotonic(), time.monotonic()
        for batch in load_batches(batches, self.progress.step, workers):
            self._set_rates()
            losses = self._backward(batch)
            now = time.monotonic()
            terms = torch.stack([v.detach().float().cpu() for v in vars(losses).values()])
            mean = self.team.average(self.model.parameters(), torch.cat((terms, torch.tensor([now - then]))))
            then = now
            norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm))
            if not (math.isfinite(norm) and math.isfinite(mean.sum().item())):
                self._keep_offender(batch)
            self.optimiser.step()
            self._average()
            self.progress.step += 1
            self.progress.seconds += mean[-1].item()
            if self.team.leads and self.progress.step % LOG_EVERY == 0:
                self._write(self._line(dict(zip(vars(losses), mean.tolist(), strict=False)), norm, batch))
            if self.team.leads and now - saved > self.recipe.checkpoint_minutes * 60:
                self._save()
                saved = now
            if self.progress.seconds >= end:
                return

    def _backward(self, batch: Batch) -> Losses:
        device = self.model.device
        with torch.autocast(device.type, torch.bfloat16):
            outputs = unroll(self.model, batch.images().to(device), batch.prompt, batch.times)
        losses = losses_of(outputs, batch.masks_tbhw.to(device), self.recipe)
        self.optimiser.zero_grad(set_to_none=True)
        losses.total.backward()
        return losses

    def _set_rates(self) -> None:
        factor = rate_factor(self.progress.seconds / (60 * self.recipe.minutes), self.recipe)
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * factor

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.recipe.ema_decay, (1 + self.progress.step) / (10 + self.progress.step))
        pairs = [
            (a, p) for a, p in zip(self.averaged.parameters(), self.model.parameters(), strict=True) if p.requires_grad
        ]
        torch._foreach_lerp_([a for a, _ in pairs], [p.detach() for _, p in pairs], 1 - decay)

    def _keep_offender(self, batch: Batch) -> None:
        path = self.out / f"not-a-number-{self.progress.step}-{self.team.rank}.npz"
        np.savez_compressed(path, frames=batch.frames_tbhwc.numpy(), masks=batch.masks_tbhw.numpy())
        raise MaskscopeError(f"loss or gradient is no number at step {self.progress.step}", f"its batch is in {path}")

    def _line(self, losses: dict[str, float], norm: float, batch: Batch) -> dict[str, Any]:
        terms = {name: round(value, 4) for name, value in losses.items()}
        shape = list(batch.masks_tbhw.shape)
        rate = self.optimiser.param_groups[0]["lr"]
        spent = round(self.progress.seconds, 1)
        return {
            "step": self.progress.step,
            "seconds": spent,
            **terms,
            "norm": round(norm, 3),
            "lr": rate,
            "shape": shape,
        }

    def _write(self, line: dict[str, Any]) -> None:
        _log.info("%s", line)
        with open(self.out / "log.jsonl", "a") as file:
            file.write(json.dumps(line) + "\n")

    def _validate(self) -> None:
        if self.held_out:
            scores = validate(self.averaged, self.corpus, self.held_out, self.recipe.phases[-1].size_hw)
            self._write({"step": self.progress.step, "seconds": round(self.progress.seconds, 1), "validation": scores})

    def _save(self) -> None:
        """The resumable state and the averaged weights; each appears whole or not at all."""
        state = {
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "progress": dataclasses.asdict(self.progress),
            "random": torch.get_rng_state(),
        }
        unfinished = self.checkpoint.with_suffix(".part")
        torch.save(state, unfinished)
        unfinished.rename(self.checkpoint)
        save_checkpoint(self.averaged, self.weights, {"step": str(self.progress.step)})

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.progress = Progress(**state["progress"])
        torch.set_rng_state(state["random"])
        _log.info("resumed at step %d, minute %.1f", self.progress.step, self.progress.seconds / 60)


def losses_of(outputs: list[Any], masks_tbhw: Tensor, recipe: Recipe) -> Losses:
    """Losses of all frames that the model itself had to mask, taken together.

    Click and box frames may have another number of candidates than tracked ones, so those are judged apart.
    """
    by_count: dict[int, list[int]] = {}
    for t, output in enumerate(outputs):
        if output is not None:
            by_count.setdefault(output.mask_logits_bmhw.shape[1], []).append(t)
    parts: list[tuple[float, Losses]] = []
    for times in by_count.values():
        chosen = [outputs[t] for t in times]
        part = sam2_losses(
            torch.cat([o.mask_logits_bmhw for o in chosen]),
            torch.cat([o.predicted_iou_bm for o in chosen]),
            torch.cat([o.object_score_logits_b for o in chosen]),
            torch.cat([masks_tbhw[t] for t in times]),
            recipe.losses,
        )
        parts.append((len(times) / sum(map(len, by_count.values())), part))
    names = [field.name for field in dataclasses.fields(Losses)]
    return Losses(**{name: torch.stack([share * getattr(part, name) for share, part in parts]).sum() for name in names})


def freeze(model: SAM2, recipe: Recipe) -> None:
    """Take the recipe's frozen parts of the trunk out of training."""
    frozen = ("stem.", *(f"stages.{i}." for i in range(recipe.frozen_stages)))
    for name, parameter in model.image_encoder.trunk.named_parameters():
        if name.startswith(frozen) or ("depthwise" in name and not recipe.train_depthwise):
            parameter.requires_grad_(False)


def build_optimiser(model: SAM2, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW with a lower rate for the trunk and no decay on vectors."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            peak = recipe.trunk_rate if name.startswith("image_encoder.trunk") else recipe.learning_rate
            decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((peak, decay), []).append(parameter)
    rows = [{"params": v, "lr": peak, "peak": peak, "weight_decay": decay} for (peak, decay), v in groups.items()]
    return torch.optim.AdamW(rows, betas=(0.9, 0.98), foreach=True)


def rate_factor(share: float, recipe: Recipe) -> float:
    """Linear warm-up, then a cosine to the final rate; `share` of the time is over."""
    if share < recipe.warm_up:
        return max(share / recipe.warm_up, 0.01)
    fall = min((share - recipe.warm_up) / (1 - recipe.warm_up), 1.0)
    return recipe.final_rate + (1 - recipe.final_rate) * 0.5 * (1 + math.cos(math.pi * fall))
