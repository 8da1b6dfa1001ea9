"""A small clip and untrained weights: enough to hold what the command does with files, errors and interrupts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from maskscope.model import SAM2
from maskscope.model.checkpoints import save_checkpoint
from maskscope.model.presets import PRESETS

HEIGHT, WIDTH = 96, 128
SIZE = ("--image-size", "64x96")
POINT = ("--point", "40,44")


def picture(index: int) -> NDArray[np.uint8]:
    """A textured disk that goes to the right over a gradient."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    rgb = np.stack((x, y, 128 + 0 * x), axis=-1).astype(np.float64)
    disk = (x - 40 - 2 * index) ** 2 + (y - 44) ** 2 < 18**2
    rgb[disk] = np.stack((200 + 40 * np.sin(x), 60 + 0 * x, 40 + 40 * np.cos(y)), axis=-1)[disk]
    return rgb.clip(0, 255).astype(np.uint8)


def truth(index: int) -> NDArray[np.uint8]:
    """The disk, 0 and 255."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (((x - 40 - 2 * index) ** 2 + (y - 44) ** 2 < 18**2) * 255).astype(np.uint8)


def make_video(path: Path, frames: int) -> Path:
    """H.264, ten frames a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.gop_size = 8
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(index % 20), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def make_weights(path: Path) -> Path:
    """The compact model without training, but sure that it sees something, so that masks are neither full nor empty."""
    torch.manual_seed(3)
    model = SAM2(PRESETS["compact"]).eval()
    head = model.mask_decoder.pred_obj_score_head.layers[-1]
    assert isinstance(head, torch.nn.Linear)
    head.bias.data += 3
    return save_checkpoint(model, path)


def records(folder: Path) -> list[dict[str, Any]]:
    """The lines of `masks.jsonl`."""
    return [json.loads(line) for line in (folder / "masks.jsonl").read_text().splitlines()]


def mask_files(folder: Path) -> dict[str, NDArray[np.uint8]]:
    """The mask pictures by name."""
    return {path.name: np.array(Image.open(path)) for path in sorted((folder / "masks").glob("*.png"))}


def overlay_times(folder: Path) -> list[float]:
    """When each frame of the overlay is shown, in seconds; decodes it all."""
    with av.open(str(folder / "overlay.mp4")) as container:
        return [float(frame.time or 0.0) for frame in container.decode(video=0)]


def run_file(folder: Path) -> dict[str, Any]:
    """`run.json`."""
    content: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return content


def write_images(folder: Path, count: int, sizes: Sequence[tuple[int, int]] = ()) -> Path:
    """A folder of PNG images; `sizes` (width, height) replace those of the first ones."""
    folder.mkdir()
    for index in range(count):
        image = Image.fromarray(picture(index))
        if index < len(sizes):
            image = image.resize(sizes[index])
        image.save(folder / f"{index:03d}.png")
    return folder


def nearly_same_masks(one: Path, other: Path) -> bool:
    """Between processes, which may add in another order: all frames together agree to a thousandth."""
    ours, theirs = mask_files(one), mask_files(other)
    assert list(ours) == list(theirs)
    inside = sum(int(((ours[name] == 1) & (theirs[name] == 1)).sum()) for name in ours)
    either = sum(int(((ours[name] == 1) | (theirs[name] == 1)).sum()) for name in ours)
    return inside > 0.999 * either > 0


def nearly_same_scores(one: Path, other: Path) -> bool:
    """Likewise, of the same lines."""
    ours, theirs = records(one), records(other)
    assert [[line[k] for k in ("frame", "time_s", "object")] for line in ours] == [
        [line[k] for k in ("frame", "time_s", "object")] for line in theirs
    ]
    keys = ("object_score", "predicted_iou")
    mine, others = ([[line[k] for k in keys] for line in lines] for lines in (ours, theirs))
    return bool(np.allclose(mine, others, rtol=0, atol=1e-3))
