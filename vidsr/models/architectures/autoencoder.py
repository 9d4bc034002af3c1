"""A convolutional auto-encoder for restoration: a baseline.

Stride-2 convolutions down to an eighth of the size and transposed convolutions back, as in many introductions to
denoising and deblurring. It is fully convolutional, and its output is added to the input: a bottleneck alone would blur
sharp images.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from vidsr.models.layers import RestorationNetwork, crop_border


@dataclass(frozen=True)
class Config:
    """Channels of the encoder, from half of the size down."""

    scale: int = 1
    channels: tuple[int, ...] = (64, 128, 256)


class Autoencoder(RestorationNetwork):
    """Stride-2 conv3x3 + ReLU for each of ``channels``, transposed back to one channel, added to the input."""

    def __init__(self, config: Config) -> None:
        super().__init__(config.scale)
        widths = (1, *config.channels)
        self.alignment = 1 << len(config.channels)
        self.halo = self.alignment  # one pixel of each level on each side, down and up
        body: list[nn.Module] = []
        for wide, wider in pairwise(widths):
            body += [nn.Conv2d(wide, wider, 3, stride=2, padding=1), nn.ReLU(inplace=True)]
        for wider, wide in pairwise(widths[::-1]):
            body += [nn.ConvTranspose2d(wider, wide, 3, stride=2, padding=1, output_padding=1), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*body[:-1])

    def interior(self, x: Tensor) -> Tensor:
        """Restore ``x`` without its outermost ``halo`` pixels, which the padding inside affects."""
        return crop_border(x.float() + self.body(x.to(self.dtype)).float(), self.halo)
