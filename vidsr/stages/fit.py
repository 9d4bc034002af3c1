"""Pad with black, or crop, to the exact size of the output: `--fit pad` and `--fit crop`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vidsr.color import codes, with_defaults
from vidsr.frames import SUBSAMPLING, FrameBatch, VideoInfo
from vidsr.options.output_size import offset


@dataclass(frozen=True)
class Fit:
    """Frames of ``info``, centred in ``width`` x ``height``; each axis is padded or cropped as it needs."""

    info: VideoInfo  # of the input
    width: int
    height: int
    name: str = "fit"

    def output(self, info: VideoInfo) -> VideoInfo:
        """Return ``info`` in the new size."""
        return replace(info, width=self.width, height=self.height)

    def __call__(self, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        """Yield the same frames in the new size, of the same type."""
        color = with_defaults(self.info.color, self.info.width, self.info.height)
        black = codes(color, self.info.depth)
        across, down = SUBSAMPLING[self.info.chroma]
        left = offset(self.info.width, self.width)
        top = offset(self.info.height, self.height)
        size = self.output(self.info).chroma_size
        for batch in batches:
            y = _centred(batch.y, (self.width, self.height), left, top, black.black)
            uv = batch.uv
            yield batch.planes(
                y, None if uv is None else _centred(uv, size, left // across, top // down, black.neutral)
            )


def _centred(planes: Tensor, size: tuple[int, int], left: int, top: int, value: float) -> Tensor:
    """Return N x C x H x W ``planes`` at (``left``, ``top``) in planes of ``size``, filled with ``value`` around."""
    width, height = size
    framed = torch.full((*planes.shape[:2], height, width), value, dtype=torch.float32).to(planes.dtype)
    framed = framed.to(planes.device)
    into = framed[..., max(0, top) :, max(0, left) :]
    source = planes[..., max(0, -top) :, max(0, -left) :]
    rows, columns = (min(into.shape[axis], source.shape[axis]) for axis in (2, 3))
    into[..., :rows, :columns] = source[..., :rows, :columns]
    return framed
