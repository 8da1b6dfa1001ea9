"""A folder of images (or one image) as a video."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from maskscope.data.picture import IMAGE_SUFFIXES, image_size, read_image
from maskscope.data.source import Frame, VideoSource
from maskscope.errors import VideoError


class ImageFolder(VideoSource):
    """The images of a folder in natural order of their names (`2.jpg` before `10.jpg`).

    Hidden files and files that are no images are passed over; folders below are not entered. All headers are read at
    once, so that an image of another size is known before the first frame is processed.

    Args:
        path: the folder, or one image file.
        fps: frames per second to count `time_s` with; images carry no time.

    Attributes:
        paths: the image files, by frame number.

    Raises:
        VideoError: no images, two files for one name, a file that is no image, or images of differing size.
    """

    def __init__(self, path: Path, fps: float) -> None:
        if not fps > 0:
            raise VideoError(f"frames per second must be above 0, got {fps}")
        self.name = path.name or str(path)
        self.fps: float = fps
        self.paths = tuple(_image_files(path)) if path.is_dir() else (path,)
        if not self.paths:
            raise VideoError(
                f"no images in folder {path}", f"expected files ending in {', '.join(sorted(IMAGE_SUFFIXES))}"
            )
        self.height, self.width = read_image(self.paths[0]).shape[:2]
        for other in self.paths[1:]:
            if image_size(other) != (self.height, self.width):
                self._check_size(other, *read_image(other).shape[:2])

    @property
    def num_frames(self) -> int:
        """How many images."""
        return len(self.paths)

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def frames(self, start: int = 0, stop: int | None = None, reverse: bool = False) -> Iterator[Frame]:
        """See `VideoSource.frames`."""
        start, stop = self._checked_range(start, stop)
        numbers = range(stop - 1, start - 1, -1) if reverse else range(start, stop)
        return (self.frame(number) for number in numbers)

    def frame(self, index: int) -> Frame:
        """See `VideoSource.frame`."""
        self._check_number(index, len(self.paths))
        rgb = read_image(self.paths[index])
        self._check_size(self.paths[index], rgb.shape[0], rgb.shape[1])
        return Frame(index, index / self.fps, rgb)

    def _check_size(self, path: Path, height: int, width: int) -> None:
        if (height, width) != (self.height, self.width):
            raise VideoError(
                f"{path.name} is {width}x{height} pixels but {self.paths[0].name} is {self.width}x{self.height}",
                "all images of a folder must have one size: resize them or move the odd ones out",
            )


def _image_files(folder: Path) -> list[Path]:
    files = [
        entry
        for entry in folder.iterdir()
        if entry.suffix.lower() in IMAGE_SUFFIXES and not entry.name.startswith(".") and entry.is_file()
    ]
    files.sort(key=lambda entry: (_natural(entry.stem), entry.name))
    for first, second in itertools.pairwise(files):
        if first.stem == second.stem:
            raise VideoError(
                f"{folder} has both {first.name} and {second.name} for one frame", "keep one file per frame"
            )
    return files


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Sort key under which numbers inside names count as numbers."""
    parts = re.split(r"([0-9]+)", name)  # text at even places, digits at odd ones
    return [(place % 2 == 0, int(part) if place % 2 else 0, part) for place, part in enumerate(parts)]
