"""What data sets share that keep frames as images and all objects of a frame in one PNG of object numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from maskscope.data.check_label_maps import Expectations, check_label_maps
from maskscope.data.folders import MASK_SUFFIXES, files_by_stem, folder_names, listed, unknown_sequence
from maskscope.data.label_maps import VOID_LABEL, object_labels, read_labels
from maskscope.data.picture import IMAGE_SUFFIXES, image_size, read_image
from maskscope.data.problems import Kind, Problem
from maskscope.errors import DatasetError


@dataclass(frozen=True)
class LabelMapSequence:
    """One video whose frames may have masks; nothing is read before it is asked for.

    Attributes:
        name: the sequence's folder name.
        frame_paths: images in order of time.
        mask_paths: as many annotations, None where a frame has none.
        single_object: all objects count as object 1.
        fps: frames a second, where the data set says it.
        listed_first_frames: object -> frame where it first appears, where the data set lists it.
    """

    name: str
    frame_paths: tuple[Path, ...]
    mask_paths: tuple[Path | None, ...]
    single_object: bool = False
    fps: float | None = None
    listed_first_frames: Mapping[int, int] | None = None

    def __len__(self) -> int:
        return len(self.frame_paths)

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return len(self.frame_paths)

    @cached_property
    def size(self) -> tuple[int, int]:
        """`(height, width)` in pixels, the first frame's."""
        return image_size(self.frame_paths[0])

    @cached_property
    def annotated_frames(self) -> tuple[int, ...]:
        """Numbers of the frames that have masks, ascending."""
        return tuple(index for index, path in enumerate(self.mask_paths) if path is not None)

    @property
    def object_ids(self) -> tuple[int, ...]:
        """All objects of the sequence, ascending."""
        return tuple(self.first_frames)

    @cached_property
    def first_frames(self) -> dict[int, int]:
        """Object -> number of the frame where it first appears, by object.

        Raises:
            DatasetError: no mask shows an object.
        """
        if self.listed_first_frames is not None:
            return dict(sorted(self.listed_first_frames.items()))
        found: dict[int, int] = {}
        for index in self.annotated_frames:
            labels = self.masks(index)
            assert labels is not None
            for label in object_labels(labels):
                found.setdefault(label, index)
        if not found:
            raise DatasetError(f"{self.name} has no mask that shows an object, expected one or more")
        return dict(sorted(found.items()))

    @cached_property
    def prompts_only(self) -> bool:
        """Whether objects are shown only where they first appear, so that masks do not say who is absent."""
        return len(self.annotated_frames) < self.num_frames and set(self.annotated_frames) <= set(
            self.first_frames.values()
        )

    def frame(self, index: int) -> NDArray[np.uint8]:
        """Frame `index` as `(H, W, 3)` uint8 RGB.

        Raises:
            DatasetError: it has another size than the first frame.
            VideoError: the file is not an image.
        """
        rgb = read_image(self.frame_paths[index])
        self._expect_size(self.frame_paths[index], rgb.shape[:2])
        return rgb

    def masks(self, index: int) -> NDArray[np.uint8] | None:
        """Label map of frame `index`, `(H, W)` uint8: 0 background, objects from 1, 255 void; None without a mask.

        Raises:
            DatasetError: not an image, not a label map, or of another size than the frames.
        """
        path = self.mask_paths[index]
        if path is None:
            return None
        labels = read_labels(path)
        self._expect_size(path, labels.shape)
        if self._is_binary:
            return (labels > 0).astype(np.uint8)
        if self.single_object:
            return np.where((labels > 0) & (labels != VOID_LABEL), 1, labels).astype(np.uint8)
        return labels

    def object_masks(self, index: int) -> dict[int, NDArray[np.bool_]]:
        """The objects of which frame `index` tells whether they are seen, `(H, W)` bool each; empty means absent."""
        labels = self.masks(index)
        if labels is None:
            return {}
        masks = {object_id: labels == object_id for object_id in self.object_ids}
        return {key: mask for key, mask in masks.items() if mask.any()} if self.prompts_only else masks

    @cached_property
    def _is_binary(self) -> bool:
        """Whether 255 means the object: it does where the first mask holds no other label."""
        first = next((path for path in self.mask_paths if path is not None), None)
        return first is not None and set(np.unique(read_labels(first)).tolist()) in ({0, 255}, {255})

    def _expect_size(self, path: Path, came: tuple[int, ...]) -> None:
        if came != self.size:
            (height, width), (own_height, own_width) = self.size, came
            raise DatasetError(
                f"{path} is {own_width}x{own_height}, the first frame of {self.name} is {width}x{height}",
                "frames and masks of a sequence share one size",
            )


AnySequence = TypeVar("AnySequence", bound=LabelMapSequence, covariant=True)


class LabelMapFolders(ABC, Generic[AnySequence]):
    """Sequences with a folder of images and a folder of label maps each.

    Args:
        root: the data set's folder.
        images: folder of the folders with frames.
        annotations: folder of the folders with masks.
        sequences: their names; None for every folder of frames.

    Raises:
        DatasetError: there is no sequence.
    """

    layout: ClassVar[str]

    def __init__(self, root: Path, images: Path, annotations: Path, sequences: list[str] | None = None) -> None:
        self.root = root
        self._images, self._annotations = images, annotations
        self.sequences: list[str] = folder_names(images) if sequences is None else sequences
        if not self.sequences:
            raise DatasetError(f"{images} holds no sequence, expected a folder of images for each")

    def __len__(self) -> int:
        return len(self.sequences)

    def __iter__(self) -> Iterator[AnySequence]:
        return (self[name] for name in self.sequences)

    def __getitem__(self, name: str) -> AnySequence:
        """One sequence, its files matched and counted.

        Raises:
            DatasetError: an unknown name, no frames, no masks, or files that do not match.
        """
        if name not in self.sequences:
            raise unknown_sequence(self.root, name, self.sequences)
        frames = files_by_stem(self._images / name, IMAGE_SUFFIXES)
        if not frames:
            raise DatasetError(f"{self._images / name} holds no image, expected the frames of {name}")
        folder = self._annotations / name
        if not folder.is_dir():
            raise DatasetError(f"{name} has no annotations: no such folder: {folder}")
        return self._sequence(name, frames, files_by_stem(folder, MASK_SUFFIXES))

    def check_layout(self) -> list[Problem]:
        """What is wrong with the data set as a whole."""
        with_frames, with_masks = set(folder_names(self._images)), set(folder_names(self._annotations))
        return [
            *(
                Problem(name, Kind.missing_sequence, f"it is listed, but there is no folder {self._images / name}")
                for name in sorted(set(self.sequences) - with_frames)
            ),
            *(
                Problem(name, Kind.unlisted_sequence, f"it has {what} but is not among the sequences")
                for name in sorted((with_frames | with_masks) - set(self.sequences))
                for what in ["frames" if name in with_frames else "masks and no frames,"]
            ),
        ]

    def check(self, name: str) -> list[Problem]:
        """What is wrong with one sequence's files."""
        return check_label_maps(name, self._images / name, self._annotations / name, self._expectations(name))

    @cached_property
    def masks_throughout(self) -> bool:
        """Whether most frames have masks: then all should; otherwise masks only say which objects to follow."""
        wanted = has = 0
        for name in self.sequences:
            stems = self._frames_to_mask(name)
            wanted += len(stems)
            has += len(stems & files_by_stem(self._annotations / name, MASK_SUFFIXES).keys())
        return 2 * has > wanted

    def _frames_to_mask(self, name: str) -> frozenset[str]:
        """Stems of the frames that have masks where the data set has them throughout."""
        return frozenset(files_by_stem(self._images / name, IMAGE_SUFFIXES))

    @abstractmethod
    def _sequence(self, name: str, frames: dict[str, Path], masks: dict[str, Path]) -> AnySequence: ...

    @abstractmethod
    def _expectations(self, name: str) -> Expectations: ...


def matched_masks(name: str, frames: Mapping[str, Path], masks: Mapping[str, Path]) -> tuple[Path | None, ...]:
    """The mask of each frame, None where there is none.

    Raises:
        DatasetError: no mask at all, or a mask of no frame.
    """
    if not masks:
        raise DatasetError(f"{name} has no mask, expected at least that of the first frame")
    if strays := sorted(masks.keys() - frames.keys()):
        raise DatasetError(
            f"{name} has masks of frames that are not there: {listed(strays)}", "masks have the names of their frames"
        )
    return tuple(masks.get(stem) for stem in frames)


def images_and_annotations(root: Path) -> tuple[Path, Path]:
    """`JPEGImages` and `Annotations` below a folder.

    Raises:
        DatasetError: one of the three is missing.
    """
    remedy = "give the folder that holds JPEGImages and Annotations"
    if not root.is_dir():
        raise DatasetError(f"no such folder: {root}", remedy)
    for part in ("JPEGImages", "Annotations"):
        if not (root / part).is_dir():
            raise DatasetError(f"{root} has no folder {part}", remedy)
    return root / "JPEGImages", root / "Annotations"
