"""Live pictures: network streams and cameras, read once and forwards."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError

from maskscope.data.picture import Matrix, decoded_rgb, display_matrix
from maskscope.data.source import Frame, VideoSource
from maskscope.data.video_file import video_stream
from maskscope.errors import VideoError

CAMERA_FORMATS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}


class LiveStream(VideoSource):
    """A network stream or a camera. Each iteration connects anew and goes on until the stream ends.

    The connection made to learn the size is closed again, so that no stale pictures queue up before the first read.

    Args:
        address: what FFmpeg opens: a URL or a device.
        name: what to call it in messages; passwords in it are blanked.
        format: FFmpeg's input format (devices need it); None to find out.
        options: FFmpeg's input options, such as `{"rtsp_transport": "tcp"}` or `{"video_size": "1280x720"}`.
        timeout_s: how long to wait for the connection and for each read, in seconds.

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
    ) -> None:
        self.name = without_password(name)
        self._address, self._format, self._options = address, format, dict(options or {})
        self._timeout_s = timeout_s
        with self._opened() as container:
            stream = video_stream(container, self.name)
            rate = stream.average_rate or stream.guessed_rate
            self.fps: float | None = float(rate) if rate else None
            try:
                first = next(container.decode(stream))
            except (StopIteration, FFmpegError) as error:
                raise VideoError(f"{self.name} sends no picture ({error})", "check what it sends") from error
            self.height, self.width = decoded_rgb(first, display_matrix(first)).shape[:2]

    @property
    def num_frames(self) -> None:
        """Always None: nobody knows."""
        return None

    def __iter__(self) -> Iterator[Frame]:
        with self._opened() as container:
            stream = video_stream(container, self.name)
            stream.thread_type = "SLICE"  # threads across frames would hold back the newest pictures
            start_s: float | None = None
            last_s = 0.0
            matrix: Matrix | None = None
            frames = container.decode(stream)
            for index in itertools.count():
                try:
                    frame = next(frames)
                except StopIteration:
                    return
                except FFmpegError as error:
                    raise VideoError(
                        f"{self.name} broke off after {index} frames ({_reason(error)})", "check the connection"
                    ) from error
                matrix = display_matrix(frame) if matrix is None else matrix
                rgb = decoded_rgb(frame, matrix)
                if rgb.shape[:2] != (self.height, self.width):
                    raise VideoError(
                        f"{self.name} changes from {self.width}x{self.height} to {rgb.shape[1]}x{rgb.shape[0]} pixels "
                        f"at frame {index}",
                        "fix the size at the sender",
                    )
                if frame.pts is not None:
                    start_s = frame.time if start_s is None else start_s
                    last_s = max(last_s, frame.time - start_s)
                elif self.fps:
                    last_s = index / self.fps
                yield Frame(index, last_s, rgb)

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


def open_camera(number: int, options: Mapping[str, str] | None = None, timeout_s: float = 10.0) -> LiveStream:
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
    return LiveStream(address, f"camera:{number}", CAMERA_FORMATS[system], options, timeout_s)


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
    """The address with user and password blanked, fit for messages and reports."""
    return re.sub(r"(?<=://)[^/@\s]+@", "***@", address)


def _reason(error: Exception) -> str:
    """The error in words, without the address FFmpeg repeats in it."""
    return str(getattr(error, "strerror", None) or type(error).__name__)
