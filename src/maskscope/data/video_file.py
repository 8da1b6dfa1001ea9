"""A video file: exact frame numbers, random access and reading backwards."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import av
from av import VideoFrame
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from maskscope.data.packet_index import PacketIndex, scan_packets
from maskscope.data.picture import decoded_rgb, display_matrix
from maskscope.data.source import Frame, VideoSource
from maskscope.errors import VideoError

log = logging.getLogger(__name__)

PROBE_FRAMES = 8
REVERSE_BUFFER_BYTES = 256 * 2**20
ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC

Numbered = tuple[int, VideoFrame]


class VideoFile(VideoSource):
    """A video file that FFmpeg can decode.

    Opening reads all packets once (no decoding) to learn the frames; their time stamps are then the identity of a
    frame, so iterating, random access and reading backwards agree. For the few codecs and files where packets do not
    tell the frames, they are counted by decoding when `num_frames` is first asked for, and access by number decodes
    from the start. A frame that cannot be decoded is left out, its number with it, and a warning says so at the end.

    Args:
        path: the file.

    Raises:
        VideoError: no such file, empty, cut off before its index, no video, or nothing that can be decoded.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        _check_file(path)
        with self._opened() as (container, stream):
            self._scan = scan_packets(container, stream)
            rate = stream.average_rate or stream.guessed_rate
            self.fps: float | None = float(rate) if rate else None
        self._index: PacketIndex | None = None
        self._counted: int | None = None
        with closing(self._decode(None)) as frames:
            head = list(itertools.islice(frames, PROBE_FRAMES))
        if not head:
            raise VideoError(
                f"{path} has a video stream but no frame that can be decoded", "re-encode it, or fetch it again"
            )
        self._trust_index([frame for _, frame in head])
        first = head[0][1]
        self._matrix = display_matrix(first)
        self._stored_size = (first.height, first.width)
        self._start = first.pts if self._index is None else int(self._index.pts[0])
        self.height, self.width = decoded_rgb(first, self._matrix).shape[:2]

    def _trust_index(self, head: list[VideoFrame]) -> None:
        """Keep the packet index only if the first frames bear it out."""
        index = self._scan.index
        if index is not None and [frame.pts for frame in head] == index.pts[: len(head)].tolist():
            self._index = index
        else:
            log.info("%s: packets do not tell its frames; access by number will decode from the start", self.name)

    @property
    def num_frames(self) -> int:
        """Exact number of frames: from the packets, or (rare codecs, once) by decoding the whole file."""
        if self._index is not None:
            return len(self._index.pts)
        if self._counted is None:
            with closing(self._decode(None)) as frames:
                self._counted = sum(1 for _ in frames)
        return self._counted

    def __iter__(self) -> Iterator[Frame]:
        return self._forwards(0, None)

    def frames(self, start: int = 0, stop: int | None = None, reverse: bool = False) -> Iterator[Frame]:
        """See `VideoSource.frames`. Backwards, runs of frames are decoded forwards and handed out from their end."""
        start, end = self._checked_range(start, stop)
        return self._backwards(start, end) if reverse else self._forwards(start, end)

    def frame(self, index: int) -> Frame:
        """See `VideoSource.frame`.

        Raises:
            VideoError: no such frame, or it is damaged.
        """
        self._check_number(index, self.num_frames)
        with closing(self._forwards(index, index + 1)) as frames:
            found = next(frames, None)
        if found is None:
            raise VideoError(f"frame {index} of {self.name} is damaged and cannot be decoded", "use another frame")
        return found

    def _forwards(self, start: int, stop: int | None) -> Generator[Frame]:
        came = 0
        with closing(self._numbered(start, stop)) as frames:
            for number, frame in frames:
                yield self._convert(number, frame)
                came += 1
        if stop is None and self._index is None:
            self._counted = came
        if stop is None or stop == self.num_frames:
            self._report(came, self.num_frames - start)

    def _backwards(self, start: int, stop: int) -> Iterator[Frame]:
        room = max(PROBE_FRAMES, REVERSE_BUFFER_BYTES // (3 * self.height * self.width))
        came, end = 0, stop
        while end > start:
            begin = max(start, end - room)
            with closing(self._numbered(begin, end)) as frames:
                run = [self._convert(number, frame) for number, frame in frames]
            came += len(run)
            while run:
                yield run.pop()
            end = begin
        self._report(came, stop - start)

    def _report(self, came: int, expected: int) -> None:
        if self._scan.cut_off:
            promised = f" of the {self._scan.announced} its header promises" if self._scan.announced else ""
            log.warning("%s is cut off: %d frames came%s", self.name, came, promised)
        elif came < expected:
            log.warning("%s is damaged: %d of %d frames came, the others cannot be decoded", self.name, came, expected)

    def _convert(self, number: int, frame: VideoFrame) -> Frame:
        if (frame.height, frame.width) != self._stored_size:
            height, width = self._stored_size
            raise VideoError(
                f"{self.name} changes from {width}x{height} to {frame.width}x{frame.height} pixels at frame {number}",
                "cut it there, or re-encode it to one size",
            )
        return Frame(number, self._time_s(number, frame), decoded_rgb(frame, self._matrix))

    def _time_s(self, number: int, frame: VideoFrame) -> float:
        if frame.pts is None or self._start is None or frame.time_base is None:
            return number / self.fps if self.fps else 0.0
        return float((frame.pts - self._start) * frame.time_base)

    def _numbered(self, start: int, stop: int | None) -> Generator[Numbered]:
        """Decoded frames `start <= number < stop`, from the key frame before them where the file lets us seek."""
        index = self._index
        if index is not None and start > 0:
            key_pts, key_dts = index.key_at_or_before(start)
            if key_pts > index.pts[0]:
                with closing(self._decode(index, key_pts, key_dts)) as frames:
                    wanted = itertools.dropwhile(lambda item: item[0] < start, frames)
                    first = next(wanted, None)
                    if first is not None and first[0] == start:
                        yield from _until(stop, itertools.chain([first], wanted))
                        return
                log.debug("%s: no exact seek to frame %d, decoding from the start", self.name, start)
        with closing(self._decode(index)) as frames:
            yield from _until(stop, itertools.dropwhile(lambda item: item[0] < start, frames))

    def _decode(self, index: PacketIndex | None, key_pts: int | None = None, key_dts: int = 0) -> Generator[Numbered]:
        """Decode from the start or from a key frame on; frames are numbered by the index, else counted."""
        last = -1
        with self._opened() as (container, stream):
            stream.thread_type = "AUTO"
            if key_pts is not None:
                container.seek(key_dts, stream=stream)
            for frame in _decoded(container, stream, key_pts, self._scan.torn_dts):
                number = last + 1 if index is None else index.number_of(frame.pts)
                if number is not None and number > last:
                    last = number
                    yield number, frame

    @contextmanager
    def _opened(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        # The prefix keeps FFmpeg from reading a colon in a name as a protocol, the list a playlist from going online.
        options = {"protocol_whitelist": "file,crypto,data"}
        try:
            container = av.open(f"file:{self._path}", options=options, metadata_errors="replace")
        except (FFmpegError, OSError) as error:
            raise _cannot_open(self._path, error) from error
        with container:
            yield container, video_stream(container, self.name)


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """The stream with the moving picture; cover art does not count.

    Raises:
        VideoError: there is none, or its codec is not known to this FFmpeg.
    """
    streams = [stream for stream in container.streams.video if not int(stream.disposition) & ATTACHED_PICTURE]
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise VideoError(f"{name} has no video in it, only {kinds}", "give a file with a video stream")
    if streams[0].codec_context is None:
        raise VideoError(f"{name} uses a video codec this FFmpeg cannot decode", "re-encode it to H.264")
    return streams[0]


def _decoded(
    container: InputContainer, stream: VideoStream, key_pts: int | None, torn_dts: int | None
) -> Iterator[VideoFrame]:
    """Frames in order of display, passing over packets that fail; after a seek, from the given key frame on."""
    waiting = key_pts is not None
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except FFmpegError as error:
            log.debug("reading stopped: %s", error)
            return
        flush = packet.size == 0
        if waiting and not flush:
            stamp = packet.dts if packet.pts is None else packet.pts
            if stamp != key_pts:
                continue
            waiting = False
        if flush or torn_dts is None or packet.dts != torn_dts:
            try:
                yield from packet.decode()
            except FFmpegError as error:
                log.debug("a packet at %s was not decoded: %s", packet.pts, error)


def _until(stop: int | None, frames: Iterator[Numbered]) -> Generator[Numbered]:
    """Like `takewhile` on the number, without decoding one frame too many."""
    if stop is None:
        yield from frames
        return
    for number, frame in frames:
        if number >= stop:
            return
        yield number, frame
        if number == stop - 1:
            return


def _check_file(path: Path) -> None:
    if not path.exists():
        raise VideoError(f"no such file: {path}", "check the path")
    if path.stat().st_size == 0:
        raise VideoError(f"{path} is empty (0 bytes)", "fetch or record it again")


def _cannot_open(path: Path, error: Exception) -> VideoError:
    if isinstance(error, PermissionError):
        return VideoError(f"no permission to read {path}", "change its access rights")
    if _lacks_moov(path):
        return VideoError(
            f"{path} is an MP4 without its index (no 'moov' box): the recording or the download was cut off",
            "fetch it again, or repair it with a tool such as untrunc",
        )
    return VideoError(
        f"{path} is not a video that FFmpeg can read ({getattr(error, 'strerror', None) or error})",
        "expected a video file such as MP4, MKV, MOV, AVI or WebM, or a folder of images",
    )


def _lacks_moov(path: Path) -> bool:
    """Whether the file begins as an MP4 but holds no 'moov' box."""
    with path.open("rb") as file:
        if file.read(12)[4:8] != b"ftyp":
            return False
        size, place = path.stat().st_size, 0
        while place + 8 <= size:
            file.seek(place)
            header = file.read(16)
            if header[4:8] == b"moov":
                return False
            length = int.from_bytes(header[:4], "big")
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            if length < 8:
                break
            place += length
    return True
