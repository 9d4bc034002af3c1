"""The last step of the journey: code values are rounded, once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vidsr.frames import FrameBatch, VideoInfo
from vidsr.kernels.rounding import round_codes


@dataclass(frozen=True)
class Finish:
    """Rounds planes to ``depth`` bits, on their device so that bytes and not floats are copied back."""

    depth: int
    rounds: bool = True  # False: only moved to the CPU
    name: str = "finish"

    def output(self, info: VideoInfo) -> VideoInfo:
        """The same stream."""
        return info

    def __call__(self, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        """Batches of uint8 or uint16 planes on the CPU, or of float32 ones where nothing is rounded."""
        for batch in batches:
            if not self.rounds:
                yield batch.planes(batch.y.cpu(), None if batch.uv is None else batch.uv.cpu())
                continue
            yield batch.planes(
                rounded(batch.y, self.depth), None if batch.uv is None else rounded(batch.uv, self.depth)
            )


def rounded(plane: Tensor, depth: int) -> Tensor:
    """``plane`` rounded to nearest and clipped to the codes of ``depth`` bits, on the CPU; integers pass untouched."""
    peak = (1 << depth) - 1
    if not plane.is_floating_point():
        return plane.cpu()
    if plane.device.type == "cpu":
        return torch.from_numpy(round_codes(plane.float().numpy(), peak))
    return (plane + 0.5).clamp_(0, peak + 0.5).to(torch.uint8 if depth == 8 else torch.uint16).cpu()
