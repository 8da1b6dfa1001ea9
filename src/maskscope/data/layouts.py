"""Open any data set: its layout is recognised by its files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from maskscope.data.dataset import Dataset
from maskscope.data.davis import DavisDataset, DavisTestDataset
from maskscope.data.folders import MASK_SUFFIXES, files_by_stem, folder_names, listed
from maskscope.data.lvos import LvosDataset
from maskscope.data.metadata import find_metadata, read_metadata
from maskscope.data.mose import MoseDataset
from maskscope.data.picture import IMAGE_SUFFIXES
from maskscope.data.sav import FOLDERS, SavDataset
from maskscope.data.sav_train import SavTrainDataset
from maskscope.data.video_with_mask import VideosWithMasks, find_videos
from maskscope.data.youtube_vos import YoutubeVosDataset
from maskscope.errors import DatasetError

log = logging.getLogger(__name__)

LAYOUTS: Mapping[str, Callable[[Path], Dataset]] = MappingProxyType(
    {
        "davis": DavisDataset,
        "davis-test": DavisTestDataset,
        "youtube-vos": YoutubeVosDataset,
        "mose": MoseDataset,
        "lvos": LvosDataset,
        "sa-v": SavDataset,
        "sa-v-train": SavTrainDataset,
        "video": VideosWithMasks,
    }
)
"""Name of a layout -> its reader."""

_LOOKED_AT = 20  # sequences are alike, a few show how they are laid out


@dataclass(frozen=True, slots=True)
class Recognised:
    """A layout, and the files that told it."""

    layout: str
    because: str


def open_dataset(path: str | Path, layout: str | None = None) -> Dataset:
    """Open a folder of videos with masks.

    Args:
        path: a folder in one of the layouts; a video file with a PNG of its name beside it.
        layout: one of `LAYOUTS`; None recognises it (see `recognise`), and logs what it was recognised by.

    Raises:
        DatasetError: no such layout, or nothing that is laid out so.
    """
    if layout is None:
        found = recognise(path)
        log.info("%s is in the layout %s: %s", path, found.layout, found.because)
        layout = found.layout
    if layout not in LAYOUTS:
        raise DatasetError(f"there is no layout {layout!r}", f"the known ones: {', '.join(LAYOUTS)}")
    return LAYOUTS[layout](Path(path))


def recognise(path: str | Path) -> Recognised:
    """The layout of a folder, by names of files and folders and, where there is metadata, by what it lists.

    Raises:
        DatasetError: none is recognised; the message says what is there and what was expected.
    """
    root = Path(path)
    if not root.exists():
        raise DatasetError(f"no such folder: {root}", "check the path")
    if all((root / part).is_dir() for part in FOLDERS[0]):
        return Recognised("sa-v", f"it has {' and '.join(FOLDERS[0])}")
    images, annotations = root / "JPEGImages", root / "Annotations"
    if images.is_dir() and annotations.is_dir():
        return _with_label_maps(root, images, annotations)
    if images.is_dir() or annotations.is_dir():
        there, missing = (images, annotations) if images.is_dir() else (annotations, images)
        raise DatasetError(f"{root} has {there.name} but no folder {missing.name}", "fetch or make the other one too")
    if root.is_dir() and any(next(root.glob(pattern), None) for pattern in ("*_manual.json", "*/*_manual.json")):
        return Recognised("sa-v-train", "it has videos' masks in *_manual.json")
    pairs = find_videos(root).keys() & files_by_stem(root.parent if root.is_file() else root, MASK_SUFFIXES).keys()
    if pairs:
        return Recognised("video", f"{min(pairs)} has a mask of its name beside it")
    raise _unknown(root)


def _with_label_maps(root: Path, images: Path, annotations: Path) -> Recognised:
    metadata = find_metadata(root)
    if metadata is not None:
        keys = {key for video in read_metadata(metadata).values() for facts in video.values() for key in facts}
        if "frame_range" in keys:
            return Recognised("lvos", f"{metadata.name} gives objects a frame_range")
        if "frames" in keys:
            return Recognised("youtube-vos", f"{metadata.name} lists the frames of objects")
    videos = [name for name in folder_names(images) if files_by_stem(images / name, IMAGE_SUFFIXES)]
    for video in videos[:_LOOKED_AT]:
        for folder in folder_names(annotations / video)[:1]:
            if files_by_stem(annotations / video / folder, MASK_SUFFIXES):
                return Recognised("sa-v", f"{annotations.name}/{video} has a folder for each object")
    if not videos or (root / "ImageSets").is_dir():
        because = "it has ImageSets" if videos else f"sequences lie in {images.name}/{listed(folder_names(images), 2)}"
        if DavisDataset(root).masks_throughout:
            return Recognised("davis", f"{because}, frames have masks throughout")
        return Recognised("davis-test", f"{because}, only first frames have masks")
    if MoseDataset(root).masks_throughout:
        return Recognised("mose", f"videos lie in {images.name}, frames have masks throughout")
    later = next((video for video in videos if len(files_by_stem(annotations / video, MASK_SUFFIXES)) > 1), None)
    if later is None:
        return Recognised("mose", f"videos lie in {images.name}, only first frames have masks")
    return Recognised("youtube-vos", f"videos lie in {images.name}, {later} has masks on some frames")


def _unknown(root: Path) -> DatasetError:
    if root.is_file():
        return DatasetError(
            f"{root} is a file without a mask of its name beside it", f"put {root.stem}.png there, or give a folder"
        )
    below = [name for name in folder_names(root) if any((root / name / part).is_dir() for part, _ in FOLDERS)]
    if below:
        return DatasetError(f"{root} holds several data sets or splits: {listed(below)}", "give one of them")
    inside = sorted(path.name for path in root.iterdir())
    return DatasetError(
        f"{root} is not a data set that is known here; in it: {listed(inside)}",
        "expected JPEGImages with Annotations, JPEGImages_24fps with Annotations_6fps, videos with *_manual.json, "
        "or clip.mp4 with clip.png",
    )
