"""Folders in the layout of LVOS v1 and v2: long videos, `JPEGImages`, `Annotations` and a file of metadata a split.

Frames have eight-digit numbers from 00000001 that count the original video; the stored ones are every fifth of them, 6
a second. The metadata gives each object the range of frames in which it is evaluated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maskscope.data.check_label_maps import Expectations
from maskscope.data.folders import files_by_stem, listed
from maskscope.data.label_map_folders import LabelMapFolders, LabelMapSequence, images_and_annotations, matched_masks
from maskscope.data.metadata import find_metadata, read_metadata
from maskscope.data.picture import IMAGE_SUFFIXES
from maskscope.errors import DatasetError

FPS = 6.0

Range = tuple[int, int]
"""First and last number of the frames in which an object is evaluated."""


class LvosDataset(LabelMapFolders[LabelMapSequence]):
    """The videos of one split.

    Args:
        root: the folder that holds `JPEGImages`, `Annotations` and `<split>_meta.json` or `meta.json`.

    Raises:
        DatasetError: the folder or one of its parts is missing or empty, or the metadata cannot be read.
    """

    layout = "lvos"

    def __init__(self, root: str | Path) -> None:
        root = Path(root)
        images, annotations = images_and_annotations(root)
        found = find_metadata(root)
        if found is None:
            raise DatasetError(
                f"{root} has no meta.json or <split>_meta.json", "LVOS says there where objects begin: fetch it again"
            )
        self.metadata_path = found
        self._ranges = {
            name: {label: _range(found, name, facts) for label, facts in objects.items()}
            for name, objects in read_metadata(found).items()
        }
        super().__init__(root, images, annotations, sorted(self._ranges))

    def _sequence(self, name: str, frames: dict[str, Path], masks: dict[str, Path]) -> LabelMapSequence:
        first_frames = {}
        numbers = {int(stem): index for index, stem in enumerate(frames) if stem.isdecimal()}
        for label, (start, _) in self._ranges[name].items():
            if start not in numbers:
                raise DatasetError(
                    f"{self.metadata_path} lets object {label} of {name} begin on frame {start}, which is not there: "
                    f"frames are {listed(list(frames))}",
                    f"{self._images / name} lacks frames, or belongs to another split",
                )
            first_frames[label] = numbers[start]
        mask_paths = matched_masks(name, frames, masks)
        return LabelMapSequence(name, tuple(frames.values()), mask_paths, fps=FPS, listed_first_frames=first_frames)

    def _frames_to_mask(self, name: str) -> frozenset[str]:
        return frozenset[str]().union(*self._listed_frames(name).values())

    def _listed_frames(self, name: str) -> dict[int, frozenset[str]]:
        stems = [stem for stem in files_by_stem(self._images / name, IMAGE_SUFFIXES) if stem.isdecimal()]
        return {
            label: frozenset(stem for stem in stems if start <= int(stem) <= end) or frozenset({f"{start:08d}"})
            for label, (start, end) in self._ranges.get(name, {}).items()
        }

    def _expectations(self, name: str) -> Expectations:
        objects = self._listed_frames(name)
        masked = self._frames_to_mask(name) if self.masks_throughout else frozenset(map(min, objects.values()))
        return Expectations(masked, objects, empty_masks=self.masks_throughout)


def _range(path: Path, name: str, facts: Any) -> Range:
    try:
        return int(facts["frame_range"]["start"]), int(facts["frame_range"]["end"])
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"{path} lists an object of {name} without its frames ({type(error).__name__}: {error})",
            'expected "frame_range": {"start": "1", "end": ...}',
        ) from error
