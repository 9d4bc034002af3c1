"""What a recurrent network reads of the previous frame, on the CPU.

`vidsr.models.temporal.warp_state` and `Recurrent.prior_planes` are the same in PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import isqrt
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidsr.flow.state_warp import stays_inside, warp_cubic
from vidsr.kernels.estimate_warp import warp_estimate
from vidsr.kernels.recurrent import Evidence, blend, prior_planes
from vidsr.kernels.separable_filter import Axis, filter_planes, make_axis
from vidsr.models.architectures.recurrent import (
    ERROR_GAIN,
    ERROR_WINDOW,
    GATE_SLOPE,
    RING,
    Recurrent,
    enlargement_taps,
    reduction_taps,
)
from vidsr.models.temporal import MAX_OVERSHOOT, State

Plane = NDArray[Any]  # float32, h x w
Flow = NDArray[Any]  # float32, h x w x 2, x and y in pixels: from a pixel of the frame to the previous frame
Part = tuple[slice, slice]  # rows and columns of a frame


@dataclass(frozen=True, eq=False)
class TemporalPrior:
    """The state of the previous frame along the motion, compared with the present ``frame`` (0 to 1)."""

    frame: Plane
    flow: Flow
    hidden: NDArray[Any]  # h x w x C of the previous frame
    evidence: Evidence

    @classmethod
    def of(cls, state: State, frame: Plane, flow: Flow) -> TemporalPrior:
        """Return the prior of ``frame``, to which ``state`` is that of the frame where ``flow`` leads."""
        before = state.estimate[0, 0].numpy()
        scale = before.shape[1] // frame.shape[1]
        estimate = warp_estimate(before, flow, scale)
        inside = stays_inside(flow)
        error = (frame - reduced(estimate, scale)) * inside
        change = (warp_cubic(state.luma[0, 0].numpy(), flow) - frame) * inside
        means = [window_mean(np.abs(np.pad(plane, RING))) for plane in (error, change)]
        hidden = state.hidden[0].permute(1, 2, 0).float().numpy()
        return cls(frame, flow, hidden, Evidence(estimate, error, change, inside, *means))

    def planes(self, part: Part, single: Tensor, keep: float) -> Tensor:
        """Return what `Recurrent.prior_planes` returns for a part of the frame; ``single``, ``keep``: as there."""
        taps = enlargement_taps(self.evidence.estimate.shape[0] // self.frame.shape[0]).numpy()
        given = (self.evidence, self.frame, channels_last(single), self.hidden, self.flow, taps)
        planes = prior_planes(*given, ERROR_GAIN, keep, RING, *part)
        return torch.from_numpy(planes[None]).permute(0, 3, 1, 2)


def reduced(estimate: Plane, scale: int) -> Plane:
    """Return ``estimate`` reduced by ``scale`` as `reduction_kernel` does, with its border repeated."""
    height, width = (side // scale for side in estimate.shape)
    result = np.empty((1, height, width), np.float32)
    filter_planes(estimate[None], result, reduction_axis(width, scale), reduction_axis(height, scale))
    return np.asarray(result[0])


@lru_cache(maxsize=8)
def reduction_axis(length: int, scale: int) -> Axis:
    """Return the weights along one axis of the reduction to ``length`` samples."""
    taps = reduction_taps(scale).numpy()
    first = np.arange(length) * scale - (len(taps) - scale) // 2
    return make_axis(length * scale, first, np.tile(taps, (length, 1)), "replicate", 1, scale)


def window_mean(plane: Plane) -> Plane:
    """Return the means in windows of `ERROR_WINDOW`; beyond the plane all is zero."""
    return np.asarray(cv2.boxFilter(plane, -1, (ERROR_WINDOW, ERROR_WINDOW), borderType=cv2.BORDER_CONSTANT))


def empty_planes(network: Recurrent, y: Tensor) -> Tensor:
    """Return the planes of a frame ``y`` without a past: zeros."""
    height, width = (side + 2 * RING for side in y.shape[-2:])
    channels = network.scale**2 + 5 + network.hidden_channels
    return y.new_zeros(1, height, width, channels).permute(0, 3, 1, 2)


def blended(
    planes: Tensor, head: Tensor, single: Tensor, y: Tensor, peak: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Return the new estimate of ``y``, limited, and its code values in ``dtype``: rounded if that is an integer."""
    size = [side * isqrt(head.shape[1] // 2) for side in y.shape[-2:]]
    estimate, output = y.new_empty(1, 1, *size), y.new_empty(1, 1, *size, dtype=dtype)
    layers = channels_last(planes), channels_last(head), channels_last(single)
    frame = np.ascontiguousarray(y[0, 0].numpy())
    results = estimate[0, 0].numpy(), output[0, 0].numpy()
    blend(*layers, frame, *results, ERROR_GAIN, GATE_SLOPE, MAX_OVERSHOOT, peak)
    return estimate, output


def channels_last(planes: Tensor) -> NDArray[Any]:
    """Return 1 x C x h x w as h x w x C float32."""
    return np.asarray(planes[0].permute(1, 2, 0).float().contiguous().numpy())
