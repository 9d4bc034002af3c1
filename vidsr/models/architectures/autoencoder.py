"""A convolutional auto-encoder for restoration: the field's starting point.

Stride-2 convolutions down to an eighth of the size and transposed ones back, as in many introductions to denoising and
deblurring; here fully convolutional, and its result is added to the input, since a bottleneck alone blurs sharp ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from vidsr.models.layers import RestorationNetwork, inside


@dataclass(frozen=True)
class Config:
    """Channels of the encoder, from half of the size down."""

    scale: int = 1
    channels: tuple[int, ...] = (64, 128, 256)


class Autoencoder(RestorationNetwork):
    """Stride-2 conv3x3 + ReLU per entry of ``channels``, transposed back to one channel; added to the input."""

    def __init__(self, config: Config) -> None:
        super().__init__(config.scale)
        widths = (1, *config.channels)
        self.alignment = 1 << len(config.channels)
        self.halo = self.alignment  # one pixel of each level around, down and up
        body: list[nn.Module] = []
        for wide, wider in pairwise(widths):
            body += [nn.Conv2d(wide, wider, 3, stride=2, padding=1), nn.ReLU(inplace=True)]
        for wider, wide in pairwise(widths[::-1]):
            body += [nn.ConvTranspose2d(wider, wide, 3, stride=2, padding=1, output_padding=1), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*body[:-1])

    def interior(self, x: Tensor) -> Tensor:
        """The restoration of ``x`` without its outermost ``halo`` pixels, where the padding inside reaches."""
        return inside(x.float() + self.body(x.to(self.dtype)).float(), self.halo)
