"""SRResNet, the generator of SRGAN, on luma: the networks `srresnet` and `srgan`.

Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", 2017: a 9x9
head, 16 residual blocks of 64 channels with batch norm, a skip over them, one sub-pixel step (two for x4), a 9x9 tail.
Three things differ from the paper: luma instead of RGB, like every network here; ReLU instead of PReLU, which doubles
the time of a network on a CPU; and the nearest-neighbour anchor, so that training starts from a picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.layers import LumaNetwork, NormConv, inside

STEPS = {2: (2,), 3: (3,), 4: (2, 2)}  # scale -> the sub-pixel steps to it
WIDE = 9  # side of the first and the last kernel


@dataclass(frozen=True)
class Config:
    """Size of an SRResNet; the published one by default."""

    scale: int
    channels: int = 64
    blocks: int = 16


class Block(nn.Module):
    """conv3x3, ReLU, conv3x3, added to the input without the two pixels a side that they use up."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first: nn.Module = nn.Conv2d(channels, channels, 3)
        self.second: nn.Module = nn.Conv2d(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x C x H-4 x W-4."""
        change: Tensor = self.second(torch.relu(self.first(x)))
        return inside(x, 2) + change


class Srresnet(LumaNetwork):
    """The generator as it ships, its batch norm folded into the convolutions."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        channels = config.channels
        self.scale = config.scale
        self.head = nn.Conv2d(1, channels, WIDE)
        self.blocks = nn.Sequential(*(Block(channels) for _ in range(config.blocks)))
        self.merge: nn.Module = nn.Conv2d(channels, channels, 3)
        self.rises = nn.ModuleList(nn.Conv2d(channels, channels * step**2, 3) for step in STEPS[config.scale])
        self.tail = nn.Conv2d(channels, 1, WIDE)
        self.steps = STEPS[config.scale]
        sizes = [math.prod(self.steps[:i]) for i in range(len(self.steps))]  # at which each sub-pixel step looks
        reach = WIDE // 2 + 2 * config.blocks + 1 + sum(1 / size for size in sizes) + WIDE // 2 / self.scale
        self.halo = math.ceil(reach)

    def for_training(self, keep: bool) -> None:
        """With batch norm in the blocks, as published; without it where the present function is to be kept.

        Norms that were folded can not be taken out again, and ESRGAN (Wang et al. 2018) trains better without any.
        """
        if keep:
            return
        for block in self.blocks:
            assert isinstance(block, Block)
            block.first, block.second = NormConv(block.first), NormConv(block.second)
        self.merge = NormConv(self.merge)

    def interior(self, x: Tensor) -> Tensor:
        """The upscale of ``x`` without its outermost ``halo`` pixels."""
        features = torch.relu(self.head(x.to(self.dtype)))
        merged = self.merge(self.blocks(features))
        y = merged + inside(features, (features.shape[-1] - merged.shape[-1]) // 2)
        for step, rise in zip(self.steps, self.rises, strict=True):
            y = torch.relu(F.pixel_shuffle(rise(y), step))
        residual = self.tail(y)
        anchor = F.interpolate(inside(x.float(), self.halo), scale_factor=self.scale, mode="nearest")
        return inside(residual, (residual.shape[-1] - anchor.shape[-1]) // 2).float() + anchor
