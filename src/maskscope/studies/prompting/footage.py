"""One object of one clip with its truth, and the image features of its frames, which all trials share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from maskscope.data.label_maps import VOID_LABEL
from maskscope.errors import DatasetError
from maskscope.model import SAM2
from maskscope.model.outputs import ImageFeatures
from maskscope.studies.clip_identity import clip_digest
from maskscope.studies.jobs import Tick
from maskscope.studies.looked_at import LookedAt, look_at
from maskscope.studies.own_masks import SelfLabelled, own_masks
from maskscope.studies.stress_clip import ModelSpec
from maskscope.tracking.picture import input_size, mask_tensor, model_input
from maskscope.tracking.prompts import Prompt

Mask = NDArray[np.bool_]

CACHE_BYTES: Final = 1 << 30
"""Features of the first so many bytes of frames are kept; of frames beyond they are made anew."""
ANNOTATED, OWN_RUN = "annotated", "own run"


@dataclass(frozen=True, eq=False)
class FootageSpec:
    """Which object of which clip; what other processes open it by.

    Attributes:
        source: video file, folder of images, or data set.
        masks: folder of true masks of a video.
        sequence: of a data set.
        start: number of the frame on which the object is given.
        max_frames: at most so many are taken; None for all.
        object_id: in the masks.
        content: hash of frames and masks.
        prompt: gives the object where the clip has no masks; what the model then follows stands in for them.
    """

    source: str
    masks: Path | None
    sequence: str | None
    start: int
    max_frames: int | None
    object_id: int
    content: str
    prompt: Prompt | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides frames and truth, as JSON values."""
        prompt = self.prompt
        spoken = None
        if prompt is not None:
            mask = None if prompt.mask is None else hashlib.sha256(np.packbits(prompt.mask != 0).data).hexdigest()
            spoken = {"points": prompt.points_xy_px, "labels": prompt.labels, "box": prompt.box_xyxy_px, "mask": mask}
        return {
            "content": self.content,
            "start": self.start,
            "max_frames": self.max_frames,
            "object": self.object_id,
            "prompt": spoken,
        }

    def look(self) -> LookedAt:
        """The clip."""
        return look_at(
            self.source, masks=self.masks, sequence=self.sequence, start=self.start, max_frames=self.max_frames
        )

    def open(self, model: ModelSpec, policy: str, tick: Tick) -> Footage:
        """The object with its truth; the last one that was opened in this process is at hand, with its features.

        Raises:
            PromptError: of a clip without masks, the model sees the object on no frame behind the first.
        """
        key = (repr(self.identity), self.source, self.sequence, model, policy)
        if key not in _opened:
            _opened.clear()
            clip = self.look()
            own = None
            if self.prompt is not None:
                own = SelfLabelled(clip)
                for _ in own_masks(model.load(), clip, [self.prompt], policy, own):
                    tick()
            _opened[key] = Footage(clip, self.object_id, model.load(), own)
        return _opened[key]


_opened: dict[tuple[Any, ...], Footage] = {}


def content_digest(clip: LookedAt) -> str:
    """SHA-256 in hexadecimal over the frames and masks of a stretch."""
    sequence: Any = clip.source
    if clip.annotated and hasattr(sequence, "object_masks"):
        return clip_digest(sequence)
    digest = hashlib.sha256()
    for t in range(clip.num_frames):
        digest.update(np.ascontiguousarray(clip.frame(t)).data)
        if clip.annotated:
            digest.update(np.ascontiguousarray(clip.masks(t)).data)
    return digest.hexdigest()


@dataclass(eq=False)
class Footage:
    """One object of a clip, whose frames are counted from 0.

    Args:
        clip: the frames.
        object_id: in the label maps.
        model: whose features are kept.
        own: label maps of the model's own run, where the clip has none.
    """

    clip: LookedAt
    object_id: int
    model: SAM2
    own: SelfLabelled | None = None
    _kept: dict[int, ImageFeatures] = field(default_factory=dict)
    _kept_bytes: int = 0
    _latest: tuple[int, ImageFeatures] | None = None

    @property
    def name(self) -> str:
        """The clip's."""
        return self.clip.name

    @property
    def num_frames(self) -> int:
        """How many."""
        return self.clip.num_frames

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.clip.size

    @cached_property
    def input_size(self) -> tuple[int, int]:
        """(height, width) of the model's input."""
        return input_size(self.model.config, *self.size)

    def labels(self, t: int) -> NDArray[np.uint8]:
        """(H, W) uint8: 0 background, objects from 1, 255 void."""
        return self.clip.masks(t) if self.own is None else self.own.masks(t)

    def truth(self, t: int) -> Mask:
        """(H, W) bool, empty where the object is not seen."""
        return np.asarray(self.labels(t) == self.object_id)

    def known(self, t: int) -> Mask | None:
        """(H, W) bool, False at void pixels; None where there is none."""
        void = self.labels(t) == VOID_LABEL
        return ~void if void.any() else None

    def can_be_prompted(self, t: int) -> bool:
        """Whether the object is seen, and is large enough to be something at the model's input."""
        mask = self.truth(t)
        return bool(mask_tensor(mask, self.input_size, torch.device("cpu"), torch.float32).any())

    def check(self) -> None:
        """Raise `DatasetError` unless there is an object to prompt on the first frame."""
        if not self.truth(0).any():
            raise DatasetError(
                f"object {self.object_id} of {self.name} is not seen on frame {self.clip.start}",
                "give another clip, or begin on a frame that shows it with --frame",
            )
        if not self.can_be_prompted(0):
            height, width = self.input_size
            pixels = int(self.truth(0).sum())
            raise DatasetError(
                f"object {self.object_id} of {self.name} has {pixels} pixels and is nothing at the model's input of "
                f"{width} x {height}",
                "begin on a frame that shows it larger with --frame, or raise --image-size",
            )

    @torch.inference_mode()
    def features(self, t: int) -> ImageFeatures:
        """Image features of a frame."""
        if t in self._kept:
            return self._kept[t]
        if self._latest is not None and self._latest[0] == t:
            return self._latest[1]
        pixels = model_input(self.clip.frame(t), self.input_size, self.model)
        made = self.model.encode_image(pixels)
        size = sum(x.nbytes for x in (made.embedding_bchw, made.fine_bchw, made.middle_bchw))
        if self._kept_bytes + size <= CACHE_BYTES:
            self._kept[t], self._kept_bytes = made, self._kept_bytes + size
        else:
            self._latest = (t, made)
        return made
