"""What a run needs to go on exactly where it was: one file that is always whole.

Clips, prompts and dropout are functions of seed and step, so the step stands for them; nothing else is random.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maskscope.errors import CheckpointError, OutputError, SettingError
from maskscope.training.recipe_file import differences


@dataclass
class Progress:
    """Where a run is: steps taken and seconds spent, over all its restarts."""

    step: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class RunState:
    """Everything that the next step depends on.

    Attributes:
        model: weights.
        averaged: their moving average.
        optimiser: its moments.
        progress: the step decides about clips, prompts, dropout and rates.
        recipe: as plain values; a run goes on with its own recipe only.
        ends: averaged weights at the end of the cycles, counted from 1, that a later one begins with.
        precision: "float32" or "bfloat16", of what autocast computes; a run goes on in its own.
    """

    model: dict[str, Tensor]
    averaged: dict[str, Tensor]
    optimiser: dict[str, Any]
    progress: Progress
    recipe: dict[str, Any]
    ends: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    precision: str = "bfloat16"


def write_state(path: Path, state: RunState) -> None:
    """Replace the file in one go; a kill or a full disk at any moment leaves the one before.

    Raises:
        OutputError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    plain = {
        **{name: getattr(state, name) for name in ("model", "averaged", "optimiser", "recipe", "ends", "precision")}
    }
    try:
        with open(partial, "wb") as file:
            torch.save({**plain, "progress": asdict(state.progress)}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # torch tells a full disk by a RuntimeError
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        number = error.errno if isinstance(error, OSError) else None
        full = number in (errno.ENOSPC, errno.EDQUOT) or not isinstance(error, OSError)
        reason = "disk full" if full else (getattr(error, "strerror", None) or str(error))
        raise OutputError(
            f"{path} cannot be written ({reason}); the checkpoint before it is whole",
            "make room, then run the same command to go on from there",
        ) from error


def read_state(path: Path, recipe: Mapping[str, Any]) -> RunState:
    """The state of a run that is to go on with `recipe`.

    Raises:
        CheckpointError: not a state of a run.
        SettingError: it was begun with another recipe.
    """
    try:
        plain = torch.load(path, map_location="cpu", weights_only=True)
        progress = Progress(**plain.pop("progress"))
        state = RunState(**plain, progress=progress)
    except (OSError, RuntimeError, KeyError, TypeError, AttributeError, EOFError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:120]
        raise CheckpointError(
            f"{path} is not the state of a run that can go on ({reason})",
            "remove it to start afresh, or name another folder",
        ) from None
    if changed := differences(state.recipe, recipe):
        raise SettingError(
            f"the run in {path.parent} was begun with another recipe (it differs in {', '.join(changed)})",
            "name another folder, or remove this one to start afresh",
        )
    return state
