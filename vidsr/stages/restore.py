"""Restoration of luma by a network or a classical method, at the same size, with adjustable strength."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from vidsr.frames import FrameBatch, VideoInfo
from vidsr.kernels.resample import resize
from vidsr.kernels.squared_error import sse
from vidsr.metrics import psnr_from_mse
from vidsr.options.restoration import Task
from vidsr.stages import PER_FRAME
from vidsr.stages.frame_log import Changes
from vidsr.stages.repeats import each_once


class Method(Protocol):
    """A restoration method, such as `vidsr.stages.network_runner.Runner`."""

    def __call__(self, planes: Tensor, peak: int, /) -> Tensor:
        """N x 1 x H x W code values of any dtype -> the same size, float32, unrounded."""
        ...


class Restore:
    """Luma plus ``strength`` times the change by ``method``; chroma is unchanged."""

    context = PER_FRAME

    def __init__(self, task: Task, method: Method, strength: float, peak: int, logged: bool = False) -> None:
        self.name: str = task
        self.method = method
        self.strength = strength
        self.peak = peak
        self.repeated = 0  # repeated frames
        self.changes = Changes(task, peak, logged)

    def output(self, info: VideoInfo) -> VideoInfo:
        """Return ``info``: the format does not change."""
        return info

    def __call__(self, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        """Yield the same frames with unrounded float32 luma on the CPU; repeats are copied."""
        for batch, result in each_once(
            batches, lambda distinct: distinct.planes(self.restored(distinct.y), distinct.uv)
        ):
            self.repeated += sum(batch.repeats)
            self.changes.add(batch, result.y)
            yield result

    def restored(self, y: Tensor) -> Tensor:
        """Return the luma planes ``y`` (N x 1 x H x W code values) restored."""
        result = self.method(y, self.peak).cpu()
        return result if self.strength == 1 else torch.lerp(y.float().cpu(), result, self.strength)

    def psnr_on_sharp(self, samples: Sequence[Tensor]) -> float:
        """Return how little the stage changes sharp frames.

        PSNR in dB of its output against its input.

        Sharp frames are ``samples`` (1 x 1 x H x W code values) at half size, where little is left of any blur.
        """
        errors = []
        for sample in samples:
            height, width = (max(1, size // 2) for size in sample.shape[-2:])
            dtype = np.uint8 if self.peak == 255 else np.uint16
            source = sample.cpu().numpy()[0, 0].astype(np.float32)
            sharp = resize(source, width, height, "bicubic", dtype=dtype, peak=self.peak)
            result = self.restored(torch.from_numpy(sharp)[None, None])[0, 0].numpy()
            codes = np.clip(np.rint(result), 0, self.peak).astype(dtype)
            errors.append(sse(codes, sharp) / sharp.size)
        return psnr_from_mse(float(np.mean(errors)), self.peak)
