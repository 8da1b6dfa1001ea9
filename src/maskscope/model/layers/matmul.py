"""Matrix products on the kernel that is fastest where they run.

PyTorch sends float32 products on the CPU to MKL, which leaves half of some processors idle (measured on AMD Zen 5: 210
against 480 GFLOP/s for oneDNN). A 1 x 1 convolution over channels-last rows is the same product and goes to oneDNN, so
where that is measured to be faster, and no gradient is wanted, the large products of attention are written as such
convolutions. Linear layers are left alone: their sums then run in the order in which the reference runs them, and its
recorded outputs are met more closely than any other order would.
"""

from __future__ import annotations

import os
import time
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

_MIN_ROWS = 64  # below it the call is not worth it
_WORTH = 1.15  # the other kernel must be this much faster to be used


def product(a_nk: Tensor, b_mk: Tensor, bias_m: Tensor | None = None) -> Tensor:
    """a b^T + bias, (n, m), for contiguous rows."""
    if _suits_convolution(a_nk):
        return _as_convolution(a_nk, b_mk, bias_m)
    return F.linear(a_nk, b_mk, bias_m)


def _suits_convolution(x: Tensor) -> bool:
    return (
        x.dtype == torch.float32
        and x.device.type == "cpu"
        and x.numel() >= _MIN_ROWS * x.shape[-1]
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and _convolution_is_faster(torch.get_num_threads())
    )


def _as_convolution(a_nk: Tensor, b_mk: Tensor, bias_m: Tensor | None) -> Tensor:
    """Rows become pixels of a picture one pixel wide, columns its channels."""
    n, k = a_nk.shape
    picture = a_nk.contiguous().view(1, n, 1, k).permute(0, 3, 1, 2)
    kernel = b_mk.contiguous().view(-1, k, 1, 1)
    return F.conv2d(picture, kernel, bias_m)[0, :, :, 0].t()


@cache
def _convolution_is_faster(num_threads: int) -> bool:
    """Timed once for a process and number of threads, some ten milliseconds.

    `MASKSCOPE_CPU_PRODUCTS=linear` or `convolution` decides instead, where runs must agree to the last bit.
    """
    forced = os.environ.get("MASKSCOPE_CPU_PRODUCTS")
    if forced in ("linear", "convolution"):
        return forced == "convolution"
    if not torch.backends.mkldnn.is_available():
        return False
    a, b = torch.ones(1024, 256), torch.ones(1024, 256)

    def seconds(convolution: bool) -> float:
        trials = []
        for _ in range(6):
            start = time.perf_counter()
            _as_convolution(a, b, None) if convolution else F.linear(a, b)
            trials.append(time.perf_counter() - start)
        return min(trials)

    with torch.no_grad():
        return seconds(convolution=False) > _WORTH * seconds(convolution=True)
