"""Matrix products of attention on the faster of the two libraries that PyTorch has on x86 processors.

PyTorch sends float32 products on the CPU to MKL, which leaves half of some processors idle (measured on AMD Zen 5: 210
against 480 GFLOP/s for oneDNN). A 1 x 1 convolution over channels-last rows is the same product and goes to oneDNN, so
the large products of attention are written as such convolutions. The choice depends on the build alone, never on a
timing: two runs on one machine agree to the last bit. Linear layers are left alone: their sums then run in the order in
which the reference runs them, and its recorded outputs are met more closely than any other order would.
"""

from __future__ import annotations

import os
import platform
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

_MIN_ROWS = 64  # below it the call is not worth it


def product(a_nk: Tensor, b_mk: Tensor) -> Tensor:
    """a b^T, (n, m), for contiguous rows."""
    if _suits_convolution(a_nk):
        return _as_convolution(a_nk, b_mk)
    return F.linear(a_nk, b_mk)


def _suits_convolution(x: Tensor) -> bool:
    return (
        x.dtype == torch.float32
        and x.device.type == "cpu"
        and x.numel() >= _MIN_ROWS * x.shape[-1]
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and _convolution_is_faster()
    )


def _as_convolution(a_nk: Tensor, b_mk: Tensor) -> Tensor:
    """Rows become pixels of a picture one pixel wide, columns its channels."""
    n, k = a_nk.shape
    picture = a_nk.contiguous().view(1, n, 1, k).permute(0, 3, 1, 2)
    kernel = b_mk.contiguous().view(-1, k, 1, 1)
    return F.conv2d(picture, kernel)[0, :, :, 0].t()


@cache
def _convolution_is_faster() -> bool:
    """On x86 with oneDNN; `MASKSCOPE_CPU_PRODUCTS=linear` or `convolution` decides instead."""
    forced = os.environ.get("MASKSCOPE_CPU_PRODUCTS")
    if forced in ("linear", "convolution"):
        return forced == "convolution"
    return torch.backends.mkldnn.is_available() and platform.machine().lower() in ("x86_64", "amd64")
