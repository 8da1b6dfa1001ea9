"""Small clips for the tests: frame i has the grey level `level(i)`, and its upper left quarter is red."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 48, 64


def level(index: int) -> int:
    return 20 + 7 * index


def picture(index: int, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    rgb = np.full((height, width, 3), level(index), np.uint8)
    rgb[: height // 2, : width // 2] = (255, 0, 0)
    return rgb


def shown(rgb: NDArray[np.uint8]) -> int:
    """Which frame this is, by the level of its centre (never red)."""
    middle = rgb[rgb.shape[0] // 2 + 4, rgb.shape[1] // 2 + 4].astype(float).mean()
    return round((middle - level(0)) / 7)


def make_clip(
    path: Path,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    frames: int = 30,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    ticks: Iterable[int] | None = None,
    rotation: int = 0,
    flip: bool = False,
    gop: int = 8,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    tags: dict[str, int] | None = None,
    audio_only: bool = False,
) -> Path:
    """Encode `frames` pictures, one at each of `ticks` (tenths of a second; 0, 1, 2 ... by default)."""
    height, width = size
    with av.open(str(path), "w", options=container_options or {}) as container:
        if audio_only:
            sound = container.add_stream("aac", rate=8000)
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            silence.sample_rate = 8000
            container.mux(sound.encode(silence))
            container.mux(sound.encode(None))
            return path
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.options = options or {}
        stream.codec_context.gop_size = gop
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        if rotation or flip:
            stream.set_display_rotation(rotation, hflip=flip)
        for index, tick in zip(range(frames), ticks or range(frames), strict=False):
            frame = av.VideoFrame.from_ndarray(picture(index, height, width), "rgb24")
            if tags:
                frame = frame.reformat(
                    format=pix_fmt, dst_colorspace=tags["colorspace"], dst_color_range=tags["color_range"]
                )
            frame.pts, frame.time_base = tick, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
