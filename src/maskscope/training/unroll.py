"""A clip through the model frame by frame, as the tracker would run it, with gradients through memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from maskscope.model.mask_decoder import silence_absent
from maskscope.model.outputs import DecodedMasks, ImageFeatures, MemoryTokens
from maskscope.model.sam2 import SAM2


@dataclass(frozen=True)
class FirstPrompt:
    """What is known of the target in frame 0: either its mask, or points of which a box is two.

    Attributes:
        mask_bhw: (b, H, W) bool, or None.
        points_bnxy_px: (b, n, 2), or None.
        labels_bn: (b, n), or None; see `maskscope.model.prompt_encoder`.
    """

    mask_bhw: Tensor | None = None
    points_bnxy_px: Tensor | None = None
    labels_bn: Tensor | None = None

    def to(self, device: torch.device) -> FirstPrompt:
        """The same on a device."""
        parts = (self.mask_bhw, self.points_bnxy_px, self.labels_bn)
        return FirstPrompt(*(None if part is None else part.to(device) for part in parts))


@dataclass
class ClipMemory:
    """Memories and pointers of the frames seen so far, and when they were seen; the first is the prompted one."""

    spatial: list[Tensor] = field(default_factory=list)
    pointers: list[Tensor] = field(default_factory=list)
    times: list[int] = field(default_factory=list)

    def remember(self, time: int, spatial_bkhw: Tensor, pointer_bc: Tensor) -> None:
        """Add a frame; times rise."""
        self.spatial.append(spatial_bkhw)
        self.pointers.append(pointer_bc)
        self.times.append(time)

    def tokens(self, model: SAM2, now: int) -> MemoryTokens:
        """What the stock policy reads at time `now`: the prompted memory and those of the times just before."""
        memory = model.config.memory
        recent = [i for i, t in enumerate(self.times) if i and now - t < memory.num_frames]
        pointed = [i for i, t in enumerate(self.times) if i and now - t < memory.max_pointers]
        slots = [memory.num_frames - 1, *(now - self.times[i] - 1 for i in recent)]
        distances = [float(now - self.times[i]) for i in (0, *pointed)]
        spatial = torch.stack([self.spatial[i] for i in (0, *recent)], dim=1)
        pointers = torch.stack([self.pointers[i] for i in (0, *pointed)], dim=1)
        batch = len(spatial)
        return model.lay_out_memory(
            spatial, [slots] * batch, pointers, torch.tensor(distances, device=spatial.device).expand(batch, -1)
        )


def unroll(model: SAM2, images_tbchw: Tensor, prompt: FirstPrompt, times: Sequence[int]) -> list[DecodedMasks | None]:
    """Track one object per clip.

    Args:
        images_tbchw: (t, b, 3, H, W) normalised.
        prompt: of frame 0.
        times: rising frame numbers, which decide what memory is read and in which temporal slot. Numbers further apart
            than the frames really are let a short clip train slots and pointer distances that only long ones would.

    Returns:
        Per frame the candidates before silencing; None for frame 0 of a mask prompt, whose output is the mask itself.
    """
    n_frames, batch, _, height, width = images_tbchw.shape
    features = model.encode_image(images_tbchw.flatten(0, 1).contiguous(memory_format=torch.channels_last))
    memory, outputs = ClipMemory(), list[DecodedMasks | None]()
    for t in range(n_frames):
        rows = slice(t * batch, (t + 1) * batch)
        image = ImageFeatures(features.embedding_bchw[rows], features.fine_bchw[rows], features.middle_bchw[rows])
        if t == 0 and prompt.mask_bhw is not None:
            mask = prompt.mask_bhw[:, None].to(images_tbchw.dtype)
            adopted, pointer = model.adopt_mask(image, mask)
            spatial = model.encode_memory(image, adopted.mask_logits_bmhw, adopted.object_score_logits_b, binarize=True)
            memory.remember(times[t], spatial, pointer)
            outputs.append(None)
            continue
        conditioned = model.condition_on_memory(image, memory.tokens(model, times[t]) if t else None)
        points, labels = (prompt.points_bnxy_px, prompt.labels_bn) if t == 0 else (None, None)
        encoded = model.encode_prompts(points, labels, None, batch=batch, image_size=(height, width))
        count = 0 if labels is None else labels.shape[1]
        decoded = model.decode_candidates(conditioned, encoded, count <= model.config.multimask_max_points)
        outputs.append(decoded)
        best = decoded.predicted_iou_bm.argmax(1)
        index = torch.arange(batch, device=best.device)
        score = decoded.object_score_logits_b
        chosen = silence_absent(decoded.mask_logits_bmhw[index, best][:, None], score)
        pointer = model.point_to(decoded.output_tokens_bmc[index, best], score)
        memory.remember(times[t], model.encode_memory(image, chosen, score, binarize=t == 0), pointer)
    return outputs
