"""Intermediate flows estimated directly, coarse to fine, without optical flow to begin with.

Blocks at falling scales look at both frames along what the block before found, and add to both ways and to the mask
(IFNet of Huang et al., "Real-time intermediate flow estimation for video frame interpolation", ECCV 2022, without its
teacher, context and refinement networks; on luma; the phase is a plane).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.frame_network import Field, FrameNetwork, Scene, at_size, moved_by


@dataclass(frozen=True)
class Config:
    """Channels and scale of each block (a block of scale 4 sees a quarter of the size), and its inner layers."""

    channels: tuple[int, ...] = (96, 64, 48, 32)
    scales: tuple[int, ...] = (8, 4, 2, 1)
    depth: int = 8


class IfNet(FrameNetwork):
    """Blocks from coarse to fine; the default is the size for a GPU: 1.4 M parameters, 11 kMAC per luma pixel."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.scales = config.scales
        # both frames, at first unmoved; the phase; and, from the second block on, both frames moved, ways and share
        inputs = [3] + [3 + 2 + 5] * (len(config.channels) - 1)
        self.blocks = nn.ModuleList(Block(i, c, config.depth) for i, c in zip(inputs, config.channels, strict=True))

    def motion(self, scene: Scene, prior: Field | None = None) -> Field:
        """Ways at half of the size, and the mask."""
        (h, w), phase = scene.size, scene.phase
        half = (-(-h // 2), -(-w // 2))
        first, second = scene.here
        # before any block: no motion, and each frame as near as its phase says
        field = Field(first.new_zeros(len(first), 4, *half), phase.expand(-1, 1, *half), first.new_zeros(1, 1, 1, 1))
        for number, (block, scale) in enumerate(zip(self.blocks, self.scales, strict=True)):
            known = [first, second, phase.expand(-1, 1, h, w)]
            if number:
                known += [*scene.moved(field.ways, sharp=False), at_size(field.ways, (h, w)) / scale]
                known.append(at_size(field.share, (h, w)))
            size = tuple(max(4, -(-n // (4 * scale))) * 4 for n in (h, w))
            seen = F.interpolate(torch.cat(known, 1), size=size, mode="bilinear", align_corners=False)
            change = F.interpolate(block(seen), size=half, mode="bilinear", align_corners=False)
            change = torch.cat([change[:, :4] * (scale / 2), change[:, 4:5], torch.zeros_like(change[:, 4:5])], 1)
            field = Field.stacked(moved_by(field, change).planes())
        return Field(field.ways, field.share, torch.zeros_like(field.share))


class Block(nn.Module):
    """From what is seen at its scale to changes of ways (in pixels of that scale) and share, at the same size."""

    def __init__(self, inputs: int, channels: int, depth: int) -> None:
        super().__init__()
        self.head = nn.Sequential(
            nn.Conv2d(inputs, channels // 2, 3, 2, 1), nn.ReLU(), nn.Conv2d(channels // 2, channels, 3, 2, 1), nn.ReLU()
        )
        self.body = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(depth))
        self.tail = nn.Conv2d(channels, 5 * 4**2, 3, padding=1)
        nn.init.normal_(self.tail.weight, std=1e-3)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def forward(self, seen: Tensor) -> Tensor:
        """N x 5 x h x w float32; both sides of ``seen`` are multiples of 4."""
        x = self.head(seen.to(self.tail.weight.dtype, memory_format=torch.channels_last))
        for layer in self.body:
            x = x + F.relu(layer(x))
        return F.pixel_shuffle(self.tail(x), 4).float()
