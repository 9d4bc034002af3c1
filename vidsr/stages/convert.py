"""Conversion to the chroma format and depth that the encoder takes, before code values are rounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vidsr.color import Codes, codes, convert_chroma, with_defaults
from vidsr.frames import Chroma, FrameBatch, VideoInfo


@dataclass(frozen=True)
class Convert:
    """Planes of ``info`` in another chroma format and depth.

    The same colours, as unrounded code values.

    libswscale would convert after the rounding, which rounds values twice, and it ignores the siting of chroma.
    """

    info: VideoInfo  # of the input
    chroma: Chroma
    depth: int
    name: str = "convert"

    def output(self, info: VideoInfo) -> VideoInfo:
        """Return ``info`` in the new format."""
        location = info.color.chroma_location if self.chroma == "420" else None
        color = replace(info.color, chroma_location=location)
        return replace(info, chroma=self.chroma, depth=self.depth, color=color)

    def __call__(self, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        """Yield the same frames as float32 code values."""
        for batch in batches:
            yield batch.planes(self.luma(batch.y), self._chroma(batch))

    def luma(self, y: Tensor) -> Tensor:
        """Return luma in code values of the new depth, float32."""
        before, after = self._codes()
        return (y.float() - before.black) * (after.luma / before.luma) + after.black

    def _chroma(self, batch: FrameBatch) -> Tensor | None:
        if self.chroma == "gray":
            return None
        before, after = self._codes()
        n, _, height, width = batch.y.shape
        if batch.uv is None:
            blank = replace(self.info, width=width, height=height, chroma=self.chroma).chroma_size
            return torch.full((n, 2, *blank[::-1]), after.neutral)
        uv = (batch.uv.float() - before.neutral) * (after.chroma / before.chroma) + after.neutral
        location = self.info.color.chroma_location
        return convert_chroma(uv, self.info.chroma, self.chroma, (width, height), location)

    def _codes(self) -> tuple[Codes, Codes]:
        color = with_defaults(self.info.color, self.info.width, self.info.height)
        return codes(color, self.info.depth), codes(color, self.depth)
