"""Luma of a clip in 8 bits and limited range, for training and evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from vidsr.video.reader import VideoReader


def read_luma(path: Path) -> Iterator[Tensor]:
    """Yield the luma plane of each frame: H x W uint8 in limited range.

    Depth and range of the clip do not matter.
    """
    with VideoReader(path) as reader:
        depth, full = reader.info.depth, reader.info.color.range == "full"
        for batch in reader.batches(1):
            yield to_limited_range(batch.y[0, 0], depth, full)


def to_limited_range(y: Tensor, depth: int, full: bool) -> Tensor:
    """Return luma codes of ``depth`` bits as uint8 of limited range (16 to 235).

    ``full``: the codes are of full range, 0 to 2**depth - 1.
    """
    codes = y.double()
    codes = 16 + codes * 219 / ((1 << depth) - 1) if full else codes / (1 << (depth - 8))
    return codes.round().clamp(0, 255).to(torch.uint8)
