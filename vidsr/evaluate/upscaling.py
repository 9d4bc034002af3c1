"""One picture through several methods: reduce it, put it back with each, and measure what came out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import tee
from math import inf, isfinite
from pathlib import Path

from vidsr.device import choose
from vidsr.errors import OptionError
from vidsr.frames import FrameBatch, VideoInfo
from vidsr.kernels.metrics import sse, ssim
from vidsr.metrics import psnr_from_mse
from vidsr.models.weights import WEIGHTS, table
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.output_size import Factor
from vidsr.options.paths import is_image
from vidsr.pipeline.plan import make_upscale
from vidsr.stages import Stage
from vidsr.stages.batching import singly
from vidsr.stages.rounding import Finish, rounded
from vidsr.stages.stopwatch import Stopwatch
from vidsr.stages.upscale import Upscale, resize_planes
from vidsr.video import VideoReader
from vidsr.video.image import read_image

KERNELS = ("nearest", "bilinear", "bicubic", "lanczos")
NETWORKS = ("espcn", "srcnn", "fast", "balanced", "best")  # what is not named is compared with none slower than these
REDUCTION = "bicubic"  # a = -0.5, antialiased: MATLAB's imresize and the papers

GIVEN = "given"  # the step that makes what the methods are given, which is not theirs to pay for

Row = dict[str, str | int | float]
OnRow = Callable[[Row], None]


@dataclass
class Score:
    """One method against the truth, means over frames."""

    method: str
    frames: int = 0
    differing: int = 0  # frames that are not the truth itself, of which the PSNR is infinite and counts towards no mean
    psnr_y: float = inf  # dB
    ssim_y: float = 0.0
    mse_y: float = 0.0
    seconds: float = 0.0  # in the method itself, measuring left out

    def add(self, measured: dict[str, float], seconds: float) -> None:
        """Counts one more frame."""
        self.frames += 1
        self.seconds += seconds
        self.ssim_y += (measured["ssim_y"] - self.ssim_y) / self.frames
        self.mse_y += (measured["mse_y"] - self.mse_y) / self.frames
        if isfinite(measured["psnr_y"]):
            before = self.psnr_y if self.differing else 0.0
            self.differing += 1
            self.psnr_y = before + (measured["psnr_y"] - before) / self.differing

    @property
    def fps(self) -> float:
        """Frames per second of the method alone."""
        return self.frames / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Comparison:
    """The scores of every method on one clip or image, and one frame as each method made it."""

    source: Path
    scale: int
    info: VideoInfo  # of the truth
    scores: tuple[Score, ...]
    pictures: dict[str, FrameBatch]  # by method, and the truth last; single frames of code values
    change: str  # what was done to the source, in words
    tag: str  # the same in a file name
    worst: bool = False  # show where the methods differ most from the truth, not where the most detail is

    @property
    def frames(self) -> int:
        """How many frames were measured."""
        return self.scores[0].frames


def default_methods(scale: int, folder: Path = WEIGHTS) -> tuple[str, ...]:
    """The classical kernels, and after them the networks that have weights for ``scale``."""
    trained = {(entry.name, entry.scale) for entry in table(folder) if entry.domain == "clean"}
    return (*KERNELS, *(name for name in NETWORKS if (name, scale) in trained))


def compare_file(
    source: Path, scale: int, methods: Sequence[str], options: EnhanceOptions, on_row: OnRow = lambda row: None
) -> Comparison:
    """Reduces ``source`` by ``scale`` (antialiased bicubic, a = -0.5), enlarges it with each method, and measures.

    Luma at the clip's own depth and range (an image: BT.601 limited, as in the papers), rounded, ``scale`` pixels
    cropped at each border. ``on_row`` receives one row per frame and method.

    Raises:
        VidsrError: the source can not be read, or a method is unknown or has no network of this scale.
    """
    with _frames(source, options) as (frames, info):
        truth_info = replace(info, width=info.width - info.width % scale, height=info.height - info.height % scale)
        if min(truth_info.width, truth_info.height) < 8 * scale:
            raise OptionError(f"{source} is {info.width}x{info.height}: too small to reduce by {scale} and measure")
        low_info = replace(truth_info, width=truth_info.width // scale, height=truth_info.height // scale)
        upscales = {name: (_method(name, scale, low_info, options),) for name in methods}
        truths = (cropped(frame, truth_info) for frame in frames)
        pairs = ((truth, _reduced(truth, low_info)) for truth in truths)
        scores, pictures = contest(source, pairs, upscales, info, scale, on_row)
    change = f"reduced by {scale} and put back"
    return Comparison(source, scale, truth_info, scores, pictures, change, f"x{scale}")


def contest(
    source: Path,
    pairs: Iterable[tuple[FrameBatch, FrameBatch]],
    methods: Mapping[str, Sequence[Stage]],
    info: VideoInfo,
    border: int,
    on_row: OnRow,
) -> tuple[tuple[Score, ...], dict[str, FrameBatch]]:
    """What the stages of each method make of the inputs of ``pairs`` (truth, input; single frames), measured frame by
    frame; and the pictures of the frame in the middle.
    """
    watch = Stopwatch()
    truths, *inputs = tee(pairs, 1 + len(methods))  # a method may look ahead: what the others still need is held
    results = [
        singly(watch.timed(name, _made(watch.timed(GIVEN, (low for _, low in pairs)), stages, info)))
        for (name, stages), pairs in zip(methods.items(), inputs, strict=True)
    ]
    scores = tuple(map(Score, methods))
    pictures: dict[str, FrameBatch] = {}
    middle = (info.frames or 1) // 2
    for number, ((truth, _), *made) in enumerate(zip(truths, *results, strict=True)):
        for score, result in zip(scores, made, strict=True):
            measured = measure(result, truth, border, info)
            score.add(measured, watch.seconds[score.method] - score.seconds)
            on_row({"source": str(source), "frame": number, "method": score.method, **measured})
        if number <= middle:
            pictures = {**dict(zip(methods, made, strict=True)), "truth": truth}
    return scores, pictures


def _made(frames: Iterator[FrameBatch], stages: Sequence[Stage], info: VideoInfo) -> Iterator[FrameBatch]:
    """``frames`` through ``stages``, rounded to the depth of the truth."""
    for stage in (*stages, Finish(info.depth)):
        frames = stage(frames)
    return frames


def measure(result: FrameBatch, truth: FrameBatch, border: int, info: VideoInfo) -> dict[str, float]:
    """PSNR-Y (dB), SSIM-Y and MSE-Y of one frame against the truth, ``border`` pixels left out on each side."""
    picture, reference = result.y[0, 0].float().numpy(), truth.y[0, 0].float().numpy()
    height, width = reference.shape
    error = sse(picture, reference, border) / ((height - 2 * border) * (width - 2 * border))
    return {
        "psnr_y": psnr_from_mse(error, info.peak),
        "ssim_y": ssim(picture, reference, info.peak, border),
        "mse_y": error,
    }


def _method(name: str, scale: int, info: VideoInfo, options: EnhanceOptions) -> Upscale:
    wanted = replace(options, model=name, domain="clean", output_size=Factor(Fraction(scale)))
    upscale = make_upscale(wanted, info, (choose(options.device, options.precision),))
    if upscale is None:
        raise OptionError(f"--scale {scale} leaves nothing to compare: give 2, 3 or 4")
    return upscale


@contextmanager
def _frames(source: Path, options: EnhanceOptions) -> Iterator[tuple[Iterator[FrameBatch], VideoInfo]]:
    """The frames of a clip or image, one at a time, and its facts."""
    if is_image(source):
        picture, info = read_image(source)
        yield iter([picture]), info
        return
    with VideoReader(source, options.start, options.end, options.frames) as reader:
        yield reader.batches(1), reader.info


def cropped(frame: FrameBatch, info: VideoInfo) -> FrameBatch:
    """The top left of ``frame``, as large as ``info`` says."""
    width, height = info.chroma_size
    uv = None if frame.uv is None else frame.uv[..., :height, :width]
    return frame.planes(frame.y[..., : info.height, : info.width], uv)


def _reduced(frame: FrameBatch, info: VideoInfo) -> FrameBatch:
    """``frame`` reduced to the size of ``info`` and rounded, as a small clip would store it."""
    width, height = info.chroma_size
    uv = None if frame.uv is None else rounded(resize_planes(frame.uv, width, height, REDUCTION), info.depth)
    return frame.planes(rounded(resize_planes(frame.y, info.width, info.height, REDUCTION), info.depth), uv)
