"""From pixels to features at three strides: a trunk and a feature pyramid neck."""

from __future__ import annotations

from torch import Tensor, nn

from maskscope.model.config import HieraConfig, SAM2Config
from maskscope.model.image_encoder.efficientnet import EfficientNetLite
from maskscope.model.image_encoder.fpn import FeaturePyramid
from maskscope.model.image_encoder.hiera import Hiera


class ImageEncoder(nn.Module):
    """A trunk with features at strides 4, 8, 16 and 32, and the neck that brings them to one width."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.trunk = Hiera(config.trunk) if isinstance(config.trunk, HieraConfig) else EfficientNetLite(config.trunk)
        self.neck = FeaturePyramid(config.trunk.channels, config.dim)

    def forward(self, images_fchw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(f, 3, H, W) normalised -> features of `dim` channels at strides 4, 8 and 16."""
        fine, middle, coarse = self.neck(self.trunk(images_fchw))
        return fine, middle, coarse
