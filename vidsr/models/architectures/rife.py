"""IFNet of RIFE 4.0 to 4.6: blocks from coarse to fine estimate the motion to the wanted phase directly.

Huang et al., "Real-time intermediate flow estimation for video frame interpolation", ECCV 2022; the later networks of
its authors, called Practical-RIFE. Version 4.6 is compared with its authors' code. Others load if their blocks differ
in number, channels, activation or last layer only. `rife_ncnn` reads the files of
rife-ncnn-vulkan.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models import torch_warp
from vidsr.models.frame_network import FrameNetwork, FramePair, MotionField, pad_to_multiple

SLOPE = 0.2  # of the leaky ReLU
LAYERS = 8  # of a block at its own size


@dataclass(frozen=True)
class Config:
    """Form of the network, that of version 4.6 by default."""

    channels: tuple[int, ...] = (192, 128, 96, 64)  # of each block, the coarsest first
    weighs_skips: bool = True  # whether each convolution is weighed and added to its input
    shuffles: bool = True  # whether a block ends in a pixel shuffle; otherwise its planes have half the size
    prelu: bool = False  # PReLU in place of the leaky ReLU, and one skip over all eight convolutions, as in 4.0
    planes: int = 6  # that a block returns: 4 of displacements, 1 of the blend, and perhaps an unused one


class Rife(FrameNetwork):
    """Blocks at decreasing scales; each corrects the displacements and the blend of those before it."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.count = len(config.channels)
        for number, channels in enumerate(config.channels):
            self.add_module(f"block{number}", Block(12 if number else 7, channels, config))

    def estimate_motion(self, pair: FramePair, flow: MotionField | None = None) -> MotionField:
        """Return displacements at the full size of ``pair``, whose luma the network reads as grey RGB."""
        first, second = (frame.expand(-1, 3, -1, -1) for frame in pair.unwarped)
        displacements, first_weight = self.motion(first, second, pair.phase)
        return MotionField(displacements, 1 - first_weight, torch.zeros_like(first_weight))

    def motion(self, first: Tensor, second: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
        """Return displacements to both frames, N x 4 x H x W, and the weight of the first, N x 1 x H x W.

        ``first`` and ``second``: RGB, N x 3 x H x W. ``phase``: N x 1 x 1 x 1.
        """
        h, w = first.shape[-2:]
        first, second = (pad_to_multiple(frame, 4 * 2 ** (self.count - 1)) for frame in (first, second))
        phases = phase.to(first.dtype).expand(-1, 1, *first.shape[-2:])
        displacements, logit = self._block(0)(torch.cat([first, second, phases], 1), None)
        for number in range(1, self.count):
            warped = (
                torch_warp.warp_linear(first, displacements[:, :2]),
                torch_warp.warp_linear(second, displacements[:, 2:]),
            )
            change, more = self._block(number)(torch.cat([*warped, phases, logit], 1), displacements)
            displacements, logit = displacements + change, logit + more
        return displacements[..., :h, :w], torch.sigmoid(logit[..., :h, :w])

    def _block(self, number: int) -> _ScaledBlock:
        return _ScaledBlock(self.get_submodule(f"block{number}"), 2.0 ** (self.count - 1 - number))


@dataclass(frozen=True)
class _ScaledBlock:
    """A block that works at ``scale`` times smaller a size."""

    block: nn.Module
    scale: float

    def __call__(self, planes: Tensor, displacements: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the change of the displacements and of the logit of the blend, float32 at the size of ``planes``."""
        small = _resized(planes, 1 / self.scale)
        if displacements is not None:
            small = torch.cat([small, _resized(displacements, 1 / self.scale) / self.scale], 1)
        output: Tensor = self.block(small).float()
        ratio = planes.shape[-1] / output.shape[-1]
        output = _resized(output, ratio)
        return output[:, :4] * ratio, output[:, 4:5]


class Block(nn.Module):
    """Two convolutions that halve the size, eight at that size, and one that doubles it."""

    def __init__(self, inputs: int, channels: int, config: Config) -> None:
        super().__init__()

        def activation(width: int) -> nn.Module:
            return nn.PReLU(width) if config.prelu else nn.LeakyReLU(SLOPE)

        def halving(a: int, b: int) -> nn.Module:
            return nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), activation(b))

        self.conv0 = nn.Sequential(halving(inputs, channels // 2), halving(channels // 2, channels))
        plain = [nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1), activation(channels)) for _ in range(LAYERS)]
        weighed = [WeighedSkip(channels) for _ in range(LAYERS)]
        self.convblock = nn.Sequential(*(weighed if config.weighs_skips else plain))
        self.skips = config.prelu
        last = nn.ConvTranspose2d(channels, config.planes * (4 if config.shuffles else 1), 4, 2, 1)
        self.lastconv = nn.Sequential(last, nn.PixelShuffle(2)) if config.shuffles else last

    def forward(self, x: Tensor) -> Tensor:
        """N x C x h x w -> N x 5 or 6 planes, of that size or half of it."""
        features: Tensor = self.conv0(x.to(next(self.parameters()).dtype))
        changed: Tensor = self.convblock(features)
        result: Tensor = self.lastconv(changed + features if self.skips else changed)
        return result


class WeighedSkip(nn.Module):
    """A convolution, weighed by channel and added to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, 1, 1)
        self.beta = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape."""
        return F.leaky_relu_(torch.addcmul(x, self.conv(x), self.beta), SLOPE)


def _resized(planes: Tensor, factor: float) -> Tensor:
    if factor == 1:
        return planes
    return F.interpolate(planes, scale_factor=factor, mode="bilinear", align_corners=False)


def recognise(state: Mapping[str, Tensor]) -> Config | None:
    """Return the configuration of the network with these tensors; None if they are of another architecture."""
    if "block0.conv0.0.0.weight" not in state:
        return None
    if state["block0.conv0.0.0.weight"].shape[1] != 7:
        raise ValueError("vidsr runs RIFE 4.0 to 4.6, and this is another version")
    numbers = {int(m[1]) for name in state if (m := re.match(r"block(\d+)\.", name))}
    channels = tuple(state[f"block{number}.conv0.1.0.weight"].shape[0] for number in range(len(numbers)))
    shuffles = "block0.lastconv.0.weight" in state
    outputs = state["block0.lastconv.0.weight" if shuffles else "block0.lastconv.weight"].shape[1]
    prelu, weighs = "block0.conv0.0.1.weight" in state, "block0.convblock.0.beta" in state
    return Config(channels, weighs, shuffles, prelu, outputs // 4 if shuffles else outputs)
