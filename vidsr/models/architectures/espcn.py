"""ESPCN: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel CNN", 2016."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.layers import LumaNetwork, carry_picture, hold_picture

CARRIER_GAIN = 0.25  # small enough for tanh to be nearly linear, and large enough for training to move it little
HELD_GAIN = 0.02  # where training does not move it: a hundredth of a code is lost
DETAIL_GAIN = 16.0  # large enough for it not to be


@dataclass(frozen=True)
class Config:
    """Size of an ESPCN; the published one by default."""

    scale: int
    channels: tuple[int, int] = (64, 32)


class Espcn(LumaNetwork):
    """5x5-64, tanh, 3x3-32, tanh, 3x3 to scale**2 channels, sub-pixel shuffle. No anchor, as published.

    It starts as a nearest-neighbour upscale (one channel of each layer carries the picture), which saves the tens of
    thousands of steps that a random start spends on finding it.
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
        carry_picture(self.head, self.middle, self.tail, gain=CARRIER_GAIN, centre=0.5, detail=DETAIL_GAIN)

    @torch.no_grad()
    def for_training(self, keep: bool, branches: bool = True) -> None:
        """The channel that carries the picture stays as it is."""
        if not keep:
            self.head.weight[0] *= HELD_GAIN / CARRIER_GAIN
            self.head.bias[0] *= HELD_GAIN / CARRIER_GAIN  # type: ignore[index]
            self.tail.weight[:, 0] *= CARRIER_GAIN / HELD_GAIN
        hold_picture(self.head, self.middle, self.tail)

    def interior(self, x: Tensor) -> Tensor:
        """The upscale of ``x`` without its outermost ``halo`` pixels."""
        features = torch.tanh(self.middle(torch.tanh(self.head(x))))
        return F.pixel_shuffle(self.tail(features), self.scale)
