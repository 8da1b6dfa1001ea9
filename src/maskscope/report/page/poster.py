"""The still picture that stands for a video until it is played."""

from __future__ import annotations

import io
from base64 import b64encode
from pathlib import Path

from PIL import Image

from maskscope.data.video import open_video
from maskscope.errors import VideoError


def poster(path: Path, frame: int) -> str:
    """A frame as the address of a JPEG inside the page; the last one if there are fewer; empty if none can be read."""
    try:
        video = open_video(path)
        last = (video.num_frames or 1) - 1
        picture = Image.fromarray(video[max(0, min(frame, last))])
    except VideoError:
        return ""
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{b64encode(content.getvalue()).decode()}"
