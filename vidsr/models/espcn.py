"""ESPCN: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel CNN", 2016."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.layers import LumaNetwork, carry_picture, conv_float32

CARRIER_GAIN = 0.25  # small enough for tanh to be nearly linear
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

    chosen_start = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.scale = config.scale
        self.halo = 4
        first, second = config.channels
        self.head = nn.Conv2d(1, first, 5)
        self.middle = nn.Conv2d(first, second, 3)
        self.tail = nn.Conv2d(second, config.scale**2, 3)
        carry_picture(self.head, self.middle, self.tail, gain=CARRIER_GAIN, centre=0.5, detail=DETAIL_GAIN)

    def interior(self, x: Tensor) -> Tensor:
        """The upscale of ``x`` without its outermost ``halo`` pixels."""
        # all of it in float32: rounding these features to bf16 costs 0.07 dB on Set5 (x2)
        features = torch.tanh(conv_float32(self.middle, torch.tanh(conv_float32(self.head, x))))
        return F.pixel_shuffle(conv_float32(self.tail, features), self.scale)
