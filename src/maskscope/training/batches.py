"""Batches by step number: the same step gives the same batch, whoever computes it and whatever was asked before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from maskscope.model.prompt_encoder import BOX_BOTTOM_RIGHT, BOX_TOP_LEFT, POSITIVE
from maskscope.tracking.picture import IMAGE_MEAN, IMAGE_STD
from maskscope.training.clips import Clip
from maskscope.training.prompts import draw_corrected, draw_kind, loose_box, random_click
from maskscope.training.recipe import CLIPS_APART, Phase
from maskscope.training.unroll import Corrections, FirstPrompt


@dataclass(frozen=True)
class Batch:
    """Clips of one shape and the prompt of their first frames.

    Attributes:
        frames_tbhwc: uint8 RGB.
        masks_tbhw: bool.
        prompt: of frame 0.
        times: frame numbers that memory goes by, see `unroll`.
        corrections: clicks that follow, if any.
    """

    frames_tbhwc: Tensor
    masks_tbhw: Tensor
    prompt: FirstPrompt
    times: tuple[int, ...]
    corrections: Corrections | None = None

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        frames, masks = self.frames_tbhwc.to(device), self.masks_tbhw.to(device)
        return replace(self, frames_tbhwc=frames, masks_tbhw=masks, prompt=self.prompt.to(device))

    def images(self) -> Tensor:
        """(t, b, 3, H, W) float32 in channels-last order, normalised."""
        return normalise(self.frames_tbhwc)


def normalise(frames_bhwc: Tensor) -> Tensor:
    """uint8 (..., h, w, 3) -> float32 (..., 3, h, w) without the ImageNet mean and deviation; a permuted view."""
    mean = torch.tensor(IMAGE_MEAN, device=frames_bhwc.device) * 255
    std = torch.tensor(IMAGE_STD, device=frames_bhwc.device) * 255
    return ((frames_bhwc.float() - mean) / std).movedim(-1, -3)


class ClipSource(Protocol):
    """Clips by number: the same number gives the same clip."""

    @property
    def seed(self) -> int:
        """Of everything random."""
        ...

    def sample(self, index: int, n_frames: int, size_hw: tuple[int, int]) -> Clip:
        """Clip number `index`, of `n_frames` frames of `size_hw` pixels."""
        ...


@dataclass(frozen=True)
class GroupBatches(Dataset[Batch]):
    """Batches of one phase by number: `step * groups + group`, the same whichever process asks.

    Args:
        clips: where clips come from.
        phase: their number and shape.
        prompt_weights: of mask, click and box in frame 0.
        correction_clicks: on each corrected frame of a clip that begins with a click or a box; 0 corrects nothing.
    """

    clips: ClipSource
    phase: Phase
    prompt_weights: tuple[float, float, float]
    correction_clicks: int = 0

    def __getitem__(self, number: int) -> Batch:
        step, group = divmod(number, self.phase.groups)
        first = step * CLIPS_APART + group * self.phase.clips
        clips = [self.clips.sample(first + i, self.phase.frames, self.phase.size_hw) for i in range(self.phase.clips)]
        masks = np.stack([clip.masks for clip in clips], axis=1)
        rng = np.random.default_rng([self.clips.seed, first, 1])
        prompt = make_prompt(rng, masks[0], self.prompt_weights)
        frames = np.stack([clip.frames for clip in clips], axis=1)
        times = pretended_times(rng, self.phase.frames)
        corrections = None
        if self.correction_clicks and prompt.mask_bhw is None:
            seed = (self.clips.seed, first, 2)
            corrections = Corrections(draw_corrected(rng, self.phase.frames), self.correction_clicks, seed)
        return Batch(torch.from_numpy(frames), torch.from_numpy(masks), prompt, times, corrections)


def make_prompt(
    rng: np.random.Generator, masks_bhw: NDArray[np.bool_], weights: tuple[float, float, float]
) -> FirstPrompt:
    """One kind of prompt for the whole batch, from the true masks of frame 0."""
    kind = draw_kind(rng, weights)
    if kind == "mask":
        return FirstPrompt(mask_bhw=torch.from_numpy(masks_bhw))
    if kind == "click":
        points = np.stack([random_click(rng, mask)[None] for mask in masks_bhw])
        labels = np.full((len(masks_bhw), 1), POSITIVE)
    else:
        points = np.stack([loose_box(rng, mask) for mask in masks_bhw])
        labels = np.tile([BOX_TOP_LEFT, BOX_BOTTOM_RIGHT], (len(masks_bhw), 1))
    return FirstPrompt(points_bnxy_px=torch.from_numpy(points), labels_bn=torch.from_numpy(labels).long())


def pretended_times(rng: np.random.Generator, n_frames: int) -> tuple[int, ...]:
    """Rising frame numbers: half of the time 0, 1, 2, ..., else the prompt long ago and gaps of up to three frames."""
    if rng.random() < 0.5 or n_frames < 2:
        return tuple(range(n_frames))
    first = int(np.exp(rng.uniform(0, np.log(100))))
    gaps = rng.choice([1, 2, 3], n_frames - 2, p=[0.5, 0.3, 0.2])
    return (0, *(int(t) for t in first + np.concatenate([[0], np.cumsum(gaps)])))


def load_batches(batches: GroupBatches, numbers: Sequence[int], workers: int) -> DataLoader[Batch]:
    """Batches of these numbers in order, made by worker processes."""
    return DataLoader(
        batches,
        batch_size=None,
        sampler=numbers,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_one_thread,
        multiprocessing_context="spawn" if workers else None,  # OpenCV's threads do not survive a fork
    )


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
