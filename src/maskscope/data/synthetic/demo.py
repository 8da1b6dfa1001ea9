"""Makes the clip that comes with the package: a film as any camera would give it, and its masks beside it."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

from maskscope.data.synthetic import SyntheticClip, SyntheticConfig, synthesize_clip

DEMO = SyntheticConfig(
    seed=7, num_frames=84, height_px=480, width_px=854, fps=24.0, occlusion="full", occlusion_frames=6, noise=1.0
)
VIDEO_NAME = "demo.mp4"
MASKS_NAME = "demo_masks.npz"
_BT709 = 1

logger = logging.getLogger(__name__)


def write_demo(folder: Path, config: SyntheticConfig = DEMO) -> SyntheticClip:
    """Draw the demo clip and write `demo.mp4` and `demo_masks.npz` into an existing folder, replacing those there.

    Returns:
        The clip as drawn; the film differs from its frames by what compression loses.
    """
    clip = synthesize_clip(config)
    _encode(folder / VIDEO_NAME, clip.frames, config.fps)
    amodal = np.stack([clip.amodal_masks[label] for label in clip.object_ids])
    np.savez_compressed(
        folder / MASKS_NAME,
        visible=clip.visible_masks,
        amodal_bits=np.packbits(amodal, axis=-1),
        object_ids=np.array(clip.object_ids, dtype=np.uint8),
    )
    for name in (VIDEO_NAME, MASKS_NAME):
        logger.info("wrote %s (%.2f MB)", folder / name, (folder / name).stat().st_size / 1e6)
    return clip


def _encode(path: Path, frames: NDArray[np.uint8], fps: float) -> None:
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.color_range = ColorRange.MPEG.value
        for tag in ("colorspace", "color_primaries", "color_trc"):
            setattr(stream.codec_context, tag, _BT709)
        # One thread, so that the same frames give the same file everywhere.
        stream.codec_context.thread_count = 1
        stream.options = {"preset": "veryslow", "crf": "18"}
        for rgb in frames:
            picture = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
            )
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
