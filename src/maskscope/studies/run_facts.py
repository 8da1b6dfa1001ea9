"""What `run.json` says of a run: what was asked for, and with what it was done."""

from __future__ import annotations

import hashlib
import math
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import av
import numpy as np
import torch
from numpy.typing import NDArray

from maskscope import __version__
from maskscope.data.source import VideoSource
from maskscope.model import SAM2
from maskscope.studies.result_folder import Json
from maskscope.tracking.picture import input_size
from maskscope.tracking.prompts import POSITIVE, Prompt

_SHORTEST_S: Final = 1e-5
_BIN_WIDTH: Final = 0.01  # of the logarithm
_BINS: Final = 2100  # up to three hours


@dataclass(slots=True)
class Clock:
    """How long frames took, in memory that does not grow: a histogram whose bins are 1 % wide."""

    began: float = field(default_factory=time.perf_counter)
    last: float = 0.0
    frames: int = 0
    bins: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_BINS, dtype=np.int64))

    def tick(self) -> None:
        """One more frame is done."""
        now = time.perf_counter()
        step_s = now - (self.last or self.began)
        place = int(math.log(max(step_s, _SHORTEST_S) / _SHORTEST_S) / _BIN_WIDTH)
        self.bins[min(place, _BINS - 1)] += 1
        self.last = now
        self.frames += 1

    def statistics(self) -> Json:
        """Frames, seconds, frames per second, and median and 95th percentile of the milliseconds of a frame.

        The percentiles are those of the histogram: within 0.5 % of the frame they are.
        """
        seconds = self.last - self.began if self.frames else 0.0
        return {
            "frames": self.frames,
            "seconds": round(seconds, 3),
            "frames_per_s": round(self.frames / seconds, 3) if seconds else 0.0,
            "median_ms": self._percentile_ms(50),
            "p95_ms": self._percentile_ms(95),
        }

    def _percentile_ms(self, percent: float) -> float | None:
        if not self.frames:
            return None
        place = int(np.searchsorted(np.cumsum(self.bins), max(1.0, self.frames * percent / 100)))
        return round(1000 * _SHORTEST_S * math.exp((place + 0.5) * _BIN_WIDTH), 3)


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


def weights_hash(model: SAM2) -> str:
    """SHA-256 over names, types and bytes of all weights, as they are in memory: precision counts, the device not."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def resolve(model: SAM2, video: VideoSource) -> Json:
    """What the model and the video turned out to be."""
    return {
        "family": model.config.family,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "weights_sha256": weights_hash(model),
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
