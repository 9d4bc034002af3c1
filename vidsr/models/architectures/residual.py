"""Residual 3x3 networks on luma with a nearest-neighbour anchor: the family of `best`.

The shape of EDSR (Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", 2017): residual
blocks without normalisation and a skip over all of them. Dense 3x3 kernels and ReLU alone, because that is what tensor
cores and AVX-512 run near their peak; attention and depthwise kernels give more PSNR per multiply and less per
millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vidsr.models.layers import SubpixelNetwork, inside
from vidsr.models.reparameterised import reparameterise


@dataclass(frozen=True)
class Config:
    """Size of a residual network."""

    scale: int
    channels: int = 64
    blocks: int = 6


class Block(nn.Module):
    """conv3x3, ReLU, conv3x3, added to the input without the two pixels a side that they use up."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3)
        self.second = nn.Conv2d(channels, channels, 3)
        with torch.no_grad():
            self.second.weight *= 0.1  # near the identity, so that the sum of many blocks starts at the size of one

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x C x H-4 x W-4."""
        change: Tensor = self.second(torch.relu(self.first(x)))
        return inside(x, 2) + change


class Residual(SubpixelNetwork):
    """conv3x3, ``blocks`` residual blocks, conv3x3, skip over them, conv3x3 to scale**2 channels, anchor, shuffle."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.scale = config.scale
        self.halo = 2 * config.blocks + 3
        self.head = nn.Conv2d(1, config.channels, 3)
        self.blocks = nn.Sequential(*(Block(config.channels) for _ in range(config.blocks)))
        self.merge = nn.Conv2d(config.channels, config.channels, 3)
        self.tail = nn.Conv2d(config.channels, config.scale**2, 3)
        with torch.no_grad():
            self.tail.weight *= 0.1  # near the anchor
            nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def for_training(self, keep: bool, branches: bool = True) -> None:
        """Re-parameterised, always from its own first weights: fresh branches would make every block grow its input."""
        if branches:
            reparameterise(self, keep=True)

    def residual(self, x: Tensor) -> Tensor:
        """What is added to the anchor, before the shuffle."""
        features = self.head(x.to(self.dtype))
        merged = self.merge(self.blocks(features))
        merged = merged + inside(features, (features.shape[-1] - merged.shape[-1]) // 2)
        result: Tensor = self.tail(merged)
        return result
