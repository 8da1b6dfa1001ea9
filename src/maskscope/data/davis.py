"""Folders in the layout of DAVIS: `JPEGImages/<resolution>/<sequence>/*.jpg` with `Annotations/` of the same shape.

DAVIS 2016 stores one object as 0 and 255, DAVIS 2017 an object number per pixel with 255 for void; both come out as
label maps with objects from 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskscope.data.picture import IMAGE_SUFFIXES, image_size, read_image
from maskscope.errors import DatasetError

VOID_LABEL = 255
"""Label of pixels that belong to nobody; kept in label maps, never an object."""

USUAL_RESOLUTION = "480p"


@dataclass(frozen=True)
class DavisSequence:
    """One video with a mask for every frame; nothing is read before it is asked for.

    Attributes:
        name: the sequence's folder name.
        frame_paths: images in order of time.
        mask_paths: as many annotations, of the same file stems.
        single_object: all objects count as object 1.
    """

    name: str
    frame_paths: tuple[Path, ...]
    mask_paths: tuple[Path, ...]
    single_object: bool = False

    def __len__(self) -> int:
        return len(self.frame_paths)

    @property
    def num_frames(self) -> int:
        """Number of frames, and of masks."""
        return len(self.frame_paths)

    @cached_property
    def size(self) -> tuple[int, int]:
        """`(height, width)` in pixels, the first frame's."""
        return image_size(self.frame_paths[0])

    @cached_property
    def object_ids(self) -> tuple[int, ...]:
        """Labels on the first mask, ascending: the objects that DAVIS gives to follow.

        Raises:
            DatasetError: the first mask is empty.
        """
        present = tuple(int(label) for label in np.unique(self.masks(0)) if label not in (0, VOID_LABEL))
        if not present:
            raise DatasetError(f"{self.mask_paths[0]} holds no object, expected one or more on the first mask")
        return present

    def frame(self, index: int) -> NDArray[np.uint8]:
        """Frame `index` as `(H, W, 3)` uint8 RGB.

        Raises:
            DatasetError: it has another size than the first frame.
            VideoError: the file is not an image.
        """
        rgb = read_image(self.frame_paths[index])
        self._expect_size(self.frame_paths[index], rgb.shape[:2])
        return rgb

    def masks(self, index: int) -> NDArray[np.uint8]:
        """Label map of frame `index`, `(H, W)` uint8: 0 background, objects from 1, 255 void.

        Raises:
            DatasetError: not an image, not a label map, or of another size than the frames.
        """
        path = self.mask_paths[index]
        labels = _read_labels(path)
        self._expect_size(path, labels.shape)
        if self._is_binary:
            return (labels > 0).astype(np.uint8)
        if self.single_object:
            return np.where((labels > 0) & (labels != VOID_LABEL), 1, labels).astype(np.uint8)
        return labels

    @cached_property
    def _is_binary(self) -> bool:
        """Whether 255 means the object: it does where the first mask holds no other label."""
        return set(np.unique(_read_labels(self.mask_paths[0])).tolist()) in ({0, 255}, {255})

    def _expect_size(self, path: Path, came: tuple[int, ...]) -> None:
        if came != self.size:
            (height, width), (own_height, own_width) = self.size, came
            raise DatasetError(
                f"{path} is {own_width}x{own_height}, the first frame of {self.name} is {width}x{height}",
                "frames and masks of a sequence share one size",
            )


class DavisDataset:
    """The sequences of one folder.

    Args:
        root: the folder that holds `JPEGImages` and `Annotations`.
        single_object: merge all objects into one, as DAVIS 2016 does.
        split: a list under `ImageSets` without its suffix, such as "2017/val"; without it, every sequence there is.
        resolution: folder between `JPEGImages` and the sequences. Found by itself; "480p" where there are several.

    Raises:
        DatasetError: the folder or one of its parts is missing or empty.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        single_object: bool = False,
        split: str | None = None,
        resolution: str | None = None,
    ) -> None:
        self.root = Path(root)
        self.single_object = single_object
        images, annotations = self.root / "JPEGImages", self.root / "Annotations"
        if not self.root.is_dir():
            raise DatasetError(f"no such folder: {self.root}", "give the folder that holds JPEGImages and Annotations")
        for part in (images, annotations):
            if not part.is_dir():
                raise DatasetError(
                    f"{self.root} has no folder {part.name}", "give the folder that holds JPEGImages and Annotations"
                )
        self.resolution = _find_resolution(images) if resolution is None else resolution
        self._images, self._annotations = images / self.resolution, annotations / self.resolution
        for part in (self._images, self._annotations):
            if not part.is_dir():
                raise DatasetError(f"no such folder: {part}", f"there are: {_listed(_folders(part.parent))}")
        self.sequences: list[str] = _read_split(self.root, split) if split else _folders(self._images)
        if not self.sequences:
            raise DatasetError(f"{self._images} holds no sequence, expected a folder of images for each")

    def __len__(self) -> int:
        return len(self.sequences)

    def __iter__(self) -> Iterator[DavisSequence]:
        return (self[name] for name in self.sequences)

    def __getitem__(self, name: str) -> DavisSequence:
        """One sequence, its files matched and counted.

        Raises:
            DatasetError: an unknown name, no frames, no annotations, or a frame without a mask or the reverse.
        """
        if name not in self.sequences:
            near = difflib.get_close_matches(name, self.sequences)
            raise DatasetError(f"{self.root} has no sequence {name!r}", f"there are: {_listed(near or self.sequences)}")
        frames = _files(self._images / name, IMAGE_SUFFIXES)
        if not frames:
            raise DatasetError(f"{self._images / name} holds no image, expected the frames of {name}")
        folder = self._annotations / name
        if not folder.is_dir():
            raise DatasetError(f"{name} has no annotations: no such folder: {folder}")
        masks = _files(folder, {".png"})
        first = next(iter(frames))
        if first not in masks:
            raise DatasetError(
                f"the first mask of {name} is missing: {folder / first}.png", "DAVIS gives the first frame's mask"
            )
        if unmatched := sorted(frames.keys() ^ masks.keys()):
            raise DatasetError(
                f"{name} has {len(frames)} frames and {len(masks)} masks, expected one each "
                f"(without a partner: {_listed(unmatched)})"
            )
        return DavisSequence(name, tuple(frames.values()), tuple(masks.values()), self.single_object)


def _find_resolution(images: Path) -> str:
    """The folder above the sequences, or "." where they lie directly in `JPEGImages`."""
    folders = _folders(images)
    if not folders:
        raise DatasetError(f"{images} holds no sequence, expected {images.name}/<resolution>/<sequence>/00000.jpg")
    if any(_files(images / name, IMAGE_SUFFIXES) for name in folders):
        return "."
    if len(folders) > 1 and USUAL_RESOLUTION not in folders:
        raise DatasetError(f"{images} has several resolutions: {_listed(folders)}", "name one with `resolution`")
    return USUAL_RESOLUTION if USUAL_RESOLUTION in folders else folders[0]


def _read_split(root: Path, split: str) -> list[str]:
    """Sequence names of a list file; DAVIS 2017 lists names, DAVIS 2016 a frame and its mask on each line."""
    path = root / "ImageSets" / f"{split}.txt"
    if not path.is_file():
        raise DatasetError(f"no such list of sequences: {path}", "lists lie under ImageSets, such as 2017/val")
    entries = [line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return sorted({Path(entry).parent.name if "/" in entry else entry for entry in entries})


def _folders(parent: Path) -> list[str]:
    return sorted(path.name for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))


def _files(folder: Path, suffixes: set[str] | frozenset[str]) -> dict[str, Path]:
    """Files of these kinds by stem, in order of name; none where there is no such folder."""
    if not folder.is_dir():
        return {}
    kept = (path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith("."))
    return {path.stem: path for path in sorted(kept)}


def _read_labels(path: Path) -> NDArray[np.uint8]:
    """Stored numbers of an indexed or grey PNG, `(H, W)` uint8."""
    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L"):
                # One-bit masks, and the greys that some editors save as colours, are label maps all the same.
                bands = np.asarray(image.convert("RGB"))
                if image.mode != "1" and not (bands == bands[:, :, :1]).all():
                    raise DatasetError(
                        f"{path} is a {image.mode} picture in colours, expected an indexed or grey label map",
                        "save object numbers as palette indices",
                    )
                return np.ascontiguousarray(bands[:, :, 0])
            return np.array(image, dtype=np.uint8)
    except DatasetError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DatasetError(f"cannot read {path} as an image ({error})", "remove or re-export this file") from error


def _listed(names: list[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown or "none"
