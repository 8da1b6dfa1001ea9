"""Segment one image: the same parts without memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from maskscope.errors import PromptError
from maskscope.model import SAM2
from maskscope.model.mask_decoder import upsample_logits
from maskscope.model.outputs import ConditionedFeatures
from maskscope.tracking.picture import IMAGE_MEAN, IMAGE_STD, RgbFrame, check_frame, input_size
from maskscope.tracking.prompts import ClickSet, Prompt
from maskscope.tracking.session import CORRECTION_LOGIT_LIMIT


@dataclass(frozen=True, slots=True, eq=False)
class ImageMasks:
    """Masks of one prompted object.

    Attributes:
        masks: (m, H, W) bool at the image's size; m is 3, or 1 without `multimask`.
        predicted_iou: (m,) in 0..1.
        low_res_logits: (m, 4h, 4w), which a correction can start from.
        object_score_logit: above 0 means that the model sees an object; images ignore it otherwise.
    """

    masks: npt.NDArray[np.bool_]
    predicted_iou: npt.NDArray[np.float32]
    low_res_logits: Tensor
    object_score_logit: float

    @property
    def best(self) -> npt.NDArray[np.bool_]:
        """(H, W) bool, the candidate of highest predicted IoU."""
        mask: npt.NDArray[np.bool_] = self.masks[int(self.predicted_iou.argmax())]
        return mask


class ImagePredictor:
    """Encode an image once, then ask for objects in it. Source: facebookresearch/sam2 `sam2_image_predictor.py`."""

    def __init__(self, model: SAM2) -> None:
        self.model = model
        self._features: ConditionedFeatures | None = None
        self._size = (0, 0)
        self._input = (0, 0)

    @torch.inference_mode()
    def set_image(self, image_rgb: RgbFrame) -> None:
        """Encode (H, W, 3) uint8. Resized bilinearly with anti-aliasing, as the reference does for images."""
        check_frame(image_rgb)
        model = self.model
        self._size = (image_rgb.shape[0], image_rgb.shape[1])
        self._input = input_size(model.config, *self._size)
        pixels = (
            torch.from_numpy(np.array(image_rgb)).to(model.device).permute(2, 0, 1)[None].to(model.fine_dtype) / 255
        )
        pixels = F.interpolate(pixels, size=self._input, mode="bilinear", align_corners=False, antialias=True)
        mean, std = (pixels.new_tensor(v)[:, None, None] for v in (IMAGE_MEAN, IMAGE_STD))
        self._features = model.condition_on_memory(model.encode_image((pixels - mean) / std), None)

    @torch.inference_mode()
    def predict(
        self,
        points_xy_px: Sequence[tuple[float, float]] = (),
        labels: Sequence[int] = (),
        box_xyxy_px: tuple[float, float, float, float] | None = None,
        *,
        start_logits: Tensor | None = None,
        multimask: bool = True,
    ) -> ImageMasks:
        """Masks of the object that points and/or a box mean.

        Args:
            points_xy_px: x and y in pixels of the image.
            labels: 1 positive, 0 negative; empty means all positive.
            box_xyxy_px: left, top, right, bottom.
            start_logits: (4h, 4w) low-resolution logits of an earlier answer, to correct it.
            multimask: three candidates instead of one; advisable for a single click.

        Raises:
            PromptError: no image yet, or a prompt outside of it.
        """
        if self._features is None:
            raise PromptError("there is no image", "call set_image first")
        prompt = Prompt(0, points_xy_px, labels, box_xyxy_px)
        prompt.check(*self._size)
        clicks = ClickSet.of(prompt, None)
        scale = torch.tensor((self._input[1] / self._size[1], self._input[0] / self._size[0]))
        tokens = self.model.encode_prompts(
            (torch.from_numpy(clicks.points_nxy_px) * scale)[None].to(self.model.device, self.model.fine_dtype),
            torch.from_numpy(clicks.labels_n)[None].to(self.model.device),
            None if start_logits is None else start_logits[None, None].to(self.model.device, self.model.fine_dtype),
            batch=1,
            image_size=self._input,
        )
        decoded = self.model.decode_candidates(self._features, tokens, multimask)
        masks = upsample_logits(decoded.mask_logits_bmhw, self._size)[0] > 0
        return ImageMasks(
            masks=masks.cpu().numpy(),
            predicted_iou=decoded.predicted_iou_bm[0].float().cpu().numpy(),
            low_res_logits=decoded.mask_logits_bmhw[0].clamp(-CORRECTION_LOGIT_LIMIT, CORRECTION_LOGIT_LIMIT),
            object_score_logit=float(decoded.object_score_logits_b[0]),
        )
