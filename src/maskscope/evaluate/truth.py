"""True masks of any data set that is known: from its folder of masks, or through its reader where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskscope.data.dataset import AnnotatedSequence, Dataset
from maskscope.data.folders import listed
from maskscope.data.layouts import open_dataset, recognise
from maskscope.errors import DatasetError
from maskscope.evaluate.folder import Frame, FrameKey, MaskFolder, MaskSequence

_REMEDY = "use a split with public annotations, or a folder of masks for all frames: <sequence>/00000.png"


@dataclass(frozen=True)
class ReadSequence:
    """True masks of a sequence that does not keep them as PNGs, such as the run lengths of SA-V train.

    Attributes:
        sequence: of which annotated frames are the true ones, by their numbers in the video.
    """

    sequence: AnnotatedSequence

    first_object = 1

    @property
    def name(self) -> str:
        """The sequence's."""
        return self.sequence.name

    @property
    def frames(self) -> list[FrameKey]:
        """Numbers of the annotated frames, ascending."""
        return list(self.sequence.annotated_frames)

    def read(self, key: FrameKey, first_object: int = 1) -> Frame | None:
        """Object -> `(H, W)` bool of the objects annotated on a frame; None where there are none.

        Raises:
            DatasetError: masks are damaged, or of another size than the video.
        """
        return self.sequence.object_masks(int(key)) or None


@dataclass(frozen=True)
class ReadFolder:
    """A data set whose reader gives its true masks.

    Attributes:
        root: its folder.
        dataset: the reader.
    """

    root: Path
    dataset: Dataset

    alone = False

    @property
    def sequences(self) -> Sequence[str]:
        """Their names, sorted."""
        return self.dataset.sequences

    def __getitem__(self, name: str) -> ReadSequence:
        """One sequence.

        Raises:
            DatasetError: its files do not match.
        """
        return ReadSequence(self.dataset[name])


TrueFolder = MaskFolder | ReadFolder
TrueSequence = MaskSequence | ReadSequence


def open_truth(path: Path | str) -> TrueFolder:
    """True masks of a data set in any layout that `open_dataset` knows, or of a folder of masks alone.

    Raises:
        DatasetError: no such folder, no masks in it, or videos with a mask of one frame, which is no truth.
    """
    root = Path(path)
    layout = _layout(root)
    if layout == "sa-v-train":
        return ReadFolder(root, open_dataset(root, layout))
    if layout == "video":
        raise DatasetError(
            f"{root} has videos with one mask each, which say what to follow and nothing of later frames", _REMEDY
        )
    return MaskFolder.open(root)


def expect_truth(path: Path | str, names: Iterable[str]) -> None:
    """Refuse sequences whose masks show objects only where they are given: later absence in them means nothing.

    Args:
        path: as of `open_truth`. Frames that are missing there do not matter.
        names: of the sequences to score.

    Raises:
        DatasetError: such a sequence.
    """
    layout = _layout(Path(path))
    if layout is None:
        return
    dataset = open_dataset(path, layout)
    prompts = [name for name in names if _prompts_only(dataset, name)]
    if prompts:
        raise DatasetError(
            f"{path} has masks of {listed(prompts)} only where objects are given, expected them on later frames too",
            _REMEDY,
        )


def _layout(root: Path) -> str | None:
    """None where the folder holds masks alone."""
    try:
        return recognise(root).layout
    except DatasetError:
        return None


def _prompts_only(dataset: Dataset, name: str) -> bool:
    try:
        return dataset[name].prompts_only
    except DatasetError:
        return False
