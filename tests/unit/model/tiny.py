"""A SAM 2 of a few hundred kilobytes, so that files of it can be written in tests."""

from __future__ import annotations

import torch

from maskscope.model import SAM2, SAM2Config
from maskscope.model.config import HieraConfig, MaskDecoderConfig, MemoryAttentionConfig, MemoryConfig

TINY = SAM2Config(
    trunk=HieraConfig(embed_dim=8, stages=(1, 2, 3, 1), global_blocks=(4,), window_sizes=(8, 4, 4, 2)),
    image_size=(128, 128),
    dim=64,
    memory_attention=MemoryAttentionConfig(num_layers=1, hidden_dim=32),
    mask_decoder=MaskDecoderConfig(hidden_dim=32, iou_hidden_dim=64),
    memory=MemoryConfig(dim=16),
)


def tiny_model(seed: int = 0, config: SAM2Config = TINY) -> SAM2:
    """Every number of it random, none of them zero by initialisation."""
    generator = torch.Generator().manual_seed(seed)
    model = SAM2(config).eval()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.1)
    return model
