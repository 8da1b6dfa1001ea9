"""What `maskscope label-next` looks through: a video with a first label, or the clips of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskscope.data.dataset import AnnotatedSequence
from maskscope.data.label_maps import object_labels
from maskscope.data.video import open_video
from maskscope.errors import DatasetError, VideoError
from maskscope.studies.labelled_folder import open_labelled
from maskscope.studies.signs import Prompts
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.video_tracker import FrameSequence


@dataclass(frozen=True)
class PartlyLabelled:
    """A clip and what is known of it.

    Attributes:
        name: what tables call it.
        frames: by number.
        prompts: what was said of objects, by frame.
        labelled: frames that need no label.
    """

    name: str
    frames: FrameSequence
    prompts: Prompts
    labelled: tuple[int, ...]

    @property
    def num_frames(self) -> int:
        """How many frames."""
        return len(self.frames)


def clip_of_video(
    source: str, frame: int, prompts_for: Callable[[tuple[int, int]], Sequence[Prompt]]
) -> PartlyLabelled:
    """A video with prompts on one frame.

    Args:
        source: what `open_video` takes.
        frame: the prompted one.
        prompts_for: makes the prompts for a video of (height, width) pixels.

    Raises:
        VideoError: it cannot be read, is live, or has no such frame.
        PromptError: prompts that cannot mean an object.
    """
    video = open_video(source)
    count = len(video)
    if not 0 <= frame < count:
        raise VideoError(f"frame {frame} is not in {video.name}", f"it has {count} frames, 0 to {count - 1}")
    prompts = list(prompts_for((video.height, video.width)))
    for prompt in prompts:
        prompt.check(video.height, video.width)
    return PartlyLabelled(Path(video.name).name, video, {frame: prompts}, (frame,))


def clips_of_dataset(root: Path) -> list[PartlyLabelled]:
    """All clips of a data set that have a frame without a mask, with their masks as prompts.

    Raises:
        DatasetError: not a data set, damaged, or labelled throughout.
    """
    clips = [labelled_on(sequence, sequence.annotated_frames) for sequence in open_labelled(root)]
    clips = [clip for clip in clips if len(clip.labelled) < clip.num_frames]
    if not clips:
        raise DatasetError(f"every frame of {root} is labelled", "give clips with frames that are not")
    return clips


def labelled_on(sequence: AnnotatedSequence, frames: Iterable[int]) -> PartlyLabelled:
    """A clip of which only these frames' masks are known.

    Raises:
        DatasetError: none of them shows an object.
    """
    labels = {number: sequence.masks(number) for number in frames}
    prompts = {
        number: [Prompt(i, mask=map_hw == i) for i in object_labels(map_hw)]
        for number, map_hw in labels.items()
        if map_hw is not None and object_labels(map_hw)
    }
    if not prompts:
        raise DatasetError(f"no mask of {sequence.name} shows an object", "label one on any frame")
    return PartlyLabelled(sequence.name, SequenceFrames(sequence), prompts, tuple(labels))


@dataclass(frozen=True)
class SequenceFrames:
    """The frames of an annotated sequence by number."""

    sequence: AnnotatedSequence

    def __len__(self) -> int:
        return self.sequence.num_frames

    def __getitem__(self, index: int, /) -> NDArray[np.uint8]:
        return self.sequence.frame(index)
