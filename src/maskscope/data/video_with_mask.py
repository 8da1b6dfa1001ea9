"""One video and one mask, as somebody brings them who has no data set: `clip.mp4` with `clip.png` beside it.

The mask says which objects to follow from which frame on. Instead of a file the video may be a folder of images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskscope.data.folders import MASK_SUFFIXES, files_by_stem, folder_names, unknown_sequence
from maskscope.data.mask_files import read_mask
from maskscope.data.picture import IMAGE_SUFFIXES
from maskscope.data.problems import Kind, Problem
from maskscope.data.source import VideoSource
from maskscope.data.video import open_video
from maskscope.errors import DatasetError, MaskscopeError, PromptError

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".ts"})


@dataclass(frozen=True)
class VideoWithMask:
    """A video and the mask of one of its frames.

    Attributes:
        name: what tables call it.
        video_path: a video file or a folder of images.
        mask_path: in any form that `read_mask` knows.
        mask_frame: the frame it belongs to.
    """

    name: str
    video_path: Path
    mask_path: Path
    mask_frame: int = 0

    prompts_only = True

    def __len__(self) -> int:
        return self.num_frames

    def __getstate__(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in ("name", "video_path", "mask_path", "mask_frame")}

    @cached_property
    def _video(self) -> VideoSource:
        return open_video(self.video_path)

    @property
    def num_frames(self) -> int:
        """Number of frames of the video."""
        return len(self._video)

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)` in pixels."""
        return self._video.height, self._video.width

    @property
    def fps(self) -> float | None:
        """Frames a second as the video says, 24 for a folder of images."""
        return self._video.fps

    @property
    def annotated_frames(self) -> tuple[int, ...]:
        """The one frame with the mask."""
        return (self.mask_frame,)

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The mask's objects, ascending."""
        return tuple(self.first_frames)

    @cached_property
    def first_frames(self) -> dict[int, int]:
        """Object -> the frame with the mask.

        Raises:
            DatasetError: the mask shows no object.
        """
        found = [int(label) for label in np.unique(self._labels) if label != 0]
        if not found:
            raise DatasetError(f"{self.mask_path} holds no object, expected one or more")
        return dict.fromkeys(found, self.mask_frame)

    def frame(self, index: int) -> NDArray[np.uint8]:
        """Frame `index` as `(H, W, 3)` uint8 RGB; neighbours are read on, not sought again.

        Raises:
            VideoError: no such frame, or it is damaged.
        """
        return self._video[index]

    def masks(self, index: int) -> NDArray[np.uint8] | None:
        """Label map of the frame with the mask, `(H, W)` uint8: 0 background, objects from 1; None on other frames.

        Raises:
            DatasetError: it is no mask, of another size than the video, or has ids above 254.
        """
        return self._labels if index == self.mask_frame else None

    def object_masks(self, index: int) -> dict[int, NDArray[np.bool_]]:
        """The objects on the frame with the mask, `(H, W)` bool each; nothing on other frames."""
        labels = self.masks(index)
        return {} if labels is None else {object_id: labels == object_id for object_id in self.object_ids}

    @cached_property
    def _labels(self) -> NDArray[np.uint8]:
        try:
            labels = read_mask(self.mask_path)
        except PromptError as error:
            raise DatasetError(error.problem, error.remedy) from error
        if labels.shape != self.size:
            raise DatasetError(
                f"mask {self.mask_path} is {labels.shape[1]}x{labels.shape[0]}, {self.video_path.name} is "
                f"{self.size[1]}x{self.size[0]}",
                "bring the mask to the video's size",
            )
        if labels.max() > 254:
            raise DatasetError(f"{self.mask_path} holds object {labels.max()}, expected 1 to 254", "renumber objects")
        if not 0 <= self.mask_frame < self.num_frames:
            raise DatasetError(
                f"the mask belongs to frame {self.mask_frame}, {self.video_path.name} has {self.num_frames} frames"
            )
        return labels.astype(np.uint8)


class VideosWithMasks:
    """The videos of a folder that have a mask of the same name beside them.

    Args:
        root: the folder, or one video file with a PNG of its name beside it.

    Raises:
        DatasetError: no such folder, or no such pair in it.
    """

    layout = "video"

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._videos = find_videos(self.root)
        folder = self.root.parent if self.root.is_file() else self.root
        self._masks = files_by_stem(folder, MASK_SUFFIXES)
        self.sequences: list[str] = sorted(self._videos.keys() & self._masks.keys())
        if not self.sequences:
            raise DatasetError(
                f"{self.root} holds no video with a mask of its name beside it", "expected clip.mp4 with clip.png"
            )

    def __len__(self) -> int:
        return len(self.sequences)

    def __iter__(self) -> Iterator[VideoWithMask]:
        return (self[name] for name in self.sequences)

    def __getitem__(self, name: str) -> VideoWithMask:
        """One video.

        Raises:
            DatasetError: an unknown name.
        """
        if name not in self.sequences:
            raise unknown_sequence(self.root, name, self.sequences)
        return VideoWithMask(name, self._videos[name], self._masks[name])

    def check_layout(self) -> list[Problem]:
        """What is wrong with the folder as a whole."""
        return [
            Problem(name, Kind.no_masks, f"expected {name}.png beside {path.name}")
            for name, path in sorted(self._videos.items())
            if name not in self._masks
        ]

    def check(self, name: str) -> list[Problem]:
        """What is wrong with one video and its mask; the whole video is decoded."""
        sequence = self[name]
        problems: list[Problem] = []
        try:
            came = sum(1 for _ in open_video(sequence.video_path))
            if came < sequence.num_frames:
                detail = f"{came} of {sequence.num_frames} frames can be decoded"
                problems.append(Problem(name, Kind.missing_frame, detail))
        except MaskscopeError as error:
            return [Problem(name, Kind.unreadable, error.problem)]
        try:
            size = read_mask(sequence.mask_path).shape
        except PromptError as error:
            kind = Kind.unreadable if error.problem.startswith("cannot read") else Kind.mask_mode
            return [*problems, Problem(name, kind, error.problem, "0")]
        if size != sequence.size:
            detail = f"the mask is {size[1]}x{size[0]}, frames are {sequence.size[1]}x{sequence.size[0]}"
            return [*problems, Problem(name, Kind.mask_size, detail, "0")]
        labels = sequence.masks(0)
        if labels is None or not labels.any():
            problems.append(Problem(name, Kind.empty_mask, "it shows no object", "0"))
        return problems


def find_videos(root: Path) -> dict[str, Path]:
    """Video files of a folder, and folders of images in it, by name; or the one file that is given.

    Raises:
        DatasetError: no such file or folder.
    """
    if root.is_file():
        return {root.stem: root} if root.suffix.lower() in VIDEO_SUFFIXES else {}
    if not root.is_dir():
        raise DatasetError(f"no such folder: {root}", "give a folder with a video and a mask of its name")
    folders = {name: root / name for name in folder_names(root) if files_by_stem(root / name, IMAGE_SUFFIXES)}
    return {**folders, **files_by_stem(root, VIDEO_SUFFIXES)}
