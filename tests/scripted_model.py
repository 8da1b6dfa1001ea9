"""A stand-in for the model whose every answer is written down: quick, and hand-made cases have known answers.

Frames are plain pictures that carry their number as colour; the script says what the decoder finds on each. Optionally
answers also depend on what was read from memory, so that a policy that reads something else is noticed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from maskscope.model.config import MemoryConfig, SAM2Config
from maskscope.model.outputs import ConditionedFeatures, DecodedMasks, ImageFeatures, MemoryTokens, PromptTokens
from maskscope.tracking.picture import IMAGE_MEAN, IMAGE_STD

SIZE, GRID, CHANNELS, KEPT = 64, 4, 8, 4  # pixels of a frame, cells of its embedding, channels of it and of memories
MASK_SIZE = SIZE // 4
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels of the mask


@dataclass(frozen=True)
class Shown:
    """What the model says of a frame.

    Attributes:
        boxes: of the three candidates.
        ious: predicted, 0..1.
        score: object score logit.
        scene: colour of the whole embedding, one number for each channel.
        things: boxes with the colour of the embedding there, later ones in front.
    """

    boxes: tuple[Box, Box, Box] = ((4, 4, 8, 8), (4, 4, 7, 8), (4, 4, 8, 7))
    ious: tuple[float, float, float] = (0.9, 0.6, 0.5)
    score: float = 5.0
    scene: tuple[float, ...] = (0.0,) * CHANNELS
    things: tuple[tuple[Box, tuple[float, ...]], ...] = ()


def scene(seed: int, flicker: int | None = None, amount: float = 0.02) -> tuple[float, ...]:
    """A colour of its own for each seed; with `flicker`, a little off in a way of its own."""
    colour = [math.sin(1.7 * (seed + 1) * (channel + 1)) for channel in range(CHANNELS)]
    if flicker is not None:
        colour = [c + amount * math.sin(12.9898 * flicker + 78.233 * channel) for channel, c in enumerate(colour)]
    return tuple(colour)


def frame(number: int) -> npt.NDArray[np.uint8]:
    """The picture of a number below 65536."""
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    picture[..., 0], picture[..., 1] = number % 256, number // 256
    return picture


class Frames(Sequence[npt.NDArray[np.uint8]]):
    """A video of numbered frames."""

    def __init__(self, length: int, first: int = 0) -> None:
        self.length, self.first = length, first

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # slices are not needed
        return frame(self.first + index)


def box_mask(box: Box, size: int = SIZE) -> npt.NDArray[np.bool_]:
    """A box of the mask's pixels as a mask of the frame's size."""
    left, top, right, bottom = (side * size // MASK_SIZE for side in box)
    mask = np.zeros((size, size), bool)
    mask[top:bottom, left:right] = True
    return mask


@lru_cache(maxsize=1024)
def _embedding(shown: Shown) -> Tensor:
    """(CHANNELS, GRID, GRID)."""
    embedding = torch.tensor(shown.scene)[:, None, None].repeat(1, GRID, GRID)
    for (left, top, right, bottom), colour in shown.things:
        rows = slice(top * GRID // MASK_SIZE, -(-bottom * GRID // MASK_SIZE))
        columns = slice(left * GRID // MASK_SIZE, -(-right * GRID // MASK_SIZE))
        embedding[:, rows, columns] = torch.tensor(colour)[:, None, None]
    return embedding


@lru_cache(maxsize=1024)
def _masks(shown: Shown) -> Tensor:
    """(3, MASK_SIZE, MASK_SIZE) logits."""
    masks = torch.full((3, MASK_SIZE, MASK_SIZE), -8.0)
    for mask, (left, top, right, bottom) in zip(masks, shown.boxes, strict=True):
        mask[top:bottom, left:right] = 8.0
    return masks


@dataclass
class ScriptedModel:
    """Answers as `SAM2` does, from a script.

    Attributes:
        script: what is found on frame n.
        reads_matter: scores and predicted IoU depend a little on what was read.
    """

    script: Callable[[int], Shown] = field(default=lambda _: Shown())
    reads_matter: bool = False
    config: SAM2Config = field(
        default_factory=lambda: SAM2Config(image_size=(SIZE, SIZE), dim=CHANNELS, memory=MemoryConfig(dim=KEPT))
    )
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    fine_dtype: torch.dtype = torch.float32

    def encode_image(self, images_fchw: Tensor) -> ImageFeatures:
        red, green = (float(images_fchw[0, i, 0, 0]) * IMAGE_STD[i] + IMAGE_MEAN[i] for i in (0, 1))
        number = round(red * 255) + 256 * round(green * 255)
        shown = self.script(number)
        embedding = _embedding(shown)
        return ImageFeatures(embedding[None], torch.full((1, 1, 1, 1), float(number)), torch.zeros(1, 1, 1, 1))

    def encode_prompts(self, points, labels, masks, *, batch, image_size=None):  # type: ignore[no-untyped-def]
        return PromptTokens(torch.zeros(batch, 1, CHANNELS), torch.zeros(batch, 1, 1, 1))

    def condition_on_memory(self, image: ImageFeatures, memory: MemoryTokens | None) -> ConditionedFeatures:
        read = torch.zeros(len(image.fine_bchw), KEPT)
        if memory is not None:
            read = (memory.values_bnk + memory.positions_bnk).mean(1)
        return ConditionedFeatures(read[:, :, None, None], image)

    def decode_candidates(
        self, conditioned: ConditionedFeatures, prompt: PromptTokens, multimask: bool
    ) -> DecodedMasks:
        shown = self.script(int(conditioned.image.fine_bchw[0]))
        batch = len(conditioned.embedding_bchw)
        masks = _masks(shown)
        read = conditioned.embedding_bchw.flatten(1).sum(1, keepdim=True) * self.reads_matter
        ious = (torch.tensor(shown.ious).expand(batch, 3) + 0.01 * read.sin()).clamp(0, 1)
        scores = shown.score + 0.01 * read[:, 0].cos()
        count = 3 if multimask else 1
        tokens = torch.arange(3.0)[None, :, None] + read.sin()[:, :, None] + torch.zeros(batch, 3, CHANNELS)
        return DecodedMasks(
            masks[None, :count].repeat(batch, 1, 1, 1),
            ious[:, :count],
            scores,
            tokens[:, :count],
            conditioned.embedding_bchw,
            conditioned.embedding_bchw,
        )

    def point_to(self, token_bc: Tensor, object_score_logits_b: Tensor) -> Tensor:
        return torch.where(object_score_logits_b[:, None] > 0, token_bc, torch.full_like(token_bc, -1.0))

    def adopt_mask(self, image: ImageFeatures, mask_b1hw: Tensor) -> tuple[DecodedMasks, Tensor]:
        batch = len(mask_b1hw)
        logits = F.avg_pool2d(mask_b1hw.float(), 4) * 20 - 10
        area = mask_b1hw.float().mean((1, 2, 3))
        ones = torch.ones(batch, 1)
        decoded = DecodedMasks(logits, ones, 10 * ones[:, 0], torch.zeros(batch, 1, CHANNELS), logits, logits)
        return decoded, area[:, None].repeat(1, CHANNELS)

    def encode_memory(
        self, image: ImageFeatures, mask_logits_b1hw: Tensor, object_score_logits_b: Tensor, binarize: bool
    ) -> Tensor:
        area = (mask_logits_b1hw > 0).float().mean((1, 2, 3))
        number = image.fine_bchw.flatten()[0]
        return (area + number.sin() + (object_score_logits_b > 0))[:, None, None, None].repeat(1, KEPT, GRID, GRID)

    def lay_out_memory(self, spatial_bskhw, slots_bs, pointers_bpc, distances_bp, max_pointers=None):  # type: ignore[no-untyped-def]
        age = torch.tensor(slots_bs, dtype=torch.float32) + 1
        read = (spatial_bskhw.float().mean((2, 3, 4)) * age.sqrt()).sum(1)
        read = read + (pointers_bpc.mean(2) * distances_bp.cos()).sum(1)
        tokens = spatial_bskhw.shape[1] * GRID * GRID + pointers_bpc.shape[1] * CHANNELS // KEPT
        values = read[:, None, None].repeat(1, tokens, KEPT)
        return MemoryTokens(values, torch.zeros_like(values), pointers_bpc.shape[1] * CHANNELS // KEPT)
