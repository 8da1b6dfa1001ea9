"""Selected memories laid out as tokens for memory attention: encodings of time, pointers in pieces, no memory.

Source: facebookresearch/sam2 `sam2_base.py`, `_prepare_memory_conditioned_features`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from maskscope.model.config import SAM2Config
from maskscope.model.layers.position import sine_grid, sine_time
from maskscope.model.outputs import MemoryTokens


class MemoryLayout(nn.Module):
    """Parameters of time, and the order of tokens."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.memory, self.dim = config.memory, config.dim
        self.temporal_encoding = nn.Parameter(torch.zeros(config.memory.num_frames, 1, 1, config.memory.dim))
        self.no_memory_embedding = nn.Parameter(torch.zeros(1, 1, config.dim))
        # Released checkpoints carry it; it is never read, as the no-memory embedding is added to the image directly.
        self.no_memory_position = nn.Parameter(torch.zeros(1, 1, config.dim))
        for parameter in self.parameters():
            nn.init.trunc_normal_(parameter, std=0.02)
        self.pointer_time_projection = (
            nn.Linear(config.dim, config.memory.dim) if config.memory.pointer_time_projected else None
        )

    def spatial_positions(self, slots: Sequence[int], height: int, width: int) -> Tensor:
        """Positions of one object's spatial memories, (len(slots) * height * width, k).

        A slot is an index into the temporal encodings: 0 is the previous frame, 1 the one before, ... and
        num_frames - 1 every prompted frame whatever its age.
        """
        k = self.memory.dim
        time = self.temporal_encoding[list(slots)]  # s, 1, 1, k
        place = sine_grid(k, height, width, time.device, time.dtype).permute(1, 2, 0)  # h, w, k
        return (place[None] + time).reshape(-1, k)

    def pointer_positions(self, distances_bp: Tensor, max_pointers: int) -> Tensor:
        """Positions of pointers that many frames away, (b, p, k); the distance is scaled by max_pointers - 1."""
        k = self.memory.dim
        if not self.memory.pointer_time:
            return distances_bp.new_zeros(*distances_bp.shape, k)
        scaled = distances_bp.flatten() / max(max_pointers - 1, 1)
        if self.pointer_time_projection is None:
            time = sine_time(scaled, k)
        else:
            time = self.pointer_time_projection(sine_time(scaled, self.dim))
        return time.reshape(*distances_bp.shape, k)

    def forward(
        self,
        spatial_bskhw: Tensor,
        slots_bs: Sequence[Sequence[int]],
        pointers_bpc: Tensor,
        distances_bp: Tensor,
        max_pointers: int,
    ) -> MemoryTokens:
        """Lay out s spatial memories and p pointers for each of b objects.

        Args:
            spatial_bskhw: (b, s, k + a, h, w) memory features, the last a channels their appearance keys.
            slots_bs: temporal slot of each spatial memory, see `spatial_positions`.
            pointers_bpc: (b, p, c); each becomes c / k tokens.
            distances_bp: (b, p) frames from the current frame, signed if the configuration says so.
            max_pointers: scale of the pointers' time, min(16, frames of the video) in the reference.
        """
        h, w = spatial_bskhw.shape[-2:]
        k, a = self.memory.dim, self.memory.appearance_dim
        values, looks = spatial_bskhw.permute(0, 1, 3, 4, 2).flatten(1, 3).split((k, a), dim=-1)
        different = list(dict.fromkeys(tuple(slots) for slots in slots_bs))
        positions = torch.stack([self.spatial_positions(slots, h, w) for slots in different])
        if len(different) > 1:
            positions = positions[[different.index(tuple(slots)) for slots in slots_bs]]
        pointer_values = pointers_bpc.reshape(len(pointers_bpc), -1, k)  # a pointer's pieces stay neighbours
        pieces = self.dim // k
        pointer_positions = self.pointer_positions(distances_bp, max_pointers).repeat_interleave(pieces, dim=1)
        return MemoryTokens(
            values_bnk=torch.cat((values, pointer_values.to(values.dtype)), dim=1),
            positions_bnk=torch.cat((positions.expand(len(values), -1, -1), pointer_positions), dim=1),
            num_pointer_tokens=pointer_values.shape[1],
            appearance_bna=F.pad(looks, (0, 0, 0, pointer_values.shape[1])) if a else None,
        )
