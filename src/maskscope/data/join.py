"""One video from parts, packet by packet: nothing is decoded or encoded again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from maskscope.data.output import writing
from maskscope.errors import VideoError


@dataclass(frozen=True, slots=True)
class VideoPart:
    """A stretch of a video in a file of its own.

    Attributes:
        path: the file; it may lack its end.
        num_frames: how many of its frames to take, from its first.
        start_s: when the first of them is shown in the whole video, in seconds.
    """

    path: Path
    num_frames: int
    start_s: float


def join_videos(parts: Sequence[VideoPart], target: Path) -> None:
    """Write the parts, one after the other, as one MP4; `target` may be one of them, it is replaced at the end.

    Each packet must hold one frame and depend on earlier ones only, as those of `OverlayWriter` do: then a part can
    be cut anywhere.

    Raises:
        VideoError: a part is unreadable, shorter than said, or encoded otherwise than the first.
        OutputError: the whole cannot be written.
    """
    beside = target.with_name(f".{target.name}.part")
    try:
        with ExitStack() as opened:
            sources = [opened.enter_context(_opened(part.path)) for part in parts]
            first = sources[0].streams.video[0]
            for part, source in zip(parts, sources, strict=True):
                if _encoding(source.streams.video[0]) != _encoding(first):
                    raise VideoError(f"{part.path} is encoded otherwise than {parts[0].path}", "join them by hand")
            with (
                writing(target),
                av.open(f"file:{beside}", "w", format="mp4", options={"movflags": "faststart"}) as whole,
            ):
                stream = whole.add_stream_from_template(first)
                for part, source in zip(parts, sources, strict=True):
                    for packet in _packets(part, source):
                        packet.stream = stream
                        whole.mux(packet)
        with writing(target):
            os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def _opened(path: Path) -> InputContainer:
    try:
        return av.open(f"file:{path}")
    except (FFmpegError, OSError) as error:
        raise VideoError(f"cannot read {path} ({error.strerror or error})", "was it changed by hand?") from error


def _encoding(stream: VideoStream) -> tuple[object, ...]:
    context = stream.codec_context
    return context.name, context.width, context.height, context.pix_fmt, bytes(context.extradata or b"")


def _packets(part: VideoPart, source: InputContainer) -> Iterator[Packet[VideoStream]]:
    """The part's packets, on the clock of the whole."""
    stream = source.streams.video[0]
    assert stream.time_base is not None
    ticks_per_s = 1 / stream.time_base
    count, shift = 0, 0
    for packet in islice((packet for packet in source.demux(stream) if packet.size), part.num_frames):
        assert packet.pts is not None
        if count == 0:
            shift = round(Fraction(part.start_s) * ticks_per_s) - packet.pts
        packet.pts += shift
        packet.dts = packet.pts
        count += 1
        yield packet
    if count < part.num_frames:
        raise VideoError(f"{part.path} holds {count} frames, expected {part.num_frames}", "was it changed by hand?")
