"""A small U-Net of gated blocks for restoration: the network `deblur`.

The block is that of NAFNet (Chen et al., "Simple Baselines for Image Restoration", 2022) without channel attention,
which averages over the whole image: the output of a tile would differ from that of the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.architectures.blind_deconvolution import REACH, Deconvolution
from vidsr.models.layers import GlobalFeaturesNetwork, crop_border


@dataclass(frozen=True)
class Config:
    """Size of a gated U-Net: the number of blocks on each level."""

    scale: int = 1
    width: int = 16  # channels at full size; doubled at each halving of the size
    down: tuple[int, ...] = (1, 1)  # from the full size to the smallest level but the middle
    middle: int = 4
    up: tuple[int, ...] = (1, 1)  # from the smallest level to the full size
    deconvolve: bool = False  # whether a blind deconvolution comes first


class GatedUnet(GlobalFeaturesNetwork):
    """conv3x3, blocks and 2x2 downscaling, blocks, pixel shuffles with skip connections, conv3x3; added to the anchor.

    The anchor is the image or its deconvolution. With a deconvolution, shifts from the whole image are added to the
    output of the first convolution.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config.scale)
        levels = len(config.down)
        widths = [config.width << level for level in range(levels + 1)]
        self.alignment = 1 << levels
        self.head = nn.Conv2d(3 if config.deconvolve else 1, config.width, 3, padding=1)
        self.encoders = nn.ModuleList(_blocks(w, n) for w, n in zip(widths, config.down, strict=False))
        self.reduce = nn.ModuleList(nn.Conv2d(w, 2 * w, 2, stride=2) for w in widths[:-1])
        self.middle = _blocks(widths[-1], config.middle)
        self.enlarge = nn.ModuleList(nn.Conv2d(w, 2 * w, 1, bias=False) for w in widths[:0:-1])
        self.decoders = nn.ModuleList(_blocks(w, n) for w, n in zip(widths[-2::-1], config.up, strict=True))
        self.tail = nn.Conv2d(config.width, 1, 3, padding=1)
        nn.init.zeros_(self.tail.weight)  # starts as the identity
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]
        # every block reads one pixel of its level on each side; changes of size stay within aligned squares
        blocks = zip(config.down, config.up[::-1], strict=True)
        reach = 2 + sum((n + m) << level for level, (n, m) in enumerate(blocks)) + (config.middle << levels)
        self.reach = -(-reach // self.alignment) * self.alignment
        self.halo = self.reach
        self.deconvolution: Deconvolution | None = None
        if config.deconvolve:
            self.deconvolution = Deconvolution(config.width)
            self.edge, self.halo = "reflect", self.reach + REACH

    def global_features(self, x: Tensor) -> Tensor | None:
        """Return the inverse filters and shifts for images ``x``; None without a deconvolution."""
        return None if self.deconvolution is None else self.deconvolution.global_features(x)

    def interior_given(self, x: Tensor, features: Tensor | None) -> Tensor:
        """Restore ``x`` without its halo, given the global features of its image."""
        if self.deconvolution is None or features is None:
            return self._refine(x, self.head(x.to(self.dtype)))
        anchor, inputs, shifts = self.deconvolution.anchor_and_inputs(x, features)
        y = self.head(inputs.to(self.dtype))
        return self._refine(anchor, y + shifts[:, :, None, None].to(y.dtype))

    def _refine(self, anchor: Tensor, y: Tensor) -> Tensor:
        """``anchor`` plus the output of all layers after the first for ``y``, without the halo of the layers."""
        skips: list[Tensor] = []
        for encoder, reduce in zip(self.encoders, self.reduce, strict=True):
            skips.append(encoder(y))
            y = reduce(skips[-1])
        y = self.middle(y)
        for enlarge, decoder in zip(self.enlarge, self.decoders, strict=True):
            y = decoder(F.pixel_shuffle(enlarge(y), 2) + skips.pop())
        return crop_border(anchor.float() + self.tail(y).float(), self.reach)


class Block(nn.Module):
    """Normalise, widen, depthwise conv3x3, gate, narrow; then the same without the depthwise convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.widen1, self.widen2 = (nn.Conv2d(channels, 2 * channels, 1) for _ in range(2))
        self.around = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.narrow1, self.narrow2 = (nn.Conv2d(channels, channels, 1) for _ in range(2))
        self.share1, self.share2 = (nn.Parameter(torch.full((channels, 1, 1), 0.1)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` (N x C x H x W) plus the output of both halves of the block."""
        x = x + self.share1 * self.narrow1(_gate(self.around(self.widen1(_normalise(self.norm1, x)))))
        y: Tensor = x + self.share2 * self.narrow2(_gate(self.widen2(_normalise(self.norm2, x))))
        return y


def _blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Block(channels) for _ in range(count)))


def _normalise(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    y: Tensor = norm(x.permute(0, 2, 3, 1))  # over the channels of each pixel, which are adjacent in channels_last
    return y.permute(0, 3, 1, 2).to(x.dtype)


def _gate(x: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=1)
    return a * b
