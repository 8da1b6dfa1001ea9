"""Folders in the layout of MOSE v1 and v2: `JPEGImages/<video>/*.jpg` with `Annotations/<video>/*.png`.

Like DAVIS without the folder of the resolution, but objects leave, come back and may appear late. `train` has a mask
for every frame, `valid` that of the first frame only.
"""

from __future__ import annotations

from pathlib import Path

from maskscope.data.check_label_maps import Expectations
from maskscope.data.folders import files_by_stem, listed
from maskscope.data.label_map_folders import LabelMapFolders, LabelMapSequence, images_and_annotations, matched_masks
from maskscope.data.picture import IMAGE_SUFFIXES
from maskscope.errors import DatasetError


class MoseDataset(LabelMapFolders[LabelMapSequence]):
    """The videos of one split.

    Args:
        root: the folder that holds `JPEGImages` and `Annotations`.

    Raises:
        DatasetError: the folder or one of its parts is missing or empty.
    """

    layout = "mose"

    def __init__(self, root: str | Path) -> None:
        super().__init__(Path(root), *images_and_annotations(Path(root)))

    def _sequence(self, name: str, frames: dict[str, Path], masks: dict[str, Path]) -> LabelMapSequence:
        mask_paths = matched_masks(name, frames, masks)
        if self.masks_throughout and None in mask_paths:
            unmatched = sorted(frames.keys() - masks.keys())
            raise DatasetError(
                f"{name} has {len(frames)} frames and {len(masks)} masks, expected one each "
                f"(without a mask: {listed(unmatched)})",
                "fetch it again, or leave the sequence out",
            )
        return LabelMapSequence(name, tuple(frames.values()), mask_paths)

    def _expectations(self, name: str) -> Expectations:
        stems = list(files_by_stem(self._images / name, IMAGE_SUFFIXES))
        masked = frozenset(stems if self.masks_throughout else stems[:1])
        return Expectations(masked, numbered_from_one=True, empty_masks=self.masks_throughout)
