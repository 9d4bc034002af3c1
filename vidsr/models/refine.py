"""`net`: what optical flow says of a frame between two frames, made better in two steps.

The coarse step looks at both frames along the given motion, at a quarter of the size and below, and corrects motion and
visibility together, as the blocks of IFNet do (Huang et al., "Real-time intermediate flow estimation for video frame
interpolation", ECCV 2022). The fine step looks at both frames along the corrected motion and decides, pixel by pixel,
how they are mixed, and what little is to be added. Both start from the identity: before training the answer is that of
optical flow.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.between import Field, FrameNetwork, Scene, at_size, mixed, moved_by, padded, shares_by

LOOKS = 4  # the coarse step sees 4 x 4 luma pixels as one
REACH = 16.0  # pixels of displacement that are 1 to the network
TOUCH = 0.1  # most that the fine step adds, of full range


@dataclass(frozen=True)
class Config:
    """Channels of the coarse step at 1/4, 1/8 and 1/16 of the size, and of the fine step at 1/2 and 1/4."""

    coarse: tuple[int, ...] = (32, 64, 96)
    fine: tuple[int, ...] = (24, 48)


class Refine(FrameNetwork):
    """Two U-shaped networks with one warp between them."""

    needs_prior = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.coarse = UShape(2 * LOOKS**2 + 2 + 6 + 2 + 1, config.coarse, 6 * 2**2)
        self.fine = UShape(4 * 2**2 + 2 + 2 + 1, config.fine, 3 * 2**2)

    def motion(self, scene: Scene, prior: Field | None = None) -> Field:
        """``prior``, corrected; it has half the size of the frame."""
        if prior is None:
            raise ValueError("this network starts from a field of optical flow")
        h, w = prior.ways.shape[-2:]
        moved = [F.pixel_unshuffle(padded(side, LOOKS), LOOKS) for side in scene.moved(prior.ways, sharp=False)]
        here = [F.avg_pool2d(padded(side, LOOKS), LOOKS) for side in scene.here]
        size = (moved[0].shape[-2], moved[0].shape[-1])
        ways, shares = at_size(prior.ways, size) * (2 / REACH), at_size(torch.cat([prior.share, prior.still], 1), size)
        # how far the path bends: its middle lies so far from the straight line
        bend = at_size(torch.lerp(prior.ways[:, :2], prior.ways[:, 2:], scene.phase), size)
        known = torch.cat([*moved, *here, ways, shares, bend, scene.phase.expand(-1, 1, *size)], 1)
        return moved_by(prior, F.pixel_shuffle(self.coarse(known), 2)[..., :h, :w])

    def finish(self, scene: Scene, field: Field, moved: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Field]:
        """The picture, and ``field`` with what the fine step says of the mixing."""
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
