"""Super SloMo (Jiang et al., "Super SloMo: high quality estimation of multiple intermediate frames for video
interpolation", CVPR 2018): as published in structure, on luma, with fewer channels.

A first U-Net finds the flow between the frames both ways; flows to the phase are approximated from it; a second U-Net,
which sees both frames along them, corrects them and tells what is visible in which frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.frame_network import Field, FrameNetwork, Scene, padded

SLOPE = 0.1  # of the leaky ReLU
MULTIPLE = 32  # of the sides, for five reductions
FULL = 8.0  # pixels that one unit of a network's answer means


@dataclass(frozen=True)
class Config:
    """Channels of the six levels of both U-Nets; the paper has 32, 64, 128, 256, 512, 512."""

    channels: tuple[int, ...] = (12, 24, 32, 48, 64, 64)


class SuperSloMo(FrameNetwork):
    """Two U-Nets at the full size."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.flows = UNet(2, 4, config.channels)
        self.arrival = UNet(2 + 2 + 4 + 4, 5, config.channels)

    def motion(self, scene: Scene, prior: Field | None = None) -> Field:
        """Ways at the full size, and the share that visibility gives the second frame."""
        around = torch.cat([scene.first, scene.second], 1)
        m, (h, w), t = scene.margin, scene.size, scene.phase
        flows = _inside(self.flows(around), m, h, w) * FULL
        onward, back = flows[:, :2], flows[:, 2:]
        to_first = -(1 - t) * t * onward + t * t * back
        to_second = (1 - t) ** 2 * onward - t * (1 - t) * back
        ways = torch.cat([to_first, to_second], 1)
        moved = scene.moved(ways, sharp=False)
        answer = self.arrival(torch.cat([*scene.here, *moved, flows / FULL, ways / FULL], 1))
        seen = torch.sigmoid(answer[:, 4:5])  # in the first frame; in the second the rest
        share = t * (1 - seen) / ((1 - t) * seen + t * (1 - seen)).clamp(min=1e-4)
        return Field(ways + answer[:, :4] * FULL, share, torch.zeros_like(share))


class UNet(nn.Module):
    """Six levels of two convolutions, averages on the way down, linear upsampling and skips on the way up."""

    def __init__(self, inputs: int, outputs: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        kernels = (7, 5, *(3,) * (len(channels) - 2))
        self.downs = nn.ModuleList(
            _two(a, b, kernel) for a, b, kernel in zip((inputs, *channels), channels, kernels, strict=False)
        )
        above = channels[::-1]
        self.ups = nn.ModuleList(_two(a + b, b, 3) for a, b in pairwise(above))
        self.tail = nn.Conv2d(channels[0], outputs, 3, padding=1)
        nn.init.normal_(self.tail.weight, std=1e-3)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def forward(self, seen: Tensor) -> Tensor:
        """N x outputs x h x w float32."""
        h, w = seen.shape[-2:]
        x = padded(seen, MULTIPLE).to(self.tail.weight.dtype, memory_format=torch.channels_last)
        skips: list[Tensor] = []
        for down in self.downs:
            x = down(F.avg_pool2d(x, 2) if skips else x)
            skips.append(x)
        for up, skip in zip(self.ups, reversed(skips[:-1]), strict=True):
            larger = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = up(torch.cat([larger, skip], 1))
        result: Tensor = self.tail(x)[..., :h, :w]
        return result.float()


def _two(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(outputs, outputs, kernel, padding=kernel // 2),
        nn.LeakyReLU(SLOPE),
    )


def _inside(planes: Tensor, margin: int, h: int, w: int) -> Tensor:
    return planes[..., margin : margin + h, margin : margin + w]
