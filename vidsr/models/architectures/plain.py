"""Plain 3x3 ReLU networks on luma with a nearest-neighbour anchor: `fast`, `balanced` and `best`.

The structure of ECBSR (Zhang et al., "Edge-oriented Convolution Block for Real-time Super Resolution on Mobile
Devices", 2021) with ReLU, which costs nothing on a CPU where PReLU doubles the time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vidsr.models.layers import SubpixelNetwork

DETAIL_GAIN = 4.0  # initial gain of the first layer without branches: detail is small against the range of an image
NEAR_ANCHOR = 0.1  # initial gain of the last layer without branches: its first outputs would only be unlearnt


@dataclass(frozen=True)
class Config:
    """Size of a plain network."""

    scale: int
    channels: int = 16
    layers: int = 4  # between the first and the last convolution


class Plain(SubpixelNetwork):
    """conv3x3 + ReLU, ``layers`` times conv3x3 + ReLU, conv3x3 to scale**2 channels, anchor, sub-pixel shuffle."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.scale = config.scale
        self.halo = config.layers + 2
        body: list[nn.Module] = [nn.Conv2d(1, config.channels, 3), nn.ReLU(inplace=True)]
        for _ in range(config.layers):
            body += [nn.Conv2d(config.channels, config.channels, 3), nn.ReLU(inplace=True)]
        body.append(nn.Conv2d(config.channels, config.scale**2, 3))
        self.body = nn.Sequential(*body)

    def for_training(self, keep: bool, branches: bool = True) -> None:
        """As in the base class; without branches a fresh start initialises by He et al. 2015."""
        if not (keep or branches):
            self._initialise()
        super().for_training(keep, branches)

    @torch.no_grad()
    def _initialise(self) -> None:
        layers = [layer for layer in self.body if isinstance(layer, nn.Conv2d)]
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        layers[0].weight -= layers[0].weight.mean((2, 3), keepdim=True)  # detail without the brightness
        layers[0].weight *= DETAIL_GAIN
        layers[-1].weight *= NEAR_ANCHOR

    def residual(self, x: Tensor) -> Tensor:
        """Return the residual before the shuffle."""
        result: Tensor = self.body(x.to(self.dtype))
        return result
