"""Compare upscaling methods: downscale a clip or image, upscale it with each method, and measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from vidsr.device import choose
from vidsr.errors import OptionError
from vidsr.evaluate.compare import Comparison, OnRow, compare_methods, crop_frame
from vidsr.frames import FrameBatch, VideoInfo
from vidsr.models.weight_files import WEIGHTS, list_weights
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.output_size import Factor
from vidsr.options.paths import is_image
from vidsr.pipeline.choose import choose_upscale
from vidsr.stages.build import build_upscale
from vidsr.stages.rounding import rounded
from vidsr.stages.upscale import Upscale, resize_planes
from vidsr.video import VideoReader
from vidsr.video.image import read_image

KERNELS = ("nearest", "bilinear", "bicubic", "lanczos")
NETWORKS = ("espcn", "srcnn", "fast", "balanced", "best")  # compared by default; slower ones are not
DOWNSCALE_KERNEL = "bicubic"  # a = -0.5, antialiased, as MATLAB's imresize and the papers use
SMALLEST_LR = 8  # pixels a side


def default_methods(scale: int, folder: Path = WEIGHTS) -> tuple[str, ...]:
    """Return the classical kernels, then the networks that have weights for ``scale``."""
    trained = {(entry.name, entry.scale) for entry in list_weights(folder) if entry.domain == "clean"}
    return (*KERNELS, *(name for name in NETWORKS if (name, scale) in trained))


def compare_upscaling(
    source: Path, scale: int, methods: Sequence[str], options: EnhanceOptions, on_row: OnRow = lambda row: None
) -> Comparison:
    """Downscale ``source`` by ``scale`` (antialiased bicubic, a = -0.5), upscale it with each method, and measure.

    Scores are of luma at the clip's own depth and range (images: BT.601 limited, as in the papers), rounded, without
    ``scale`` pixels at each border. ``on_row`` receives one row per frame and method.

    Raises:
        VidsrError: the source cannot be read, or a method is unknown or has no network for this scale.
    """
    with _frames(source, options) as (frames, info):
        hr_info = replace(info, width=info.width - info.width % scale, height=info.height - info.height % scale)
        if min(hr_info.width, hr_info.height) < SMALLEST_LR * scale:
            raise OptionError(f"{source} is {info.width}x{info.height}: too small to downscale by {scale} and measure")
        lr_info = replace(hr_info, width=hr_info.width // scale, height=hr_info.height // scale)
        upscales = {name: (_upscale(name, scale, lr_info, options),) for name in methods}
        originals = (crop_frame(frame, hr_info) for frame in frames)
        pairs = ((original, _downscale(original, lr_info)) for original in originals)
        scores, samples = compare_methods(source, pairs, upscales, info, scale, on_row)
    change = f"downscaled by {scale} and upscaled again"
    return Comparison(source, scale, hr_info, scores, samples, change, f"x{scale}")


def _upscale(name: str, scale: int, info: VideoInfo, options: EnhanceOptions) -> Upscale:
    wanted = replace(options, model=name, domain="clean", output_size=Factor(Fraction(scale)))
    spec = choose_upscale(wanted, info, (choose(options.device, options.precision),))
    if spec is None:
        raise OptionError(f"--scale {scale} leaves nothing to compare: give 2, 3 or 4")
    return build_upscale(spec, info)


@contextmanager
def _frames(source: Path, options: EnhanceOptions) -> Iterator[tuple[Iterator[FrameBatch], VideoInfo]]:
    """The frames of a clip or image, one at a time, and its properties."""
    if is_image(source):
        frame, info = read_image(source)
        yield iter([frame]), info
        return
    with VideoReader(source, options.start, options.end, options.frames) as reader:
        yield reader.batches(1), reader.info


def _downscale(frame: FrameBatch, info: VideoInfo) -> FrameBatch:
    """Return ``frame`` at the size of ``info``, rounded to code values."""
    width, height = info.chroma_size
    uv = None if frame.uv is None else rounded(resize_planes(frame.uv, width, height, DOWNSCALE_KERNEL), info.depth)
    return frame.planes(rounded(resize_planes(frame.y, info.width, info.height, DOWNSCALE_KERNEL), info.depth), uv)
