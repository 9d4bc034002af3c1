"""Residual 3x3 networks on luma with a nearest-neighbour anchor: for recipes on a GPU.

The structure of EDSR (Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", 2017): residual
blocks without normalisation, and a skip connection over all of them. It has dense 3x3 kernels and ReLU alone: tensor
cores and AVX-512 run those near their peak. Attention and depthwise kernels give more PSNR per multiplication and less
per millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vidsr.models.layers import SubpixelNetwork, crop_border
from vidsr.models.reparameterised import reparameterise


@dataclass(frozen=True)
class Config:
    """Size of a residual network."""

    scale: int
    channels: int = 64
    blocks: int = 6


class Block(nn.Module):
    """conv3x3, ReLU, conv3x3, added to the input without two pixels on each side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3)
        self.second = nn.Conv2d(channels, channels, 3)
        with torch.no_grad():
            self.second.weight *= 0.1  # near the identity, so that many blocks do not amplify their input

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x C x H-4 x W-4."""
        change: Tensor = self.second(torch.relu(self.first(x)))
        return crop_border(x, 2) + change


class Residual(SubpixelNetwork):
    """conv3x3, ``blocks`` residual blocks, conv3x3, skip connection, conv3x3 to scale**2 channels, anchor, shuffle."""

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
        """Reparameterise, always from the own initial weights: fresh branches would make blocks amplify their input."""
        if branches:
            reparameterise(self, keep=True)

    def residual(self, x: Tensor) -> Tensor:
        """Return the residual before the shuffle."""
        features = self.head(x.to(self.dtype))
        merged = self.merge(self.blocks(features))
        merged = merged + crop_border(features, (features.shape[-1] - merged.shape[-1]) // 2)
        result: Tensor = self.tail(merged)
        return result
