"""ESPCN: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel CNN", 2016."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.layers import LumaNetwork, freeze_identity_channel, init_identity_channel

IDENTITY_GAIN = 0.25  # of a trained identity channel: tanh is nearly linear, and training changes it little
FROZEN_GAIN = 0.02  # of a frozen one: tanh costs it a hundredth of a code value
DETAIL_GAIN = 16.0  # of the other channels, which use the bend of tanh


@dataclass(frozen=True)
class Config:
    """Size of an ESPCN; the published one by default."""

    scale: int
    channels: tuple[int, int] = (64, 32)


class Espcn(LumaNetwork):
    """5x5-64, tanh, 3x3-32, tanh, 3x3 to scale**2 channels, sub-pixel shuffle. No anchor, as published.

    It starts as a nearest-neighbour upscale: one channel of each layer carries the image. From a random start it would
    need tens of thousands of steps to find that.
    """

    anchored = False

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.scale = config.scale
        self.halo = 4
        first, second = config.channels
        self.head = nn.Conv2d(1, first, 5)
        self.middle = nn.Conv2d(first, second, 3)
        self.tail = nn.Conv2d(second, config.scale**2, 3)
        init_identity_channel(self.head, self.middle, self.tail, gain=IDENTITY_GAIN, centre=0.5, detail=DETAIL_GAIN)

    @torch.no_grad()
    def for_training(self, keep: bool, branches: bool = True) -> None:
        """Freeze the identity channel."""
        if not keep:
            self.head.weight[0] *= FROZEN_GAIN / IDENTITY_GAIN
            self.head.bias[0] *= FROZEN_GAIN / IDENTITY_GAIN  # type: ignore[index]
            self.tail.weight[:, 0] *= IDENTITY_GAIN / FROZEN_GAIN
        freeze_identity_channel(self.head, self.middle, self.tail)

    def interior(self, x: Tensor) -> Tensor:
        """Upscale ``x`` without its outermost ``halo`` pixels."""
        features = torch.tanh(self.middle(torch.tanh(self.head(x))))
        return F.pixel_shuffle(self.tail(features), self.scale)
