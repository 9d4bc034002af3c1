"""Refinement of interpolation by optical flow: the network `net`.

A small network reads both frames warped by optical flow. It decides for each pixel how they are blended, and adds a
small correction. It starts as the identity: before training its output is that of optical flow.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.frame_network import (
    FrameNetwork,
    FramePair,
    MotionField,
    adjust_weights,
    at_size,
    blend,
    pad_to_multiple,
)

UNIT = 16.0  # pixels of displacement that the network sees as 1
MOST_ADDED = 0.1  # of full range


@dataclass(frozen=True)
class Config:
    """Channels at half of the size, and at each halving below."""

    fine: tuple[int, ...] = (24, 48)


class Refine(FrameNetwork):
    """One U-shaped network after the warp."""

    needs_flow = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.fine = UShape(4 * 2**2 + 2 + 2 + 1, config.fine, 3 * 2**2)

    def estimate_motion(self, pair: FramePair, flow: MotionField | None = None) -> MotionField:
        """Return ``flow`` unchanged; it has half the size of the frame."""
        if flow is None:
            raise ValueError("this network needs a field of optical flow")
        return flow

    def render(
        self, pair: FramePair, field: MotionField, warped: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, MotionField]:
        """Return the frame, and ``field`` with the blending weights of the network."""
        warped, (h, w) = pair.warp(field.displacements) if warped is None else warped, pair.size
        frames = [F.pixel_unshuffle(pad_to_multiple(side, 2), 2) for side in (*warped, *pair.unwarped)]
        size = (frames[0].shape[-2], frames[0].shape[-1])
        displacements = at_size(field.displacements, size)
        weights = at_size(torch.cat([field.second_weight, field.static_weight], 1), size)
        lengths = torch.stack([displacements[:, :2].norm(dim=1), displacements[:, 2:].norm(dim=1)], 1) / UNIT
        inputs = torch.cat([*frames, weights, lengths, pair.phase.expand(-1, 1, *size)], 1)
        change = F.pixel_shuffle(self.fine(inputs), 2)[..., :h, :w]
        second, static = (at_size(part, (h, w)) for part in (field.second_weight, field.static_weight))
        full = adjust_weights(MotionField(field.displacements, second, static), change[:, :2])

        return blend(pair, full, warped) + MOST_ADDED * torch.tanh(change[:, 2:3]), full


class UShape(nn.Module):
    """A small U-Net of 3x3 convolutions and ReLU; its last layer starts at zero."""

    def __init__(self, inputs: int, channels: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.head = _conv(inputs, channels[0])
        self.levels = nn.ModuleList(_conv(c, c) for c in channels)
        self.downs = nn.ModuleList(_conv(a, b, 2) for a, b in pairwise(channels))
        self.bottom = nn.ModuleList(_conv(channels[-1], channels[-1]) for _ in range(2))
        self.ups = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(channels))
        self.joins = nn.ModuleList(_conv(c, c) for c in channels[:-1])
        self.tail = nn.Conv2d(channels[0], outputs, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def forward(self, inputs: Tensor) -> Tensor:
        """N x inputs x h x w -> N x outputs x h x w float32."""
        x = inputs.to(self.tail.weight.dtype, memory_format=torch.channels_last)
        x = F.relu_(self.head(x))
        skips = []
        for level, down in zip(self.levels, [*self.downs, None], strict=True):
            x = x + F.relu_(level(x))
            if down is not None:
                skips.append(x)
                x = F.relu_(down(x))
        for layer in self.bottom:
            x = x + F.relu_(layer(x))
        for up, join, skip in zip(reversed(self.ups), reversed(self.joins), reversed(skips), strict=True):
            x = skip + F.interpolate(up(x), scale_factor=2.0)[..., : skip.shape[-2], : skip.shape[-1]]
            x = x + F.relu_(join(x))
        result: Tensor = self.tail(x)
        return result.float()


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1)
