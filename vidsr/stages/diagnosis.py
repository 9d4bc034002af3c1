"""What a clip needs restored.

Blur, noise and compression, measured on sample frames and the encoder's bit rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from math import log2
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
from vidsr.options.names import KERNELS
from vidsr.options.output_size import SAME_SIZE
from vidsr.options.restoration import CLASSICAL, Task
from vidsr.video import VideoReader, is_pipe, mean_quantizer

Plane = NDArray[Any]  # float32, H x W, 8-bit code values

# Below these bits per pixel a clip counts as visibly compressed. For H.264 that is about CRF 26 on the clips of
# train/LOG.md's table; for other codecs it follows their efficiency, roughly.
BITS_PER_PIXEL = {"h264": 0.15, "hevc": 0.1, "vp9": 0.1, "av1": 0.08, "vp8": 0.2, "mpeg4": 0.3, "mpeg2video": 0.4}

# Mean quantizers from which steps of 14 code values and more are visible, for codecs whose quantizer can be read.
VISIBLE = {"h264": 27.0, "mpeg2video": 16.0, "mpeg4": 16.0, "vp9": 96.0}

# Mean quantizers from which restoration helps before an upscale by weights for compressed clips, which remove artefacts
# themselves (benchmarks/domain.py); where the quantizer is unknown, the share of the bits per pixel above.
COARSE = {"h264": 34.0, "mpeg2video": 36.0, "mpeg4": 36.0, "vp9": 180.0}
COARSE_SHARE = 0.4

# Mean quantizers from which weights for compressed clips upscale better than those for clean clips, on average over the
# test clips (benchmarks/domain.py)
COMPRESSED_FROM = {"h264": 22.0, "mpeg2video": 6.0, "mpeg4": 6.0, "vp9": 70.0}
# In clips of less detail, such as dark ones, they do so from finer steps on, in proportion to the detail (the same with
# --contrast 0.2): mean difference of neighbouring pixels, 8-bit code values. In VP9 the difference was small.
USUAL_DETAIL, LEAST_DETAIL = 2.0, 0.4
LINEAR = ("mpeg2video", "mpeg4")  # whose step is proportional to the quantizer

BLURRED_BEFORE_UPSCALE = 1.2  # pixels: an upscale doubles the harm of sharpening a sharp clip (benchmarks/defaults.py)
BLURRED = 1.15  # pixels: edges of sharp frames have 0 to 1.1 (benchmarks/restoration.py, part auto)
NOISY = 3.0  # 8-bit code values; the deblurring networks cope with less
# Noise halves when the size is halved. Fine texture, which looks like noise at full size, grows instead.
LIKE_NOISE = 0.75
CERTAIN_NOISE = 9.0  # more than the texture of any test clip; upscaled, it costs more than lost texture does
SOME_NOISE, LIKE_SOME_NOISE = 1.5, 0.85  # the same, of noise that only decides the weights (benchmarks/defaults.py)
PLACES = 5  # sample frames


@dataclass(frozen=True)
class ClipSamples:
    """Luma of sample frames (1 x 1 x H x W code values), and the mean quantizer."""

    frames: tuple[Tensor, ...] = ()
    quantizer: float | None = None  # in the codec's units; None where it cannot be read


def sample_clip(source: Path, options: EnhanceOptions, info: VideoInfo) -> ClipSamples:
    """Return up to five frames, evenly spread over the wanted part of the clip, and its mean quantizer.

    A clip of unknown duration gives its first frames. Only what ``options`` need is read; a pipe is not.

    Raises:
        OptionError: the source is a pipe, and the strength or sigma would come from the samples.
    """
    chooses_weights = options.domain == "auto" and options.model not in KERNELS and options.output_size != SAME_SIZE
    if not options.restorations and not chooses_weights:
        return ClipSamples()
    if is_pipe(source):
        for wanted in options.restorations:
            if wanted.strength is None:
                raise OptionError(
                    "auto reads sample frames first, and a pipe can be read only once: give a strength from 0 to 1"
                )
            if wanted.method in CLASSICAL and wanted.sigma is None:
                raise OptionError(
                    f"{wanted.method} reads sample frames first, and a pipe can be read only once: give its sigma, for "
                    f"example {wanted.method}:1.6"
                )
        return ClipSamples()
    fixed = [wanted.task for wanted in options.restorations if wanted.strength is not None]
    # `restore` removes compression artefacts; a `deblur` of fixed strength would take them for blur
    is_needed = "deblur" in fixed or any(wanted.task == "restore" for wanted in options.restorations) or chooses_weights
    quantizer = mean_quantizer(source, options.reading) if is_needed else None
    is_shown = bool(options.restorations) or (chooses_weights and quantizer is not None)
    return ClipSamples(_spread(source, options, info) if is_shown else (), quantizer)


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
    """Luma of ``count`` frames from ``start`` on.

    Fewer, or none, where the clip ends or is damaged.
    """
    with (
        suppress(InputError),
        VideoReader(source, start, None, count, deinterlace=options.deinterlace, reading=options.reading) as reader,
    ):
        return tuple(batch.y for batch in reader.batches(1))
    return ()


@dataclass(frozen=True)
class Diagnosis:
    """Blur, noise and compression of a clip: medians over sample frames."""

    blur: float  # standard deviation, pixels
    motion_blur: float  # the same, across the direction in which edges are widest
    noise: float  # standard deviation, 8-bit code values; of fine texture where `noise_at_half` is not far below
    noise_at_half: float  # the same, measured at half the size
    detail: float  # mean difference of neighbouring pixels, 8-bit code values
    compressed: bool
    coarse: bool  # compressed so much that restoration helps even before weights for compressed clips
    coding: str  # how compression was measured, in words

    def needs(self, task: Task, upscales: bool = False) -> bool:
        """Whether ``task`` would improve the clip; ``upscales``: before weights for compressed clips upscale it."""
        if task == "deblur" and upscales and self.compressed:
            return False  # the widths of edges tell little, and sharpening makes artefacts visible
        is_certain = upscales and self.noise >= CERTAIN_NOISE
        return {
            "restore": self.coarse if upscales else self.compressed,
            "denoise": self.noise >= NOISY and (self.noise_at_half < LIKE_NOISE * self.noise or is_certain),
            "deblur": max(self.blur, self.motion_blur) >= (BLURRED_BEFORE_UPSCALE if upscales else BLURRED),
        }[task]

    @property
    def has_some_noise(self) -> bool:
        """Whether there is noise that an upscale would amplify, below what `denoise` is for."""
        return self.noise >= SOME_NOISE and self.noise_at_half < LIKE_SOME_NOISE * self.noise

    def advice(self, task: Task) -> str:
        """Return a hint where the user asks for ``task`` although `auto` would not.

        Empty if the clip needs it.
        """
        if self.needs(task):
            return ""
        if task == "deblur" and self.compressed:
            return (
                f"; not blurred but compressed ({self.coding}), which sharpening makes more visible: "
                "use --restore instead"
            )
        return "; auto would do nothing"

    def words(self, task: Task) -> str:
        """Return the measurement for ``task`` in words."""
        texture = "" if self.noise_at_half < LIKE_NOISE * self.noise else ", or texture"
        noise = f"noise of {self.noise:.1f} of 255 at most{texture}"
        blur = f"edges blurred by {self.blur:.2f} pixels, by {self.motion_blur:.2f} in the worst direction"
        return {"restore": self.coding, "denoise": noise, "deblur": blur}[task]


def diagnose(samples: ClipSamples, info: VideoInfo) -> Diagnosis:
    """Return the diagnosis of a clip from its ``samples`` and ``info``."""
    planes = [frame[0, 0].cpu().numpy().astype(np.float32) * np.float32(255 / info.peak) for frame in samples.frames]
    compressed, coarse, coding = _coding(samples.quantizer, info)
    return Diagnosis(
        blur=_median([blur_sigma(plane) for plane in planes]),
        motion_blur=_median([motion_blur_sigma(plane) for plane in planes]),
        noise=_median([noise_sigma(plane) for plane in planes]),
        noise_at_half=_median([noise_sigma(_half(plane)) for plane in planes]),
        detail=_median([detail(plane) for plane in planes]) if planes else USUAL_DETAIL,
        compressed=compressed,
        coarse=coarse,
        coding=coding,
    )


def _coding(quantizer: float | None, info: VideoInfo) -> tuple[bool, bool, str]:
    """Whether compression is visible, whether it is coarse, and the reason.

    The quantizer if known, else the bit rate.
    """
    if quantizer is not None and info.codec in VISIBLE:
        words = f"{info.codec} with a mean quantizer of {quantizer:.0f}"
        return quantizer >= VISIBLE[info.codec], quantizer >= COARSE[info.codec], words
    spent = bits_per_pixel(info)
    words = "compression not measured" if spent is None else f"bits per pixel {spent:.2f}"
    return is_compressed(info), is_compressed(info, COARSE_SHARE), f"{info.codec or 'image'}, {words}"


def bits_per_pixel(info: VideoInfo) -> float | None:
    """Return the bit rate per pixel and frame; None where it is unknown."""
    if not info.bit_rate or not info.fps:
        return None
    return info.bit_rate / float(info.width * info.height * info.fps)


def is_compressed(info: VideoInfo, share: float = 1.0) -> bool:
    """Whether the bit rate per pixel is below ``share`` of that at which compression becomes visible."""
    spent, enough = bits_per_pixel(info), BITS_PER_PIXEL.get(info.codec)
    return spent is not None and enough is not None and spent < share * enough


def suits_compressed_weights(info: VideoInfo, quantizer: float | None, detail: float = USUAL_DETAIL) -> bool:
    """Whether weights for compressed clips upscale a clip better: by quantizer and detail, or by the bit rate."""
    if quantizer is None or info.codec not in COMPRESSED_FROM:
        return is_compressed(info)
    share, least = min(1.0, max(detail, LEAST_DETAIL) / USUAL_DETAIL), COMPRESSED_FROM[info.codec]
    if info.codec == "h264":
        least += 6 * log2(share)  # its step doubles every six quantizers
    elif info.codec in LINEAR:
        least *= share
    return quantizer >= least


def detail(plane: Plane) -> float:
    """Return the mean difference of horizontal neighbours, code values."""
    return float(np.abs(np.diff(plane, axis=1)).mean()) if plane.shape[1] > 1 else 0.0


def _half(plane: Plane) -> Plane:
    height, width = (max(1, side // 2) for side in plane.shape)
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else 0.0
