"""Which tokens of an older memory are read when not all are: the outline first, then the object, then its surroundings.

Tokens near the object's outline carry its extent, those inside its looks. A quarter of what is kept is always a sample
of the background, spread evenly, so that attention still finds what is not the object; a memory without the object is
only such a sample.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

BACKGROUND: Final = 0.25  # of the tokens that are kept, reserved for the background where there is so much of it
_R2: Final = (0.7548776662466927, 0.5698402909980532)  # Roberts 2018: thresholds of this are spread evenly in 2-D


def count_of(share: float, cells: int) -> int:
    """Tokens kept of a frame of `cells`: the share rounded, at least one."""
    return max(round(share * cells), 1)


def salient(mask_logits_fhw: Tensor, grid: tuple[int, int], count: int) -> Tensor:
    """Row-major cells of each frame that are kept, in rising order: (f, any, any) -> (f, count) int64.

    Args:
        mask_logits_fhw: the object's mask on each frame; above 0 is the object.
        grid: (h, w) cells of a memory.
        count: how many of its h * w are kept.
    """
    height, width = grid
    inside = F.adaptive_avg_pool2d((mask_logits_fhw > 0).float()[:, None], grid)  # f, 1, h, w: share of each cell
    near = F.max_pool2d((inside > 0).float(), 3, 1, 1)
    core = -F.max_pool2d(-(inside == 1).float(), 3, 1, 1)  # all cells around it are of the object, too
    outline = ((near > 0) & (core == 0)).flatten(1)
    background = ((inside == 0).flatten(1)) & ~outline
    order = _order(height, width, inside.device).expand(len(inside), -1)  # 0..1, different for each cell
    rank = order + (~background).float() + outline.float()
    reserved = round(BACKGROUND * count)
    if reserved:
        first = torch.where(background, order, order - 1).topk(reserved, dim=1).indices
        rank = rank.scatter_add(1, first, 3 * background.gather(1, first).float())
    return rank.topk(count, dim=1).indices.sort(dim=1).values


def _order(height: int, width: int, device: torch.device) -> Tensor:
    """A number of its own in 0..1 for each cell; those above any threshold are spread evenly: (h * w,)."""
    y, x = torch.arange(height, dtype=torch.float64), torch.arange(width, dtype=torch.float64)
    return ((_R2[1] * y[:, None] + _R2[0] * x) % 1).flatten().to(device, torch.float32)
