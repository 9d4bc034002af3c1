"""Resizing: luma by a network or a classical kernel, chroma guided by luma or by bicubic, with its siting kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import product
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidsr.color import DEFAULT_LOCATION, LOCATIONS, convert_chroma
from vidsr.errors import OptionError
from vidsr.frames import SUBSAMPLING, FrameBatch, VideoInfo
from vidsr.kernels.guided_chroma import ChromaAxis, resize_chroma, upscale_chroma
from vidsr.kernels.resample import resize
from vidsr.options.choices import ChromaFrom
from vidsr.options.output_size import OutputSize
from vidsr.runtime.concurrency import ordered_map
from vidsr.stages.network_runner import Runner
from vidsr.stages.repeats import Distinct, spread, with_distinct, with_following
from vidsr.stages.rgb_conversion import full_chroma_planes
from vidsr.stages.rounding import rounded
from vidsr.stages.stopwatch import Stopwatch
from vidsr.stages.temporal_upscale import LOOK_AHEAD, TemporalUpscaler, is_temporal
from vidsr.stages.tile_reuse import TileReuse

CHROMA_KERNEL = "bicubic"
BLEND_KERNEL = "bicubic"  # with which a network is blended
BYTE = 8  # bits of uint8
LumaUpscaler = TileReuse | TemporalUpscaler
REDUCTION_KERNEL = "lanczos"  # from the size that networks reach to the wanted one


class Upscale:
    """Upscale luma by networks one after the other, then resize to the exact ``size`` with ``kernel``.

    ``runners`` holds the runners of those networks for each device; devices take batches in turn. With ``rounds``
    frames become integers at once, which is cheaper where no stage in between needs the fractions. ``chroma_from``:
    whether chroma follows the upscaled luma, or comes from networks on RGB. ``strength``: share of what the networks
    change against the bicubic kernel. ``chroma_shares``: how far chroma follows luma in the whole image, where frames
    are strips of it.
    """

    name = "upscale"

    def __init__(
        self,
        size: OutputSize,
        info: VideoInfo,
        runners: Sequence[Sequence[Runner]],
        kernel: str,
        rounds: bool = False,
        watch: Stopwatch | None = None,
        chroma_from: ChromaFrom = "kernel",
        strength: float = 1.0,
        chroma_shares: NDArray[np.float32] | None = None,
    ) -> None:
        self.info = info
        self.strength = strength if runners else 1.0
        self.devices = [[make_upscaler(runner) for runner in device] for device in runners or [[]]]
        self.kernel = kernel
        self.depth, self.peak = info.depth, info.peak
        self.source = (info.width, info.height)
        self.width, self.height = size.size(info.width, info.height)
        self.repeated = 0  # repeated frames
        self.subsampling = SUBSAMPLING[info.chroma]
        self.rounds = rounds
        self.watch = watch or Stopwatch()  # for the parts of this stage
        self.location = info.color.chroma_location or DEFAULT_LOCATION
        self.chroma_from = chroma_from
        self.chroma_shares = chroma_shares

    def output(self, info: VideoInfo) -> VideoInfo:
        """Return ``info`` at the new size.

        A stretched frame keeps its shape on screen by its sample aspect ratio.
        """
        stretch = Fraction(self.width * info.height, self.height * info.width)
        sar = info.sar if _near_one(stretch) else info.sar / stretch  # a width rounded to an even number is no stretch
        sar = Fraction(1) if _near_one(sar) else sar
        return replace(info, width=self.width, height=self.height, sar=sar)

    def __call__(self, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        """Yield the resized frames as float32 code values, or as integers with ``rounds``.

        Repeats are copied.
        """
        alone = len(self.devices) == 1
        work = [partial(self._upscaled, device, self.watch if alone else Stopwatch()) for device in self.devices]
        ahead = LOOK_AHEAD if any(isinstance(device[0], TemporalUpscaler) for device in self.devices if device) else 0
        last: FrameBatch | None = None
        for batch, large in ordered_map(with_following(with_distinct(batches), ahead), work):
            self.repeated += sum(batch.repeats)
            result = spread(batch, large, last)
            last = result[-1:]
            yield result

    def _upscaled(
        self,
        device: list[LumaUpscaler],
        watch: Stopwatch,
        given: tuple[FrameBatch, FrameBatch | None, Sequence[Tensor]],
    ) -> Distinct:
        """Return the batch, and its distinct frames resized; None if it has none."""
        batch, distinct, following = given
        if distinct is None:
            return batch, None
        large = self._large_planes(distinct, following, device, watch)
        y = large[:, :1]
        with watch.step("chroma"):
            if distinct.uv is None:
                return batch, distinct.planes(y, None)
            if self.chroma_from == "model":
                size = (self.width, self.height)
                return batch, distinct.planes(
                    y, convert_chroma(large[:, 1:], "444", self.info.chroma, size, self.location)
                )
            return batch, distinct.planes(y, self._chroma(distinct.y, distinct.uv, y))

    def _large_planes(
        self, batch: FrameBatch, following: Sequence[Tensor], device: list[LumaUpscaler], watch: Stopwatch
    ) -> Tensor:
        """Return luma at the output's size, or with networks on RGB luma and 4:4:4 chroma if that is needed.

        ``following``: luma of frames behind the batch, for a first network that looks ahead.
        """
        rounds = self.rounds and self.strength == 1
        with watch.step("network"):
            on_rgb = any(reuse.runner.conversion for reuse in device)
            planes = small = full_chroma_planes(batch, self.info) if on_rgb else batch.y
            for reuse in device:
                scale = reuse.runner.network.scale
                reached = (planes.shape[-1] * scale, planes.shape[-2] * scale)
                how = self.peak, rounds and reached == (self.width, self.height)
                if reuse is device[0] and isinstance(reuse, TemporalUpscaler):
                    planes = reuse(planes, *how, following)
                else:
                    planes = reuse(planes, *how)
        with watch.step("resize"):
            large = resize_planes(planes, self.width, self.height, self.kernel, self.peak if rounds else None)
            if self.strength == 1:
                return large
            plain = resize_planes(small[:, : large.shape[1]], self.width, self.height, BLEND_KERNEL)
            return torch.lerp(plain.float(), large.float().cpu(), self.strength)

    def _chroma(self, luma: Tensor, uv: Tensor, large_luma: Tensor) -> Tensor:
        x, y = (
            ChromaAxis(step, at, n_in, n_out)
            for step, at, n_in, n_out in zip(
                self.subsampling,
                LOCATIONS[self.location],
                (luma.shape[-1], luma.shape[-2]),
                (self.width, self.height),
                strict=True,
            )
        )
        if luma.shape == large_luma.shape:
            return uv
        dtype = np.float32 if not self.rounds else np.uint8 if self.depth == BYTE else np.uint16
        peak = self.peak if self.rounds else None
        result = np.empty((len(uv), 2, y.n_out, x.n_out), dtype)
        planes = uv.cpu().numpy()
        if self.chroma_from == "kernel":
            resize_chroma(planes, x, y, CHROMA_KERNEL, result, peak)
        else:  # the guide is rounded in every case, so that chroma does not depend on where luma is rounded
            small, large = (rounded(one, self.depth).cpu().numpy()[:, 0] for one in (luma, large_luma))
            upscale_chroma(planes, small, large, x, y, self.depth, result, peak, self.chroma_shares)
        return torch.from_numpy(result)


def make_upscaler(runner: Runner) -> LumaUpscaler:
    """Return what applies ``runner`` to the luma of consecutive frames."""
    return TemporalUpscaler(runner) if is_temporal(runner) else TileReuse(runner)


def _near_one(ratio: Fraction) -> bool:
    return abs(ratio - 1) < Fraction(1, 50)


def resize_planes(planes: Tensor, width: int, height: int, kernel: str, peak: int | None = None) -> Tensor:
    """Resize N x C x H x W code values to N x C x ``height`` x ``width`` on the CPU; planes of that size are returned.

    The result is float32, or integers from 0 to ``peak`` if it is given.
    """
    if planes.shape[-2:] == (height, width):
        return planes
    dtype = np.float32 if peak is None else np.uint8 if peak <= np.iinfo(np.uint8).max else np.uint16
    return torch.from_numpy(resize(planes.cpu().numpy(), width, height, kernel, dtype=dtype, peak=peak))


def network_factors(factor: Fraction, available: tuple[int, ...]) -> tuple[int, ...]:
    """Return the scales of the networks that together reach ``factor``.

    They are as few as possible, then as small as possible.

    Raises:
        OptionError: two networks of the largest scale do not reach it.
    """
    if factor <= 1:
        return ()
    for count in (1, 2):
        reaching = [factors for factors in product(sorted(available), repeat=count) if prod(factors) >= factor]
        if reaching:
            return min(reaching, key=lambda factors: (prod(factors), factors[::-1]))
    largest = max(available) ** 2
    raise OptionError(f"a scale of {float(factor):g} is beyond two networks: ask for at most {largest}")
