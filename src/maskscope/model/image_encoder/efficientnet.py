"""EfficientNet-Lite0 as a second image trunk: plain convolutions, ReLU6, no squeeze-and-excite, no batch norm.

Shapes: `b` images, `c` channels, `h`, `w` pixels (multiples of 32). The architecture is the MBConv trunk of
https://arxiv.org/abs/1905.11946 in its Lite form; batch norm is meant to be folded into the convolutions, so that every
convolution has a bias and training and inference run the same arithmetic.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from maskscope.errors import ShapeError
from maskscope.model.config import EfficientNetLiteConfig


class StridedConvolution(nn.Conv2d):
    """Stride-2 convolution aligned as TensorFlow's `SAME` on even sides, which the ImageNet weights were trained with.

    `SAME` pads one pixel more at the end than at the start. A kernel one tap longer, whose first row and column are
    zero, does the same with symmetric padding and so needs no padded copy of its input.
    """

    def __init__(self, c_in: int, c_out: int, kernel_size: int, groups: int = 1) -> None:
        super().__init__(c_in, c_out, kernel_size + 1, stride=2, padding=kernel_size // 2, groups=groups)

    def forward(self, features_bchw: Tensor) -> Tensor:
        """(b, c_in, h, w) -> (b, c_out, h / 2, w / 2)."""
        on_cpu = features_bchw.device.type == "cpu"
        learns = torch.is_grad_enabled() and features_bchw.requires_grad
        if on_cpu and self.groups > 1 and learns and torch.is_autocast_enabled("cpu"):
            # The gradient of a strided depth-wise convolution in bfloat16 is 20 times slower on CPU than in float32.
            with torch.autocast("cpu", enabled=False):
                return super().forward(features_bchw.float())
        return super().forward(features_bchw)


class InvertedBottleneck(nn.Module):
    """MBConv: expand 1x1, depth-wise k x k, project 1x1 without activation; adds its input where the shape allows."""

    def __init__(self, c_in: int, c_out: int, expansion: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        hidden = c_in * expansion
        self.expand = nn.Conv2d(c_in, hidden, 1) if expansion > 1 else nn.Identity()
        self.expand_activation = nn.ReLU6(inplace=True) if expansion > 1 else nn.Identity()
        self.depthwise = (
            nn.Conv2d(hidden, hidden, kernel_size, padding=kernel_size // 2, groups=hidden)
            if stride == 1
            else StridedConvolution(hidden, hidden, kernel_size, groups=hidden)
        )
        self.depthwise_activation = nn.ReLU6(inplace=True)
        self.project = nn.Conv2d(hidden, c_out, 1)
        self.adds_input = stride == 1 and c_in == c_out

    def forward(self, features_bchw: Tensor) -> Tensor:
        """(b, c_in, h, w) -> (b, c_out, h / stride, w / stride)."""
        expanded = self.expand_activation(self.expand(features_bchw))
        projected: Tensor = self.project(self.depthwise_activation(self.depthwise(expanded)))
        return features_bchw + projected if self.adds_input else projected


class EfficientNetLite(nn.Module):
    """Image trunk behind the same interface as Hiera: images in, four feature maps out, finest first.

    Attributes:
        channels: widths of the four maps, at strides 4, 8, 16 and 32.
    """

    def __init__(self, config: EfficientNetLiteConfig | None = None) -> None:
        super().__init__()
        config = config or EfficientNetLiteConfig()
        self.config = config
        self.channels = config.channels
        self.stem = StridedConvolution(3, config.stem, 3)
        self.stem_activation = nn.ReLU6(inplace=True)
        self.stages = nn.ModuleList()
        c_in = config.stem
        rows = zip(config.expansions, config.kernels, config.strides, config.widths, config.depths, strict=True)
        for expansion, kernel, stride, width, depth in rows:
            steps = enumerate(pairwise((c_in, *[width] * depth)))
            self.stages.append(
                nn.Sequential(
                    *(InvertedBottleneck(a, b, expansion, kernel, stride if i == 0 else 1) for i, (a, b) in steps)
                )
            )
            c_in = width
        self._taps = self._find_taps(config)
        self.apply(_initialise)

    @staticmethod
    def _find_taps(config: EfficientNetLiteConfig) -> frozenset[int]:
        """Index of the last stage before each further halving, from stride 4 on."""
        stride, last_at_stride = 2, {}
        for index, step in enumerate(config.strides):
            stride *= step
            last_at_stride[stride] = index
        return frozenset(index for s, index in last_at_stride.items() if s >= 4)

    def forward(self, images_bchw: Tensor) -> list[Tensor]:
        """Encode images.

        Args:
            images_bchw: (b, 3, h, w) float, normalised by the ImageNet mean and deviation; h and w multiples of 32.

        Returns:
            Four maps (b, channels[i], h / s, w / s) for s = 4, 8, 16, 32.

        Raises:
            ShapeError: a side is no multiple of 32.
        """
        height, width = images_bchw.shape[-2:]
        if height % 32 or width % 32:
            raise ShapeError(f"sides should be multiples of 32, got {height} x {width}", "pad or resize the image")
        # on CPU 2.5 times as fast; `contiguous` would leave the odd strides of a lone picture, which cost as much
        images_bchw = images_bchw.clone(memory_format=torch.channels_last)
        features = self.stem_activation(self.stem(images_bchw))
        maps: list[Tensor] = []
        for index, stage in enumerate(self.stages):
            features = stage(features)
            if index in self._taps:
                maps.append(features)
        return maps


def _initialise(module: nn.Module) -> None:
    """He initialisation by fan-out (per group), which keeps ReLU6 trunks without batch norm trainable from scratch."""
    if isinstance(module, nn.Conv2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=(2.0 / fan_out) ** 0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, StridedConvolution):
            with torch.no_grad():
                module.weight[:, :, 0] = 0
                module.weight[:, :, :, 0] = 0
