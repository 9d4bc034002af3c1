"""SRCNN: Dong et al., "Image Super-Resolution Using Deep Convolutional Networks", 2014."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.layers import LumaNetwork, crop_border, freeze_identity_channel, init_identity_channel

DETAIL_GAIN = 16.0  # initial gain of the other channels of the first layer


@dataclass(frozen=True)
class Config:
    """Size of an SRCNN; 9-1-5 with 64 and 32 channels, the paper's base size, by default."""

    scale: int
    channels: tuple[int, int] = (64, 32)
    kernels: tuple[int, int, int] = (9, 1, 5)


class Srcnn(LumaNetwork):
    """Three convolutions on the bicubic upscale (a = -0.5) of the input, which is costly.

    It starts as that bicubic upscale: one channel of each layer carries the image.
    """

    anchored = False

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.scale = config.scale
        self.radius = sum(k // 2 for k in config.kernels)  # output pixels
        self.halo = -(-self.radius // config.scale) + 2  # the bicubic kernel reaches two input pixels further
        (first, second), (a, b, c) = config.channels, config.kernels
        self.head = nn.Conv2d(1, first, a)
        self.middle = nn.Conv2d(first, second, b)
        self.tail = nn.Conv2d(second, 1, c)
        init_identity_channel(self.head, self.middle, self.tail, detail=DETAIL_GAIN)

    def for_training(self, keep: bool, branches: bool = True) -> None:
        """Freeze the identity channel."""
        freeze_identity_channel(self.head, self.middle, self.tail)

    def interior(self, x: Tensor) -> Tensor:
        """Upscale ``x`` without its outermost ``halo`` pixels."""
        up = F.interpolate(x, scale_factor=self.scale, mode="bicubic", antialias=True)
        up = crop_border(up, self.halo * self.scale - self.radius)
        result: Tensor = self.tail(torch.relu(self.middle(torch.relu(self.head(up)))))
        return result
