"""Restore consecutive frames as `enhance` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidsr.frames import FrameBatch, Origin, concat
from vidsr.stages.repeats import mark_repeats
from vidsr.stages.restore import Restore
from vidsr.stages.rounding import Finish
from vidsr.stages.temporal_denoise import TemporalDenoise

Luma = NDArray[np.uint8]
Method = Callable[[Luma], NDArray[Any]]
BATCH = 4


def restored(method: Method, frames: Luma, temporal: bool) -> Luma:
    """Return T x H x W codes restored by ``method``, with temporal denoising if ``temporal``."""

    def each(planes: Tensor, peak: int) -> Tensor:
        return torch.from_numpy(np.stack([method(plane) for plane in planes[:, 0].numpy()]))[:, None].float()

    batches = mark_repeats(_batches(frames))
    for stage in (Restore("restore", each, 1.0, 255), *([TemporalDenoise(8)] if temporal else []), Finish(8)):
        batches = stage(batches)
    return np.asarray(concat(list(batches)).y[:, 0].numpy())


def _batches(frames: Luma) -> Iterator[FrameBatch]:
    for first in range(0, len(frames), BATCH):
        numbers = range(first, min(first + BATCH, len(frames)))
        y = torch.from_numpy(frames[first : first + BATCH])[:, None]
        yield FrameBatch(y, None, tuple(Fraction(n, 25) for n in numbers), tuple(map(Origin, numbers)))
