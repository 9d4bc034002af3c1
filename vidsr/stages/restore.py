"""Restoration at the same size, with adjustable strength.

Luma by a network or a classical method, chroma by a filter that the restored luma guides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from vidsr.color import DEFAULT_LOCATION, LOCATIONS
from vidsr.frames import SUBSAMPLING, FrameBatch, VideoInfo
from vidsr.kernels.chroma_denoise import denoise_chroma
from vidsr.kernels.guided_chroma import at_chroma
from vidsr.kernels.resample import resize
from vidsr.kernels.squared_error import sse
from vidsr.metrics import psnr_from_mse
from vidsr.options.restoration import Task
from vidsr.stages.frame_log import Changes
from vidsr.stages.repeats import each_once


class Method(Protocol):
    """A restoration method, such as `vidsr.stages.network_runner.Runner`."""

    def __call__(self, planes: Tensor, peak: int, /) -> Tensor:
        """N x 1 x H x W code values of any dtype -> the same size, float32, unrounded."""
        ...


@dataclass(frozen=True)
class ChromaDenoise:
    """Denoises chroma of one format, guided by restored luma."""

    noise: float | None  # 8-bit code values; None measures every frame
    unit: float  # code values per 8-bit code value
    steps: tuple[int, int]  # luma samples per chroma sample, across and down
    at: tuple[float, float]  # offset of a chroma sample from the first luma sample of its group

    @classmethod
    def of(cls, info: VideoInfo, noise: float | None) -> ChromaDenoise:
        """Return the filter for frames of ``info``."""
        at = LOCATIONS[info.color.chroma_location or DEFAULT_LOCATION]
        return cls(noise, 2.0 ** (info.depth - 8), SUBSAMPLING[info.chroma], at)

    def __call__(self, uv: Tensor, y: Tensor) -> Tensor:
        """Return the planes ``uv`` (N x 2 x h x w) denoised, float32; ``y`` (N x 1 x H x W) is restored luma."""
        planes, luma = uv.cpu().numpy().astype(np.float32), y.cpu().numpy().astype(np.float32)[:, 0]
        (step_x, step_y), (at_x, at_y) = self.steps, self.at
        for chroma, frame in zip(planes, luma, strict=True):
            guide = at_chroma(frame, step_x, at_x, step_y, at_y)
            for plane in chroma:
                plane[:] = denoise_chroma(plane, guide, self.noise, self.unit)
        return torch.from_numpy(planes)


class Restore:
    """Luma plus ``strength`` times the change by ``method``, and chroma by ``chroma``; None keeps chroma."""

    def __init__(
        self,
        task: Task,
        method: Method,
        strength: float,
        peak: int,
        logged: bool = False,
        chroma: ChromaDenoise | None = None,
    ) -> None:
        self.name: str = task
        self.method = method
        self.strength = strength
        self.peak = peak
        self.chroma = chroma
        self.repeated = 0  # repeated frames
        self.changes = Changes(task, peak, logged)

    def output(self, info: VideoInfo) -> VideoInfo:
        """Return ``info``: the format does not change."""
        return info

    def __call__(self, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        """Yield the same frames with unrounded float32 luma on the CPU; repeats are copied."""
        for batch, result in each_once(batches, self._restored):
            self.repeated += sum(batch.repeats)
            self.changes.add(batch, result.y)
            yield result

    def _restored(self, frames: FrameBatch) -> FrameBatch:
        y = self.restored(frames.y)
        if self.chroma is None or frames.uv is None:
            return frames.planes(y, frames.uv)
        return frames.planes(y, torch.lerp(frames.uv.float().cpu(), self.chroma(frames.uv, y), self.strength))

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
