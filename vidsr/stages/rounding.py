"""The last step of the journey: code values are rounded, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vidsr.frames import FrameBatch, VideoInfo
from vidsr.kernels.rounding import round_codes
from vidsr.stages.transfer import to_cpu


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
        """Batches of uint8 or uint16 planes on the CPU, or of float32 ones where nothing is rounded.

        What comes from a GPU is handed on one batch later, so that the next one is computed while it is copied.
        """
        waiting: Callable[[], FrameBatch] | None = None
        for batch in batches:
            begun = self._begun(batch)
            if batch.y.device.type == "cpu":
                yield begun()
                continue
            if waiting is not None:
                yield waiting()
            waiting = begun
        if waiting is not None:
            yield waiting()

    def _begun(self, batch: FrameBatch) -> Callable[[], FrameBatch]:
        """The batch, its rounding and the way to the CPU begun, to be waited for."""

        def begin(plane: Tensor) -> Callable[[], Tensor]:
            return to_cpu(rounded(plane, self.depth) if self.rounds else plane)

        y, uv = begin(batch.y), None if batch.uv is None else begin(batch.uv)
        return lambda: batch.planes(y(), None if uv is None else uv())


def rounded(plane: Tensor, depth: int) -> Tensor:
    """``plane`` rounded to nearest and clipped to the codes of ``depth`` bits, where it is; integers pass untouched."""
    peak = (1 << depth) - 1
    if not plane.is_floating_point():
        return plane
    if plane.device.type == "cpu":
        return torch.from_numpy(round_codes(plane.float().numpy(), peak))
    return (plane + 0.5).clamp_(0, peak + 0.5).to(torch.uint8 if depth == 8 else torch.uint16)
