"""What every source of frames looks like: a file, a folder of images, a network stream or a camera."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskscope.errors import VideoError


@dataclass(frozen=True, slots=True)
class Frame:
    """One upright picture of a video.

    Attributes:
        index: number of the frame, from 0.
        time_s: seconds since the first frame, from the time stamps of the video.
        rgb: `(H, W, 3)` uint8, full-range RGB.
    """

    index: int
    time_s: float
    rgb: NDArray[np.uint8]


class VideoSource(ABC):
    """A source of frames of one size. Iterating yields every frame in order of display.

    A source holds nothing open: each iteration opens what it needs and closes it when it ends or is dropped.

    Attributes:
        name: what to call it in messages and reports; free of passwords.
        height: height of the upright frames in pixels.
        width: width of the upright frames in pixels.
        fps: mean frames per second; None where the source does not say.
    """

    name: str
    height: int
    width: int
    fps: float | None
    _walk: _Walk | None = None

    @property
    @abstractmethod
    def num_frames(self) -> int | None:
        """Exact number of frames; None for a live stream, which has no end."""

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """All frames in order. Files and folders start over each time; a live stream goes on from now."""

    def frames(self, start: int = 0, stop: int | None = None, reverse: bool = False) -> Iterator[Frame]:
        """Frames `start <= index < stop`, forwards or (`reverse`) from `stop - 1` down to `start`.

        Args:
            start: first frame number; must be a frame of the video.
            stop: one past the last; None or a number past the end means the end.
            reverse: go backwards, in memory that does not grow with the length of the video.

        Raises:
            VideoError: `start` is not a frame of the video, or the source is live.
        """
        raise self._only_forwards("frames(start, stop)")

    def frame(self, index: int) -> Frame:
        """The frame with this number, the same pixels as iterating gives.

        Raises:
            VideoError: no such frame, or the source is live.
        """
        raise self._only_forwards(f"frame({index})")

    def __len__(self) -> int:
        """Number of frames.

        Raises:
            VideoError: the source is live.
        """
        count = self.num_frames
        if count is None:
            raise _NoLength(self._only_forwards("its length").problem, "iterate over it")
        return count

    def __bool__(self) -> bool:
        """A source is there, whatever its length."""
        return True

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """`(H, W, 3)` uint8 RGB of a frame. Neighbours in either direction are read on, not sought again.

        Raises:
            VideoError: no such frame, or the source is live.
        """
        self._check_number(index, len(self))
        if self._walk is None or index not in (self._walk.next_index, self._walk.last.index):
            turned = self._walk is not None and index == self._walk.last.index - self._walk.step
            self._walk = _Walk(self, index, -self._walk.step if turned and self._walk else 1)
        return self._walk.at(index).rgb

    def _only_forwards(self, wanted: str) -> VideoError:
        return VideoError(
            f"{self.name} is a live stream and can only be read forwards, got {wanted}",
            "save it to a file first, or iterate over it",
        )

    def _checked_range(self, start: int, stop: int | None) -> tuple[int, int]:
        """`(start, stop)` within the video."""
        count = self.num_frames
        assert count is not None
        self._check_number(start, count)
        return start, count if stop is None else max(start, min(stop, count))

    def _check_number(self, index: int, count: int) -> None:
        if not 0 <= index < count:
            raise VideoError(
                f"{self.name} has no frame {index}: it has {count} frames",
                f"give a number from 0 to {count - 1}",
            )


class _NoLength(VideoError, TypeError):
    """A `TypeError`, too, as `list(source)` asks for a length first and takes that for an answer."""


class _Walk:
    """Reading on from a frame in one direction, one frame after the other."""

    def __init__(self, source: VideoSource, start: int, step: int) -> None:
        self.step = step
        frames = source.frames(0, start + 1, reverse=True) if step < 0 else source.frames(start)
        self._frames = iter(frames)
        self.last = next(self._frames)
        self.next_index = self.last.index + step

    def at(self, index: int) -> Frame:
        """The latest frame, or the one after it."""
        if index != self.last.index:
            self.last = next(self._frames)
            self.next_index = self.last.index + self.step
        return self.last
