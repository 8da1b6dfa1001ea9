"""Masks drawn over the picture, and the video made of such pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

from maskscope.data.output import new_file, writing
from maskscope.errors import OutputError, ShapeError
from maskscope.palette import davis_palette

ENCODERS = ("libx264", "libopenh264", "mpeg4")
TICKS_PER_S = 60_000  # MPEG-4 cannot count finer than 1/65535
BT709 = 1


def object_colour(object_id: int) -> tuple[int, int, int]:
    """RGB of an object: its entry in the DAVIS palette; ids above 255 start over at 1."""
    red, green, blue = davis_palette()[(object_id - 1) % 255 + 1].tolist()
    return red, green, blue


def draw_overlay(
    rgb: NDArray[np.uint8],
    masks: NDArray[np.bool_],
    object_ids: Sequence[int],
    *,
    scores: Sequence[float] | None = None,
    alpha: float = 0.5,
) -> NDArray[np.uint8]:
    """Tint each object in its colour, draw its contour, and label it with its id (and score).

    Objects are drawn in the order given, labels last. An empty mask draws nothing.

    Args:
        rgb: `(H, W, 3)` uint8; not changed.
        masks: `(N, H, W)` bool.
        object_ids: N ids.
        scores: N numbers to print beside the ids, such as the probability that the object is visible.
        alpha: 0 leaves the picture as it is under the contour, 1 paints the mask over it.

    Returns:
        A new `(H, W, 3)` uint8 picture.

    Raises:
        ShapeError: masks of another size or number.
    """
    if masks.ndim != 3 or masks.shape[1:] != rgb.shape[:2] or len(masks) != len(object_ids):
        raise ShapeError(
            f"expected {len(object_ids)} masks of {rgb.shape[1]}x{rgb.shape[0]} pixels, got shape {masks.shape}",
            "masks are (N, H, W) in the size of the frame",
        )
    if scores is not None and len(scores) != len(object_ids):
        raise ShapeError(f"expected {len(object_ids)} scores, got {len(scores)}")
    drawn = rgb.copy()
    thickness = max(1, round(min(rgb.shape[:2]) / 300))
    labels: list[tuple[str, int, int, tuple[int, int, int]]] = []
    for place, object_id in enumerate(object_ids):
        mask = masks[place].view(np.uint8)
        left, top, width, height = cv2.boundingRect(mask)
        if width == 0:
            continue
        colour = object_colour(object_id)
        window = (slice(top, top + height), slice(left, left + width))
        tinted = cv2.LUT(drawn[window], _tint(colour, alpha))
        # Within the bounding box only: copying under a mask is what costs time.
        drawn[window] = cv2.copyTo(tinted, mask[window], drawn[window].copy())
        contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        # The palette begins dark: a white rim keeps the line visible on dark pictures.
        cv2.drawContours(drawn, contours, -1, (255, 255, 255), thickness + 2, cv2.LINE_8)
        cv2.drawContours(drawn, contours, -1, colour, thickness, cv2.LINE_8)
        text = str(object_id) if scores is None else f"{object_id}  {scores[place]:.2f}"
        labels.append((text, left, top, colour))
    for text, left, top, colour in labels:
        _draw_label(drawn, text, left, top, colour)
    return drawn


def _tint(colour: tuple[int, int, int], alpha: float) -> NDArray[np.uint8]:
    """Table `(1, 256, 3)` from a channel's value to its value under the tint."""
    values = np.arange(256)[:, None] * (1.0 - alpha) + np.array(colour)[None] * alpha
    return np.rint(values).astype(np.uint8)[None]


def _draw_label(drawn: NDArray[np.uint8], text: str, left: int, top: int, colour: tuple[int, int, int]) -> None:
    """The text on a plate of the object's colour above the corner of its box, within the picture."""
    height, width = drawn.shape[:2]
    scale = max(0.35, min(height, width) / 1000)
    (text_width, text_height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    plate_width, plate_height = text_width + 6, text_height + below + 4
    left = min(max(0, left), max(0, width - plate_width))
    top = min(max(0, top - plate_height), max(0, height - plate_height))
    cv2.rectangle(drawn, (left, top), (left + plate_width - 1, top + plate_height - 1), colour, cv2.FILLED)
    bright = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 128
    ink = (0, 0, 0) if bright else (255, 255, 255)
    corner = (left + 3, top + text_height + 2)
    cv2.putText(drawn, text, corner, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 1, cv2.LINE_AA)


class OverlayWriter:
    """Write pictures as an MP4 that any player shows: H.264 where FFmpeg has an encoder for it, else MPEG-4.

    The file is fragmented while it grows, so that everything written plays even if the program is killed. Sides of
    odd length are padded to even by repeating the last row or column (yuv420p needs it). Colours are tagged BT.709.

    Args:
        path: the file, ending in `.mp4`.
        fps: frames per second, for frames written without a time.
        height_px: height of the frames.
        width_px: width of the frames.
        overwrite: replace an existing file instead of refusing.

    Raises:
        OutputError: the file exists or cannot be written, or this FFmpeg has none of the encoders.
    """

    def __init__(self, path: Path | str, fps: float, height_px: int, width_px: int, overwrite: bool = False) -> None:
        self.path = new_file(Path(path), overwrite)
        if not fps > 0:
            raise OutputError(f"frames per second must be above 0, got {fps}")
        self._fps, self._size = fps, (height_px, width_px)
        self._count, self._last_tick = 0, -1
        self._closed = self._failed = False
        codec = next((name for name in ENCODERS if name in av.codecs_available), None)
        if codec is None:
            raise OutputError(f"this FFmpeg has none of the encoders {', '.join(ENCODERS)}", "install another PyAV")
        with writing(self.path):
            options = {"movflags": _movflags(), "flush_packets": "1"}
            self._container = av.open(f"file:{self.path}", "w", format="mp4", options=options)
            stream = self._container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
            assert isinstance(stream, VideoStream)
            stream.width, stream.height = width_px + width_px % 2, height_px + height_px % 2
            stream.pix_fmt = "yuv420p"
            stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS_PER_S)
            stream.codec_context.gop_size = max(1, round(fps))
            stream.codec_context.color_range = ColorRange.MPEG.value
            for tag in ("colorspace", "color_primaries", "color_trc"):
                setattr(stream.codec_context, tag, BT709)
            # Zero latency: the encoder keeps no frames back that a crash would lose.
            stream.options = {"preset": "veryfast", "crf": "20", "tune": "zerolatency"} if codec == "libx264" else {}
            if codec != "libx264":
                stream.bit_rate = max(1_000_000, int(0.15 * fps * height_px * width_px))
            self._stream = stream

    def write(self, rgb: NDArray[np.uint8], time_s: float | None = None) -> None:
        """Append one frame.

        Args:
            rgb: `(height_px, width_px, 3)` uint8.
            time_s: when it is shown, later than the frame before; None spaces frames evenly by `fps`.

        Raises:
            ShapeError: the frame has another size.
            OutputError: the disk is full, or the file cannot be written.
        """
        if rgb.shape != (*self._size, 3) or rgb.dtype != np.uint8:
            raise ShapeError(
                f"expected frames ({self._size[0]}, {self._size[1]}, 3) uint8, got {rgb.shape} {rgb.dtype}",
                "all frames of a video have one size",
            )
        pad = [(0, side % 2) for side in self._size]
        if any(end for _, end in pad):
            rgb = np.pad(rgb, [*pad, (0, 0)], mode="edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        tick = round((self._count / self._fps if time_s is None else time_s) * TICKS_PER_S)
        self._last_tick = picture.pts = max(tick, self._last_tick + 1)
        picture.time_base = Fraction(1, TICKS_PER_S)
        self._count += 1
        try:
            with writing(self.path):
                self._container.mux(self._stream.encode(picture))
        except OutputError:
            self._failed = True
            raise

    def close(self) -> None:
        """Finish the file; without a frame written nothing playable is left."""
        if self._closed:
            return
        self._closed = True
        if self._failed:  # it was raised already, and would only be met again
            with contextlib.suppress(OSError, FFmpegError):
                self._container.close()
            return
        with writing(self.path):
            try:
                if self._count:
                    self._container.mux(self._stream.encode(None))
            finally:
                self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _movflags() -> str:
    """A fragment for each frame; where FFmpeg can (8.0 on), made an ordinary file when closed."""
    flags = "frag_every_frame+empty_moov+default_base_moof"
    return f"{flags}+hybrid_fragmented" if av.library_versions["libavformat"] >= (62,) else flags
