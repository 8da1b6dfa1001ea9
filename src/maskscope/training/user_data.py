"""Somebody's own labelled clips as training data: few frames, any layout, labels on some frames or all."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.data.dataset import AnnotatedSequence
from maskscope.data.label_maps import VOID_LABEL
from maskscope.tracking.picture import SIDE_MULTIPLE
from maskscope.training.batches import ClipSource
from maskscope.training.checks import check_clip
from maskscope.training.clips import Clip
from maskscope.training.corpus import Corpus
from maskscope.training.store import Pixels, open_store, write_store

ROOM_TO_CROP = 1.5
"""Pixels kept of a frame over those that training shows of it; crops come from the surplus."""


@dataclass(frozen=True)
class LabelledClip:
    """Some labelled frames of one clip.

    Attributes:
        sequence: the clip.
        frames: their numbers, ascending.
    """

    sequence: AnnotatedSequence
    frames: tuple[int, ...]

    @property
    def name(self) -> str:
        """The clip's."""
        return self.sequence.name

    def labels(self, frame: int) -> NDArray[np.uint8]:
        """Label map of one of its frames, `(H, W)` uint8."""
        labels = self.sequence.masks(frame)
        assert labels is not None, "a labelled frame without labels"
        return labels


def labelled_corpus(clips: Sequence[LabelledClip], folder: Path, shown_px: int) -> Corpus:
    """Decode clips into a folder; what is between their labelled frames is left out.

    Args:
        clips: of any sizes.
        folder: for the decoded data.
        shown_px: pixels of a frame in training; larger pictures are reduced to a little more.

    Raises:
        DatasetError: a clip that cannot be trained on, see `check_clip`.
        OutputError: no room for the decoded data.
    """
    write_store(folder, _decoded(clips, round(ROOM_TO_CROP * shown_px)))
    videos = tuple(f"video/{clip.name}" for clip in clips)
    return Corpus(open_store(folder), videos, objects=(), regions=(), cutouts=(), backgrounds=())


def digest(corpus: Corpus) -> str:
    """Equal for equal pictures and labels."""
    return hashlib.sha256(corpus.store.flat.tobytes()).hexdigest()[:16]


def _decoded(clips: Sequence[LabelledClip], most_px: int) -> Iterator[tuple[str, Pixels]]:
    for clip in clips:
        frames = [reduced(clip.sequence.frame(number), most_px, cv2.INTER_AREA) for number in clip.frames]
        labels = [reduced(clip.labels(number), most_px, cv2.INTER_NEAREST_EXACT) for number in clip.frames]
        for labels_hw in labels:
            labels_hw[labels_hw == VOID_LABEL] = 0
        check_clip(clip.name, frames, labels, least=1)
        yield f"video/{clip.name}/frames", np.stack(frames)
        yield f"video/{clip.name}/masks", np.stack(labels)


def reduced(picture: Pixels, most_px: int, how: int) -> Pixels:
    """A copy of (h, w) or (h, w, c), made smaller where it has more than `most_px` pixels.

    Args:
        how: OpenCV's interpolation.
    """
    height, width = picture.shape[:2]
    factor = math.sqrt(most_px / (height * width))
    if factor >= 1:
        return picture.copy()
    size = max(1, round(factor * width)), max(1, round(factor * height))
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)


def shape_of(height: int, width: int, seen: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a video's shape at the area of a model's input.

    Args:
        seen: height and width of the input; returned where they differ from the shape by rounding alone.
    """
    factor = (seen[0] * seen[1] / (height * width)) ** 0.5
    shape = round(factor * height), round(factor * width)
    return seen if max(abs(shape[0] - seen[0]), abs(shape[1] - seen[1])) <= SIDE_MULTIPLE else shape


@dataclass(frozen=True)
class StretchedClips:
    """Clips in the shape of the user's frames, then stretched to a model's input as tracking stretches frames.

    Attributes:
        clips: where they come from.
        shape_hw: height and width in pixels before stretching.
    """

    clips: ClipSource
    shape_hw: tuple[int, int]

    @property
    def seed(self) -> int:
        """Of everything random."""
        return self.clips.seed

    def sample(self, index: int, n_frames: int, size_hw: tuple[int, int]) -> Clip:
        """Clip number `index`."""
        clip = self.clips.sample(index, n_frames, self.shape_hw)
        if self.shape_hw == size_hw:
            return clip
        size = size_hw[1], size_hw[0]
        frames = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in clip.frames]
        masks = [cv2.resize(m.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT) for m in clip.masks]
        return Clip(np.asarray(np.stack(frames), np.uint8), np.stack(masks) > 0, clip.kind)
