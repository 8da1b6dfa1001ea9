"""Our tracker, driven by the same steps as `transformers_side` and written down in the same words.

After each step it can take over what the other side remembers (`take_over`). Random weights amplify float noise, and
memories at rest are rounded to bfloat16, so that two correct runs left alone drift apart; step by step they must not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from maskscope.model import SAM2
from maskscope.tracking.observer import Observation
from maskscope.tracking.picture import RgbFrame
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.video_tracker import VideoTracker

Stages = dict[str, Tensor]


class OurTracker:
    """Prompts and frames in; out of each, for every object, the stages in the order in which they are computed."""

    def __init__(self, model: SAM2, frames: Sequence[RgbFrame], memory_dtype: torch.dtype = torch.bfloat16) -> None:
        self.seen: list[Observation] = []
        options = SessionOptions(keep_all=True, memory_dtype=memory_dtype)
        self.tracker = VideoTracker(model, frames, options=options, observers=[self.seen.append])
        self.memory_dtype = memory_dtype

    @torch.inference_mode()
    def prompt(self, frame_index: int, prompt: Prompt, remembered_logits_hw: Tensor) -> dict[int, Stages]:
        """One object prompted or corrected on one frame; enters memory at once.

        `remembered_logits_hw`, the other side's, go to memory in place of our own: they are thresholded there, which
        turns float noise around zero into other pixels.
        """
        self.seen.clear()
        result = self.tracker.prompt(frame_index, [prompt])
        pending = self.tracker.session.tracks[prompt.object_id].pending
        masks, prompted = pending[frame_index]
        pending[frame_index] = (replace(masks, mask_logits_hw=remembered_logits_hw), prompted)
        self.tracker.session.commit(self.tracker._features)
        return self._written_down(result)

    def track(self, frame_index: int, reverse: bool = False) -> dict[int, Stages]:
        """All objects tracked on one frame."""
        self.seen.clear()
        return self._written_down(next(iter(self.tracker.propagate(frame_index, reverse=reverse, max_frames=0))))

    def take_over(self, frame_index: int, stages: dict[int, Stages]) -> None:
        """Replace what is remembered of a frame by what the other side remembers of it."""
        for object_id, of_object in stages.items():
            bank = self.tracker.session.tracks[object_id].bank
            memory = bank.get(frame_index)
            assert memory is not None
            bank.write(
                replace(
                    memory,
                    pointer_c=of_object["object_pointer"][0],
                    features_khw=of_object["memory_features"][0],
                    mask_logits_hw=of_object["mask_logits"],
                )
            )

    def _written_down(self, result: FrameResult) -> dict[int, Stages]:
        stages: dict[int, Stages] = {i: {} for i in result.objects}
        for seen in self.seen:
            for row, object_id in enumerate(seen.object_ids or result.object_ids):
                row = min(row, len(seen.output) - 1)  # the image is shared
                stages[object_id][seen.stage] = seen.output[row : row + 1]
        for video_logits, (object_id, masks) in zip(result.mask_logits_nhw, result.objects.items(), strict=True):
            of_object = stages[object_id]
            of_object["candidate_logits"] = masks.candidate_logits_mhw
            of_object["predicted_iou"] = masks.candidate_iou_m
            of_object["video_logits"] = video_logits
            of_object["mask_logits"] = masks.mask_logits_hw
            of_object["object_score"] = torch.tensor([masks.object_score_logit])
            of_object["object_pointer"] = masks.pointer_c[None]
            if "memory_features" in of_object:
                of_object["memory_features"] = of_object["memory_features"].to(self.memory_dtype)
        return stages
