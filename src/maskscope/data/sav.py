"""Folders in the layout of SA-V val and test: a folder of PNGs for each object, as objects may overlap.

`JPEGImages_24fps/<video>/00000.jpg` are all frames, `Annotations_6fps/<video>/<object>/00000.png` masks of every fourth
(0 is background, anything else the object). Objects are numbered from 1 here: folder 000 is object 1.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskscope.data.check_label_maps import check_frames, check_mask, check_pairs, stray_files
from maskscope.data.folders import MASK_SUFFIXES, files_by_stem, folder_names, listed, unknown_sequence
from maskscope.data.label_maps import label_map, read_labels
from maskscope.data.picture import IMAGE_SUFFIXES, image_size, read_image
from maskscope.data.problems import Kind, Problem
from maskscope.errors import DatasetError

log = logging.getLogger(__name__)

FPS = 24.0
MAX_OBJECTS = 254  # 255 is void in label maps
FOLDERS = (("JPEGImages_24fps", "Annotations_6fps"), ("JPEGImages", "Annotations"))


@dataclass(frozen=True)
class SavSequence:
    """One video with a mask file for each object and annotated frame; nothing is read before it is asked for.

    Attributes:
        name: the video's folder name.
        frame_paths: images in order of time.
        mask_paths: object -> frame number -> mask.
        object_folders: object -> name of its folder.
        fps: frames a second.
    """

    name: str
    frame_paths: tuple[Path, ...]
    mask_paths: Mapping[int, Mapping[int, Path]]
    object_folders: Mapping[int, str]
    fps: float | None = FPS

    prompts_only = False

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
        """Numbers of the frames on which some object has a mask, ascending."""
        return tuple(sorted({frame for masks in self.mask_paths.values() for frame in masks}))

    @property
    def object_ids(self) -> tuple[int, ...]:
        """All objects that are ever seen, ascending."""
        return tuple(self.first_frames)

    @cached_property
    def first_frames(self) -> dict[int, int]:
        """Object -> number of the first frame on which its mask is not empty.

        Objects without such a frame are left out, with a warning.

        Raises:
            DatasetError: no object is ever seen.
        """
        found: dict[int, int] = {}
        for object_id, masks in sorted(self.mask_paths.items()):
            first = next((frame for frame, path in sorted(masks.items()) if self._mask(path).any()), None)
            if first is None:
                log.warning("%s: object %s has no mask that shows it", self.name, self.object_folders[object_id])
            else:
                found[object_id] = first
        if not found:
            raise DatasetError(f"{self.name} has no mask that shows an object, expected one or more")
        return found

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
        """Label map of frame `index`, `(H, W)` uint8, None without masks; where objects overlap the smaller is on top.

        Raises:
            DatasetError: a mask is not an image, or of another size than the frames.
        """
        return stacked(self.object_masks(index))

    def object_masks(self, index: int) -> dict[int, NDArray[np.bool_]]:
        """The objects that have a mask on frame `index`, `(H, W)` bool each; empty means absent.

        Raises:
            DatasetError: a mask is not an image, or of another size than the frames.
        """
        return {
            object_id: self._mask(masks[index])
            for object_id, masks in sorted(self.mask_paths.items())
            if index in masks
        }

    def _mask(self, path: Path) -> NDArray[np.bool_]:
        mask = read_labels(path) > 0
        self._expect_size(path, mask.shape)
        return mask

    def _expect_size(self, path: Path, came: tuple[int, ...]) -> None:
        if came != self.size:
            raise DatasetError(
                f"{path} is {came[1]}x{came[0]}, the first frame of {self.name} is {self.size[1]}x{self.size[0]}",
                "frames and masks of a sequence share one size",
            )


class SavDataset:
    """The videos of SA-V val or test, or of a folder like them.

    Args:
        root: the folder that holds `JPEGImages_24fps` and `Annotations_6fps` (or `JPEGImages` and `Annotations`).

    Raises:
        DatasetError: the folder or one of its parts is missing or empty.
    """

    layout = "sa-v"

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        for of_images, of_masks in FOLDERS:
            self._images, self._annotations = self.root / of_images, self.root / of_masks
            if self._images.is_dir() and self._annotations.is_dir():
                break
        else:
            raise DatasetError(
                f"{self.root} has no folders JPEGImages_24fps and Annotations_6fps", "give the folder that holds both"
            )
        self.sequences: list[str] = _read_list(self.root) or folder_names(self._images)
        if not self.sequences:
            raise DatasetError(f"{self._images} holds no video, expected a folder of images for each")

    def __len__(self) -> int:
        return len(self.sequences)

    def __iter__(self) -> Iterator[SavSequence]:
        return (self[name] for name in self.sequences)

    def __getitem__(self, name: str) -> SavSequence:
        """One video, its files matched.

        Raises:
            DatasetError: an unknown name, no frames, no masks, or masks of frames that are not there.
        """
        if name not in self.sequences:
            raise unknown_sequence(self.root, name, self.sequences)
        frames = files_by_stem(self._images / name, IMAGE_SUFFIXES)
        if not frames:
            raise DatasetError(f"{self._images / name} holds no image, expected the frames of {name}")
        numbers = {stem: index for index, stem in enumerate(frames)}
        folders = _numbered(name, folder_names(self._annotations / name))
        if not folders:
            raise DatasetError(
                f"{name} has no masks in {self._annotations / name}", "expected a folder for each object, 000, 001 ..."
            )
        mask_paths: dict[int, dict[int, Path]] = {}
        for object_id, folder in folders.items():
            masks = files_by_stem(self._annotations / name / folder, MASK_SUFFIXES)
            if strays := sorted(masks.keys() - numbers.keys()):
                raise DatasetError(
                    f"object {folder} of {name} has masks of frames that are not there: {listed(strays)}",
                    "masks have the names of their frames",
                )
            mask_paths[object_id] = {numbers[stem]: path for stem, path in masks.items()}
        return SavSequence(name, tuple(frames.values()), mask_paths, folders)

    def check_layout(self) -> list[Problem]:
        """What is wrong with the data set as a whole."""
        with_frames, with_masks = set(folder_names(self._images)), set(folder_names(self._annotations))
        return [
            *(
                Problem(name, Kind.missing_sequence, f"it is listed, but there is no folder {self._images / name}")
                for name in sorted(set(self.sequences) - with_frames)
            ),
            *(
                Problem(name, Kind.unlisted_sequence, "it has files but is not among the videos")
                for name in sorted((with_frames | with_masks) - set(self.sequences))
            ),
        ]

    def check(self, name: str) -> list[Problem]:
        """What is wrong with one video's files; all of them are read."""
        frames, size, problems = check_frames(name, self._images / name)
        folders = folder_names(self._annotations / name)
        problems += [
            Problem(name, Kind.id_gap, f"folder {folder} of an object is not named by a number")
            for folder in folders
            if not folder.isdecimal()
        ]
        numbers = sorted(int(folder) for folder in folders if folder.isdecimal())
        if skipped := sorted(set(range(max(numbers, default=0))) - set(numbers)):
            detail = f"objects are {listed(folders, 8)}: {listed(list(map(str, skipped)))} left out"
            problems.append(Problem(name, Kind.id_gap, detail))
        masks = {folder: files_by_stem(self._annotations / name / folder, MASK_SUFFIXES) for folder in folders}
        annotated = frozenset(stem for files in masks.values() for stem in files)
        if not annotated:
            return [*problems, Problem(name, Kind.no_masks, f"expected PNGs in {self._annotations / name}/000 ...")]
        for folder, files in masks.items():
            problems += stray_files(name, self._annotations / name / folder)
            problems += check_pairs(name, frames, files, annotated, f" of object {folder}")
            seen = False
            for stem, path in files.items():
                facts, found = check_mask(name, stem, path, size)
                problems += found
                seen = seen or (facts is not None and facts.labels != {0})
                if facts is not None and len(facts.labels - {0}) > 1:
                    detail = f"the mask of object {folder} holds {len(facts.labels - {0})} labels, expected one"
                    problems.append(Problem(name, Kind.mask_mode, detail, stem))
            if not seen:
                problems.append(Problem(name, Kind.missing_object, f"no mask of object {folder} shows it"))
        return problems


def stacked(masks: Mapping[int, NDArray[np.bool_]]) -> NDArray[np.uint8] | None:
    """One label map of overlapping objects, the smaller on top; None without objects."""
    if not masks:
        return None
    planes = np.stack(list(masks.values()))
    return label_map(planes, list(masks), -planes.sum(axis=(1, 2), dtype=np.float64))


def numbered_objects(name: str, count: int) -> None:
    """Refuse more objects than a label map can hold."""
    if count > MAX_OBJECTS:
        raise DatasetError(f"{name} has {count} objects, a label map holds {MAX_OBJECTS}", "leave some out")


def _numbered(name: str, folders: list[str]) -> dict[int, str]:
    """Object -> folder."""
    strange = [folder for folder in folders if not folder.isdecimal()]
    if strange:
        raise DatasetError(
            f"{name} has folders of objects that are not numbers: {listed(strange)}", "expected 000, 001 ..."
        )
    numbered_objects(name, max((int(folder) + 1 for folder in folders), default=0))
    return {int(folder) + 1: folder for folder in folders}


def _read_list(root: Path) -> list[str]:
    """Names in `sav_val.txt` or `sav_test.txt`, none where there is no such file."""
    lists = sorted(root.glob("sav_*.txt"))
    return sorted({line.strip() for line in lists[0].read_text(encoding="utf-8").splitlines()} - {""}) if lists else []
