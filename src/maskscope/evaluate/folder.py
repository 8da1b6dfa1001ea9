"""Folders of masks, true or predicted, by anybody's program: one folder a sequence, one PNG a frame.

    <sequence>/<frame>.png             object numbers as palette indices or greys
    <sequence>/masks/<frame>.png       the same, as `maskscope track` writes it
    <sequence>/<object>/<frame>.png    a mask for each object, which may overlap: SA-V's val and test
    <frame>.png, masks/<frame>.png     a single sequence, called like the folder it is in

Above the sequences there may be `Annotations` and, as in DAVIS, a folder of the resolution. Frames are matched by the
numbers in their names, however many zeros these begin with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from maskscope.data.folders import MASK_SUFFIXES, files_by_stem, folder_names, listed
from maskscope.data.label_maps import VOID_LABEL, object_labels, read_labels
from maskscope.errors import DatasetError

FrameKey = int | str
"""What a frame's file is called: its number, or its name where that is no number."""

Frame = NDArray[np.uint8] | dict[int, NDArray[np.bool_]]
"""A `(H, W)` label map, or object -> `(H, W)` mask."""

_RESOLUTION = re.compile(r"\d+p|Full-Resolution")
_ANNOTATIONS = ("Annotations", "Annotations_6fps")
_EXPECTED = "expected <sequence>/00000.png or, a folder for each object, <sequence>/000/00000.png"


@dataclass(frozen=True)
class MaskSequence:
    """The masks of one sequence; nothing is read before it is asked for.

    Attributes:
        name: its folder's.
        label_maps: frame -> PNG of all objects; empty where there is a folder for each object.
        by_object: number in the folder's name -> frame -> PNG.
    """

    name: str
    label_maps: Mapping[FrameKey, Path]
    by_object: Mapping[int, Mapping[FrameKey, Path]]

    @property
    def first_object(self) -> int:
        """What folder 000 is called: SA-V counts from 0, which in a label map is background."""
        return 1 if self.by_object else 0

    @property
    def frames(self) -> list[FrameKey]:
        """All frames, in order of their numbers; names that are no numbers come after, by the alphabet."""
        keys = {*self.label_maps, *(key for frames in self.by_object.values() for key in frames)}
        return sorted(keys, key=lambda key: (isinstance(key, str), key))

    def read(self, key: FrameKey, first_object: int = 0) -> Frame | None:
        """The masks of one frame as they are stored; None where there is no file.

        Args:
            key: one of `frames`, or any other.
            first_object: what the folder 000 is called; the others follow.

        Raises:
            DatasetError: a file is no mask, or not whole.
        """
        if key in self.label_maps:
            return read_labels(self.label_maps[key])
        masks = {
            number + first_object: read_labels(paths[key]) > 0
            for number, paths in self.by_object.items()
            if key in paths
        }
        return masks or None


@dataclass(frozen=True)
class MaskFolder:
    """Sequences of masks.

    Attributes:
        root: folder of the sequences' folders.
        sequences: their names, sorted.
        alone: the folder is itself that of the only sequence.
    """

    root: Path
    sequences: tuple[str, ...]
    alone: bool = False

    @classmethod
    def open(cls, path: Path | str) -> MaskFolder:
        """Find the sequences below a folder.

        Raises:
            DatasetError: no such folder, or no folder in it.
        """
        root = Path(path)
        if not root.is_dir():
            raise DatasetError(f"no such folder: {root}", "give the folder that holds a folder of masks a sequence")
        root = next((root / part for part in _ANNOTATIONS if (root / part).is_dir()), root)
        resolutions = [name for name in folder_names(root) if _RESOLUTION.fullmatch(name)]
        if len(resolutions) > 1:
            raise DatasetError(f"{root} holds several resolutions: {listed(resolutions)}", "give one of them")
        root = root / resolutions[0] if resolutions else root
        names = folder_names(root)
        own = {(): root, ("masks",): root / "masks"}.get(tuple(names))
        if own is not None and files_by_stem(own, MASK_SUFFIXES):
            return cls(root, (root.resolve().name,), alone=True)
        if not names:
            raise DatasetError(f"{root} holds no folder of a sequence", _EXPECTED)
        return cls(root, tuple(names))

    def __getitem__(self, name: str) -> MaskSequence:
        """One sequence.

        Raises:
            DatasetError: it has no masks, or folders that are neither masks nor objects.
        """
        folder = self.root if self.alone else self.root / name
        for place in (folder, folder / "masks"):
            if label_maps := _numbered(files_by_stem(place, MASK_SUFFIXES)):
                return MaskSequence(name, label_maps, {})
        inside = folder_names(folder)
        if strange := [each for each in inside if not each.isdecimal()]:
            raise DatasetError(f"{folder} has folders that are no object's: {listed(strange)}", _EXPECTED)
        by_object = {int(each): _numbered(files_by_stem(folder / each, MASK_SUFFIXES)) for each in inside}
        if not any(by_object.values()):
            raise DatasetError(f"{folder} holds no mask", _EXPECTED)
        return MaskSequence(name, {}, by_object)


class TrueMasks(Protocol):
    """True masks of one sequence, from a folder or a reader; see `MaskSequence`."""

    @property
    def name(self) -> str:
        """The sequence's."""
        ...

    @property
    def frames(self) -> list[FrameKey]:
        """All frames, in order."""
        ...

    @property
    def first_object(self) -> int:
        """What the folder 000 of predictions is called."""
        ...

    def read(self, key: FrameKey, first_object: int = 0) -> Frame | None:
        """The masks of one frame."""
        ...


@dataclass(frozen=True)
class MaskPair:
    """Truth and prediction of one sequence, matched frame by frame.

    Attributes:
        name: the sequence's.
        truth: its true masks, which say what its frames are.
        prediction: its predicted masks; None where there are none at all.
        single_object: all objects count as object 1.
    """

    name: str
    truth: TrueMasks
    prediction: MaskSequence | None
    single_object: bool = False

    @property
    def frame_numbers(self) -> list[int]:
        """Numbers of the true frames, by name; counted where names are no numbers."""
        keys = self.truth.frames
        numbers = [key for key in keys if isinstance(key, int)]
        return numbers if len(numbers) == len(keys) else list(range(len(keys)))

    @property
    def extra_frames(self) -> int:
        """Predicted frames that truth lacks."""
        return len(set(self.prediction.frames) - set(self.truth.frames)) if self.prediction else 0

    def truths(self) -> Iterator[Frame]:
        """True masks, frame by frame.

        A first mask of nothing but 0 and 255 says that 255 is an object, number 1, as in DAVIS 2016.

        Raises:
            DatasetError: a file is no mask, or not whole.
        """
        binary: bool | None = None
        for key in self.truth.frames:
            frame = self.truth.read(key, self.truth.first_object)
            assert frame is not None
            if not isinstance(frame, dict):
                binary = _is_binary(frame) if binary is None else binary
                frame = (frame > 0).astype(np.uint8) if binary else frame
            yield _merged(frame, keep_void=True) if self.single_object else frame

    def predictions(self, *, drops_first: bool = False, drops_last: bool = False) -> Iterator[Frame | None]:
        """Predicted masks of the true frames, None where there is none.

        Where truth has one object on its first mask, a black and white prediction means that one.

        Args:
            drops_first: the first frame counts for nothing, and is not read.
            drops_last: the same of the last.

        Raises:
            DatasetError: a file is no mask, or not whole.
        """
        keys = self.truth.frames
        only = self._only_object()
        for index, key in enumerate(keys):
            unread = (drops_first and index == 0) or (drops_last and index == len(keys) - 1)
            frame = None if unread or self.prediction is None else self.prediction.read(key, self.truth.first_object)
            if frame is not None and self.single_object:
                frame = _merged(frame, keep_void=False)
            elif frame is not None and not isinstance(frame, dict) and only is not None and _is_binary(frame):
                frame = np.where(frame > 0, only, 0).astype(np.uint8)
            yield frame

    def _only_object(self) -> int | None:
        first = next(self.truths())
        shown = sorted(first) if isinstance(first, dict) else object_labels(first)
        return int(shown[0]) if len(shown) == 1 else None


def _merged(frame: Frame, *, keep_void: bool) -> NDArray[np.uint8]:
    """All objects as object 1."""
    if isinstance(frame, dict):
        return np.asarray(np.stack(list(frame.values())).any(axis=0), dtype=np.uint8)
    if keep_void:
        return np.where((frame > 0) & (frame != VOID_LABEL), 1, frame).astype(np.uint8)
    return (frame > 0).astype(np.uint8)


def _is_binary(labels_hw: NDArray[np.uint8]) -> bool:
    """Whether it holds 255 and nothing else but 0."""
    return bool((labels_hw == VOID_LABEL).any()) and not object_labels(labels_hw)


def _numbered(files: Mapping[str, Path]) -> dict[FrameKey, Path]:
    return {int(stem) if stem.isdecimal() else stem: path for stem, path in files.items()}
