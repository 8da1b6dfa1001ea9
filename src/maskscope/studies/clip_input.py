"""Clips with a mask for every frame, from what a user names: a data set, or a video beside its masks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskscope.data.dataset import AnnotatedFrames, AnnotatedSequence, Dataset
from maskscope.data.davis import USUAL_RESOLUTION, DavisSequence
from maskscope.data.folders import files_by_stem
from maskscope.data.image_folder import ImageFolder
from maskscope.data.label_map_folders import LabelMapSequence
from maskscope.data.layouts import open_dataset
from maskscope.data.picture import IMAGE_SUFFIXES
from maskscope.data.source import VideoSource
from maskscope.data.video import open_video
from maskscope.errors import DatasetError, SettingError
from maskscope.transforms.base import LabelledSequence, SourceClip
from maskscope.transforms.material import ClipMaterial


@dataclass(frozen=True)
class ClipInput:
    """Sequences by name; each is opened when it is asked for.

    Attributes:
        names: of the sequences.
        resolution: folder between parts and sequences in the layout of DAVIS: the source's, else "480p", where
            readers of that layout look; it says nothing of the size.
        folders: where their files lie.
        open: a sequence by its name, of which every frame has its truth.
    """

    names: tuple[str, ...]
    resolution: str
    folders: tuple[Path, ...]
    open: Callable[[str], LabelledSequence]


@dataclass(frozen=True, eq=False)
class MaskedVideo:
    """A video file with a mask picture for each frame.

    Args:
        name: what to call it.
        video: of known length.
        track: the mask pictures; its frames are not used.
    """

    name: str
    video: VideoSource
    track: DavisSequence

    @property
    def num_frames(self) -> int:
        """Number of frames, and of masks."""
        return len(self.video)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.video.height, self.video.width

    def frame(self, index: int) -> NDArray[np.uint8]:
        """(h, w, 3) uint8 RGB; neighbours are read on, not sought."""
        return self.video[index]

    def masks(self, index: int) -> NDArray[np.uint8]:
        """(h, w) uint8 label map: 0 background, objects from 1, 255 void."""
        return self.track.masks(index)


def open_clips(source: str | Path, masks: Path | None = None, sequences: Sequence[str] = ()) -> ClipInput:
    """The clips that `source` names.

    Args:
        source: a data set in any layout that `open_dataset` knows, of which frames without masks are passed over; or
            a video file or folder of images.
        masks: of a video or folder of images: a folder with a mask picture for each frame, such as the `masks` that
            `maskscope track` writes; read as DAVIS annotations.
        sequences: of a data set only these.

    Raises:
        DatasetError: no data set, no masks, other numbers or sizes of frames and masks, or no such sequence.
        VideoError: the video cannot be read.
        SettingError: masks for a data set, or sequences of a single clip.
    """
    path = Path(source)
    if masks is not None or path.is_file() or "://" in str(source) or files_by_stem(path, IMAGE_SUFFIXES):
        if (path / "JPEGImages").is_dir():
            raise SettingError(f"{path} is a data set and has its own masks", "leave --masks out")
        if sequences:
            raise SettingError(f"{path} is no data set, so it has no sequences to choose from", "leave --sequences out")
        clip = _clip(source, masks)
        return ClipInput((clip.name,), USUAL_RESOLUTION, (path, *([masks] if masks else [])), lambda _: clip)
    found = open_dataset(path)
    for name in sequences:
        _ = found[name]
    chosen = tuple(dict.fromkeys(sequences)) or tuple(found.sequences)
    resolution = str(getattr(found, "resolution", USUAL_RESOLUTION))
    parts = [part for part in path.iterdir() if part.is_dir() and part.name.startswith(("JPEGImages", "Annotations"))]
    return ClipInput(chosen, resolution, tuple(parts) or (path,), lambda name: _with_truth(found, name))


def open_material(folder: Path | None) -> ClipMaterial:
    """Where occluders and foreign footage come from: the clips of a data set, or drawn ones without it.

    Raises:
        DatasetError: it is no data set, or not one with masks beyond first frames.
    """
    if folder is None:
        return ClipMaterial()
    found = open_dataset(folder)
    return ClipMaterial(tuple(SourceClip(_with_truth(found, name)) for name in found.sequences))


def image_files(sequence: LabelledSequence) -> tuple[Path, ...]:
    """The frames' own files, one each; none where they are kept otherwise."""
    if isinstance(sequence, LabelMapSequence):
        return sequence.frame_paths
    if isinstance(sequence, AnnotatedFrames) and isinstance(sequence.sequence, LabelMapSequence):
        return tuple(sequence.sequence.frame_paths[number] for number in sequence.source_frames)
    return ()


def _with_truth(found: Dataset, name: str) -> LabelledSequence:
    """A sequence, or of one with masks on some frames those."""
    sequence: AnnotatedSequence = found[name]
    return sequence if isinstance(sequence, DavisSequence) else AnnotatedFrames(sequence)


def _clip(source: str | Path, masks: Path | None) -> LabelledSequence:
    video = open_video(source)
    if video.num_frames is None:
        raise DatasetError(f"{video.name} is a live stream", "save it to a file first")
    if masks is None or not masks.is_dir():
        came = f"{video.name} is a clip without masks" if masks is None else f"{masks} is no folder"
        raise DatasetError(
            f"{came}, expected a mask for every frame",
            "give --masks DIR; `maskscope track` makes such a folder from a mask of the first frame",
        )
    pictures = ImageFolder(masks, fps=1.0)
    if pictures.num_frames != video.num_frames:
        raise DatasetError(
            f"{video.name} has {video.num_frames} frames, {masks} has {pictures.num_frames} masks",
            "expected one for each frame",
        )
    if (pictures.height, pictures.width) != (video.height, video.width):
        raise DatasetError(
            f"{video.name} is {video.width}x{video.height}, "
            f"the masks in {masks} are {pictures.width}x{pictures.height}",
            "frames and masks have one size",
        )
    stem = video.name if isinstance(video, ImageFolder) else Path(video.name).stem
    name = re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "clip"
    if isinstance(video, ImageFolder):
        return DavisSequence(name, video.paths, pictures.paths)
    return MaskedVideo(name, video, DavisSequence(name, pictures.paths, pictures.paths))
