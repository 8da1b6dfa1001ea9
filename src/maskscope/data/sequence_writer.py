"""Write one sequence in the layout of DAVIS, all of it or nothing."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskscope.data.label_maps import MaskPngWriter
from maskscope.data.output import writing
from maskscope.errors import OutputError

IMAGES, MASKS, AMODAL = "JPEGImages", "Annotations", "Amodal"
PARTS: Final = (AMODAL, MASKS, IMAGES)  # in the order they appear: who sees the images finds the masks
JPEG_QUALITY: Final = 95
_FAST_PNG: Final = 1  # of 0..9; higher levels take four times as long for 4 % less
_JPEG_SUFFIXES: Final = frozenset({".jpg", ".jpeg"})


class SequenceWriter:
    """Frames with masks as `JPEGImages/<resolution>/<name>/00000.jpg` and, indexed in the palette of DAVIS,
    `Annotations/<resolution>/<name>/00000.png`; whole outlines go to `Amodal/` likewise.

    Files gather in hidden folders beside, which `commit` gives their names; without it, leaving the `with` block
    removes them.

    Args:
        root: the data set's folder.
        resolution: folder between the parts and the sequences; "." for none.
        name: the sequence's.
        lossless: write PNG instead of JPEG of quality 95 without chroma subsampling.

    Attributes:
        sha256: for each frame the hexadecimal digest of each file, by its path below `root`.

    Raises:
        OutputError: a folder cannot be made.
    """

    def __init__(self, root: Path, resolution: str, name: str, *, lossless: bool = False) -> None:
        self.root = root
        self.sha256: list[dict[str, str]] = []
        self._lossless = lossless
        self._final = {part: root / part / resolution / name for part in PARTS}
        self._beside = {part: folder.with_name(f".{name}.part") for part, folder in self._final.items()}
        self.discard()
        for folder in self._beside.values():
            with writing(folder):
                folder.mkdir(parents=True)
        self._maps = {part: MaskPngWriter(self._beside[part]) for part in (MASKS, AMODAL)}

    def write(self, image: NDArray[np.uint8] | Path, masks: NDArray[np.uint8], amodal: NDArray[np.uint8]) -> None:
        """Write the next frame.

        Args:
            image: (h, w, 3) uint8 RGB, or an image file to copy as it is (JPEG or PNG).
            masks: (h, w) uint8 label map, 255 for void.
            amodal: likewise, of whole outlines.

        Raises:
            OutputError: a file cannot be written.
        """
        index = len(self.sha256)
        paths = {
            IMAGES: self._write_image(image, index),
            MASKS: self._maps[MASKS].write(masks, index),
            AMODAL: self._maps[AMODAL].write(amodal, index),
        }
        below = {part: (self._final[part] / path.name).relative_to(self.root) for part, path in paths.items()}
        self.sha256.append({below[part].as_posix(): _sha256(path) for part, path in paths.items()})

    def _write_image(self, image: NDArray[np.uint8] | Path, index: int) -> Path:
        folder = self._beside[IMAGES]
        if isinstance(image, Path):
            suffix = ".jpg" if image.suffix.lower() in _JPEG_SUFFIXES else ".png"
            path = folder / f"{index:05d}{suffix}"
            with writing(path):
                shutil.copyfile(image, path)
            return path
        path = folder / f"{index:05d}{'.png' if self._lossless else '.jpg'}"
        with writing(path):
            if self._lossless:
                Image.fromarray(image).save(path, compress_level=_FAST_PNG)
            else:
                Image.fromarray(image).save(path, quality=JPEG_QUALITY, subsampling=0)
        return path

    def commit(self) -> None:
        """Give the folders their names.

        Raises:
            OutputError: there is a folder of that name, or it cannot be renamed.
        """
        for part, folder in self._final.items():
            if folder.exists():
                raise OutputError(f"{folder} exists already", "name another folder with --out, or add --overwrite")
            with writing(folder):
                self._beside[part].rename(folder)

    def discard(self) -> None:
        """Remove what was not committed."""
        for folder in self._beside.values():
            with writing(folder), contextlib.suppress(FileNotFoundError):
                shutil.rmtree(folder)

    def close(self) -> None:
        """Nothing is left open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OutputError):  # what ended the work matters more than what is left of it
            self.discard()


def copyable(path: Path) -> bool:
    """Whether `SequenceWriter.write` can copy such an image file."""
    return path.suffix.lower() in _JPEG_SUFFIXES | {".png"}


def remove_sequence(root: Path, resolution: str, name: str) -> None:
    """Remove a sequence that a `SequenceWriter` has written, and nothing else that may lie there.

    Raises:
        OutputError: a file cannot be removed.
    """
    for part in reversed(PARTS):
        folder = root / part / resolution / name
        with writing(folder):
            for path in folder.glob("[0-9]*.*"):
                path.unlink()
            with contextlib.suppress(OSError):  # not there, or somebody has put more into it
                folder.rmdir()


def _sha256(path: Path) -> str:
    with writing(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
