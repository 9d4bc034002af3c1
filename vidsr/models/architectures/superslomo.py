"""Super SloMo: the published structure, on luma, with fewer channels.

A first U-Net estimates optical flow between the frames in both directions. Flows to the phase are approximated from it.
A second U-Net reads both frames warped by them, corrects them, and estimates which pixels are visible in which frame.
Jiang et al., "Super SloMo: high quality estimation of multiple intermediate frames for video interpolation", CVPR 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.frame_network import FrameNetwork, FramePair, MotionField, pad_to_multiple

SLOPE = 0.1  # of the leaky ReLU
MULTIPLE = 32  # of the sides: the U-Nets halve them five times
UNIT = 8.0  # pixels of displacement for one unit of a network's output


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

    def estimate_motion(self, pair: FramePair, flow: MotionField | None = None) -> MotionField:
        """Return displacements at the full size; the weight of the second frame follows from the visibility."""
        around = torch.cat([pair.first, pair.second], 1)
        m, (h, w), t = pair.margin, pair.size, pair.phase
        flows = self.flows(around)[..., m : m + h, m : m + w] * UNIT
        forward, backward = flows[:, :2], flows[:, 2:]
        to_first = -(1 - t) * t * forward + t * t * backward
        to_second = (1 - t) ** 2 * forward - t * (1 - t) * backward
        displacements = torch.cat([to_first, to_second], 1)
        warped = pair.warp(displacements, cubic=False)
        output = self.arrival(torch.cat([*pair.unwarped, *warped, flows / UNIT, displacements / UNIT], 1))
        visible = torch.sigmoid(output[:, 4:5])  # in the first frame; 1 - visible in the second
        second_weight = t * (1 - visible) / ((1 - t) * visible + t * (1 - visible)).clamp(min=1e-4)
        return MotionField(displacements + output[:, :4] * UNIT, second_weight, torch.zeros_like(second_weight))


class UNet(nn.Module):
    """Six levels of two convolutions, with average pooling down, linear upscaling and skip connections up."""

    def __init__(self, inputs: int, outputs: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        kernels = (7, 5, *(3,) * (len(channels) - 2))
        self.downs = nn.ModuleList(
            _two_convolutions(a, b, side) for a, b, side in zip((inputs, *channels), channels, kernels, strict=False)
        )
        above = channels[::-1]
        self.ups = nn.ModuleList(_two_convolutions(a + b, b, 3) for a, b in pairwise(above))
        self.tail = nn.Conv2d(channels[0], outputs, 3, padding=1)
        nn.init.normal_(self.tail.weight, std=1e-3)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def forward(self, planes: Tensor) -> Tensor:
        """N x inputs x h x w -> N x outputs x h x w float32."""
        h, w = planes.shape[-2:]
        x = pad_to_multiple(planes, MULTIPLE).to(self.tail.weight.dtype, memory_format=torch.channels_last)
        skips: list[Tensor] = []
        for down in self.downs:
            x = down(F.avg_pool2d(x, 2) if skips else x)
            skips.append(x)
        for up, skip in zip(self.ups, reversed(skips[:-1]), strict=True):
            larger = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = up(torch.cat([larger, skip], 1))
        result: Tensor = self.tail(x)[..., :h, :w]
        return result.float()


def _two_convolutions(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(outputs, outputs, kernel, padding=kernel // 2),
        nn.LeakyReLU(SLOPE),
    )
