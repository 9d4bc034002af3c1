"""SMFANet and SMFANet+: blocks that combine local detail with a coarse map and the variance of the whole image.

Zheng et al., "SMFANet: a lightweight self-modulation feature aggregation network for efficient image super-resolution",
ECCV 2024.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.rgb_network import RgbNetwork, Statistics, scale_of

COARSE = 8  # input pixels a side for one value of the coarse map
# The coarse maps reach farther; beyond this, no pixel changes the output by half an 8-bit code
# (tests/stages/test_rgb_upscale.py).
HALO = 32


@dataclass(frozen=True)
class Config:
    """Size of the network: 36 channels and 8 blocks, 48 and 12 for SMFANet+."""

    scale: int
    channels: int = 36
    blocks: int = 8


class Aggregation(nn.Module):
    """Features weighted by a coarse map and their variance, plus local detail."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear_0 = nn.Conv2d(channels, 2 * channels, 1)
        self.linear_1 = nn.Conv2d(channels, channels, 1)
        self.linear_2 = nn.Conv2d(channels, channels, 1)
        self.lde = LocalDetail(channels)
        self.dw_conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.alpha = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.belt = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, features: Tensor, statistics: Statistics) -> Tensor:
        """Return features of the same shape."""
        local, x = self.linear_0(features).chunk(2, 1)
        coarse = self.dw_conv(F.max_pool2d(x, COARSE, ceil_mode=True))
        variance = statistics(x, lambda x: _variance(x, statistics.size))
        weights = F.gelu(self.linear_1(coarse * self.alpha + variance * self.belt))
        fine = F.interpolate(weights, scale_factor=float(COARSE))[..., : x.shape[-2], : x.shape[-1]]
        result: Tensor = self.linear_2(x * fine + self.lde(local))
        return result


class LocalDetail(nn.Module):
    """A 3x3 convolution per channel between two layers of 1x1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.conv_0 = nn.Sequential(nn.Conv2d(channels, wide, 3, padding=1, groups=channels), nn.Conv2d(wide, wide, 1))
        self.conv_1 = nn.Conv2d(wide, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape."""
        result: Tensor = self.conv_1(F.gelu(self.conv_0(x)))
        return result


class PartialConvolution(nn.Module):
    """Two layers of 1x1; between them a 3x3 convolution of a quarter of the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.part = wide // 4
        self.conv_0 = nn.Conv2d(channels, wide, 1)
        self.conv_1 = nn.Conv2d(self.part, self.part, 3, padding=1)
        self.conv_2 = nn.Conv2d(wide, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape."""
        x = F.gelu(self.conv_0(x))
        changed = F.gelu(self.conv_1(x[:, : self.part]))
        result: Tensor = self.conv_2(torch.cat([changed, x[:, self.part :]], 1))
        return result


class Block(nn.Module):
    """Aggregation and partial convolution, each on normalised features and added to them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.smfa = Aggregation(channels)
        self.pcfn = PartialConvolution(channels)

    def forward(self, x: Tensor, statistics: Statistics) -> Tensor:
        """Return features of the same shape."""
        x = self.smfa(F.normalize(x), statistics) + x
        result: Tensor = self.pcfn(F.normalize(x)) + x
        return result


class SmfaNet(RgbNetwork):
    """One convolution, ``blocks`` blocks with a skip over all of them, one convolution, pixel shuffle."""

    shuffles_last = True
    has_statistics = True
    alignment = COARSE
    halo = HALO

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.scale = config.scale
        self.to_feat = nn.Conv2d(3, config.channels, 3, padding=1)
        self.feats = nn.ModuleList(Block(config.channels) for _ in range(config.blocks))
        self.to_img = nn.Sequential(nn.Conv2d(config.channels, 3 * config.scale**2, 3, padding=1))

    def layers(self, x: Tensor, statistics: Statistics) -> Tensor:
        """Return ``x`` upscaled."""
        first = x = self.to_feat(x.to(self.dtype))
        for block in self.feats:
            x = block(x, statistics)
        return F.pixel_shuffle(self.to_img(x + first), self.scale)


def _variance(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the variance of each channel over the image without padding, N x C x 1 x 1."""
    return x[..., : size[0], : size[1]].float().var((-2, -1), keepdim=True).to(x.dtype)


def recognise(state: Mapping[str, Tensor]) -> Config | None:
    """Return the configuration of the network with these tensors; None if they are of another architecture."""
    if "feats.0.smfa.belt" not in state or "to_img.0.weight" not in state:
        return None
    blocks = {name.split(".")[1] for name in state if name.startswith("feats.")}
    return Config(scale_of(state["to_img.0.weight"]), state["to_feat.weight"].shape[0], len(blocks))
