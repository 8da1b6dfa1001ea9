"""A frame as the model takes it: resized, normalised, with the sides the model wants."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from maskscope.errors import ShapeError
from maskscope.model.config import SAM2Config
from maskscope.model.sam2 import SAM2

IMAGE_MEAN: Final = (0.485, 0.456, 0.406)  # of ImageNet, RGB, 0..1
IMAGE_STD: Final = (0.229, 0.224, 0.225)
SIDE_MULTIPLE: Final = 32

RgbFrame = npt.NDArray[np.uint8]


def input_size(config: SAM2Config, height: int, width: int) -> tuple[int, int]:
    """Sides (height, width) of the model's input for a video of that size.

    The released models take their square whatever the video; a model that follows the aspect keeps the area of its
    configured size, each side rounded to a multiple of 32.
    """
    if not config.follow_aspect:
        return config.image_size
    area = config.image_size[0] * config.image_size[1]
    ideal = math.sqrt(area * height / width), math.sqrt(area * width / height)
    rounded = tuple(max(SIDE_MULTIPLE, SIDE_MULTIPLE * round(side / SIDE_MULTIPLE)) for side in ideal)
    return rounded[0], rounded[1]


def check_frame(frame_rgb: RgbFrame) -> None:
    """Raise `ShapeError` unless the frame is (H, W, 3) uint8."""
    if frame_rgb.ndim != 3 or frame_rgb.shape[2] != 3 or frame_rgb.dtype != np.uint8 or 0 in frame_rgb.shape:
        raise ShapeError(
            f"a frame is an array of shape {frame_rgb.shape} and type {frame_rgb.dtype}, expected (H, W, 3) uint8 RGB"
        )


def frame_tensor(
    frame_rgb: RgbFrame, size: tuple[int, int], device: torch.device, dtype: torch.dtype, *, as_pillow: bool = True
) -> Tensor:
    """(H, W, 3) uint8 -> (1, 3, *size), bicubic with anti-aliasing, ImageNet normalised.

    Args:
        as_pillow: resize with Pillow, as the reference prepares frames of the released models, so that results agree
            to the last bit. PyTorch's resizing takes a tenth of the time and differs by a level or two on few pixels.
    """
    check_frame(frame_rgb)
    height, width = size
    if frame_rgb.shape[:2] != size and as_pillow:
        frame_rgb = np.asarray(Image.fromarray(frame_rgb).resize((width, height), Image.Resampling.BICUBIC))
    levels = torch.from_numpy(np.array(frame_rgb)).permute(2, 0, 1)[None]
    if levels.shape[-2:] != size:
        levels = F.interpolate(levels, size=size, mode="bicubic", antialias=True)
    pixels = levels.to(device).to(dtype)
    mean = torch.tensor(IMAGE_MEAN, device=device, dtype=dtype)[:, None, None]
    std = torch.tensor(IMAGE_STD, device=device, dtype=dtype)[:, None, None]
    return (pixels / 255 - mean) / std


def model_input(frame_rgb: RgbFrame, size: tuple[int, int], model: SAM2) -> Tensor:
    """A video's frame as `model` takes it; see `frame_tensor`."""
    exact = not model.config.follow_aspect  # the models that have a reference
    return frame_tensor(frame_rgb, size, model.device, model.fine_dtype, as_pillow=exact)


def mask_tensor(
    mask: npt.NDArray[np.generic], size: tuple[int, int], device: torch.device, dtype: torch.dtype
) -> Tensor:
    """(H, W), non-zero is the object -> (1, 1, *size) of 0 and 1: resized with anti-aliasing, then cut at a half."""
    binary = torch.from_numpy(np.ascontiguousarray(mask != 0)).to(device, dtype)[None, None]
    if binary.shape[-2:] != size:
        binary = F.interpolate(binary, size=size, mode="bilinear", align_corners=False, antialias=True)
    return (binary >= 0.5).to(dtype)
