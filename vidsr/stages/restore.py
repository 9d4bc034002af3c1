"""Restoration: luma through a network or a classical method of the same size, as strongly as asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from vidsr.frames import FrameBatch, VideoInfo
from vidsr.kernels.metrics import sse
from vidsr.kernels.resample import resize
from vidsr.metrics import psnr_from_mse
from vidsr.options.restoration import Task
from vidsr.stages.changes import Changes


class Method(Protocol):
    """What makes a better picture of a picture; `vidsr.stages.runner.Runner` is one."""

    def __call__(self, planes: Tensor, peak: int, /) -> Tensor:
        """N x 1 x H x W code values, any dtype -> the same size, float32, not rounded."""
        ...


class Restore:
    """Luma plus ``strength`` times what ``method`` changes of it; chroma is not touched."""

    def __init__(
        self,
        task: Task,
        method: Method,
        words: str,
        strength: float,
        peak: int,
        weights: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.name: str = task
        self.method = method
        self.words = words
        self.strength = strength
        self.peak = peak
        self.weights = dict(weights)  # file name -> sha256, for the record of the run
        self.repeated = 0  # frames whose luma equalled that of the one before
        self.changes = Changes(task, peak)

    def output(self, info: VideoInfo) -> VideoInfo:
        """The same stream."""
        return info

    def __str__(self) -> str:
        strength = "" if self.strength == 1 else f", strength {self.strength:g}"
        return f"{self.name}: {self.words}{strength}"

    def __call__(self, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        """The same frames, float32 luma on the CPU, not rounded; a picture that repeats is not restored again."""
        last: tuple[Tensor, Tensor] | None = None  # the picture before, and what was made of it
        for batch in batches:
            y = self._each_once(batch.y, last)
            last = batch.y[-1:], y[-1:]
            self.changes.note(batch, y)
            yield batch.planes(y, batch.uv)

    def _each_once(self, y: Tensor, last: tuple[Tensor, Tensor] | None) -> Tensor:
        """``y`` restored; a picture that equals the one before, which for the first is ``last``, repeats its result."""
        pictures = [y[i : i + 1] for i in range(len(y))]
        before = [None if last is None else last[0], *pictures[:-1]]
        fresh = [was is None or not torch.equal(now, was) for now, was in zip(pictures, before, strict=True)]
        self.repeated += fresh.count(False)
        if all(fresh):
            return self.restored(y)
        made = [] if last is None else [last[1]]
        new = [picture for picture, is_new in zip(pictures, fresh, strict=True) if is_new]
        made += [self.restored(torch.cat(new))] if new else []
        return torch.cat(made)[torch.tensor(fresh).cumsum(0) - int(last is None)]

    def restored(self, y: Tensor) -> Tensor:
        """The luma planes ``y`` (N x 1 x H x W code values) restored."""
        result = self.method(y, self.peak).cpu()
        return result if self.strength == 1 else torch.lerp(y.float().cpu(), result, self.strength)

    def kept_of_sharp(self, samples: Sequence[Tensor]) -> float:
        """What the stage does to a sharp picture: PSNR in dB of its result against it, the higher the less.

        The sharp pictures are ``samples`` (1 x 1 x H x W code values) at half size: whatever blurs a picture, little is
        left of it there.
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
