"""A stand-in for the model that looks at the picture: it finds the red thing, and fails for known reasons alone.

It finds connected red pixels. It does not find them
- where too little fine detail is left on them, as in a picture of too few pixels (`least_detail`);
- where far less detail is left along rows than along columns, as motion blur does it (`least_balance`);
- while most of what it reads from memory speaks of absence (`most_absence`).
Things that are reddish, but not the thing, raise its object score where the thing is hidden. The embedding is colour.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from maskscope.model.config import MemoryConfig, SAM2Config
from maskscope.model.outputs import ConditionedFeatures, DecodedMasks, ImageFeatures, MemoryTokens, PromptTokens
from maskscope.tracking.picture import IMAGE_MEAN, IMAGE_STD
from scripted_model import CHANNELS, KEPT, ScriptedModel

SIDES = (96, 160)
FOUND, ABSENT, REDDISH = 6.0, -6.0, 2.0  # object scores
_RED, _SLIGHTLY_RED, _LEAST_PX = 0.5, 0.41, 80
_MEAN, _STD = (np.array(each, np.float32) for each in (IMAGE_MEAN, IMAGE_STD))


@dataclass
class SeeingModel(ScriptedModel):
    """Answers as `SAM2` does, from what is red in the picture.

    Attributes:
        least_detail: mean step from row to row over the mean, of green.
        least_balance: mean step from column to column over that from row to row.
        most_absence: share of memories read.
    """

    least_detail: float = 0.03
    least_balance: float = 0.49
    most_absence: float = 0.6
    config: SAM2Config = field(
        default_factory=lambda: SAM2Config(image_size=SIDES, dim=CHANNELS, memory=MemoryConfig(dim=KEPT))
    )
    heavy_dtype: torch.dtype = torch.float32

    def state_dict(self) -> dict[str, Tensor]:
        """No weights."""
        return {}

    def encode_image(self, images_fchw: Tensor) -> ImageFeatures:
        rgb = images_fchw[0].permute(1, 2, 0).numpy() * _STD + _MEAN
        found, score = self.see(rgb)
        inside = F.avg_pool2d(torch.from_numpy(found.astype(np.float32))[None, None], 4) * 20 - 10
        fine = torch.cat((inside, torch.full_like(inside, score)), 1)
        colour = cv2.resize(rgb, (SIDES[1] // 8, SIDES[0] // 8), interpolation=cv2.INTER_AREA) - 0.4
        embedding = torch.zeros(1, CHANNELS, *colour.shape[:2])
        embedding[0, :3] = torch.from_numpy(colour).permute(2, 0, 1)
        return ImageFeatures(embedding, fine, torch.zeros(1, 1, 1, 1))

    def see(self, rgb_hwc: NDArray[np.float32]) -> tuple[NDArray[np.bool_], float]:
        """Where the thing is, and the object score."""
        share = rgb_hwc[..., 0] / (rgb_hwc.sum(-1) + 0.01)
        number, labels, stats, _ = cv2.connectedComponentsWithStats((share > _RED).astype(np.uint8))
        parts = sorted(range(1, number), key=lambda k: -stats[k, cv2.CC_STAT_AREA])
        for part in parts:
            if stats[part, cv2.CC_STAT_AREA] >= _LEAST_PX and self._known(rgb_hwc[..., 1], labels == part):
                return labels == part, FOUND
        reddish = cv2.erode(((share > _SLIGHTLY_RED) & (share <= _RED)).astype(np.uint8), np.ones((5, 5)))
        return np.zeros(share.shape, bool), REDDISH if reddish.sum() > _LEAST_PX else ABSENT

    def _known(self, green_hw: NDArray[np.float32], part_hw: NDArray[np.bool_]) -> bool:
        down, right = self.detail(green_hw, part_hw)
        return down >= self.least_detail and right >= self.least_balance * down

    @staticmethod
    def detail(green_hw: NDArray[np.float32], part_hw: NDArray[np.bool_]) -> tuple[float, float]:
        """Mean step from row to row, and from column to column, over the mean, inside of the part."""
        inside = cv2.erode(part_hw.astype(np.uint8), np.ones((7, 7))) > 0
        if np.count_nonzero(inside) < 25:
            return 0.0, 0.0
        mean = float(green_hw[inside].mean()) + 1e-3
        down, right = np.abs(np.diff(green_hw, axis=0)), np.abs(np.diff(green_hw, axis=1))
        return float(down[inside[1:]].mean()) / mean, float(right[inside[:, 1:]].mean()) / mean

    def decode_candidates(
        self, conditioned: ConditionedFeatures, prompt: PromptTokens, multimask: bool
    ) -> DecodedMasks:
        fine, batch = conditioned.image.fine_bchw, len(conditioned.embedding_bchw)
        forgotten = conditioned.embedding_bchw[:, 0, 0, 0] > self.most_absence
        masks = fine[:, :1].masked_fill(forgotten[:, None, None, None], -10.0).repeat(1, 3, 1, 1)
        scores = fine[:, 1, 0, 0].masked_fill(forgotten, ABSENT)
        ious = torch.tensor((0.9, 0.6, 0.5)).repeat(batch, 1)
        count, tokens = (3 if multimask else 1), torch.zeros(batch, 3, CHANNELS)
        embedding = conditioned.embedding_bchw
        return DecodedMasks(masks[:, :count], ious[:, :count], scores, tokens[:, :count], embedding, embedding)

    def encode_memory(
        self, image: ImageFeatures, mask_logits_b1hw: Tensor, object_score_logits_b: Tensor, binarize: bool
    ) -> Tensor:
        memory = torch.zeros(len(object_score_logits_b), KEPT, 4, 4)
        memory[:, 0] = (object_score_logits_b <= 0).float()[:, None, None]
        return memory

    def lay_out_memory(self, spatial_bskhw, slots_bs, pointers_bpc, distances_bp, max_pointers=None):  # type: ignore[no-untyped-def]
        values = spatial_bskhw.float().mean((3, 4))
        return MemoryTokens(values, torch.zeros_like(values), 0)


class LanesModel(SeeingModel):
    """The same for many small things in lanes of their own: memory says in which rows a thing was."""

    lane: float = 0.05  # to both sides, of the picture's height

    def see(self, rgb_hwc: NDArray[np.float32]) -> tuple[NDArray[np.bool_], float]:
        """All of them."""
        share = rgb_hwc[..., 0] / (rgb_hwc.sum(-1) + 0.01)
        number, labels, stats, _ = cv2.connectedComponentsWithStats((share > _RED).astype(np.uint8))
        large = [part for part in range(1, number) if stats[part, cv2.CC_STAT_AREA] >= _LEAST_PX]
        known = [part for part in large if self._known(rgb_hwc[..., 1], labels == part)]
        return np.isin(labels, known), FOUND if known else ABSENT

    def decode_candidates(
        self, conditioned: ConditionedFeatures, prompt: PromptTokens, multimask: bool
    ) -> DecodedMasks:
        read = conditioned.embedding_bchw[:, :, 0, 0]
        found = super().decode_candidates(conditioned, prompt, multimask)
        rows = (torch.arange(found.mask_logits_bmhw.shape[2]) + 0.5) / found.mask_logits_bmhw.shape[2]
        beside = (rows[None] - (read[:, 1] / read[:, 2])[:, None]).abs() > self.lane
        masks = found.mask_logits_bmhw.masked_fill(beside[:, None, :, None], -10.0)
        scores = found.object_score_logits_b.masked_fill(masks.amax((1, 2, 3)) <= 0, ABSENT)
        return replace(found, mask_logits_bmhw=masks, object_score_logits_b=scores)

    def encode_memory(
        self, image: ImageFeatures, mask_logits_b1hw: Tensor, object_score_logits_b: Tensor, binarize: bool
    ) -> Tensor:
        memory = super().encode_memory(image, mask_logits_b1hw, object_score_logits_b, binarize)
        there = (mask_logits_b1hw > 0).float()
        rows = (torch.arange(there.shape[2]) + 0.5) / there.shape[2]
        seen = (object_score_logits_b > 0) & there.any(3).any(2)[:, 0]
        where = (there.sum(3)[:, 0] * rows).sum(1) / there.sum((1, 2, 3)).clamp(min=1)
        memory[:, 1], memory[:, 2] = (seen * where)[:, None, None], seen.float()[:, None, None]
        return memory
