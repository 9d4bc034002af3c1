"""Networks that upscale the frames of a clip in order, and what they keep from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vidsr.models.layers import LumaNetwork
from vidsr.models.torch_warp import warp_linear

MARK = "-t"  # end of the names of temporal models: balanced-t is balanced with a state
MAX_OVERSHOOT = 0.05  # how far the estimate may leave [0, 1]: it feeds back, so it must be bounded


@dataclass(frozen=True, eq=False)
class State:
    """What a frame leaves for the next one."""

    luma: Tensor  # N x 1 x H x W, the frame, in [0, 1]
    estimate: Tensor  # N x 1 x scale*H x scale*W, the upscaled frame
    hidden: Tensor  # N x C x H x W


@dataclass(frozen=True, eq=False)
class Prior:
    """The state of the previous frame, warped to the present one. All planes are float32."""

    luma: Tensor  # N x 1 x H x W
    estimate: Tensor  # N x 1 x scale*H x scale*W
    hidden: Tensor  # N x C x H x W
    inside: Tensor  # N x 1 x H x W, 1 where the flow stays within the frame, else 0

    @classmethod
    def empty(cls, count: int, size: Sequence[int], scale: int, channels: int, like: Tensor) -> Prior:
        """Return the prior of a first frame: nothing is known."""
        h, w = size

        def zeros(channels: int, scale: int = 1) -> Tensor:
            return like.new_zeros(count, channels, h * scale, w * scale)

        return cls(zeros(1), zeros(1, scale), zeros(channels), zeros(1))


class TemporalNetwork(LumaNetwork):
    """A network with a state. As a `LumaNetwork` it upscales each image as the first frame of a clip."""

    hidden_channels: int
    warm_up: int  # frames before a range of frames after which the place where the state began hardly counts

    def step(self, x: Tensor, prior: Prior | None) -> tuple[Tensor, Tensor]:
        """Upscale one frame; without a ``prior`` it is the first.

        ``x``: N x 1 x H+2*halo x W+2*halo in [0, 1], the frame with its halo. Returns the residual before the pixel
        shuffle (N x scale**2 x H x W float32) and the hidden state (N x C x H x W).
        """
        raise NotImplementedError

    def single_frame(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features that the recurrent layers read, and the residual of the frame alone."""
        raise NotImplementedError

    def recur(self, features: Tensor, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output of the recurrent layers and the hidden state, given the planes of the past."""
        raise NotImplementedError

    def next_frame(self, y: Tensor, prior: Prior | None) -> tuple[Tensor, State]:
        """Return the upscaled frame ``y`` (N x 1 x H x W in [0, 1]), float32, not clipped, and the new state."""
        residual, hidden = self.step(self.with_halo(y), prior)
        output = F.pixel_shuffle(residual + y.float(), self.scale)
        return output, State(y, output.clamp(-MAX_OVERSHOOT, 1 + MAX_OVERSHOOT), hidden)


def warp_state(state: State, flow: Tensor) -> Prior:
    """Return ``state`` warped by ``flow`` (N x 2 x H x W, x and y in pixels, from the present frame to the previous).

    Luma and estimate are sampled by cubic convolution (a = -0.75), the hidden state linearly. Gradients flow to the
    hidden state alone.
    """
    scale = state.estimate.shape[-1] // state.luma.shape[-1]
    grid = sampling_grid(flow)
    inside = (grid.abs() <= 1).all(-1)[:, None].float()
    fine = F.interpolate(flow, scale_factor=scale, mode="bilinear", align_corners=False) * scale
    with torch.no_grad():
        luma = _sample(state.luma.float(), grid)
        estimate = _sample(state.estimate, sampling_grid(fine))
    return Prior(luma, estimate, warp_linear(state.hidden.float(), flow), inside)


def sampling_grid(flow: Tensor) -> Tensor:
    """Return the grid of `torch.nn.functional.grid_sample` for displacements N x 2 x H x W, in pixels."""
    h, w = flow.shape[-2:]
    columns = torch.arange(w, device=flow.device, dtype=flow.dtype)
    rows = torch.arange(h, device=flow.device, dtype=flow.dtype)[:, None]
    x = (flow[:, 0] + columns + 0.5) * (2 / w) - 1
    y = (flow[:, 1] + rows + 0.5) * (2 / h) - 1
    return torch.stack([x, y], -1)


def _sample(planes: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(planes, grid, mode="bicubic", padding_mode="border", align_corners=False)
