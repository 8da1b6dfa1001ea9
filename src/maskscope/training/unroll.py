"""A clip through the model frame by frame, as the tracker would run it, with gradients through memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from maskscope.model.mask_decoder import silence_absent, upsample_logits
from maskscope.model.outputs import ConditionedFeatures, DecodedMasks, ImageFeatures, MemoryTokens
from maskscope.model.sam2 import SAM2
from maskscope.training.prompts import Click, correcting_click

CORRECTION_LOGIT_LIMIT = 32.0
"""A correction starts from the mask before it, its logits clamped to this, as in tracking."""


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


@dataclass(frozen=True)
class Corrections:
    """Clicks that set the masks of a clip right, one after the other.

    Attributes:
        frames: which of the clip's frames are corrected; frame 0 must have been prompted by points.
        clicks: on each of them.
        seed: of where the clicks lie.
    """

    frames: tuple[int, ...]
    clicks: int
    seed: tuple[int, ...]


@dataclass
class ClipMemory:
    """Memories and pointers of the frames seen so far, when they were seen, and which of them were prompted."""

    spatial: list[Tensor] = field(default_factory=list)
    pointers: list[Tensor] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    prompted: set[int] = field(default_factory=lambda: {0})

    def remember(self, time: int, spatial_bkhw: Tensor, pointer_bc: Tensor, *, prompted: bool = False) -> None:
        """Add a frame; times rise. The first is always a prompted one."""
        if prompted:
            self.prompted.add(len(self.times))
        self.spatial.append(spatial_bkhw)
        self.pointers.append(pointer_bc)
        self.times.append(time)

    def tokens(self, model: SAM2, now: int) -> MemoryTokens:
        """What the stock policy reads at time `now`: prompted memories and those of the times just before."""
        memory = model.config.memory
        prompted = sorted(self.prompted)
        tracked = [i for i in range(len(self.times)) if i not in self.prompted]
        recent = [i for i in tracked if now - self.times[i] < memory.num_frames]
        pointed = [i for i in tracked if now - self.times[i] < memory.max_pointers]
        slots = [*[memory.num_frames - 1] * len(prompted), *(now - self.times[i] - 1 for i in recent)]
        distances = [float(now - self.times[i]) for i in (*prompted, *pointed)]
        spatial = torch.stack([self.spatial[i] for i in (*prompted, *recent)], dim=1)
        pointers = torch.stack([self.pointers[i] for i in (*prompted, *pointed)], dim=1)
        batch = len(spatial)
        return model.lay_out_memory(
            spatial, [slots] * batch, pointers, torch.tensor(distances, device=spatial.device).expand(batch, -1)
        )


@dataclass(frozen=True)
class _Answer:
    """What a prompt, or none, was answered with, and the candidate that counts.

    Attributes:
        decoded: candidates before silencing.
        chosen_b1hw: logits of the best one, silenced where absent.
        token_bc: its output token.
    """

    decoded: DecodedMasks
    chosen_b1hw: Tensor
    token_bc: Tensor


def unroll(
    model: SAM2,
    images_tbchw: Tensor,
    prompt: FirstPrompt,
    times: Sequence[int],
    corrections: Corrections | None = None,
    truth_tbhw: Tensor | None = None,
) -> list[list[DecodedMasks]]:
    """Track one object per clip.

    Args:
        images_tbchw: (t, b, 3, H, W) normalised.
        prompt: of frame 0.
        times: rising frame numbers, which decide what memory is read and in which temporal slot. Numbers further apart
            than the frames really are let a short clip train slots and pointer distances that only long ones would.
        corrections: clicks on what is wrong; a corrected frame counts as prompted from then on.
        truth_tbhw: (t, b, H, W) bool; needed for corrections alone.

    Returns:
        Per frame its answers, candidates before silencing: one, and one more after every correction. The last is what
        memory keeps. None at all for frame 0 of a mask prompt, whose output is the mask itself.
    """
    n_frames, batch, _, height, width = images_tbchw.shape
    features = model.encode_image(images_tbchw.flatten(0, 1).contiguous(memory_format=torch.channels_last))
    memory, outputs = ClipMemory(), list[list[DecodedMasks]]()
    for t in range(n_frames):
        rows = slice(t * batch, (t + 1) * batch)
        image = ImageFeatures(features.embedding_bchw[rows], features.fine_bchw[rows], features.middle_bchw[rows])
        if t == 0 and prompt.mask_bhw is not None:
            mask = prompt.mask_bhw[:, None].to(images_tbchw.dtype)
            adopted, pointer = model.adopt_mask(image, mask)
            spatial = model.encode_memory(image, adopted.mask_logits_bmhw, adopted.object_score_logits_b, binarize=True)
            memory.remember(times[t], spatial, pointer)
            outputs.append([])
            continue
        conditioned = model.condition_on_memory(image, memory.tokens(model, times[t]) if t else None)
        first = prompt if t == 0 else FirstPrompt()
        answers = [_answered(model, conditioned, first, None, (height, width))]
        corrected = corrections is not None and t in corrections.frames
        if corrections is not None and corrected:
            assert truth_tbhw is not None, "corrections need the truth"
            answers += _corrected(model, conditioned, first, answers[0], corrections, t, truth_tbhw[t])
        outputs.append([answer.decoded for answer in answers])
        last = answers[-1]
        score = last.decoded.object_score_logits_b
        spatial = model.encode_memory(image, last.chosen_b1hw, score, binarize=t == 0 or corrected)
        memory.remember(times[t], spatial, model.point_to(last.token_bc, score), prompted=t == 0 or corrected)
    return outputs


def _answered(
    model: SAM2,
    conditioned: ConditionedFeatures,
    points: FirstPrompt,
    before_b1hw: Tensor | None,
    size_hw: tuple[int, int],
) -> _Answer:
    batch = len(conditioned.embedding_bchw)
    encoded = model.encode_prompts(
        points.points_bnxy_px, points.labels_bn, before_b1hw, batch=batch, image_size=size_hw
    )
    count = 0 if points.labels_bn is None else points.labels_bn.shape[1]
    decoded = model.decode_candidates(conditioned, encoded, count <= model.config.multimask_max_points)
    best = decoded.predicted_iou_bm.argmax(1)
    index = torch.arange(batch, device=best.device)
    chosen = silence_absent(decoded.mask_logits_bmhw[index, best][:, None], decoded.object_score_logits_b)
    return _Answer(decoded, chosen, decoded.output_tokens_bmc[index, best])


def _corrected(
    model: SAM2,
    conditioned: ConditionedFeatures,
    points: FirstPrompt,
    answer: _Answer,
    corrections: Corrections,
    t: int,
    truth_bhw: Tensor,
) -> list[_Answer]:
    """Answers to one click after the other on what the one before got wrong, each with all clicks so far."""
    rng = np.random.default_rng([*corrections.seed, t])
    truths = truth_bhw.cpu().numpy()
    size_hw, device = (truths.shape[1], truths.shape[2]), truth_bhw.device
    answers: list[_Answer] = []
    for _ in range(corrections.clicks):
        with torch.no_grad():
            found = (upsample_logits(answer.chosen_b1hw.float(), size_hw)[:, 0] > 0).cpu().numpy()
        clicks = [correcting_click(rng, one, truth) for one, truth in zip(found, truths, strict=True)]
        points = _with_clicks(points, clicks, device)
        before = answer.chosen_b1hw.clamp(-CORRECTION_LOGIT_LIMIT, CORRECTION_LOGIT_LIMIT)
        answer = _answered(model, conditioned, points, before, size_hw)
        answers.append(answer)
    return answers


def _with_clicks(points: FirstPrompt, clicks: Sequence[Click], device: torch.device) -> FirstPrompt:
    """The points so far and one more for each clip."""
    places = torch.from_numpy(np.stack([place for place, _ in clicks]))[:, None].to(device)
    labels = torch.tensor([[label] for _, label in clicks], device=device)
    if points.points_bnxy_px is not None and points.labels_bn is not None:
        places = torch.cat((points.points_bnxy_px, places), dim=1)
        labels = torch.cat((points.labels_bn, labels), dim=1)
    return FirstPrompt(points_bnxy_px=places, labels_bn=labels)
