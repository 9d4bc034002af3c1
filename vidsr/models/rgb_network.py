"""Networks that upscale RGB images: the base class of other people's architectures.

Unlike `vidsr.models.layers.LumaNetwork` they pad as their authors do: inside, with zeros, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from vidsr.models.layers import ImageNetwork

LARGEST_SCALE = 8  # of a network; a file that declares more is damaged or hostile


class Statistics:
    """Statistics of a whole image that layers use, in the order of the layers.

    A run on a whole image computes and keeps them. A run on a tile takes those ``given``, N x K.
    """

    def __init__(self, given: Tensor | None, size: tuple[int, int]) -> None:
        self.size = size  # height and width of the image without padding
        self._given = given
        self._used = 0
        self._kept: list[Tensor] = []

    def __call__(self, x: Tensor, compute: Callable[[Tensor], Tensor]) -> Tensor:
        """Return ``compute(x)``, N x C x 1 x 1, or what it was for the whole image."""
        if self._given is None:
            value = compute(x)
            self._kept.append(value.flatten(1).float())
            return value
        channels = x.shape[1]
        value = self._given[:, self._used : self._used + channels]
        self._used += channels
        return value[:, :, None, None].to(x.dtype)

    @property
    def kept(self) -> Tensor:
        """All statistics of the image, N x K."""
        return torch.cat(self._kept, 1)


class RgbNetwork(ImageNetwork):
    """An RGB network: N x 3 x H x W in [0, 1] -> N x 3 x scale*H x scale*W float32, not clipped."""

    channels = 3
    multiple = 1  # the layers take sides that are multiples of this, plus both borders
    border = 0  # input pixels that the layers cut off at each side, because they do not pad
    has_statistics = False  # whether layers use `Statistics`
    anchored = False

    @property
    def half_precisions(self) -> tuple[torch.dtype, ...]:
        """Both with an anchor; else fp16, which has the digits for the mean of an image."""
        return (torch.bfloat16, torch.float16) if self.anchored else (torch.float16,)

    def forward(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        """Return upscaled RGB. ``features``: the `global_features` of the image of which ``x`` is a tile."""
        return self._padded(x, Statistics(features, (x.shape[-2], x.shape[-1])))

    def global_features(self, x: Tensor) -> Tensor | None:
        """Return the statistics of the whole image ``x``, by a run on it; None if no layer uses any."""
        if not self.has_statistics:
            return None
        statistics = Statistics(None, (x.shape[-2], x.shape[-1]))
        self._padded(x, statistics)
        return statistics.kept

    def _padded(self, x: Tensor, statistics: Statistics) -> Tensor:
        """Pad ``x`` by repeating its edge as the layers need it, run them, and cut off what the padding added."""
        height, width = x.shape[-2:]
        right, bottom = (self.border + -n % self.multiple for n in (width, height))
        if self.border or right or bottom:
            x = F.pad(x, (self.border, right, self.border, bottom), mode="replicate")
        result = self.layers(x, statistics)[..., : height * self.scale, : width * self.scale]
        return result.float()

    def layers(self, x: Tensor, statistics: Statistics) -> Tensor:
        """Return ``x``, whose sides are multiples of `multiple` plus both borders, upscaled without borders."""
        raise NotImplementedError


def add_rgb_anchor(residual: Tensor, x: Tensor, scale: int) -> Tensor:
    """Return the nearest-neighbour upscale of ``x`` plus the pixel shuffle of ``residual`` (N x C scale**2 x H x W).

    One pass that converts, adds and shuffles.
    """
    n, channels, height, width = x.shape
    result = torch.empty(n, channels, height * scale, width * scale, device=x.device)
    blocks = residual.permute(0, 2, 3, 1).reshape(n, height, width, channels, scale, scale).permute(0, 3, 1, 4, 2, 5)
    target = result.view(n, channels, height, scale, width, scale)
    torch.add(blocks, x.float()[:, :, :, None, :, None], out=target)
    return result


def scale_of(last: Tensor, shuffled: int = 3) -> int:
    """Return the scale of a network that ends in the convolution ``last`` and a pixel shuffle to RGB.

    Raises:
        ValueError: no scale up to `LARGEST_SCALE` fits its channels.
    """
    for scale in range(1, LARGEST_SCALE + 1):
        if last.shape[0] == shuffled * scale**2:
            return scale
    raise ValueError(f"its last layer has {last.shape[0]} channels, which no scale up to {LARGEST_SCALE} needs")
