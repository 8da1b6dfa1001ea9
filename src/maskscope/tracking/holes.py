"""Small holes in masks, filled as the reference does on a GPU."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

FILLED_LOGIT = 0.1  # just inside


def fill_holes(mask_logits_hw: Tensor, max_area_px: int) -> Tensor:
    """Background components (8-connected) of at most `max_area_px` pixels become object. (h, w) -> (h, w).

    Areas are in pixels of the mask given, which is a quarter of the model's input.
    Source: facebookresearch/sam2 `utils/misc.py`, `fill_holes_in_mask_scores`.
    """
    outside = (mask_logits_hw <= 0).to("cpu", torch.uint8).numpy()
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(outside, connectivity=8)
    small = statistics[:, cv2.CC_STAT_AREA] <= max_area_px
    small[0] = False  # the mask itself
    if not small.any():
        return mask_logits_hw
    holes = torch.from_numpy(np.asarray(small[labels])).to(mask_logits_hw.device)
    return torch.where(holes, torch.full_like(mask_logits_hw, FILLED_LOGIT), mask_logits_hw)
