"""Scores of several methods on one clip or image: each method's output against the original, frame by frame.

`upscaling`, `interpolation` and `restoration` make the inputs and the methods; this file measures them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import tee
from math import inf, isfinite
from pathlib import Path

from vidsr.frames import FrameBatch, VideoInfo
from vidsr.kernels.squared_error import sse
from vidsr.kernels.ssim import ssim
from vidsr.metrics import psnr_from_mse
from vidsr.stages import Stage
from vidsr.stages.batching import single_frames
from vidsr.stages.repeats import mark_repeats
from vidsr.stages.rounding import Finish
from vidsr.stages.stopwatch import Stopwatch

ORIGINAL = "original"  # label of the original frame among those of the methods

INPUT_STEP = "input"  # makes the input of the methods: its time does not count as theirs

Row = dict[str, str | int | float]
OnRow = Callable[[Row], None]


@dataclass
class Score:
    """The scores of one method against the original, means over frames."""

    method: str
    frames: int = 0
    differing: int = 0  # frames unequal to the original: only they count towards the mean PSNR
    psnr_y: float = inf  # dB
    ssim_y: float = 0.0
    mse_y: float = 0.0
    seconds: float = 0.0  # in the method alone, without measuring

    def add(self, measured: dict[str, float], seconds: float) -> None:
        """Add the scores of one more frame."""
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
    """The scores of all methods on one clip or image, and one frame as each method made it."""

    source: Path
    scale: int
    info: VideoInfo  # of the original
    scores: tuple[Score, ...]
    samples: dict[str, FrameBatch]  # by method, the original last; single frames of code values
    change: str  # what was done to the source, in words
    tag: str  # the same in a file name
    show_errors: bool = False  # crop the contact sheet where the errors are largest, not where the detail is

    @property
    def frames(self) -> int:
        """Number of measured frames."""
        return self.scores[0].frames


def compare_methods(
    source: Path,
    pairs: Iterable[tuple[FrameBatch, FrameBatch]],
    methods: Mapping[str, Sequence[Stage]],
    info: VideoInfo,
    border: int,
    on_row: OnRow,
) -> tuple[tuple[Score, ...], dict[str, FrameBatch]]:
    """Run the stages of each method on the inputs of ``pairs`` and measure every frame.

    ``pairs``: (original, input), single frames. ``border``: pixels left out on each side.

    Returns:
        The scores, and the frame in the middle as each method made it, the original last.
    """
    watch = Stopwatch()
    originals, *inputs = tee(pairs, 1 + len(methods))  # tee keeps frames that one method has read and another has not
    outputs = [
        single_frames(watch.timed(name, _run(watch.timed(INPUT_STEP, (low for _, low in pairs)), stages, info)))
        for (name, stages), pairs in zip(methods.items(), inputs, strict=True)
    ]
    scores = tuple(map(Score, methods))
    samples: dict[str, FrameBatch] = {}
    middle = (info.frames or 1) // 2
    for number, ((original, _), *made) in enumerate(zip(originals, *outputs, strict=True)):
        for score, output in zip(scores, made, strict=True):
            measured = measure_frame(output, original, border, info)
            score.add(measured, watch.seconds[score.method] - score.seconds)
            on_row({"source": str(source), "frame": number, "method": score.method, **measured})
        if number <= middle:
            samples = {**dict(zip(methods, made, strict=True)), ORIGINAL: original}
    return scores, samples


def _run(frames: Iterator[FrameBatch], stages: Sequence[Stage], info: VideoInfo) -> Iterator[FrameBatch]:
    """Pass ``frames`` through ``stages`` and round them to the depth of the original."""
    frames = mark_repeats(frames)
    for stage in (*stages, Finish(info.depth)):
        frames = stage(frames)
    return frames


def measure_frame(output: FrameBatch, original: FrameBatch, border: int, info: VideoInfo) -> dict[str, float]:
    """Return PSNR-Y (dB), SSIM-Y and MSE-Y of one frame, without ``border`` pixels on each side."""
    made, reference = output.y[0, 0].float().numpy(), original.y[0, 0].float().numpy()
    height, width = reference.shape
    error = sse(made, reference, border) / ((height - 2 * border) * (width - 2 * border))
    return {
        "psnr_y": psnr_from_mse(error, info.peak),
        "ssim_y": ssim(made, reference, info.peak, border),
        "mse_y": error,
    }


def crop_frame(frame: FrameBatch, info: VideoInfo) -> FrameBatch:
    """Return the top left part of ``frame``, of the size of ``info``."""
    width, height = info.chroma_size
    uv = None if frame.uv is None else frame.uv[..., :height, :width]
    return frame.planes(frame.y[..., : info.height, : info.width], uv)
