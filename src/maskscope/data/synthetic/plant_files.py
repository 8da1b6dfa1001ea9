"""A clip of a plant as files: the film as a camera would give it, and true masks beside it."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

from maskscope.data.output import writing
from maskscope.data.synthetic.plant import PlantConfig, iter_plant
from maskscope.errors import OutputError
from maskscope.palette import davis_palette

TARGET: Final = 1
_BT709: Final = 1
logger = logging.getLogger(__name__)


def write_plant(folder: Path, config: PlantConfig) -> Path:
    """Draw a clip and write it.

    `SCENE.mp4` is the film, `masks/00000.png` what is seen of the object to be followed (1), `all/00000.png` of all
    objects that resemble it, too. `maskscope readiness SCENE.mp4 --masks masks` takes it so.

    Args:
        folder: made if need be; may not hold such a clip yet.
        config: of the clip.

    Returns:
        The film.

    Raises:
        OutputError: there is such a clip already, or it cannot be written.
    """
    film = folder / f"{config.scene}.mp4"
    if film.exists():
        raise OutputError(f"{film} is there already", "name another folder with --out")
    with writing(film):
        for name in ("masks", "all"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        with av.open(str(film), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=Fraction(config.fps).limit_denominator(1001))
            assert isinstance(stream, VideoStream)
            stream.height, stream.width, stream.pix_fmt = config.height_px, config.width_px, "yuv420p"
            stream.codec_context.color_range = ColorRange.MPEG.value
            for tag in ("colorspace", "color_primaries", "color_trc"):
                setattr(stream.codec_context, tag, _BT709)
            stream.codec_context.thread_count = 1  # so that equal frames give equal files everywhere
            stream.options = {"preset": "medium", "crf": "18"}
            for frame in iter_plant(config):
                picture = av.VideoFrame.from_ndarray(frame.rgb, format="rgb24").reformat(
                    format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
                )
                container.mux(stream.encode(picture))
                name = f"{frame.index:05d}.png"
                _write_labels(folder / "all" / name, frame.visible)
                _write_labels(folder / "masks" / name, np.where(frame.visible == TARGET, frame.visible, 0))
            container.mux(stream.encode(None))
    logger.info("wrote %s and %d masks beside it", film, config.num_frames)
    return film


def _write_labels(path: Path, labels_hw: NDArray[np.uint8]) -> None:
    picture = Image.fromarray(labels_hw.astype(np.uint8), "P")
    picture.putpalette(davis_palette().tobytes())
    picture.save(path)
