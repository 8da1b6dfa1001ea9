"""Masks of several objects as one picture of object numbers, in the layout of DAVIS."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskscope.data.output import writing
from maskscope.errors import DatasetError, OutputError, ShapeError
from maskscope.palette import davis_palette

MAX_ID = 255

VOID_LABEL = 255
"""Label of pixels that belong to nobody; kept in label maps, never an object."""


def label_map(
    masks_nhw: NDArray[np.bool_],
    object_ids: Sequence[int],
    logits: NDArray[np.floating] | None = None,
) -> NDArray[np.uint8]:
    """Merge masks into one map of object ids.

    Where masks overlap, the object with the highest logit wins; equal logits, or none given: the lowest id.

    Args:
        masks_nhw: `(N, H, W)` bool.
        object_ids: N different ids from 1 to 255.
        logits: `(N, H, W)` logits of each pixel, or `(N,)` one score for each object.

    Returns:
        `(H, W)` uint8, 0 where no mask is.

    Raises:
        ShapeError: the counts or sizes differ.
        OutputError: an id outside 1..255, or twice the same.
    """
    if masks_nhw.ndim != 3 or len(masks_nhw) != len(object_ids):
        raise ShapeError(f"expected masks (N, H, W) for {len(object_ids)} objects, got shape {masks_nhw.shape}")
    ids = np.asarray(object_ids, dtype=np.int64)
    if len(np.unique(ids)) != len(ids):
        raise OutputError(f"object ids must differ, got {list(object_ids)}")
    if np.any((ids < 1) | (ids > MAX_ID)):
        raise OutputError(
            f"object ids {list(object_ids)} do not fit an indexed PNG, which holds 1 to {MAX_ID}",
            "renumber the objects, or write RLE instead",
        )
    labels = np.zeros(masks_nhw.shape[1:], dtype=np.uint8)
    if logits is not None and logits.shape not in (masks_nhw.shape, (len(ids),)):
        raise ShapeError(f"expected logits of shape {masks_nhw.shape} or ({len(ids)},), got {logits.shape}")
    lowest_last = np.argsort(-ids)
    if logits is None or logits.ndim == 1:
        order = lowest_last if logits is None else lowest_last[np.argsort(logits[lowest_last], kind="stable")]
        for place in order:
            labels[masks_nhw[place]] = ids[place]
        return labels
    best = np.full(labels.shape, -np.inf)
    for place in lowest_last:
        wins = masks_nhw[place] & (logits[place] >= best)
        labels[wins] = ids[place]
        best[wins] = logits[place][wins]
    return labels


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Stored numbers of an indexed or grey PNG, `(H, W)` uint8.

    Raises:
        DatasetError: not an image, or a picture in colours.
    """
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


def object_labels(labels_hw: NDArray[np.uint8]) -> tuple[int, ...]:
    """Labels other than background and void, ascending."""
    counts = cv2.calcHist([labels_hw], [0], None, [256], [0, 256])  # several times faster than sorting pixels
    return tuple(int(label) for label in np.flatnonzero(counts) if label not in (0, VOID_LABEL))


class MaskPngWriter:
    """Write label maps as indexed PNG in the layout and palette of DAVIS: `<folder>/00000.png` and on.

    Each file appears whole or not at all (written beside and renamed), so an interrupted run leaves only good masks.

    Args:
        folder: where to write; made if need be.
        overwrite: replace existing masks instead of refusing.
    """

    def __init__(self, folder: Path | str, overwrite: bool = False) -> None:
        self.folder = Path(folder)
        self._overwrite = overwrite
        self._palette = davis_palette().tobytes()
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    def write(self, labels: NDArray[np.uint8], frame: int, stem: str | None = None) -> Path:
        """Write the masks of one frame.

        Args:
            labels: `(H, W)` uint8, an object id for each pixel (see `label_map`).
            frame: frame number; names the file, in five digits.
            stem: another name, without ending, such as that of the image the masks belong to.

        Returns:
            The file written.

        Raises:
            ShapeError: `labels` is not `(H, W)`.
            OutputError: an id above 255, the file exists, or it cannot be written.
        """
        if labels.ndim != 2:
            raise ShapeError(f"a label map must be (H, W), got shape {labels.shape}")
        if labels.dtype != np.uint8:
            if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) <= MAX_ID:
                raise OutputError(
                    f"label map of frame {frame} holds ids from {labels.min()} to {labels.max()}, an indexed PNG "
                    f"holds 0 to {MAX_ID}",
                    "renumber the objects, or write RLE instead",
                )
            labels = labels.astype(np.uint8)
        name = f"{frame:05d}" if stem is None else stem
        path = self.folder / f"{name}.png"
        if path.exists() and not self._overwrite:
            raise OutputError(f"{path} exists already", "name another folder, or allow overwriting")
        picture = Image.fromarray(labels)  # grey until the palette makes it indexed
        picture.putpalette(self._palette)
        beside = self.folder / f".{name}.png.part"
        with writing(path):
            try:
                picture.save(beside, format="PNG")
                os.replace(beside, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    beside.unlink()
                raise
        return path

    def close(self) -> None:
        """Nothing is left to do: every file is whole already."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write_label_maps(
    root: Path | str,
    name: str,
    labels: Iterable[NDArray[np.uint8]],
    *,
    stems: Iterable[str] | None = None,
    resolution: str = "480p",
    overwrite: bool = False,
) -> Path:
    """Write a sequence's label maps where DAVIS keeps them: `<root>/Annotations/<resolution>/<name>/00000.png` and on.

    Args:
        root: the data set's folder; made if need be.
        name: of the sequence.
        labels: `(H, W)` uint8 each, in order of time: 0 background, objects from 1, 255 void; read once.
        stems: names of the files without ending, one a mask; None for numbers of five digits.
        resolution: folder above the sequences; "." for none, as MOSE and YouTube-VOS have it.
        overwrite: replace existing masks instead of refusing.

    Returns:
        The folder with the masks.

    Raises:
        ShapeError: a label map is not `(H, W)`, or there are fewer names than masks.
        OutputError: an id above 255, a file exists, or it cannot be written.
    """
    names = None if stems is None else iter(stems)
    with MaskPngWriter(Path(root) / "Annotations" / resolution / name, overwrite) as writer:
        for frame, labels_hw in zip(count(), labels, strict=False):
            stem = None if names is None else next(names, None)
            if names is not None and stem is None:
                raise ShapeError(f"{name} has more masks than names, which end after {frame}")
            writer.write(labels_hw, frame, stem)
    return writer.folder
