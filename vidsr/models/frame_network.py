"""Networks that interpolate frames: their input, the motion field that they return, and the frame rendered from it.

A `MotionField` says for each pixel of the interpolated frame where it comes from in both frames, and how the two are
blended. It serves every plane of a frame, at any size. Luma is in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models import torch_warp

EPSILON = 2e-4  # weights stay this far from 0 and 1, where the logit has no slope


@dataclass(frozen=True, eq=False)
class FramePair:
    """N pairs of frames, and the phase to interpolate between each.

    In training the frames extend ``margin`` pixels beyond the interpolated frame on each side, so that motion into a
    crop is visible.
    """

    first: Tensor  # N x 1 x H+2*margin x W+2*margin
    second: Tensor
    phase: Tensor  # N x 1 x 1 x 1, 0 at the first frame and 1 at the second
    margin: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the interpolated frame."""
        h, w = self.first.shape[-2:]
        return h - 2 * self.margin, w - 2 * self.margin

    @property
    def unwarped(self) -> tuple[Tensor, Tensor]:
        """Both frames without the margin, not warped."""
        m, (h, w) = self.margin, self.size
        return self.first[..., m : m + h, m : m + w], self.second[..., m : m + h, m : m + w]

    def warp(self, displacements: Tensor, cubic: bool = True) -> tuple[Tensor, Tensor]:
        """Return both frames warped by ``displacements``, at the size of the interpolated frame.

        ``displacements``: N x 4 x h x w, in pixels of their own size. ``cubic``: sample cubic splines; else linearly,
        which is enough for the input of a network.
        """
        fine = at_size(displacements, self.size) * self.frame_pixels(displacements)
        sides = ((self.first, fine[:, :2]), (self.second, fine[:, 2:]))
        if cubic:
            a, b = (
                torch_warp.warp_cubic(torch_warp.spline_coefficients(frame), displacement, self.margin)
                for frame, displacement in sides
            )
        else:
            a, b = (torch_warp.warp_linear(frame, displacement, self.margin) for frame, displacement in sides)
        return a, b

    def frame_pixels(self, displacements: Tensor) -> Tensor:
        """1 x 4 x 1 x 1: pixels of the frame per pixel of ``displacements``."""
        across, down = self.size[1] / displacements.shape[-1], self.size[0] / displacements.shape[-2]
        return displacements.new_tensor([across, down, across, down]).view(1, 4, 1, 1)


@dataclass(frozen=True, eq=False)
class MotionField:
    """How each pixel of the interpolated frame is made. The parts may differ in size; all cover the frame."""

    displacements: Tensor  # N x 4 x h x w, in its own pixels: x and y to the first frame, then to the second
    second_weight: Tensor  # N x 1 x h x w: weight of the second warped frame, 0 to 1
    static_weight: Tensor  # N x 1 x h x w: weight of the plain mean of the unwarped frames, 0 to 1

    @classmethod
    def from_planes(cls, planes: Tensor) -> MotionField:
        """Return the field in N x 6 x h x w ``planes``."""
        return cls(planes[:, :4], planes[:, 4:5], planes[:, 5:6])

    def planes(self) -> Tensor:
        """N x 6 x h x w, at the size of the displacements."""
        size = (self.displacements.shape[-2], self.displacements.shape[-1])
        return torch.cat([self.displacements, at_size(self.second_weight, size), at_size(self.static_weight, size)], 1)


def at_size(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """Return ``planes`` resized: upscaled linearly, downscaled by area."""
    if tuple(planes.shape[-2:]) == size:
        return planes
    if planes.shape[-1] > size[1]:
        return F.interpolate(planes, size=size, mode="area")
    return F.interpolate(planes, size=size, mode="bilinear", align_corners=False)


def displacement_mismatch(field: MotionField, other: MotionField) -> Tensor:
    """Return the mean absolute difference of the displacements, in pixels of ``other``."""
    size = (other.displacements.shape[-2], other.displacements.shape[-1])
    per_pixel = field.displacements.shape[-1] / size[1]
    return (at_size(field.displacements, size) / per_pixel - other.displacements).abs().mean()


def blend(pair: FramePair, field: MotionField, warped: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Return the interpolated frame, N x 1 x H x W. ``warped``: both frames, if they are warped already."""
    a, b = pair.warp(field.displacements) if warped is None else warped
    second, static = at_size(field.second_weight, pair.size), at_size(field.static_weight, pair.size)
    frame = torch.lerp(a, b, second)
    return torch.lerp(frame, torch.lerp(*pair.unwarped, pair.phase.expand_as(frame)), static)


class FrameNetwork(nn.Module):
    """A network that interpolates frames, from luma.

    It runs in the type of its weights (bf16, fp16); displacements and frames stay in float32.
    """

    anchored = True  # bf16 is enough for what the layers compute
    needs_flow = False  # whether `estimate_motion` needs a field of optical flow

    def estimate_motion(self, pair: FramePair, flow: MotionField | None = None) -> MotionField:
        """Return the motion field, at a reduced size if it is large."""
        raise NotImplementedError

    def render(
        self, pair: FramePair, field: MotionField, warped: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, MotionField]:
        """Return luma at the full size of ``pair``, N x 1 x H x W, and the field for the other planes.

        ``warped``: both frames warped by the field, if they are warped already.
        """
        return blend(pair, field, warped), field

    def forward(self, pair: FramePair, flow: MotionField | None = None) -> tuple[Tensor, MotionField]:
        """Return luma of the interpolated frame, and its motion field."""
        return self.render(pair, self.estimate_motion(pair, flow))

    def for_training(self, keep: bool, branches: bool = True) -> None:
        """Do nothing: these networks train in the form in which they ship."""


def pad_to_multiple(planes: Tensor, multiple: int) -> Tensor:
    """Repeat the last column and row of ``planes`` until both sides are multiples of ``multiple``."""
    h, w = planes.shape[-2:]
    return F.pad(planes, (0, -w % multiple, 0, -h % multiple), mode="replicate")


def adjust_weights(field: MotionField, change: Tensor) -> MotionField:
    """Return ``field`` after ``change``, N x 2 x h x w, is added to the logits of both weights."""
    second, static = (
        torch.sigmoid(torch.logit(part, eps=EPSILON) + change[:, n : n + 1])
        for n, part in enumerate((field.second_weight, field.static_weight))
    )
    return replace(field, second_weight=second, static_weight=static)
