"""Which precision is worth it on a device: measured there, once."""

from __future__ import annotations

import logging
import time
from functools import cache

import torch

from maskscope.errors import SettingError

log = logging.getLogger(__name__)

_WORTH = 1.5  # bfloat16 must be this much faster to be chosen
_SIDES = (256, 1024)  # of products; where small ones lose, a large one takes seconds and is not tried
_TRIALS = 5


def default_device() -> torch.device:
    """The accelerator PyTorch sees, else the CPU."""
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return accelerator or torch.device("cpu")


def chosen_device(name: torch.device | str | None) -> torch.device:
    """The device asked for, tried out; None is `default_device`.

    Raises:
        SettingError: there is no such device here.
    """
    if name is None:
        return default_device()
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # builds without CUDA assert
        reason = " ".join(str(error).split())[:120]
        raise SettingError(f"the device {str(name)!r} is not available ({reason})", "use cpu") from None


@cache
def preferred_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where it is supported and its matrix products are clearly faster, else float32.

    On a GPU support decides. On a CPU products are timed, which takes some ten milliseconds: processors with bfloat16
    instructions win about four times, others lose eighty.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if device.type != "cpu":
        return torch.float32
    ratio = 0.0
    for side in _SIDES:
        ratio = _product_seconds(torch.float32, side) / _product_seconds(torch.bfloat16, side)
        if ratio < 1:
            break
    log.info("bfloat16 products are %.1f times as fast as float32 on this CPU", ratio)
    return torch.bfloat16 if ratio > _WORTH else torch.float32


@torch.inference_mode()
def _product_seconds(dtype: torch.dtype, side: int) -> float:
    a = torch.ones(side, side, dtype=dtype)
    trials = []
    for _ in range(_TRIALS):
        start = time.perf_counter()
        torch.mm(a, a)
        trials.append(time.perf_counter() - start)
    return min(trials)
