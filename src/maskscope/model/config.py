"""Configuration of every part of SAM 2, one frozen dataclass a part; nothing later overrides a number.

Defaults are those of the released SAM 2.1 models *as their video predictor runs them*, so they include the switches
that the reference sets in its builder and not in its configuration files (facebookresearch/sam2, commit 2b90b9f).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from maskscope.errors import CheckpointError


@dataclass(frozen=True)
class HieraConfig:
    """Hierarchical vision transformer trunk (Ryali et al., arXiv 2306.00989), features at strides 4, 8, 16 and 32."""

    kind: ClassVar[str] = "hiera"
    embed_dim: int = 96
    num_heads: int = 1
    stages: tuple[int, ...] = (1, 2, 7, 2)  # blocks per stage; channels and heads double at each new stage
    global_blocks: tuple[int, ...] = (5, 7, 9)  # blocks that attend over the whole picture
    window_sizes: tuple[int, ...] = (8, 4, 14, 7)  # window side per stage, in tokens
    position_grid: tuple[int, int] = (7, 7)  # learned background position embedding, resized to the picture

    @property
    def channels(self) -> tuple[int, ...]:
        """Feature channels per level, finest first."""
        return tuple(self.embed_dim * 2**stage for stage in range(len(self.stages)))


@dataclass(frozen=True)
class EfficientNetLiteConfig:
    """EfficientNet-Lite0 trunk (Tan & Le, arXiv 1905.11946, the variant without squeeze-excite), strides 4 to 32."""

    kind: ClassVar[str] = "efficientnet_lite"
    stem: int = 32
    widths: tuple[int, ...] = (16, 24, 40, 80, 112, 192, 320)
    depths: tuple[int, ...] = (1, 2, 2, 3, 3, 4, 1)
    strides: tuple[int, ...] = (1, 2, 2, 2, 1, 2, 1)
    kernels: tuple[int, ...] = (3, 3, 5, 3, 5, 5, 3)
    expansions: tuple[int, ...] = (1, 6, 6, 6, 6, 6, 6)

    @property
    def channels(self) -> tuple[int, ...]:
        """Feature channels per level, finest first: the last width at each stride from 4 on."""
        stride, at_stride = 2, dict[int, int]()
        for width, step in zip(self.widths, self.strides, strict=True):
            stride *= step
            at_stride[stride] = width
        return tuple(width for s, width in at_stride.items() if s >= 4)


TrunkConfig = HieraConfig | EfficientNetLiteConfig


@dataclass(frozen=True)
class MemoryAttentionConfig:
    """Current features attend to themselves, then to memory; rotary positions on queries and keys."""

    num_layers: int = 4
    num_heads: int = 1
    hidden_dim: int = 2048  # of each layer's MLP
    dropout: float = 0.1  # in training only
    rope_theta: float = 10000.0


@dataclass(frozen=True)
class MaskDecoderConfig:
    """Two-way transformer between output tokens and image tokens, then masks by hyper-networks."""

    num_layers: int = 2
    num_heads: int = 8
    hidden_dim: int = 2048
    attention_downsample: int = 2
    num_multimasks: int = 3  # beside the single mask
    iou_hidden_dim: int = 256
    iou_hidden_layers: int = 3
    stability_delta: float = 0.05
    stability_threshold: float = 0.98
    fallback_by_stability: bool = True  # an unstable single mask gives way to the best of the multimasks
    refine_blocks: int = 0  # 3 x 3 residual blocks on each upscaled map; SAM 2 has none


@dataclass(frozen=True)
class MemoryConfig:
    """What is written to memory and what is read from it."""

    dim: int = 64  # channels of a memory
    num_frames: int = 7  # prompted memories share one temporal slot; num_frames - 1 recent ones have their own
    max_pointers: int = 16
    temporal_stride: int = 1  # of recent memories, when tracking
    max_prompted: int = -1  # prompted memories read at once; -1 is all of them
    mask_scale: float = 20.0  # mask probability -> memory encoder input
    mask_bias: float = -10.0
    binarize_prompted_mask: bool = True  # a prompted frame's mask is thresholded before it is written
    pointers_from_past_only: bool = True
    pointer_time: bool = True  # SAM 2.1: pointers carry a temporal encoding ...
    pointer_time_projected: bool = True  # ... projected to memory channels
    pointer_time_signed: bool = True  # ... of the signed distance
    no_object_spatial: bool = True  # SAM 2.1: an absent object's memory gets a learned embedding
    soft_no_object_pointer: bool = False  # mix by probability instead of by presence
    fuser_layers: int = 2
    appearance_dim: int = 0  # channels of an appearance key beside each memory, see `appearance_key`; SAM 2 has none


@dataclass(frozen=True)
class SAM2Config:
    """A whole model. `image_size` is (height, width) in pixels, each a multiple of 32."""

    trunk: TrunkConfig = field(default_factory=HieraConfig)
    image_size: tuple[int, int] = (1024, 1024)
    follow_aspect: bool = False  # keep the area of image_size but take the video's aspect
    dim: int = 256
    memory_attention: MemoryAttentionConfig = field(default_factory=MemoryAttentionConfig)
    mask_decoder: MaskDecoderConfig = field(default_factory=MaskDecoderConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    mask_prompt_channels: int = 16
    sketch_prompts: bool = False  # clicks and boxes also as maps, see `prompt_sketch`; SAM 2 has none
    multimask_max_points: int = 1  # three candidates for at most so many points, also when tracking (none)
    family: Literal["sam2", "sam2.1", "compact"] = "sam2.1"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; `from_dict` is its inverse."""
        plain = dataclasses.asdict(self)
        plain["trunk"]["kind"] = self.trunk.kind
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> SAM2Config:
        """Rebuild a configuration.

        Raises:
            CheckpointError: an unknown trunk or field, for example of a newer version.
        """
        plain = dict(plain)
        trunk = dict(plain.pop("trunk", {"kind": HieraConfig.kind}))
        kinds: dict[str, type[HieraConfig] | type[EfficientNetLiteConfig]] = {
            HieraConfig.kind: HieraConfig,
            EfficientNetLiteConfig.kind: EfficientNetLiteConfig,
        }
        kind = trunk.pop("kind", None)
        if kind not in kinds:
            raise CheckpointError(f"the trunk is {kind!r}, expected one of {sorted(kinds)}", "update maskscope")
        parts = {
            "memory_attention": MemoryAttentionConfig,
            "mask_decoder": MaskDecoderConfig,
            "memory": MemoryConfig,
        }
        try:
            built = {name: part(**_tuples(plain.pop(name))) for name, part in parts.items() if name in plain}
            return cls(trunk=kinds[kind](**_tuples(trunk)), **built, **_tuples(plain))
        except TypeError as error:
            raise CheckpointError(
                f"the configuration does not fit this version ({error})", "update maskscope"
            ) from None


def _tuples(plain: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists where the dataclasses have tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in plain.items()}
