"""Folders in the layout of DAVIS: `JPEGImages/<resolution>/<sequence>/*.jpg` with `Annotations/` of the same shape.

DAVIS 2016 stores one object as 0 and 255, DAVIS 2017 an object number per pixel with 255 for void; both come out as
label maps with objects from 1. Of test-dev and test-challenge only the first masks are public.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskscope.data.check_label_maps import Expectations
from maskscope.data.folders import files_by_stem, folder_names, listed
from maskscope.data.label_map_folders import (
    AnySequence,
    LabelMapFolders,
    LabelMapSequence,
    images_and_annotations,
    matched_masks,
)
from maskscope.data.label_maps import VOID_LABEL, object_labels
from maskscope.data.picture import IMAGE_SUFFIXES
from maskscope.errors import DatasetError

__all__ = ["USUAL_RESOLUTION", "VOID_LABEL", "DavisDataset", "DavisSequence", "DavisTestDataset"]

USUAL_RESOLUTION = "480p"
FPS = 24.0


@dataclass(frozen=True)
class DavisSequence(LabelMapSequence):
    """One video with a mask for every frame; nothing is read before it is asked for.

    Attributes:
        name: the sequence's folder name.
        frame_paths: images in order of time.
        mask_paths: as many annotations, of the same file stems.
        single_object: all objects count as object 1.
    """

    mask_paths: tuple[Path, ...]
    fps: float | None = FPS

    @cached_property
    def first_frames(self) -> dict[int, int]:
        """Object -> 0 for the objects that DAVIS gives to follow: the labels on the first mask, ascending.

        Raises:
            DatasetError: the first mask is empty.
        """
        present = object_labels(self.masks(0))
        if not present:
            raise DatasetError(f"{self.mask_paths[0]} holds no object, expected one or more on the first mask")
        return dict.fromkeys(present, 0)

    def masks(self, index: int) -> NDArray[np.uint8]:
        """Label map of frame `index`, `(H, W)` uint8: 0 background, objects from 1, 255 void.

        Raises:
            DatasetError: not an image, not a label map, or of another size than the frames.
        """
        labels = super().masks(index)
        assert labels is not None
        return labels


class _DavisFolders(LabelMapFolders[AnySequence]):
    """Where DAVIS keeps its files; arguments are those of `DavisDataset`."""

    def __init__(
        self,
        root: str | Path,
        *,
        single_object: bool = False,
        split: str | None = None,
        resolution: str | None = None,
    ) -> None:
        root = Path(root)
        self.single_object = single_object
        images, annotations = images_and_annotations(root)
        self.resolution = _find_resolution(images) if resolution is None else resolution
        for part in (images, annotations):
            if not (part / self.resolution).is_dir():
                raise DatasetError(
                    f"no such folder: {part / self.resolution}", f"there are: {listed(folder_names(part))}"
                )
        super().__init__(
            root, images / self.resolution, annotations / self.resolution, _read_split(root, split) if split else None
        )

    def _expect_first_mask(self, name: str, frames: dict[str, Path], masks: dict[str, Path]) -> None:
        first = next(iter(frames))
        if first not in masks:
            raise DatasetError(
                f"the first mask of {name} is missing: {self._annotations / name / first}.png",
                "DAVIS gives the first frame's mask",
            )


class DavisDataset(_DavisFolders[DavisSequence]):
    """The sequences of one folder, with masks for all frames.

    Args:
        root: the folder that holds `JPEGImages` and `Annotations`.
        single_object: merge all objects into one, as DAVIS 2016 does.
        split: a list under `ImageSets` without its suffix, such as "2017/val"; without it, every sequence there is.
        resolution: folder between `JPEGImages` and the sequences. Found by itself; "480p" where there are several.

    Raises:
        DatasetError: the folder or one of its parts is missing or empty.
    """

    layout = "davis"

    def _sequence(self, name: str, frames: dict[str, Path], masks: dict[str, Path]) -> DavisSequence:
        self._expect_first_mask(name, frames, masks)
        if unmatched := sorted(frames.keys() ^ masks.keys()):
            raise DatasetError(
                f"{name} has {len(frames)} frames and {len(masks)} masks, expected one each "
                f"(without a partner: {listed(unmatched)})"
            )
        return DavisSequence(name, tuple(frames.values()), tuple(masks.values()), self.single_object)

    def _expectations(self, name: str) -> Expectations:
        return Expectations(self._frames_to_mask(name), late_objects=False, numbered_from_one=True)


class DavisTestDataset(_DavisFolders[LabelMapSequence]):
    """The same folders with masks of first frames only, as test-dev and test-challenge have them.

    Raises:
        DatasetError: the folder or one of its parts is missing or empty.
    """

    layout = "davis-test"

    def _sequence(self, name: str, frames: dict[str, Path], masks: dict[str, Path]) -> LabelMapSequence:
        self._expect_first_mask(name, frames, masks)
        mask_paths = matched_masks(name, frames, masks)
        return LabelMapSequence(name, tuple(frames.values()), mask_paths, self.single_object, FPS)

    def _expectations(self, name: str) -> Expectations:
        first = frozenset(list(files_by_stem(self._images / name, IMAGE_SUFFIXES))[:1])
        return Expectations(first, late_objects=False, numbered_from_one=True, empty_masks=False)


def _find_resolution(images: Path) -> str:
    """The folder above the sequences, or "." where they lie directly in `JPEGImages`."""
    folders = folder_names(images)
    if not folders:
        raise DatasetError(f"{images} holds no sequence, expected {images.name}/<resolution>/<sequence>/00000.jpg")
    if any(files_by_stem(images / name, IMAGE_SUFFIXES) for name in folders):
        return "."
    if len(folders) > 1 and USUAL_RESOLUTION not in folders:
        raise DatasetError(f"{images} has several resolutions: {listed(folders)}", "name one with `resolution`")
    return USUAL_RESOLUTION if USUAL_RESOLUTION in folders else folders[0]


def _read_split(root: Path, split: str) -> list[str]:
    """Sequence names of a list file; DAVIS 2017 lists names, DAVIS 2016 a frame and its mask on each line."""
    path = root / "ImageSets" / f"{split}.txt"
    if not path.is_file():
        raise DatasetError(f"no such list of sequences: {path}", "lists lie under ImageSets, such as 2017/val")
    entries = [line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return sorted({Path(entry).parent.name if "/" in entry else entry for entry in entries})
