"""The current frame's features attend to themselves and to memory.

Source: Ravi et al., arXiv 2408.00714, section 4 "memory attention"; rotary positions as in facebookresearch/sam2
`sam/transformer.py`. Keys carry positions, values never do.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from maskscope.model.appearance_key import Sharpness
from maskscope.model.config import SAM2Config
from maskscope.model.layers.attention import Attention, attend
from maskscope.model.layers.chunks import by_tokens
from maskscope.model.layers.position import angles_at, rotary_angles, rotate, rotate_in_place, sine_grid
from maskscope.model.outputs import MemoryTokens


class RotaryAttention(Attention):
    """Attention whose queries and spatial keys are rotated by their place in the picture."""

    def __init__(self, dim: int, num_heads: int, theta: float, key_dim: int | None = None) -> None:
        super().__init__(dim, num_heads, key_dim=key_dim)
        self.theta = theta

    def rotary(
        self,
        q_bnc: Tensor,
        k_bmc: Tensor,
        grid: tuple[int, int],
        num_unplaced: int,
        kept_bs: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Projected queries and keys, (b, heads, n, d); the last `num_unplaced` keys have no place and stay.

        `kept_bs`: which tokens of whole frames the others are, see `MemoryTokens`; None where they are all of them.
        """
        q, k = self.split_heads(self.q_proj(q_bnc)), self.split_heads(self.k_proj(k_bmc))
        angles = rotary_angles(q.shape[-1], *grid, self.theta, q.device, q.dtype)
        placed = k.shape[-2] - num_unplaced
        of_keys = angles if kept_bs is None else angles_at(angles, kept_bs % (grid[0] * grid[1]))
        if q.dtype in (torch.float32, torch.float64) and not torch.is_grad_enabled():
            rotate_in_place(q, angles)
            rotate_in_place(k[:, :, :placed], of_keys)
            return q, k
        turned = rotate(k[:, :, :placed], of_keys)
        return rotate(q, angles), torch.cat((turned, k[:, :, placed:]), dim=-2) if num_unplaced else turned


class RotarySelfAttention(RotaryAttention):
    """Image tokens to image tokens."""

    def attend_within(self, x_bnc: Tensor, grid: tuple[int, int]) -> Tensor:
        """(b, n, c) of an h x w grid -> (b, n, c)."""
        q, k = self.rotary(x_bnc, x_bnc, grid, 0)
        out: Tensor = self.out_proj(attend(q, k, self.split_heads(self.v_proj(x_bnc))).transpose(1, 2).flatten(2))
        return out


class RotaryCrossAttention(RotaryAttention):
    """Image tokens to memory tokens."""

    def __init__(
        self, dim: int, num_heads: int, theta: float, key_dim: int | None = None, appearance: bool = False
    ) -> None:
        super().__init__(dim, num_heads, theta, key_dim)
        self.sharpness = Sharpness() if appearance else None

    def attend_memory(
        self, x_bnc: Tensor, memory: MemoryTokens, grid: tuple[int, int], appearance_bna: Tensor | None = None
    ) -> Tensor:
        """(b, n, c) of an h x w grid -> (b, n, c); with appearance keys, likeness is added to the scores.

        With one head, the softmax's weights are applied to the narrow memory itself and the value projection after
        it: the weights of a query sum to one, so the projection's bias passes through unchanged. Exact, and a quarter
        of the products when memory has a quarter of the channels.
        """
        keys = memory.values_bnk + memory.positions_bnk
        q, k = self.rotary(x_bnc, keys, grid, memory.num_pointer_tokens, memory.kept_bs)
        if self.sharpness is not None and appearance_bna is not None and memory.appearance_bna is not None:
            look = self.sharpness(appearance_bna) * (q.shape[-1] + appearance_bna.shape[-1]) ** 0.5  # undone in attend
            q, k = torch.cat((q, look[:, None]), dim=-1), torch.cat((k, memory.appearance_bna[:, None]), dim=-1)
        if self.num_heads == 1:
            read = self.v_proj(attend(q, k, memory.values_bnk[:, None])[:, 0])
        else:
            read = attend(q, k, self.split_heads(self.v_proj(memory.values_bnk))).transpose(1, 2).flatten(2)
        out: Tensor = self.out_proj(read)
        return out


class MemoryAttentionLayer(nn.Module):
    """Self-attention, cross-attention to memory, MLP; each on normalised input, added back."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        dim, part = config.dim, config.memory_attention
        self.self_attn = RotarySelfAttention(dim, part.num_heads, part.rope_theta)
        self.cross_attn_image = RotaryCrossAttention(
            dim, part.num_heads, part.rope_theta, config.memory.dim, appearance=config.memory.appearance_dim > 0
        )
        self.linear1 = nn.Linear(dim, part.hidden_dim)
        self.linear2 = nn.Linear(part.hidden_dim, dim)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.dropout = nn.Dropout(part.dropout)

    def forward(
        self, x_bnc: Tensor, memory: MemoryTokens, grid: tuple[int, int], appearance_bna: Tensor | None = None
    ) -> Tensor:
        """(b, n, c) -> (b, n, c)."""
        x = x_bnc + self.dropout(self.self_attn.attend_within(self.norm1(x_bnc), grid))
        x = x + self.dropout(self.cross_attn_image.attend_memory(self.norm2(x), memory, grid, appearance_bna))
        out: Tensor = x + self.dropout(by_tokens(self._mlp, self.norm3(x)))
        return out

    def _mlp(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear2(self.dropout(F.relu(self.linear1(x), inplace=True)))
        return out


class MemoryAttention(nn.Module):
    """A stack of layers; positions enter the image tokens once, at a tenth of their strength."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.layers = nn.ModuleList(MemoryAttentionLayer(config) for _ in range(config.memory_attention.num_layers))
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, embedding_bchw: Tensor, memory: MemoryTokens, appearance_bahw: Tensor | None = None) -> Tensor:
        """(b, c, h, w), memories of b objects and, if memories have them, its appearance keys -> (b, c, h, w)."""
        _, c, h, w = embedding_bchw.shape
        position = sine_grid(c, h, w, embedding_bchw.device, embedding_bchw.dtype)
        x = (embedding_bchw + 0.1 * position).flatten(2).transpose(1, 2)
        looks = None if appearance_bahw is None else appearance_bahw.flatten(2).transpose(1, 2)
        for layer in self.layers:
            x = layer(x, memory, (h, w), looks)
        return torch.Tensor.reshape(self.norm(x).transpose(1, 2), (-1, c, h, w))
