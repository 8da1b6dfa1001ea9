"""Selected memories laid out as tokens for memory attention: temporal encodings, pointers in pieces, no-memory embedding.

Source: facebookresearch/sam2 `sam2_base.py`, `_prepare_memory_conditioned_features`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

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
        self.no_memory_position = nn.Parameter(torch.zeros(1, 1, config.dim))
        for parameter in self.parameters():
            nn.init.trunc_normal_(parameter, std=0.02)
        self.pointer_time_projection = (
            nn.Linear(config.dim, config.memory.dim) if config.memory.pointer_time_projected else None
        )

    def spatial_positions(self, slots: Sequence[int], height: int, width: int) -> Tensor:
        """Positions of spatial memories, (1, len(slots) * height * width, k).

        A slot is an index into the temporal encodings: 0 is the previous frame, 1 the one before, ... and
        num_frames - 1 every prompted frame whatever its age.
        """
        k = self.memory.dim
        time = self.temporal_encoding[list(slots)]  # s, 1, 1, k
        place = sine_grid(k, height, width, time.device, time.dtype).permute(1, 2, 0)  # h, w, k
        return (place[None] + time).reshape(1, -1, k)

    def pointer_positions(self, distances_p: Tensor, max_pointers: int) -> Tensor:
        """Positions of pointers `distances_p` (p,) frames away, (1, p, k), not yet repeated for their pieces."""
        k = self.memory.dim
        if not self.memory.pointer_time:
            return distances_p.new_zeros(1, len(distances_p), k)
        scaled = distances_p / max(max_pointers - 1, 1)
        if self.pointer_time_projection is None:
            return sine_time(scaled, k)[None]
        out: Tensor = self.pointer_time_projection(sine_time(scaled, self.dim))[None]
        return out

    def forward(
        self,
        spatial_bskhw: Tensor,
        slots: Sequence[int],
        pointers_bpc: Tensor,
        distances_p: Tensor,
        max_pointers: int,
    ) -> MemoryTokens:
        """Lay out s spatial memories and p pointers of b objects.

        Args:
            spatial_bskhw: (b, s, k, h, w) memory features.
            slots: s temporal slots, see `spatial_positions`.
            pointers_bpc: (b, p, c); each becomes c / k tokens.
            distances_p: (p,) frames from the current frame, signed as the configuration says.
            max_pointers: scale of the pointers' time, min(16, frames of the video) in the reference.
        """
        b, s, k, h, w = spatial_bskhw.shape
        values = spatial_bskhw.permute(0, 1, 3, 4, 2).reshape(b, s * h * w, k)
        positions = self.spatial_positions(slots, h, w)
        pieces = self.dim // k
        pointer_values = pointers_bpc.reshape(b, -1, k).to(values.dtype)  # a pointer's pieces stay neighbours
        pointer_positions = self.pointer_positions(distances_p, max_pointers).repeat_interleave(pieces, dim=1)
        return MemoryTokens(
            values_bnk=torch.cat((values, pointer_values), dim=1),
            positions_bnk=torch.cat((positions, pointer_positions), dim=1),
            num_pointer_tokens=pointer_values.shape[1],
        )
