"""Folders in the layout of YouTube-VOS: `JPEGImages/<video>/*.jpg`, `Annotations/<video>/*.png` and `meta.json`.

Frames are numbered by the original video at about 30 a second; masks, and the frames of the usual archives, are every
fifth of them. Objects may appear late. `train` has masks of all its frames, `valid` and `test` only where an object
appears for the first time.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from maskscope.data.check_label_maps import Expectations
from maskscope.data.folders import files_by_stem, folder_names, listed
from maskscope.data.label_map_folders import LabelMapFolders, LabelMapSequence, images_and_annotations, matched_masks
from maskscope.data.metadata import find_metadata, read_metadata
from maskscope.data.picture import IMAGE_SUFFIXES
from maskscope.data.problems import Kind, Problem
from maskscope.errors import DatasetError

VIDEO_FPS = 30.0


class YoutubeVosDataset(LabelMapFolders[LabelMapSequence]):
    """The videos of one split.

    Args:
        root: the folder that holds `JPEGImages`, `Annotations` and, if it is there, `meta.json`.
        frames: another folder of frames by video, such as that of `valid_all_frames`, which has every frame.

    Raises:
        DatasetError: the folder or one of its parts is missing or empty, or the metadata cannot be read.
    """

    layout = "youtube-vos"

    def __init__(self, root: str | Path, *, frames: str | Path | None = None) -> None:
        root = Path(root)
        images, annotations = images_and_annotations(root)
        images = images if frames is None else Path(frames)
        self.metadata_path = find_metadata(root)
        self._objects = _listed_objects(self.metadata_path) if self.metadata_path else None
        super().__init__(root, images, annotations, None if self._objects is None else sorted(self._objects))

    def _sequence(self, name: str, frames: dict[str, Path], masks: dict[str, Path]) -> LabelMapSequence:
        mask_paths = matched_masks(name, frames, masks)
        numbers = {stem: index for index, stem in enumerate(frames)}
        first_frames = None
        if self._objects is not None:
            first_frames = {}
            for label, stems in self._objects[name].items():
                if not stems or min(stems) not in numbers:
                    raise DatasetError(
                        f"{self.metadata_path} lists object {label} of {name} on frames that are not there: "
                        f"{listed(sorted(stems))}",
                        f"{self._images / name} lacks frames, or belongs to another split",
                    )
                first_frames[label] = numbers[min(stems)]
        return LabelMapSequence(
            name, tuple(frames.values()), mask_paths, fps=_fps(list(frames)), listed_first_frames=first_frames
        )

    def _frames_to_mask(self, name: str) -> frozenset[str]:
        if self._objects is None:
            return super()._frames_to_mask(name)
        return frozenset[str]().union(*self._objects.get(name, {}).values())

    def _expectations(self, name: str) -> Expectations:
        objects = None if self._objects is None else self._objects.get(name, {})
        if self.masks_throughout:
            masked = self._frames_to_mask(name)
        elif objects is None:
            masked = frozenset(list(files_by_stem(self._images / name, IMAGE_SUFFIXES))[:1])
        else:
            masked = frozenset(min(stems) for stems in objects.values() if stems)
        return Expectations(masked, objects, empty_masks=self.masks_throughout)

    def check_layout(self) -> list[Problem]:
        """What is wrong with the data set as a whole; videos without an entry in the metadata among it."""
        problems = super().check_layout()
        if self.metadata_path is None and folder_names(self._images):
            problems.append(
                Problem(None, Kind.metadata, "no meta.json: masks alone say which objects there are", harmless=True)
            )
        return problems


def _listed_objects(path: Path) -> dict[str, dict[int, frozenset[str]]]:
    """Video -> object -> stems of the frames it is listed on."""
    objects = read_metadata(path)
    try:
        return {
            name: {label: frozenset(map(str, facts["frames"])) for label, facts in video.items()}
            for name, video in objects.items()
        }
    except (KeyError, TypeError) as error:
        raise DatasetError(
            f"{path} lists an object without its frames ({type(error).__name__}: {error})",
            'expected {"videos": {name: {"objects": {"1": {"frames": ["00000", ...]}}}}}',
        ) from error


def _fps(stems: list[str]) -> float | None:
    """Frames a second, from how the names of frames are numbered."""
    if len(stems) < 2 or not all(stem.isdecimal() for stem in stems):
        return None
    step = min(int(after) - int(before) for before, after in pairwise(stems))
    return VIDEO_FPS / step if step > 0 else None
