"""SRResNet, the generator of SRGAN, on luma: the networks `srresnet` and `srgan`.

Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", 2017: a 9x9 head,
16 residual blocks of 64 channels with batch norm, a skip connection over them, one pixel shuffle (two for x4), a 9x9
tail. Three things differ from the paper: luma instead of RGB, as in every network here; ReLU instead of PReLU, which
doubles the time on a CPU; and a nearest-neighbour anchor, so that training starts from an image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.layers import LumaNetwork, crop_border
from vidsr.models.reparameterised import NormConv

STEPS = {2: (2,), 3: (3,), 4: (2, 2)}  # scale -> factors of its pixel shuffles
WIDE = 9  # side of the first and the last kernel
TRAINING_BORDER = 8


@dataclass(frozen=True)
class Config:
    """Size of an SRResNet; the published one by default."""

    scale: int
    channels: int = 64
    blocks: int = 16


class Block(nn.Module):
    """conv3x3, ReLU, conv3x3, added to the input without two pixels on each side (none if they pad)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first: nn.Module = nn.Conv2d(channels, channels, 3)
        self.second: nn.Module = nn.Conv2d(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x C x H-4 x W-4, or padded N x C x H x W."""
        change: Tensor = self.second(torch.relu(self.first(x)))
        return _centre(x, change) + change


class Srresnet(LumaNetwork):
    """The generator as it ships, with its batch norm folded into the convolutions."""

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
        sizes = [math.prod(self.steps[:i]) for i in range(len(self.steps))]  # at which each pixel shuffle reads
        reach = WIDE // 2 + 2 * config.blocks + 1 + sum(1 / size for size in sizes) + WIDE // 2 / self.scale
        self.halo = math.ceil(reach)

    def for_training(self, keep: bool, branches: bool = True) -> None:
        """Add batch norm to the blocks, as published, unless the present function is kept.

        Folded norms cannot be separated again, and ESRGAN (Wang et al. 2018) trains better without norms.

        In training the convolutions pad, and only the outermost ``TRAINING_BORDER`` pixels stay out of the loss.
        Without padding every patch would lose 40 pixels on each side.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                module.padding = (module.kernel_size[0] // 2, module.kernel_size[1] // 2)
        self.halo = TRAINING_BORDER
        if keep or not branches:
            return
        for block in self.blocks:
            assert isinstance(block, Block)
            block.first, block.second = NormConv(block.first), NormConv(block.second)
        self.merge = NormConv(self.merge)

    def interior(self, x: Tensor) -> Tensor:
        """Upscale ``x`` without its outermost ``halo`` pixels."""
        features = torch.relu(self.head(x.to(self.dtype)))
        merged = self.merge(self.blocks(features))
        y = merged + _centre(features, merged)
        for step, rise in zip(self.steps, self.rises, strict=True):
            y = torch.relu(F.pixel_shuffle(rise(y), step))
        anchor = F.interpolate(crop_border(x.float(), self.halo), scale_factor=self.scale, mode="nearest")
        return _centre(self.tail(y), anchor).float() + anchor


def _centre(larger: Tensor, smaller: Tensor) -> Tensor:
    """Return the centre of ``larger``, of the size of ``smaller``."""
    return crop_border(larger, (larger.shape[-1] - smaller.shape[-1]) // 2)
