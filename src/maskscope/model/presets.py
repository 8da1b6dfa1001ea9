"""The eight released configurations and the compact one, in one table.

Within a family only the trunk differs; between the families only four memory switches do
(facebookresearch/sam2, `sam2/configs`, all eight files compared).
"""

from __future__ import annotations

import dataclasses
from typing import Final

from maskscope.model.config import (
    EfficientNetLiteConfig,
    HieraConfig,
    MaskDecoderConfig,
    MemoryAttentionConfig,
    MemoryConfig,
    SAM2Config,
)

_TRUNKS: Final = {
    "tiny": HieraConfig(),
    "small": HieraConfig(stages=(1, 2, 11, 2), global_blocks=(7, 10, 13)),
    "base-plus": HieraConfig(
        embed_dim=112, num_heads=2, stages=(2, 3, 16, 3), global_blocks=(12, 16, 20), position_grid=(14, 14)
    ),
    "large": HieraConfig(
        embed_dim=144, num_heads=2, stages=(2, 6, 36, 4), global_blocks=(23, 33, 43), window_sizes=(8, 4, 16, 8)
    ),
}

_SAM2_MEMORY: Final = MemoryConfig(
    pointer_time=False, pointer_time_projected=False, pointer_time_signed=False, no_object_spatial=False
)

COMPACT: Final = SAM2Config(
    trunk=EfficientNetLiteConfig(),
    image_size=(352, 640),
    follow_aspect=True,
    dim=128,
    memory_attention=MemoryAttentionConfig(num_layers=2, hidden_dim=512, dropout=0.0),
    mask_decoder=MaskDecoderConfig(hidden_dim=512, iou_hidden_dim=128, refine_blocks=2),
    memory=MemoryConfig(appearance_dim=64),
    sketch_prompts=True,
    family="compact",
)

PRESETS: Final[dict[str, SAM2Config]] = {
    **{
        f"sam2-hiera-{size}": SAM2Config(trunk=trunk, memory=_SAM2_MEMORY, family="sam2")
        for size, trunk in _TRUNKS.items()
    },
    **{f"sam2.1-hiera-{size}": SAM2Config(trunk=trunk, family="sam2.1") for size, trunk in _TRUNKS.items()},
    "compact": COMPACT,
}


def with_image_size(config: SAM2Config, image_size: tuple[int, int]) -> SAM2Config:
    """The same model for another input size (height, width); no weight depends on it."""
    return dataclasses.replace(config, image_size=image_size)
