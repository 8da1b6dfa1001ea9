"""A folder that somebody is labelling: masks on any frames, none yet on some clips."""

from __future__ import annotations

import logging
from pathlib import Path

from maskscope.data.dataset import AnnotatedSequence
from maskscope.data.davis import DavisDataset
from maskscope.data.folders import MASK_SUFFIXES, files_by_stem
from maskscope.data.label_map_folders import LabelMapSequence, matched_masks
from maskscope.data.layouts import open_dataset
from maskscope.data.picture import IMAGE_SUFFIXES

log = logging.getLogger(__name__)


def open_labelled(root: str | Path) -> list[AnnotatedSequence]:
    """The clips that have masks.

    Data sets of label maps must elsewhere have masks throughout or on first frames only; here any frames will do.

    Args:
        root: with `JPEGImages` and `Annotations`, clips in both or one folder below; or any layout that
            `open_dataset` knows.

    Raises:
        DatasetError: no such folder, or masks of frames that are not there.
    """
    root = Path(root)
    if not ((root / "JPEGImages").is_dir() and (root / "Annotations").is_dir()):
        return list(open_dataset(root))
    dataset = DavisDataset(root)
    images, annotations = (root / part / dataset.resolution for part in ("JPEGImages", "Annotations"))
    clips: list[AnnotatedSequence] = []
    for name in dataset.sequences:
        frames = files_by_stem(images / name, IMAGE_SUFFIXES)
        masks = files_by_stem(annotations / name, MASK_SUFFIXES)
        if frames and masks:
            clips.append(LabelMapSequence(name, tuple(frames.values()), matched_masks(name, frames, masks)))
        elif frames:
            log.warning("%s has no masks yet; it is left out until one frame is labelled", name)
    return clips or list(open_dataset(root))
