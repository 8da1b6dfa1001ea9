"""Live pictures: network streams and cameras, read once and forwards."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import av
import numpy as np
from av import VideoFrame
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream
from numpy.typing import NDArray

from maskscope.data.newest import newest
from maskscope.data.picture import Matrix, decoded_rgb, display_matrix
from maskscope.data.source import Frame, VideoSource
from maskscope.data.video_file import video_stream
from maskscope.errors import VideoError

log = logging.getLogger(__name__)

CAMERA_FORMATS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}


MAX_FAILURES = 250  # packets in a row, ten seconds of a usual stream
_SECRET = re.compile(r"=(?![0-9]{0,2}(?:[&;#]|$))[^&;#]*")


class LiveStream(VideoSource):
    """A network stream or a camera. Each iteration connects anew and goes on until the stream ends.

    Packets that cannot be decoded are passed over; after `MAX_FAILURES` in a row the stream counts as broken.

    The connection made to learn the size is closed again, so that no stale pictures queue up before the first read.

    Args:
        address: what FFmpeg opens: a URL or a device.
        name: what to call it in messages; passwords in it are blanked.
        format: FFmpeg's input format (devices need it); None to find out.
        options: FFmpeg's input options, such as `{"rtsp_transport": "tcp"}` or `{"video_size": "1280x720"}`.
        timeout_s: how long to wait for the connection and for each read, in seconds.
        drop_late: hand out the newest picture each time and drop those that came while the last one was being worked
            on, so that nothing lags behind; frame numbers count them all the same. None is yes for whatever has no
            end, no for a network file of known length.

    Attributes:
        drop_late: as resolved.

    Raises:
        VideoError: nothing answers there, or what answers has no video.
    """

    def __init__(
        self,
        address: str,
        name: str,
        format: str | None = None,
        options: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
        drop_late: bool | None = None,
    ) -> None:
        self.name = without_password(name)
        self._address, self._format, self._options = address, format, dict(options or {})
        self._timeout_s = timeout_s
        with self._opened() as container:
            stream = video_stream(container, self.name)
            rate = stream.average_rate or stream.guessed_rate
            self.fps: float | None = float(rate) if rate else None
            self.drop_late = container.duration is None if drop_late is None else drop_late
            _, first = next(self._numbered(container, stream), (0, None))
            if first is None:
                raise VideoError(f"{self.name} sends no picture", "check what it sends")
            self.height, self.width = decoded_rgb(first, display_matrix(first)).shape[:2]

    @property
    def num_frames(self) -> None:
        """Always None: nobody knows."""
        return None

    def __iter__(self) -> Iterator[Frame]:
        with self._opened() as container:
            stream = video_stream(container, self.name)
            stream.thread_type = "SLICE"  # threads across frames would hold back the newest pictures
            numbered = self._numbered(container, stream)
            start_s: float | None = None
            last_s = 0.0
            matrix: Matrix | None = None
            came, index = 0, -1
            # Closed before the container is: a thread may be reading from it.
            with closing(newest(numbered, self._timeout_s + 5) if self.drop_late else numbered) as pictures:
                try:
                    for index, frame in pictures:
                        came += 1
                        matrix = display_matrix(frame) if matrix is None else matrix
                        if frame.pts is not None:
                            start_s = frame.time if start_s is None else start_s
                            last_s = max(last_s, frame.time - start_s)
                        elif self.fps:
                            last_s = index / self.fps
                        yield Frame(index, last_s, self._checked(decoded_rgb(frame, matrix), index))
                finally:
                    if index >= came:
                        log.warning(
                            "%s: %d of %d frames were dropped to keep up", self.name, index + 1 - came, index + 1
                        )

    def _checked(self, rgb: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
        if rgb.shape[:2] != (self.height, self.width):
            raise VideoError(
                f"{self.name} changes from {self.width}x{self.height} to {rgb.shape[1]}x{rgb.shape[0]} pixels "
                f"at frame {index}",
                "fix the size at the sender",
            )
        return rgb

    def _numbered(self, container: InputContainer, stream: VideoStream) -> Generator[tuple[int, VideoFrame]]:
        """Decoded pictures until the stream ends, counted from 0.

        Raises:
            VideoError: the connection broke, or nothing can be decoded any more.
        """
        packets = container.demux(stream)
        came = failures = 0
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except FFmpegError as error:
                raise self._broken(came, error) from error
            try:
                pictures = packet.decode()
            except FFmpegError as error:
                failures += 1
                log.debug("%s: a packet was not decoded: %s", self.name, _reason(error))
                if failures >= MAX_FAILURES:
                    raise self._broken(came, error) from error
                continue
            if pictures:
                failures = 0
            yield from enumerate(pictures, came)
            came += len(pictures)

    def _broken(self, came: int, error: FFmpegError) -> VideoError:
        return VideoError(f"{self.name} broke off after {came} frames ({_reason(error)})", "check the connection")

    @contextmanager
    def _opened(self) -> Iterator[InputContainer]:
        try:
            container = av.open(
                self._address,
                format=self._format,
                options=self._options,
                timeout=(self._timeout_s, self._timeout_s),
                metadata_errors="replace",
            )
        except (FFmpegError, OSError, ValueError) as error:
            raise VideoError(
                f"cannot open {self.name} ({_reason(error)})",
                "check that it is there and not in use by another program",
            ) from error
        with container:
            yield container


def open_camera(
    number: int, options: Mapping[str, str] | None = None, timeout_s: float = 10.0, drop_late: bool | None = None
) -> LiveStream:
    """The camera with this number, counted from 0 as the system does.

    Raises:
        VideoError: no such camera, or no camera access on this system.
    """
    system = sys.platform
    if system not in CAMERA_FORMATS:
        raise VideoError(f"cameras are not supported on {system}", f"expected one of {', '.join(CAMERA_FORMATS)}")
    if number < 0:
        raise VideoError(f"camera numbers start at 0, got {number}")
    address = camera_address(number, system)
    if system == "linux" and not Path(address).exists():
        raise VideoError(f"no camera {number} ({address} is not there)", "connect it, or give the number of another")
    return LiveStream(
        address,
        f"camera:{number}",
        CAMERA_FORMATS[system],
        options,
        timeout_s,
        drop_late=True if drop_late is None else drop_late,
    )


def camera_address(number: int, system: str) -> str:
    """What FFmpeg calls the camera on this system (`sys.platform`)."""
    if system == "linux":
        return f"/dev/video{number}"
    if system == "darwin":
        return f"{number}:none"
    # DirectShow knows names only.
    from av.device import enumerate_input_devices

    cameras = [device for device in enumerate_input_devices("dshow") if "video" in device.media_types]
    if number >= len(cameras):
        raise VideoError(f"no camera {number}, found {len(cameras)}", "connect it, or give the number of another")
    return f"video={cameras[number].name}"


def without_password(address: str) -> str:
    """The address fit for messages and reports: user, password and what may be a secret in its query are blanked.

    When in doubt more is blanked than need be, as passwords may contain `@`, `/` and `?`. Numbers of up to two digits,
    which tell a camera's channels apart, stay.
    """
    protocol, separator, rest = address.partition("://")
    if not separator:
        return address
    before, at, after = rest.rpartition("@")
    if at and (":" in before or "@" in re.split("[/?#]", before)[0] or not re.search("[/?#]", before)):
        rest = f"***@{after}"
    place, *query = re.split("[?]", rest, maxsplit=1)
    place = _SECRET.sub("=***", place)
    said = ["&".join(_blanked(part) for part in part_of.split("&")) for part_of in query]
    return protocol + separator + "?".join([place, *said])


def _blanked(part: str) -> str:
    """One `name=value` of a query."""
    return _SECRET.sub("=***", part) if "=" in part else re.sub(".{3,}", "***", part)


def _reason(error: Exception) -> str:
    """The error in words, without the address FFmpeg repeats in it."""
    return str(getattr(error, "strerror", None) or type(error).__name__)
