"""`vidsr degrade`: degrade a clip in a known way, for training, tests and comparisons."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidsr.degrade.blur import Blur, DefocusBlur, GaussianBlur, Kernel, MotionBlur, ShakeBlur
from vidsr.degrade.degradations import GaussianNoise, Noise, PoissonNoise, Values, convolve
from vidsr.errors import OptionError, OutputError
from vidsr.frames import SUBSAMPLING, FrameBatch, VideoInfo
from vidsr.kernels.resample import KERNELS, resize
from vidsr.options.codecs import Encoding
from vidsr.options.parse import parse_fraction, shortened
from vidsr.runtime.output_file import refuse_existing
from vidsr.stages.rounding import Finish
from vidsr.video import VideoReader, VideoWriter, open_output

T = TypeVar("T")
Part = tuple[Fraction | None, Fraction | None, int | None]
MIN_VALUE, MAX_VALUE = 1e-6, 1000  # of every blur and noise: beyond, nothing of the frame is left
BATCH_PIXELS = 1 << 21  # luma samples per decoded batch

BLURS: dict[str, Callable[[float], Blur]] = {
    "gaussian": lambda sigma: GaussianBlur((sigma, sigma)),
    "disk": lambda radius: DefocusBlur((radius, radius)),
    "motion": lambda length: MotionBlur((length, length)),
    "shake": lambda length: ShakeBlur((length, length)),
}
NOISES: dict[str, Callable[[float], Noise]] = {
    "gaussian": lambda sigma: GaussianNoise((sigma, sigma)),
    "poisson": lambda gain: PoissonNoise((gain, gain)),
}


@dataclass(frozen=True)
class DegradeOptions:
    """Degradations of a clip, in this order: blur, downscale, noise, encoding. Build with `parse_degrade`."""

    blur: Blur | None = None
    factor: Fraction = Fraction(1)
    kernel: str = "bicubic"
    noise: Noise | None = None
    encoding: Encoding = field(default_factory=Encoding)
    seed: int = 0


def parse_degrade(
    *,
    blur: str | None = None,
    noise: str | None = None,
    scale: str = "1",
    kernel: str = "bicubic",
    codec: str = "libx264",
    crf: float | None = None,
    preset: str | None = None,
    encoder_options: tuple[str, ...] = (),
    seed: int = 0,
) -> DegradeOptions:
    """Parse options: ``blur`` gaussian:1.6 or motion:9, ``noise`` 2 or poisson:0.5, ``scale`` 1/4.

    Raises:
        OptionError: a value is unknown or not positive.
    """
    return DegradeOptions(
        blur=None if blur is None else _named(blur, BLURS, "--blur"),
        factor=_factor(scale),
        kernel=_kernel(kernel),
        noise=None if noise is None else _named(noise if ":" in noise else f"gaussian:{noise}", NOISES, "--noise"),
        encoding=Encoding.parse(codec, crf=crf, preset=preset, options=encoder_options),
        seed=seed,
    )


def degrade_clip(
    source: Path, target: Path, options: DegradeOptions, *, overwrite: bool = False, part: Part = (None, None, None)
) -> int:
    """Write the degraded ``source`` to ``target``, and return the number of frames.

    Other streams are copied.

    ``part`` is start and end in seconds and the maximum number of frames, as in `vidsr.video.VideoReader`.

    Raises:
        VidsrError: the source cannot be read, or the target cannot be written.
    """
    if target.exists() and source.exists() and target.samefile(source):
        raise OutputError(f"{target} is the input itself: choose another --output")
    refuse_existing(target, overwrite)
    frames = 0
    with VideoReader(source, *part) as reader:
        finish = Finish(reader.info.depth)
        output = finish.output(downscaled_info(reader.info, options.factor))
        per_batch = max(1, BATCH_PIXELS // (reader.info.width * reader.info.height))
        with (
            open_output(target, overwrite) as file,
            VideoWriter(target, output, options.encoding, source, output=file) as writer,
        ):
            for batch in finish(degraded(reader.batches(per_batch), reader.info, options)):
                writer.write(batch)
                frames += len(batch)
    return frames


def degraded(batches: Iterator[FrameBatch], info: VideoInfo, options: DegradeOptions) -> Iterator[FrameBatch]:
    """Blur, downscale and add noise to ``batches``; yield float planes, not encoded.

    Chroma is blurred by the same kernel at its own resolution. Gaussian noise is on all planes; shot noise depends on
    the light, so it is on luma only.
    """
    kernel = None if options.blur is None else options.blur.kernel(np.random.default_rng(options.seed))
    small = None if kernel is None else subsampled(kernel, *SUBSAMPLING[info.chroma])
    chroma_noise = options.noise if isinstance(options.noise, GaussianNoise) else None
    unit = 1 << (info.depth - 8)  # code values per 8-bit code value
    small_info = downscaled_info(info, options.factor)
    for batch in batches:
        # one generator per frame, so that the batch size changes nothing
        rngs = [np.random.default_rng([options.seed, origin.index]) for origin in batch.origins]
        y = _downscaled(batch.y, kernel, (small_info.width, small_info.height), options.kernel)
        uv = None
        if batch.uv is not None:
            uv = _noisy(_downscaled(batch.uv, small, small_info.chroma_size, options.kernel), chroma_noise, unit, rngs)
        yield batch.planes(_noisy(y, options.noise, unit, rngs), uv)


def _downscaled(plane: Tensor, blur: Kernel | None, size: tuple[int, int], kernel: str) -> Tensor:
    """Return ``plane`` blurred and downscaled to ``size``, as floats.

    ``plane`` is N x C x H x W, ``size`` is width and height.
    """
    values: Values = plane.flatten(0, 1).to(torch.float32).numpy()
    if blur is not None:
        values = convolve(values, blur)
    if size != values.shape[:0:-1]:
        small = np.empty((len(values), *size[::-1]), np.float32)
        resize(values, *size, kernel, out=small)
        values = small
    return torch.from_numpy(values).view(*plane.shape[:2], size[1], size[0])


def _noisy(plane: Tensor, noise: Noise | None, unit: int, rngs: Sequence[np.random.Generator]) -> Tensor:
    """Return ``plane`` (N x C x H x W floats) with ``noise``.

    The noise of frame n comes from ``rngs[n]``.
    """
    if noise is None:
        return plane
    frames = [noise.add(frame.numpy() / np.float32(unit), rng) for frame, rng in zip(plane, rngs, strict=True)]
    return torch.from_numpy(np.stack(frames) * np.float32(unit))


def subsampled(kernel: Kernel, sx: int, sy: int) -> Kernel:
    """Resample ``kernel`` to a grid ``sx`` and ``sy`` times coarser.

    The two nearest samples share each weight.
    """
    reach = len(kernel) // 2
    steps = np.arange(-reach, reach + 1)
    across, down = (_shares(steps / s, -(-reach // s)) for s in (sx, sy))
    return (down @ kernel @ across.T).astype(np.float32)


def _shares(positions: npt.NDArray[np.float64], reach: int) -> npt.NDArray[np.float64]:
    """Return the shares of the weights at ``positions``.

    Columns are positions, rows are samples from -reach to reach.
    """
    samples = np.arange(-reach, reach + 1)
    shares: npt.NDArray[np.float64] = np.maximum(0, 1 - np.abs(samples[:, None] - positions))
    return shares


def downscaled_info(info: VideoInfo, factor: Fraction) -> VideoInfo:
    """Return ``info`` at ``factor`` of the size."""
    return replace(info, width=max(1, round(info.width * factor)), height=max(1, round(info.height * factor)))


def _named(text: str, table: dict[str, Callable[[float], T]], option: str) -> T:
    """Parse ``name:value`` by ``table``."""
    name, _, value = text.partition(":")
    if name not in table or not re.fullmatch(r"\d*\.?\d+", value) or not MIN_VALUE <= float(value) <= MAX_VALUE:
        choices = ", ".join(f"{known}:NUMBER" for known in table)
        raise OptionError(
            f"{option} {shortened(text)!r} is unknown: write one of {choices}, "
            f"with a number above 0 and up to {MAX_VALUE}"
        )
    return table[name](float(value))


def _factor(text: str) -> Fraction:
    try:
        factor = parse_fraction(text, "--scale")
    except OptionError:
        factor = Fraction(0)
    if not 0 < factor <= 1:
        raise OptionError(f"--scale {text!r} does not downscale: write 1/4 or 0.25")
    return factor


def _kernel(text: str) -> str:
    if text not in KERNELS:
        raise OptionError(f"--kernel {text!r} is unknown: choose {', '.join(KERNELS)}")
    return text
