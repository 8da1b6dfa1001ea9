"""Small models with random weights, and small videos, for tests of exactness: quick, seeded, needing no download."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from maskscope.model import PRESETS, SAM2, SAM2Config
from maskscope.model.config import HieraConfig, MaskDecoderConfig, MemoryAttentionConfig

SIZE = 128  # of the small models' input
OBJECT_SCORE_BIAS = "mask_decoder.pred_obj_score_head.layers.2.bias"
_TABLES = ("embed", "temporal_encoding", "token", "no_object", "no_memory", "pe_layer")


def small_config(family: str = "sam2.1", image_size: tuple[int, int] = (SIZE, SIZE)) -> SAM2Config:
    """A released configuration made small in every part; windows that need padding, pooled, windowed and global."""
    return replace(
        PRESETS[f"{family}-hiera-tiny"],
        trunk=HieraConfig(embed_dim=24, stages=(1, 2, 3, 1), global_blocks=(4,), window_sizes=(8, 4, 14, 7)),
        image_size=image_size,
        dim=128,
        memory_attention=MemoryAttentionConfig(num_layers=2, hidden_dim=96),
        mask_decoder=MaskDecoderConfig(hidden_dim=96, iou_hidden_dim=64),
    )


def random_state(
    model: SAM2, seed: int = 0, object_score_bias: float | None = 3.0, gain: float = 1.0
) -> dict[str, Tensor]:
    """Weights by name: each layer multiplies by about `gain`, the bias of the object score decides who is visible."""
    state = {}
    for name, tensor in model.state_dict().items():
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        x = rng.standard_normal(tuple(tensor.shape))
        if name.endswith("bias"):
            x *= 0.1
        elif any(part in name for part in _TABLES):
            x *= 1.0 if "pe_layer" in name else 0.5
        elif tensor.ndim == 1:
            x = 1 + 0.1 * x
        else:
            x *= gain / np.sqrt(tensor[0].numel())
        state[name] = torch.from_numpy(x.astype(np.float32))
    if object_score_bias is not None:
        state[OBJECT_SCORE_BIAS][:] = object_score_bias
    return state


def random_model(
    config: SAM2Config | None = None, seed: int = 0, object_score_bias: float | None = 3.0, gain: float = 1.0
) -> SAM2:
    """A model with `random_state`, in evaluation mode."""
    with torch.device("meta"):
        model = SAM2(config or small_config())
    model.load_state_dict(random_state(model, seed, object_score_bias, gain), assign=True)
    return model.requires_grad_(False).eval()


def moving_square(num_frames: int, height: int = SIZE, width: int = SIZE, seed: int = 0) -> list[npt.NDArray[np.uint8]]:
    """A bright square that drifts over a smooth random background, (H, W, 3) each."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.uniform(0, 160, (1, 3, 6, 8)))
    background = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 255)
    frames = []
    for t in range(num_frames):
        frame = background[0].permute(1, 2, 0).numpy().astype(np.uint8)
        top, left = height // 4 + t % (height // 3), width // 4 + 2 * t % (width // 2)
        frame[top : top + height // 4, left : left + width // 4] = (230, 200, 40)
        frames.append(frame)
    return frames


def square_mask(frame_index: int, height: int = SIZE, width: int = SIZE) -> npt.NDArray[np.bool_]:
    """Where `moving_square` has its square."""
    mask = np.zeros((height, width), dtype=bool)
    top, left = height // 4 + frame_index % (height // 3), width // 4 + 2 * frame_index % (width // 2)
    mask[top : top + height // 4, left : left + width // 4] = True
    return mask
