"""Which frames a video file holds, from its packets, without decoding them."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream
from numpy.typing import NDArray

# Codecs that show one frame for each packet. Others (VP8 with its hidden reference frames, interlaced MPEG-2 and VC-1
# with a packet for each field) have to be decoded to be counted.
ONE_FRAME_A_PACKET = {
    *(
        "h264",
        "hevc",
        "vvc",
        "av1",
        "libdav1d",
        "libaom-av1",
        "vp9",
        "libvpx-vp9",
        "mpeg4",
        "mjpeg",
        "ffv1",
        "rawvideo",
    ),
    *("huffyuv", "ffvhuff", "utvideo", "prores", "dnxhd", "cfhd", "jpeg2000", "png", "apng", "gif", "qtrle", "theora"),
}


@dataclass(frozen=True, slots=True)
class PacketIndex:
    """The frames of a video in order of display.

    Attributes:
        pts: `(N,)` int64 time stamps in units of the stream's time base, rising.
        key_frames: `(K,)` int64 rising numbers of the frames decoding can start at; the first is 0.
        key_dts: `(K,)` int64 what to seek to for each of them.
    """

    pts: NDArray[np.int64]
    key_frames: NDArray[np.int64]
    key_dts: NDArray[np.int64]

    def number_of(self, pts: int | None) -> int | None:
        """The number of the frame with this time stamp."""
        if pts is None:
            return None
        place = int(np.searchsorted(self.pts, pts))
        return place if place < len(self.pts) and self.pts[place] == pts else None

    def key_at_or_before(self, number: int) -> tuple[int, int]:
        """`(pts, dts)` of the last frame up to this one that decoding can start at."""
        place = int(np.searchsorted(self.key_frames, number, side="right")) - 1
        return int(self.pts[self.key_frames[place]]), int(self.key_dts[place])


@dataclass(frozen=True, slots=True)
class Scan:
    """What reading all packets of a file once has shown.

    Attributes:
        index: the frames; None where packets do not tell them (no time stamps, or a codec that hides frames).
        packets: how many whole packets the video stream has.
        announced: how many the header promises; 0 where it does not say.
        cut_off: the file ends before its header says.
        torn_dts: decoding time stamp of the last packet where the cut went through it; such a packet is not decoded.
    """

    index: PacketIndex | None
    packets: int
    announced: int
    cut_off: bool
    torn_dts: int | None


def scan_packets(container: InputContainer, stream: VideoStream) -> Scan:
    """Read the container to its end. Its frame count is not trusted: editing and cutting leave it wrong."""
    rows = _Rows()
    packets, end_s, timed = 0, 0.0, True
    torn_dts: int | None = None
    # Without B-frames packets come in order of display, so one time stamp serves for the other (AVI has only one).
    in_order = not stream.codec_context.has_b_frames
    try:
        for packet in container.demux():
            if packet.size == 0:
                continue
            stamp = packet.dts if packet.pts is None else packet.pts
            if stamp is not None and packet.time_base:
                end_s = max(end_s, float((stamp + (packet.duration or 0)) * packet.time_base))
            if packet.stream_index != stream.index:
                continue
            packets += 1
            # Broadcast streams flag packets after any loss, and those decode well enough: only the last one is torn.
            torn_dts = packet.dts if packet.is_corrupt else None
            if packet.is_discard:
                continue
            pts = packet.dts if packet.pts is None and in_order else packet.pts
            if pts is None:
                timed = False
            else:
                rows.append(pts, pts if packet.dts is None else packet.dts, packet.is_keyframe)
    except FFmpegError:
        pass  # what comes after the damage is out of reach for decoding, too
    if torn_dts is not None:
        packets -= 1
    length_s = (container.duration or 0) / 1_000_000 + max(0, container.start_time or 0) / 1_000_000
    cut_off = packets < stream.frames or end_s < length_s - 0.5
    reliable = timed and stream.codec_context.name in ONE_FRAME_A_PACKET
    if stream.codec_context.name == "mpeg4" and container.format.name == "avi":
        reliable = False  # packed B-frames: two frames in one packet, none in the next
    return Scan(_index(rows, torn_dts) if reliable else None, packets, stream.frames, cut_off, torn_dts)


class _Rows:
    """Packets in order of decoding, 17 bytes each: a day of video has millions."""

    def __init__(self) -> None:
        self._pts, self._dts, self._key = array("q"), array("q"), array("b")

    def append(self, pts: int, dts: int, key: bool) -> None:
        self._pts.append(pts)
        self._dts.append(dts)
        self._key.append(key)

    def columns(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """`(pts, dts, is key)`, each `(N,)`."""
        return np.asarray(self._pts), np.asarray(self._dts), np.asarray(self._key).astype(bool)


def _index(rows: _Rows, torn_dts: int | None) -> PacketIndex | None:
    """The index over the packets, but for the torn one."""
    pts, dts, key = rows.columns()
    if torn_dts is not None:
        pts, dts, key = (column[dts != torn_dts] for column in (pts, dts, key))
    if not key.any():
        return None
    # Frames before the first key frame, in either order, lack what they were predicted from.
    first = int(key.argmax())
    kept = first + np.flatnonzero(pts[first:] >= pts[first])
    shown = kept[np.argsort(pts[kept], kind="stable")]
    pts, dts, keys = pts[shown], dts[shown], np.flatnonzero(key[shown])
    if np.any(np.diff(pts) <= 0):
        return None
    return PacketIndex(pts, keys, dts[keys])
