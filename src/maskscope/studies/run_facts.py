"""What `run.json` says of a run: what was asked for, and with what it was done."""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import torch

from maskscope import __version__
from maskscope.data.source import VideoSource
from maskscope.data.stream import without_password
from maskscope.model import SAM2
from maskscope.studies.result_folder import Json
from maskscope.tracking.picture import input_size
from maskscope.tracking.prompts import POSITIVE, Prompt


@dataclass(slots=True)
class Clock:
    """When frames were done."""

    began: float = field(default_factory=time.perf_counter)
    ticks: list[float] = field(default_factory=list)

    def tick(self) -> None:
        """One more frame is done."""
        self.ticks.append(time.perf_counter())

    def statistics(self) -> Json:
        """Frames, seconds, frames per second, and median and 95th percentile of the milliseconds of a frame."""
        steps = [after - before for before, after in pairwise([self.began, *self.ticks])]
        seconds = sum(steps)
        return {
            "frames": len(steps),
            "seconds": round(seconds, 3),
            "frames_per_s": round(len(steps) / seconds, 3) if steps else 0.0,
            "median_ms": round(1000 * float(np.median(steps)), 2) if steps else None,
            "p95_ms": round(1000 * float(np.percentile(steps, 95)), 2) if steps else None,
        }


def identity(name: str) -> str | Json:
    """What tells an input from another: of a file path, size and time of change; of a folder its path."""
    path = Path(name).expanduser()
    if "://" in name or not path.exists():
        return without_password(name)
    if path.is_dir():
        return str(path.resolve())
    state = path.stat()
    return {"path": str(path.resolve()), "bytes": state.st_size, "modified_ns": state.st_mtime_ns}


def describe(prompt: Prompt) -> Json:
    """A prompt as plain values, its mask as a hash."""
    plain: Json = {"object": prompt.object_id}
    if len(prompt.points_xy_px):
        plain["points_xy_px"] = [[float(x), float(y)] for x, y in prompt.points_xy_px]
        plain["labels"] = list(prompt.labels) or [POSITIVE] * len(prompt.points_xy_px)
    if prompt.box_xyxy_px is not None:
        plain["box_xyxy_px"] = [float(side) for side in prompt.box_xyxy_px]
    if prompt.mask is not None:
        plain["mask_sha256"] = hashlib.sha256(np.packbits(prompt.mask != 0).tobytes()).hexdigest()
        plain["mask_px"] = int(np.count_nonzero(prompt.mask))
    return plain


def resolve(model: SAM2, video: VideoSource) -> Json:
    """What the model and the video turned out to be."""
    return {
        "family": model.config.family,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "device": str(model.device),
        "precision": str(model.heavy_dtype).removeprefix("torch."),
        "input_size": list(input_size(model.config, video.height, video.width)),
        "video": video.name,
        "video_size": [video.height, video.width],
        "video_fps": video.fps,
    }


def versions() -> dict[str, str]:
    """Of the program, what it stands on, and the system."""
    return {
        "maskscope": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "av": av.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
    }


def facts(request: Json, command: Sequence[str], model: SAM2, video: VideoSource, runs: Sequence[Json]) -> Json:
    """The content of `run.json`, but for the status."""
    return {
        "request": request,
        "command": list(command),
        "resolved": resolve(model, video),
        "versions": versions(),
        "runs": list(runs),
    }
