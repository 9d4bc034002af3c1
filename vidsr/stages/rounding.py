"""Rounding to code values: the last step before the encoder, done once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vidsr.frames import FrameBatch, VideoInfo
from vidsr.kernels.rounding import round_codes
from vidsr.stages.gpu import to_cpu


@dataclass(frozen=True)
class Finish:
    """Rounds planes to ``depth`` bits on their device, so that a GPU sends back bytes and not floats."""

    depth: int
    rounds: bool = True  # False only moves planes to the CPU
    name: str = "finish"

    def output(self, info: VideoInfo) -> VideoInfo:
        """The same stream."""
        return info

    def __call__(self, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        """Batches of uint8 or uint16 planes on the CPU, or of float32 ones where nothing is rounded.

        A batch from a GPU leaves one batch later: the GPU computes the next one while it is copied.
        """
        pending: Callable[[], FrameBatch] | None = None
        for batch in batches:
            started = self._start(batch)
            if batch.y.device.type == "cpu":
                yield started()
                continue
            if pending is not None:
                yield pending()
            pending = started
        if pending is not None:
            yield pending()

    def _start(self, batch: FrameBatch) -> Callable[[], FrameBatch]:
        """Start rounding and copying ``batch``; the returned function waits and gives the finished batch."""

        def start(plane: Tensor) -> Callable[[], Tensor]:
            return to_cpu(rounded(plane, self.depth) if self.rounds else plane)

        y, uv = start(batch.y), None if batch.uv is None else start(batch.uv)
        return lambda: batch.planes(y(), None if uv is None else uv())


def rounded(plane: Tensor, depth: int) -> Tensor:
    """``plane`` rounded and clipped to the codes of ``depth`` bits, on its device; integers pass unchanged."""
    peak = (1 << depth) - 1
    if not plane.is_floating_point():
        return plane
    if plane.device.type == "cpu":
        return torch.from_numpy(round_codes(plane.float().numpy(), peak))
    return (plane + 0.5).clamp_(0, peak + 0.5).to(torch.uint8 if depth == 8 else torch.uint16)
