"""Restoration at half resolution: plain 3x3 ReLU networks between a pixel-unshuffle and its inverse.

Four neighbouring pixels become four channels, so that the same layers cost a quarter and look twice as far.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.layers import RestorationNetwork, inside

FACTOR = 2


@dataclass(frozen=True)
class Config:
    """Size of an unshuffled network."""

    scale: int = 1
    channels: int = 32
    layers: int = 8  # between the first and the last convolution


class Unshuffled(RestorationNetwork):
    """Unshuffle by 2, conv3x3 + ReLU, ``layers`` times conv3x3 + ReLU, conv3x3, shuffle; added to the input."""

    alignment = FACTOR

    def __init__(self, config: Config) -> None:
        super().__init__(config.scale)
        self.halo = FACTOR * (config.layers + 2)
        body: list[nn.Module] = [nn.Conv2d(FACTOR**2, config.channels, 3), nn.ReLU(inplace=True)]
        for _ in range(config.layers):
            body += [nn.Conv2d(config.channels, config.channels, 3), nn.ReLU(inplace=True)]
        body.append(nn.Conv2d(config.channels, FACTOR**2, 3))
        self.body = nn.Sequential(*body)

    def interior(self, x: Tensor) -> Tensor:
        """The restoration of ``x`` without its outermost ``halo`` pixels."""
        residual = self.body(F.pixel_unshuffle(x.to(self.dtype), FACTOR))
        return inside(x, self.halo).float() + F.pixel_shuffle(residual.float(), FACTOR)
