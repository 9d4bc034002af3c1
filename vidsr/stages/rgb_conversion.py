"""The way of a frame through a network on RGB: to 4:4:4, to RGB by the clip's own matrix and range, and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vidsr.color import convert_chroma, rgb_to_ycbcr, with_defaults, ycbcr_to_rgb
from vidsr.frames import ColorInfo, FrameBatch, VideoInfo


@dataclass(frozen=True)
class RgbConversion:
    """Conversion between 4:4:4 planes and RGB on the device of the network.

    Planes are code values divided by the peak. With ``luma_only`` only luma comes back. Networks have learnt RGB from 0
    to 1: what a plane holds beyond (`outside`) passes by the network, so no brightness is lost.
    """

    color: ColorInfo  # with a matrix and a range
    depth: int
    luma_only: bool

    @classmethod
    def of(cls, info: VideoInfo, luma_only: bool) -> RgbConversion:
        """Return the conversion for frames of ``info``."""
        return cls(with_defaults(info.color, info.width, info.height), info.depth, luma_only)

    @property
    def _peak(self) -> int:
        return (1 << self.depth) - 1

    def to_rgb(self, planes: Tensor) -> Tensor:
        """Return RGB for N x 3 x H x W planes, clipped to 0 to 1."""
        values = planes * self._peak
        return ycbcr_to_rgb(values[:, :1], values[:, 1:], self.color, self.depth).clamp_(0, 1)

    def outside(self, planes: Tensor, rgb: Tensor, scale: int) -> Tensor:
        """Return the part of ``planes`` that their clipped ``rgb`` does not hold, upscaled linearly."""
        inside = self.to_planes(rgb)
        return F.interpolate(planes[:, : inside.shape[1]] - inside, scale_factor=float(scale), mode="bilinear")

    def to_planes(self, rgb: Tensor) -> Tensor:
        """Return planes for RGB: N x 3 x H x W, or N x 1 x H x W with ``luma_only``."""
        y, uv = rgb_to_ycbcr(rgb, self.color, self.depth)
        return (y if self.luma_only else torch.cat([y, uv], 1)) / self._peak


def full_chroma_planes(batch: FrameBatch, info: VideoInfo) -> Tensor:
    """Return the frames of ``batch`` as N x 3 x H x W float32 code values, 4:4:4. Grey frames get neutral chroma."""
    y = batch.y.float()
    if batch.uv is None:
        return torch.cat([y, torch.full_like(y, float(1 << (info.depth - 1))).expand(-1, 2, -1, -1)], 1)
    size = (y.shape[-1], y.shape[-2])
    return torch.cat([y, convert_chroma(batch.uv, info.chroma, "444", size, info.color.chroma_location)], 1)
