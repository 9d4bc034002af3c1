"""SRCNN: Dong et al., "Image Super-Resolution Using Deep Convolutional Networks", 2014."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.layers import LumaNetwork, carry_picture, hold_picture, inside

DETAIL_GAIN = 16.0  # of the first layer's other channels at the start


@dataclass(frozen=True)
class Config:
    """Size of an SRCNN; 9-1-5 with 64 and 32 channels, the paper's base size, by default."""

    scale: int
    channels: tuple[int, int] = (64, 32)
    kernels: tuple[int, int, int] = (9, 1, 5)


class Srcnn(LumaNetwork):
    """Three convolutions on the bicubic upscale (a = -0.5) of the input. It works at the output size: costly.

    It starts as that bicubic upscale (one channel of each layer carries the picture).
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
        carry_picture(self.head, self.middle, self.tail, detail=DETAIL_GAIN)

    def for_training(self, keep: bool, branches: bool = True) -> None:
        """The channel that carries the picture stays as it is."""
        hold_picture(self.head, self.middle, self.tail)

    def interior(self, x: Tensor) -> Tensor:
        """The upscale of ``x`` without its outermost ``halo`` pixels."""
        up = F.interpolate(x, scale_factor=self.scale, mode="bicubic", antialias=True)
        up = inside(up, self.halo * self.scale - self.radius)
        result: Tensor = self.tail(torch.relu(self.middle(torch.relu(self.head(up)))))
        return result
