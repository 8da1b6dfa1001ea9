"""Open any video: a file, a folder of images, a network stream or a camera."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from maskscope.data.image_folder import ImageFolder
from maskscope.data.picture import IMAGE_SUFFIXES
from maskscope.data.prefetch import prefetch
from maskscope.data.source import Frame, VideoSource
from maskscope.data.stream import LiveStream, open_camera
from maskscope.data.video_file import VideoFile
from maskscope.errors import VideoError

__all__ = ["Frame", "VideoSource", "open_video", "prefetch"]

STREAM_PROTOCOLS = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "tcp", "rtp", "srt"})


def open_video(
    source: str | Path | int,
    *,
    image_fps: float = 24.0,
    options: Mapping[str, str] | None = None,
    timeout_s: float = 10.0,
    drop_late: bool | None = None,
) -> VideoSource:
    """Open a video for reading.

    Frames come upright (rotation tags and EXIF applied) as 8-bit full-range RGB; transparency is dropped; 10- and
    16-bit pictures are scaled to 8; grey becomes three equal channels; pixels that are not square stay as stored.

    Args:
        source: a video file; a folder of images, in natural order of names; one image; a stream's URL (`rtsp://`,
            `http://` ...); a camera as its number or `"camera:0"`.
        image_fps: frames per second of image folders, which carry no time (24 as in DAVIS).
        options: FFmpeg's input options for streams and cameras, such as `{"rtsp_transport": "tcp"}`.
        timeout_s: how long to wait for a stream or camera, in seconds.
        drop_late: of a stream or camera hand out the newest picture each time and drop what came in between; None is
            yes for cameras and endless streams, no for network files of known length.

    Raises:
        VideoError: what is wrong with the source and what to do about it.
    """
    if isinstance(source, int):
        return open_camera(source, options, timeout_s, drop_late)
    if isinstance(source, str):
        camera = re.fullmatch(r"camera:([0-9]+)", source)
        if camera:
            return open_camera(int(camera[1]), options, timeout_s, drop_late)
        protocol, separator, _ = source.partition("://")
        if separator and protocol.lower() in STREAM_PROTOCOLS:
            return LiveStream(source, source, None, options, timeout_s, drop_late)
        if separator:
            raise VideoError(
                f"cannot read from protocol {protocol!r}",
                f"expected a path or one of {', '.join(sorted(STREAM_PROTOCOLS))}",
            )
        if not source:
            raise VideoError("the path of the video is empty", "give a file, a folder, a URL or camera:0")
    path = Path(source)
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageFolder(path, image_fps)
    return VideoFile(path)
