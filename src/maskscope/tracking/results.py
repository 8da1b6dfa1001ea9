"""What the tracker says of a frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from maskscope.model.mask_decoder import upsample_logits

OVERLAPPED_LOGIT = -10.0  # of a pixel that another object claims more strongly


@dataclass(frozen=True, slots=True, eq=False)
class ObjectMasks:
    """One object on one frame.

    Attributes:
        mask_logits_hw: (4h, 4w) chosen mask at a quarter of the model's input.
        predicted_iou: of the chosen mask, 0..1.
        object_score_logit: above 0 is visible.
        candidate_logits_mhw: (m, 4h, 4w) all masks the decoder proposed.
        candidate_iou_m: (m,) their predicted IoU.
        chosen: index of the chosen one.
        pointer_c: (c,) object pointer.
    """

    mask_logits_hw: Tensor
    predicted_iou: float
    object_score_logit: float
    candidate_logits_mhw: Tensor
    candidate_iou_m: Tensor
    chosen: int
    pointer_c: Tensor

    @property
    def chosen_logits_hw(self) -> Tensor:
        """(4h, 4w) the chosen candidate as decoded; `mask_logits_hw` may have its holes filled."""
        return self.candidate_logits_mhw[self.chosen]


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """All objects on one frame, in the order in which they were first prompted.

    Attributes:
        frame_index: position in the video.
        objects: by object id.
        video_size: (H, W) in pixels.
        non_overlapping: a pixel belongs to at most one object.
    """

    frame_index: int
    objects: dict[int, ObjectMasks]
    video_size: tuple[int, int]
    non_overlapping: bool = False

    def updated(self, said: FrameResult) -> FrameResult:
        """This result with what was just said of some of its objects, which has all their candidates."""
        return replace(self, objects={**self.objects, **said.objects})

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Ids, in the order of every array of this result."""
        return tuple(self.objects)

    @property
    def mask_logits_nhw(self) -> Tensor:
        """(n, H, W) logits at the video's size."""
        if not self.objects:
            return torch.zeros(0, *self.video_size)
        low = torch.stack([masks.mask_logits_hw for masks in self.objects.values()])
        logits = upsample_logits(low[:, None], self.video_size)[:, 0]
        return keep_strongest(logits) if self.non_overlapping else logits

    @property
    def masks(self) -> npt.NDArray[np.bool_]:
        """(n, H, W) bool at the video's size."""
        return (self.mask_logits_nhw > 0).cpu().numpy()

    @property
    def object_score_logits(self) -> npt.NDArray[np.float64]:
        """(n,), above 0 is visible."""
        return np.array([masks.object_score_logit for masks in self.objects.values()])

    @property
    def predicted_iou(self) -> npt.NDArray[np.float64]:
        """(n,) in 0..1."""
        return np.array([masks.predicted_iou for masks in self.objects.values()])


def keep_strongest(logits_nhw: Tensor) -> Tensor:
    """Each pixel stays with the object of highest logit; the others fall to at most `OVERLAPPED_LOGIT`."""
    if len(logits_nhw) < 2:
        return logits_nhw
    winner = logits_nhw.argmax(0, keepdim=True)
    ids = torch.arange(len(logits_nhw), device=logits_nhw.device)[:, None, None]
    return torch.where(winner == ids, logits_nhw, logits_nhw.clamp(max=OVERLAPPED_LOGIT))
