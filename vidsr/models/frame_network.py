"""What networks that make frames between frames share: what they are given, what they answer, and the picture it is.

A `Field` says how each pixel of the new frame is made: where it comes from in both frames, and how the two are mixed.
It serves every plane of a frame, at any size. Luma is in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models import torch_warp as warp

SURE = 2e-4  # a share is never nearer than this to 0 or 1: beyond, no change would move it


@dataclass(frozen=True, eq=False)
class Scene:
    """N pairs of frames and the phases to make, one of each pair.

    In training the frames reach ``margin`` pixels further on each side than the frame to make, so that motion into a
    crop is seen.
    """

    first: Tensor  # N x 1 x H+2*margin x W+2*margin
    second: Tensor
    phase: Tensor  # N x 1 x 1 x 1, 0 at the first frame and 1 at the second
    margin: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the frame to make."""
        h, w = self.first.shape[-2:]
        return h - 2 * self.margin, w - 2 * self.margin

    @property
    def here(self) -> tuple[Tensor, Tensor]:
        """Both frames where the new one lies, unmoved."""
        m, (h, w) = self.margin, self.size
        return self.first[..., m : m + h, m : m + w], self.second[..., m : m + h, m : m + w]

    def moved(self, ways: Tensor, sharp: bool = True) -> tuple[Tensor, Tensor]:
        """Both frames as seen along ``ways``, N x 4 x h x w in pixels of their own size, at the size of the new one.

        ``sharp``: by cubic splines; else linear, which is enough to look.
        """
        fine = at_size(ways, self.size) * self.per_pixel(ways)
        sides = ((self.first, fine[:, :2]), (self.second, fine[:, 2:]))
        if sharp:
            a, b = (warp.cubic(warp.spline(frame), way, self.margin) for frame, way in sides)
        else:
            a, b = (warp.linear(frame, way, self.margin) for frame, way in sides)
        return a, b

    def per_pixel(self, ways: Tensor) -> Tensor:
        """1 x 4 x 1 x 1: pixels of the frame per pixel of the field ``ways``."""
        across, down = self.size[1] / ways.shape[-1], self.size[0] / ways.shape[-2]
        return ways.new_tensor([across, down, across, down]).view(1, 4, 1, 1)


@dataclass(frozen=True, eq=False)
class Field:
    """How each pixel is made. The parts may differ in size; all cover the frame."""

    ways: Tensor  # N x 4 x h x w, pixels of its own: x and y to the first frame, then to the second
    share: Tensor  # N x 1: of the second frame, 0 to 1
    still: Tensor  # N x 1: of the plain mean of the unmoved frames, 0 to 1

    @classmethod
    def stacked(cls, planes: Tensor) -> Field:
        """The field in N x 6 x h x w planes."""
        return cls(planes[:, :4], planes[:, 4:5], planes[:, 5:6])

    def planes(self) -> Tensor:
        """N x 6 x h x w, at the size of the ways."""
        size = (self.ways.shape[-2], self.ways.shape[-1])
        return torch.cat([self.ways, at_size(self.share, size), at_size(self.still, size)], 1)


def at_size(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """``planes`` resized linearly; reduced by area."""
    if tuple(planes.shape[-2:]) == size:
        return planes
    if planes.shape[-1] > size[1]:
        return F.interpolate(planes, size=size, mode="area")
    return F.interpolate(planes, size=size, mode="bilinear", align_corners=False)


def apart(field: Field, other: Field) -> Tensor:
    """How far the ways of ``field`` end from those of ``other``, pixels of ``other``, on average."""
    size = (other.ways.shape[-2], other.ways.shape[-1])
    per_pixel = field.ways.shape[-1] / size[1]
    return (at_size(field.ways, size) / per_pixel - other.ways).abs().mean()


def mixed(scene: Scene, field: Field, moved: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """The new frame, N x 1 x H x W, as ``field`` says; ``moved``: both frames along its ways, if they are there."""
    a, b = scene.moved(field.ways) if moved is None else moved
    share, still = at_size(field.share, scene.size), at_size(field.still, scene.size)
    picture = torch.lerp(a, b, share)
    return torch.lerp(picture, torch.lerp(*scene.here, scene.phase.expand_as(picture)), still)


class FrameNetwork(nn.Module):
    """A network that makes frames between frames, from luma.

    It runs in the type of its weights (bf16, fp16); displacements and pictures stay in float32.
    """

    anchored = True  # bf16 is enough for what the layers say
    needs_prior = False  # whether `motion` is given a field to begin with

    def motion(self, scene: Scene, prior: Field | None = None) -> Field:
        """How the frame is made; at a reduced size, if it is large."""
        raise NotImplementedError

    def finish(self, scene: Scene, field: Field, moved: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Field]:
        """Luma at the full size of ``scene``, N x 1 x H x W, and the field by which the other planes follow.

        ``moved``: both frames along the field's ways, if they are there.
        """
        return mixed(scene, field, moved), field

    def forward(self, scene: Scene, prior: Field | None = None) -> tuple[Tensor, Field]:
        """Luma of the new frame, and how it is made."""
        return self.finish(scene, self.motion(scene, prior))

    def for_training(self, keep: bool, branches: bool = True) -> None:
        """Take on the form that trains: there is no other."""


def padded(planes: Tensor, multiple: int) -> Tensor:
    """``planes`` with the last column and row repeated until both sides are multiples of ``multiple``."""
    h, w = planes.shape[-2:]
    return F.pad(planes, (0, -w % multiple, 0, -h % multiple), mode="replicate")


def moved_by(field: Field, change: Tensor) -> Field:
    """``field`` after ``change``, N x 6 x h x w: added to the ways, and to the shares on a logarithmic scale."""
    return shares_by(replace(field, ways=field.ways + change[:, :4]), change[:, 4:6])


def shares_by(field: Field, change: Tensor) -> Field:
    """``field`` after ``change``, N x 2 x h x w, of its shares on a logarithmic scale."""
    share, still = (
        torch.sigmoid(torch.logit(part, eps=SURE) + change[:, n : n + 1])
        for n, part in enumerate((field.share, field.still))
    )
    return replace(field, share=share, still=still)
