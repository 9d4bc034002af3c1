"""What there is to restore in a clip, by a few of its frames and by what its encoder spent."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vidsr.errors import InputError, OptionError
from vidsr.frames import VideoInfo
from vidsr.kernels.blur_noise_estimate import blur_sigma, motion_blur_sigma, noise_sigma
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.restoration import CLASSICAL, Task
from vidsr.video import VideoReader, is_pipe, mean_quantizer

Plane = NDArray[Any]  # float32, H x W, 8-bit code values

# Below so many bits per pixel a clip is taken to be visibly compressed. Of H.264 that is about CRF 26 on the clips of
# train/LOG.md's table; other codecs by their efficiency, roughly.
BITS_PER_PIXEL = {"h264": 0.15, "hevc": 0.1, "vp9": 0.1, "av1": 0.08, "vp8": 0.2, "mpeg4": 0.3, "mpeg2video": 0.4}

# Mean quantizers of the encoders that tell, from which on steps of 14 code values and more show in the picture.
COARSE = {"h264": 27.0, "mpeg2video": 16.0, "mpeg4": 16.0, "vp9": 96.0}

BLURRED = 1.15  # pixels: the edges of sharp pictures have 0 to 1.1 (benchmarks/restoration.py, part auto)
NOISY = 3.0  # 8-bit code values; the deblurring networks take less in their stride
# Noise halves in a picture of half the size; fine texture, which is as hard to predict, grows there instead.
LIKE_NOISE = 0.75
PLACES = 5  # sample frames


@dataclass(frozen=True)
class Survey:
    """What was looked at before a run: some frames' luma (1 x 1 x H x W code values), and the mean quantizer."""

    frames: tuple[Tensor, ...] = ()
    quantizer: float | None = None  # in the codec's units; None where it does not tell


def survey(source: Path, options: EnhanceOptions, info: VideoInfo) -> Survey:
    """Up to five frames, evenly spread over the part of the clip that is asked for, and how coarsely it was encoded.

    A clip that does not know how long it is gives its first frames. Nothing is read where nothing is to be restored.

    Raises:
        OptionError: restoration is to find its own strength or sigma, on a pipe.
    """
    if not options.restorations:
        return Survey()
    if is_pipe(source):
        for wanted in options.restorations:
            if wanted.strength is None:
                raise OptionError(
                    "auto looks at the clip first, and a pipe is read only once: give a strength from 0 to 1"
                )
            if wanted.method in CLASSICAL and wanted.sigma is None:
                raise OptionError(
                    f"{wanted.method} looks at the clip first, and a pipe is read only once: give its sigma, for "
                    f"example {wanted.method}:1.6"
                )
        return Survey()
    told = [wanted.task for wanted in options.restorations if wanted.strength is not None]
    # what compression left is what `restore` takes out, and what a `deblur` that does not ask takes for blur
    asked = "deblur" in told or any(wanted.task == "restore" for wanted in options.restorations)
    quantizer = mean_quantizer(source, options.reading) if asked else None
    return Survey(_spread(source, options, info), quantizer)


def _spread(source: Path, options: EnhanceOptions, info: VideoInfo) -> tuple[Tensor, ...]:
    begin = options.start or Fraction(0)
    ends = [end for end in (options.end, info.duration) if end is not None]
    if options.frames is not None and info.fps:
        ends.append(begin + options.frames / info.fps)
    length = min(ends, default=begin) - begin
    if length <= 0:
        return _frames(source, options, options.start, PLACES)
    places = [begin + length * Fraction(2 * n + 1, 2 * PLACES) for n in range(PLACES)]
    found = [frame for place in places for frame in _frames(source, options, place, 1)]
    return tuple(found) or _frames(source, options, options.start, 1)


def _frames(source: Path, options: EnhanceOptions, start: Fraction | None, count: int) -> tuple[Tensor, ...]:
    """Luma of ``count`` frames from ``start`` on; fewer, or none, where the clip is damaged or ends."""
    with (
        suppress(InputError),
        VideoReader(source, start, None, count, deinterlace=options.deinterlace, reading=options.reading) as reader,
    ):
        return tuple(batch.y for batch in reader.batches(1))
    return ()


@dataclass(frozen=True)
class Diagnosis:
    """Medians over sample frames."""

    blur: float  # standard deviation, pixels
    smear: float  # the same, across the direction in which edges are widest
    noise: float  # standard deviation, 8-bit code values; of fine texture where `noise_at_half` is not far below
    noise_at_half: float  # the same, measured at half the size
    compressed: bool
    coding: str  # how that was seen, in words

    def needs(self, task: Task) -> bool:
        """Whether ``task`` has something to do."""
        return {
            "restore": self.compressed,
            "denoise": self.noise >= NOISY and self.noise_at_half < LIKE_NOISE * self.noise,
            "deblur": max(self.blur, self.smear) >= BLURRED,
        }[task]

    def advice(self, task: Task) -> str:
        """What is to be said where ``task`` is done although `auto` would leave it; empty where it is needed."""
        if self.needs(task):
            return ""
        if task == "deblur" and self.compressed:
            return (
                f"; not blurred but compressed ({self.coding}), and sharpening shows that more: --restore takes it out"
            )
        return "; auto would do nothing"

    def words(self, task: Task) -> str:
        """What was measured for ``task``."""
        texture = "" if self.noise_at_half < LIKE_NOISE * self.noise else ", or texture"
        noise = f"noise of {self.noise:.1f} of 255 at most{texture}"
        blur = f"edges blurred by {self.blur:.2f} pixels, by {self.smear:.2f} in the worst direction"
        return {"restore": self.coding, "denoise": noise, "deblur": blur}[task]


def diagnose(survey: Survey, info: VideoInfo) -> Diagnosis:
    """The diagnosis of a clip, by its ``survey`` and its facts."""
    planes = [frame[0, 0].cpu().numpy().astype(np.float32) * np.float32(255 / info.peak) for frame in survey.frames]
    compressed, coding = _coding(survey.quantizer, info)
    return Diagnosis(
        blur=_median([blur_sigma(plane) for plane in planes]),
        smear=_median([motion_blur_sigma(plane) for plane in planes]),
        noise=_median([noise_sigma(plane) for plane in planes]),
        noise_at_half=_median([noise_sigma(_half(plane)) for plane in planes]),
        compressed=compressed,
        coding=coding,
    )


def _coding(quantizer: float | None, info: VideoInfo) -> tuple[bool, str]:
    """Whether compression shows, and by what that is known: the quantizer, else the bits that were spent."""
    if quantizer is not None and info.codec in COARSE:
        return quantizer >= COARSE[info.codec], f"{info.codec} with a mean quantizer of {quantizer:.0f}"
    spent = bits_per_pixel(info)
    words = "unknown" if spent is None else f"{spent:.2f}"
    return is_compressed(info), f"{info.codec or 'picture'}, bits per pixel {words}"


def bits_per_pixel(info: VideoInfo) -> float | None:
    """What the encoder spent on each pixel of each frame; None where that is unknown."""
    if not info.bit_rate or not info.fps:
        return None
    return info.bit_rate / float(info.width * info.height * info.fps)


def is_compressed(info: VideoInfo) -> bool:
    """Whether an encoder has left so few bits per pixel that it shows."""
    spent, enough = bits_per_pixel(info), BITS_PER_PIXEL.get(info.codec)
    return spent is not None and enough is not None and spent < enough


def _half(plane: Plane) -> Plane:
    height, width = (max(1, side // 2) for side in plane.shape)
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else 0.0
