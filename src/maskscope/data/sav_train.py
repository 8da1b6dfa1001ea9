"""Folders in the layout of SA-V train: videos as MP4 with their masks in JSON, every fourth frame run-length encoded.

Beside `sav_000001.mp4` lie `sav_000001_manual.json` and, for most videos, `sav_000001_auto.json`. Of them `masklet` is
read, a list over annotated frames of lists over objects. Objects are numbered from 1 in the order of these lists.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from maskscope.data.folders import listed, unknown_sequence
from maskscope.data.problems import Kind, Problem
from maskscope.data.sav import numbered_objects, stacked
from maskscope.data.video import open_video
from maskscope.data.video_file import VideoFile
from maskscope.errors import DatasetError, MaskscopeError

FRAMES_PER_MASK = 4

Rle = Mapping[str, Any]


@dataclass(frozen=True)
class SavTrainSequence:
    """One video with masks on every fourth frame; nothing is read before it is asked for.

    Attributes:
        name: the video's id.
        video_path: the MP4.
        masks_path: the JSON.
    """

    name: str
    video_path: Path
    masks_path: Path

    prompts_only = False

    def __len__(self) -> int:
        return self.num_frames

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name, "video_path": self.video_path, "masks_path": self.masks_path}  # the video is open

    @cached_property
    def _video(self) -> VideoFile:
        video = open_video(self.video_path)
        assert isinstance(video, VideoFile)
        return video

    @cached_property
    def _masklets(self) -> list[list[Rle | None]]:
        return read_masklets(self.masks_path)

    @property
    def num_frames(self) -> int:
        """Number of frames of the video."""
        return self._video.num_frames

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)` in pixels."""
        return self._video.height, self._video.width

    @property
    def fps(self) -> float | None:
        """Frames a second, as the video says."""
        return self._video.fps

    @cached_property
    def annotated_frames(self) -> tuple[int, ...]:
        """Numbers of the frames with masks, ascending.

        Raises:
            DatasetError: there are masks behind the end of the video.
        """
        frames = tuple(range(0, FRAMES_PER_MASK * len(self._masklets), FRAMES_PER_MASK))
        if frames[-1] >= self.num_frames:
            raise DatasetError(
                f"{self.masks_path} has masks up to frame {frames[-1]}, {self.video_path.name} has "
                f"{self.num_frames} frames",
                "the two belong together: fetch both again",
            )
        return frames

    @property
    def object_ids(self) -> tuple[int, ...]:
        """All objects that are ever seen, ascending."""
        return tuple(self.first_frames)

    @cached_property
    def first_frames(self) -> dict[int, int]:
        """Object -> number of the first frame on which its mask is not empty.

        Raises:
            DatasetError: no object is ever seen, or a mask is damaged.
        """
        found: dict[int, int] = {}
        for frame in self.annotated_frames:
            for object_id, mask in self.object_masks(frame).items():
                if object_id not in found and mask.any():
                    found[object_id] = frame
            if len(found) == len(self._masklets[0]):
                break
        if not found:
            raise DatasetError(f"{self.masks_path} has no mask that shows an object, expected one or more")
        return dict(sorted(found.items()))

    def frame(self, index: int) -> NDArray[np.uint8]:
        """Frame `index` as `(H, W, 3)` uint8 RGB; neighbours are read on, not sought again.

        Raises:
            VideoError: no such frame, or it is damaged.
        """
        return self._video[index]

    def masks(self, index: int) -> NDArray[np.uint8] | None:
        """Label map of frame `index`, `(H, W)` uint8, None without masks; where objects overlap the smaller is on top.

        Raises:
            DatasetError: a mask of another size than the video.
        """
        return stacked(self.object_masks(index))

    def object_masks(self, index: int) -> dict[int, NDArray[np.bool_]]:
        """The objects that have a mask on frame `index`, `(H, W)` bool each; empty means absent.

        Raises:
            DatasetError: a mask of another size than the video.
        """
        if index not in self.annotated_frames:
            return {}
        row = self._masklets[index // FRAMES_PER_MASK]
        return {place + 1: self._decoded(rle) for place, rle in enumerate(row) if rle is not None}

    def _decoded(self, rle: Rle) -> NDArray[np.bool_]:
        try:
            mask: NDArray[np.uint8] = coco_mask.decode(_bytes(rle))
        except (ValueError, TypeError, KeyError) as error:
            raise DatasetError(f"{self.masks_path} holds a mask that is no RLE ({error})", "fetch it again") from error
        if mask.shape != self.size:
            raise DatasetError(
                f"{self.masks_path} holds a mask of {mask.shape[1]}x{mask.shape[0]}, the video is "
                f"{self.size[1]}x{self.size[0]}",
                "the two belong together: fetch both again",
            )
        return mask.astype(bool)


class SavTrainDataset:
    """The videos of a folder of SA-V train, or of the folders in it.

    Args:
        root: the folder with the MP4 files, or one above it.
        annotations: "manual" or "auto".

    Raises:
        DatasetError: no such folder, or no video with masks in it.
    """

    layout = "sa-v-train"

    def __init__(self, root: str | Path, *, annotations: str = "manual") -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise DatasetError(f"no such folder: {self.root}", "give the folder with the videos of SA-V train")
        self._ending = f"_{annotations}.json"
        self._videos = {path.stem: path for path in sorted((*self.root.glob("*.mp4"), *self.root.glob("*/*.mp4")))}
        self._masks = {
            path.name.removesuffix(self._ending): path
            for path in sorted((*self.root.glob(f"*{self._ending}"), *self.root.glob(f"*/*{self._ending}")))
        }
        self.sequences: list[str] = sorted(self._masks)
        if not self.sequences:
            raise DatasetError(
                f"{self.root} holds no masks of SA-V train", f"expected sav_000001.mp4 with sav_000001{self._ending}"
            )

    def __len__(self) -> int:
        return len(self.sequences)

    def __iter__(self) -> Iterator[SavTrainSequence]:
        return (self[name] for name in self.sequences)

    def __getitem__(self, name: str) -> SavTrainSequence:
        """One video.

        Raises:
            DatasetError: an unknown name, or masks without their video.
        """
        if name not in self._masks:
            raise unknown_sequence(self.root, name, self.sequences)
        if name not in self._videos:
            raise DatasetError(f"{self._masks[name]} has no video beside it, expected {name}.mp4", "fetch it again")
        return SavTrainSequence(name, self._videos[name], self._masks[name])

    def check_layout(self) -> list[Problem]:
        """What is wrong with the data set as a whole."""
        return [
            Problem(name, Kind.no_masks, f"{name}.mp4 has no {name}{self._ending}")
            for name in sorted(self._videos.keys() - self._masks.keys())
        ]

    def check(self, name: str) -> list[Problem]:
        """What is wrong with one video and its masks; all masks are decoded, of the video only the index is read."""
        if name not in self._videos:
            return [Problem(name, Kind.no_frames, f"expected {name}.mp4 beside {self._masks[name].name}")]
        sequence = self[name]
        try:
            masklets = read_masklets(sequence.masks_path)
            last = sequence.num_frames - 1
        except MaskscopeError as error:
            return [Problem(name, Kind.unreadable, error.problem)]
        problems: list[Problem] = []
        if FRAMES_PER_MASK * (len(masklets) - 1) > last:
            detail = f"{len(masklets)} masks, one every {FRAMES_PER_MASK} frames, on {last + 1} frames"
            problems.append(Problem(name, Kind.missing_frame, detail))
        elif FRAMES_PER_MASK * len(masklets) <= last:
            missing = str(FRAMES_PER_MASK * len(masklets))
            detail = f"masks end after {len(masklets)}, the video has {last + 1} frames"
            problems.append(Problem(name, Kind.missing_mask, detail, missing))
        seen: set[int] = set()
        for number, row in enumerate(masklets):
            frame = str(FRAMES_PER_MASK * number)
            for place, rle in enumerate(row):
                try:
                    if rle is not None and sequence._decoded(rle).any():
                        seen.add(place + 1)
                except DatasetError as error:
                    kind = Kind.unreadable if "no RLE" in error.problem else Kind.mask_size
                    problems.append(Problem(name, kind, error.problem, frame))
        if never := sorted(set(range(1, len(masklets[0]) + 1)) - seen):
            detail = f"no mask shows object {listed(list(map(str, never)))}"
            problems.append(Problem(name, Kind.missing_object, detail))
        return problems


def read_masklets(path: Path) -> list[list[Rle | None]]:
    """Run-length encoded masks by annotated frame and object.

    Raises:
        DatasetError: no such file, not JSON, or not of that shape.
    """
    try:
        masklets = json.loads(path.read_text(encoding="utf-8"))["masklet"]
        rows: list[list[Rle | None]] = [[None if rle is None else dict(rle) for rle in row] for row in masklets]
    except OSError as error:
        raise DatasetError(f"cannot read {path} ({error.strerror})", "check the path and its access rights") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{path} is not a file of masklets ({type(error).__name__}: {error})",
            'expected {"masklet": [[{"size": [H, W], "counts": "..."}, ...], ...]}',
        ) from error
    counts = sorted({len(row) for row in rows})
    if len(counts) != 1 or counts == [0]:
        raise DatasetError(
            f"{path} has {counts or 'no'} masks a frame, expected one for each object on every annotated frame",
            "fetch it again",
        )
    numbered_objects(path.name, counts[0])
    return rows


def _bytes(rle: Rle) -> dict[str, Any]:
    """The form that pycocotools wants."""
    counts = rle["counts"]
    return {"size": list(rle["size"]), "counts": counts.encode("ascii") if isinstance(counts, str) else counts}
