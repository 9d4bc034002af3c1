"""The last step of the journey: code values are rounded, once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.frames import SUBSAMPLING, FrameBatch, VideoInfo
from vidsr.kernels.rounding import round_codes


@dataclass(frozen=True)
class Finish:
    """Rounds planes to ``depth`` bits, on their device so that bytes and not floats are copied back.

    A picture that chroma does not divide (an odd 4:2:0 size, which most encoders refuse) gets its last column or row
    once more.
    """

    depth: int
    name: str = "finish"

    def output(self, info: VideoInfo) -> VideoInfo:
        """The same stream, its sides rounded up to whole chroma samples."""
        sx, sy = SUBSAMPLING[info.chroma]
        return replace(info, width=info.width + -info.width % sx, height=info.height + -info.height % sy)

    def __call__(self, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        """Batches of uint8 or uint16 planes on the CPU."""
        for batch in batches:
            y, uv = batch.y, batch.uv
            if uv is not None:
                y = _pad_to_multiple(y, uv)
                uv = rounded(uv, self.depth)
            yield batch.planes(rounded(y, self.depth), uv)


def rounded(plane: Tensor, depth: int) -> Tensor:
    """``plane`` rounded to nearest and clipped to the codes of ``depth`` bits, on the CPU; integers pass untouched."""
    peak = (1 << depth) - 1
    if not plane.is_floating_point():
        return plane.cpu()
    if plane.device.type == "cpu":
        return torch.from_numpy(round_codes(plane.float().numpy(), peak))
    return (plane + 0.5).clamp_(0, peak + 0.5).to(torch.uint8 if depth == 8 else torch.uint16).cpu()


def _pad_to_multiple(y: Tensor, uv: Tensor) -> Tensor:
    """``y`` with its last column and row repeated until ``uv`` covers it without a remainder."""
    h, w = y.shape[-2:]
    sx, sy = -(-w // uv.shape[-1]), -(-h // uv.shape[-2])
    pad_x, pad_y = sx * uv.shape[-1] - w, sy * uv.shape[-2] - h
    if not (pad_x or pad_y):
        return y
    return F.pad(y.float(), (0, pad_x, 0, pad_y), mode="replicate")
