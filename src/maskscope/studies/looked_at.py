"""The clip an observation looks at: a stretch of frames that begins where the object is given, with masks if known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.data.folders import files_by_stem
from maskscope.data.label_maps import object_labels
from maskscope.data.picture import IMAGE_SUFFIXES
from maskscope.data.source import VideoSource
from maskscope.data.video import open_video
from maskscope.errors import DatasetError, PromptError, SettingError, VideoError
from maskscope.studies.clip_input import open_clips
from maskscope.tracking.prompts import POSITIVE, Prompt
from maskscope.transforms.base import ClipFrame, LabelledSequence

MAX_OBJECT_ID = 254  # of a label map; 255 is void


@dataclass(frozen=True, eq=False)
class LookedAt:
    """A stretch of a clip; its frames are counted from 0, whatever their numbers in the source.

    Attributes:
        name: what tables call it.
        num_frames: of the stretch.
        size: (height, width) in pixels.
        fps: frames a second; None where the source does not say.
        start: number of its first frame in the source.
        source_frames: how many the source has.
        annotated: every frame has its true masks.
        source: where frames and masks come from.
    """

    name: str
    num_frames: int
    size: tuple[int, int]
    fps: float | None
    start: int
    source_frames: int
    annotated: bool
    source: VideoSource | LabelledSequence

    def frame(self, index: int) -> NDArray[np.uint8]:
        """(h, w, 3) uint8 RGB."""
        if isinstance(self.source, VideoSource):
            return self.source[self.start + index]
        return self.source.frame(self.start + index)

    def masks(self, index: int) -> NDArray[np.uint8]:
        """(h, w) uint8 true label map: 0 background, objects from 1, 255 void.

        Raises:
            DatasetError: the clip has none.
        """
        if isinstance(self.source, VideoSource):
            raise DatasetError(f"{self.name} is a clip without masks")
        return self.source.masks(self.start + index)

    def prompts(self) -> list[Prompt]:
        """The objects of the first true mask, each given by it.

        Raises:
            PromptError: there are no masks, so that the user has to say which object is meant.
            DatasetError: the first mask shows no object.
        """
        if not self.annotated:
            raise PromptError(
                "nothing says which object is meant", "give --point X,Y or --box X0,Y0,X1,Y1 or --mask FILE"
            )
        labels = self.masks(0)
        if not object_labels(labels):
            later = next((t for t in range(self.num_frames) if object_labels(self.masks(t))), None)
            raise DatasetError(
                f"the masks of {self.name} show no object on frame {self.start}",
                "no frame that is looked at shows one: give another clip"
                if later is None
                else f"frame {self.start + later} is the first that does: add --frame {self.start + later}",
            )
        return [Prompt(number, mask=labels == number) for number in object_labels(labels)]


def look_at(
    source: str | Path,
    *,
    masks: Path | None = None,
    sequence: str | None = None,
    start: int = 0,
    max_frames: int | None = None,
    enough: str = "give a clip of two frames or more",
) -> LookedAt:
    """Open a clip.

    Args:
        source: a video file or a folder of images; or a data set, with `sequence`.
        masks: of a video or folder of images: a folder with a true mask picture for each frame.
        sequence: of a data set; may be left out where there is one alone.
        start: number of the frame on which the object is given.
        max_frames: at most so many are looked at; None is all of them.
        enough: what to do about a clip of one frame, for the message.

    Raises:
        VideoError: it cannot be read, is live, or has no such frame.
        DatasetError: no data set, masks that do not fit, or no such sequence.
        SettingError: a sequence of no data set, a data set without a sequence, or fewer than two frames asked for.
    """
    if max_frames is not None and max_frames < 2:
        raise SettingError(f"{max_frames} frames are too few to follow anything", "give --max-frames 2 or more")
    path = Path(source)
    if not (path.exists() or "://" in str(source)):
        raise VideoError(f"there is no {source}", "give a video file, a folder of images, or a data set")
    is_clip = path.is_file() or "://" in str(source) or bool(files_by_stem(path, IMAGE_SUFFIXES))
    if is_clip and masks is None and sequence is None:
        video = open_video(source)
        if video.num_frames is None:
            raise VideoError(f"{video.name} is a live stream", "save it to a file first")
        name, size = Path(video.name).stem or "clip", (video.height, video.width)
        return _stretch(name, size, video.fps, video.num_frames, video, start, max_frames, enough)
    clips = open_clips(source, masks, (sequence,) if sequence else ())
    if len(clips.names) != 1:
        shown = ", ".join(clips.names[:5]) + (" ..." if len(clips.names) > 5 else "")
        raise SettingError(f"{source} holds {len(clips.names)} clips", f"name one with --sequence: {shown}")
    clip = clips.open(clips.names[0])
    fps: float | None = open_video(source).fps if is_clip else getattr(clip, "fps", None)
    return _stretch(clip.name, clip.size, fps, clip.num_frames, clip, start, max_frames, enough)


def _stretch(
    name: str,
    size: tuple[int, int],
    fps: float | None,
    num_frames: int,
    source: VideoSource | LabelledSequence,
    start: int,
    max_frames: int | None,
    enough: str,
) -> LookedAt:
    if not 0 <= start < num_frames:
        raise VideoError(f"{name} has no frame {start}: it has {num_frames} frames", f"give 0 to {num_frames - 1}")
    count = num_frames - start if max_frames is None else min(max_frames, num_frames - start)
    if count < 2:
        raise VideoError(f"{name} has no frame after frame {start}", enough)
    annotated = not isinstance(source, VideoSource)
    return LookedAt(name, count, size, fps, start, num_frames, annotated, source)


def check_objects(prompts: Sequence[Prompt], size: tuple[int, int]) -> None:
    """Raise `PromptError` unless every prompt can mean an object of a frame of that size (height, width)."""
    if not prompts:
        raise PromptError("nothing says which object is meant", "give a point, a box or a mask")
    for prompt in prompts:
        if not 1 <= prompt.object_id <= MAX_OBJECT_ID:
            raise PromptError(f"object number {prompt.object_id} is out of range", f"use 1 to {MAX_OBJECT_ID}")
        prompt.check(*size)
        if prompt.mask is None and prompt.box_xyxy_px is None and POSITIVE not in (prompt.labels or (POSITIVE,)):
            raise PromptError(f"object {prompt.object_id} has only negative points", "give a point on it, label 1")


def moved_prompts(prompts: Sequence[Prompt], first: ClipFrame) -> list[Prompt]:
    """The same prompts on a transformed first frame: moved with the picture, and of masks what is still seen.

    Args:
        prompts: for the first frame of the clip as it is.
        first: the first frame of the transformed clip.

    Raises:
        PromptError: that frame does not show what the prompt means.
    """
    if first.source_time != 0:
        raise PromptError("its first frame is not the one the object was given on")
    matrix = None if first.to_source is None else np.linalg.inv(first.to_source).astype(np.float64)
    return [_moved(prompt, first, matrix) for prompt in prompts]


def _moved(prompt: Prompt, first: ClipFrame, matrix: NDArray[np.float64] | None) -> Prompt:
    height, width = first.visible_hw.shape
    hidden = (first.amodal_hw == prompt.object_id) & (first.visible_hw != prompt.object_id)
    if prompt.mask is not None:
        mask = np.asarray(prompt.mask != 0)
        if matrix is not None:
            warped = cv2.warpPerspective(mask.astype(np.uint8), matrix, (width, height), flags=cv2.INTER_NEAREST)
            mask = warped.astype(np.bool_)
        mask = mask & ~hidden
        if not mask.any():
            raise PromptError("its first frame does not show the object")
        return Prompt(prompt.object_id, mask=mask)
    if matrix is None:
        return prompt
    points = tuple((float(x), float(y)) for x, y in _mapped(np.asarray(prompt.points_xy_px, np.float64), matrix))
    box = prompt.box_xyxy_px
    if box is not None:
        x0, y0, x1, y1 = box
        corners = _mapped(np.array([(x0, y0), (x1, y0), (x0, y1), (x1, y1)], np.float64), matrix)
        left, top = corners.min(0).clip(0)
        right, bottom = np.minimum(corners.max(0), (width, height))
        box = (float(left), float(top), float(right), float(bottom))
    moved = Prompt(prompt.object_id, points, prompt.labels, box)
    try:
        moved.check(height, width)
    except PromptError as error:
        raise PromptError("its first frame does not show the place that was marked") from error
    return moved


def _mapped(points_n2: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    if not points_n2.size:
        return points_n2.reshape(0, 2)
    mapped: NDArray[np.float64] = cv2.perspectiveTransform(points_n2[None], matrix)[0]
    return mapped
