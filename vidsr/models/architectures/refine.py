"""`net`: what optical flow says of a frame between two frames, mixed anew.

A small network looks at both frames along the given motion and decides, pixel by pixel, how they are mixed, and what
little is to be added. It starts from the identity: before training the answer is that of optical flow.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.frame_network import Field, FrameNetwork, Scene, at_size, mixed, padded, shares_by

REACH = 16.0  # pixels of displacement that are 1 to the network
TOUCH = 0.1  # most that it adds, of full range


@dataclass(frozen=True)
class Config:
    """Channels at 1/2 of the size and at each half below."""

    fine: tuple[int, ...] = (24, 48)


class Refine(FrameNetwork):
    """One U-shaped network, behind the warp."""

    needs_prior = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.fine = UShape(4 * 2**2 + 2 + 2 + 1, config.fine, 3 * 2**2)

    def motion(self, scene: Scene, prior: Field | None = None) -> Field:
        """``prior`` as it is; it has half the size of the frame."""
        if prior is None:
            raise ValueError("this network starts from a field of optical flow")
        return prior

    def finish(self, scene: Scene, field: Field, moved: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Field]:
        """The picture, and ``field`` with what the network says of the mixing."""
        moved, (h, w) = scene.moved(field.ways) if moved is None else moved, scene.size
        looks = [F.pixel_unshuffle(padded(side, 2), 2) for side in (*moved, *scene.here)]
        size = (looks[0].shape[-2], looks[0].shape[-1])
        ways, shares = at_size(field.ways, size), at_size(torch.cat([field.share, field.still], 1), size)
        lengths = torch.stack([ways[:, :2].norm(dim=1), ways[:, 2:].norm(dim=1)], 1) / REACH
        known = torch.cat([*looks, shares, lengths, scene.phase.expand(-1, 1, *size)], 1)
        change = F.pixel_shuffle(self.fine(known), 2)[..., :h, :w]
        full = Field(field.ways, at_size(field.share, (h, w)), at_size(field.still, (h, w)))
        full = shares_by(full, change[:, :2])
        return mixed(scene, full, moved) + TOUCH * torch.tanh(change[:, 2:3]), full


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

    def forward(self, known: Tensor) -> Tensor:
        """N x outputs x h x w float32 from N x inputs x h x w."""
        x = known.to(self.tail.weight.dtype, memory_format=torch.channels_last)
        x = F.relu(self.head(x))
        skips = []
        for level, down in zip(self.levels, [*self.downs, None], strict=True):
            x = x + F.relu(level(x))
            if down is not None:
                skips.append(x)
                x = F.relu(down(x))
        for layer in self.bottom:
            x = x + F.relu(layer(x))
        for up, join, skip in zip(reversed(self.ups), reversed(self.joins), reversed(skips), strict=True):
            x = skip + F.interpolate(up(x), scale_factor=2.0)[..., : skip.shape[-2], : skip.shape[-1]]
            x = x + F.relu(join(x))
        result: Tensor = self.tail(x)
        return result.float()


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1)
