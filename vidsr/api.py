"""The Python functions of vidsr: `enhance`, `compare`, `verify` and `load_model`.

`python -m vidsr.options.document` writes the keyword arguments between the "options" comments, and their descriptions,
from the option table.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import wraps
from os import PathLike
from pathlib import Path
from time import monotonic
from typing import Any, Literal, ParamSpec, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from vidsr import models as networks
from vidsr.color import to_rgb
from vidsr.errors import InputError, Notes, OnNote, ignore
from vidsr.evaluate.compare import Comparison, OnRow
from vidsr.evaluate.interpolation import compare_interpolation
from vidsr.evaluate.restoration import compare_restoration, parse_damage
from vidsr.evaluate.upscaling import compare_upscaling, default_methods
from vidsr.options.choices import WEIGHTS_DOMAIN
from vidsr.options.commands import BY_NAME
from vidsr.options.enhance import EnhanceOptions, parse_options, parse_reading, parse_timing
from vidsr.options.output_names import distinct_outputs
from vidsr.options.paths import Job, list_jobs, output_path
from vidsr.options.source import Reading
from vidsr.options.table import current_names
from vidsr.pipeline.report import OnFrames, RunReport
from vidsr.pipeline.run import open_reader, plan_clip
from vidsr.pipeline.verify import Verification, verify_files
from vidsr.runtime import process
from vidsr.runtime.error_boundary import machine_errors
from vidsr.segments.enhance import enhance_file
from vidsr.stages.build import build_stages
from vidsr.stages.repeats import mark_repeats
from vidsr.stages.stopwatch import Stopwatch

NOT_WRITTEN = Path("%d.png")  # images get planes that are not rounded before they become RGB
PROGRESS_SECONDS = 0.5  # between two updates

P = ParamSpec("P")
R = TypeVar("R")


def _accept_old_names(function: Callable[P, R]) -> Callable[P, R]:
    """Accept the keywords of version 0.1, with a DeprecationWarning."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **current_names(kwargs, level=3))

    return wrapper


@_accept_old_names
def enhance(
    source: str | Path,
    output: str | Path | None = None,
    *,
    # options: begin
    scale: str | int | float | Fraction | None = None,
    height: str | int | None = None,
    size: str | tuple[int, int] | None = None,
    fit: Literal["stretch", "pad", "crop"] = "stretch",
    square_pixels: bool = False,
    fps: str | int | float | Fraction | None = None,
    interpolation: Literal["auto", "flow", "net", "superslomo", "rife", "blend", "none"] = "auto",
    interpolation_model: str | None = None,
    repeats: Literal["keep", "interpolate"] = "keep",
    slow_motion: str | int | float | Fraction | None = None,
    slow_audio: bool = False,
    clean: bool | None = None,
    deblur: str | float | bool | None = None,
    denoise: str | float | bool | None = None,
    restore: str | float | bool | None = None,
    deblur_model: str = "auto",
    denoise_model: str = "auto",
    restore_model: str = "auto",
    temporal_denoise: bool = True,
    model: str = "auto",
    temporal: bool | None = None,
    domain: Literal["auto", "clean", "compressed"] = "auto",
    chroma_from: Literal["guided", "kernel", "model"] = "guided",
    strength: str | float = 1.0,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto",
    batch: int | None = None,
    tile: int | None = None,
    compile: bool = False,
    memory: str | int | None = None,
    codec: str = "auto",
    crf: float | None = None,
    encoder_preset: str | None = None,
    preset: str | None = None,
    encoder_options: Iterable[str] | None = None,
    chroma: Literal["auto", "420", "422", "444"] = "auto",
    start: str | int | float | None = None,
    end: str | int | float | None = None,
    frames: int | None = None,
    input_fps: str | int | float | Fraction | None = None,
    raw: str | None = None,
    video_track: int | None = None,
    alpha: Literal["auto", "drop", "refuse"] = "auto",
    max_pixels: str | int | None = None,
    hwaccel: Literal["none", "cuda"] = "none",
    deinterlace: Literal["auto", "frames", "off", "force"] = "auto",
    log: str | Path | bool | None = None,
    report: str | Path | bool | None = None,
    stdout_format: Literal["y4m", "raw"] = "y4m",
    verify: bool = True,
    reference: str | Path | None = None,
    overwrite: bool = False,
    segment: str | int | float | Fraction = "auto",
    jobs: int | str = "1",
    ray: str | None = None,
    cpus_per_worker: int = 8,
    fresh: bool = False,
    # options: end
    on_frames: OnFrames | None = None,
    on_note: OnNote | None = None,
    progress: bool | OnFrames = False,
) -> RunReport:
    """Enhance one clip or image, verify the output and return the report of the run.

    Args:
        source: Clip, image or image sequence (``frames/%05d.png``).
        output: File to write; without it the output goes next to the source, named after the options.
        on_frames: Called with the number of frames written and the number expected (None if unknown).
        on_note: Called with each `Note`: a loss or an assumption that the user should know.
        progress: True prints the number of frames on the standard error; a function is called like on_frames.
        scale: Factor for width and height, any positive number.
        height: Output height; the width keeps the aspect ratio.
        size: Output width and height, for example 1920x1080.
        fit: A clip of another aspect ratio than --size: stretch it, pad it with black, or crop it.
        square_pixels: Resize an anamorphic clip to square pixels.
        fps: Output frame rate: a factor or frames per second; new frames are interpolated.
        interpolation: Method that makes interpolated frames.
        interpolation_model: RIFE network 4.0 to 4.6: flownet.pkl, or ncnn's .bin.
        repeats: Repeated frames: keep them, or interpolate over them.
        slow_motion: Slow down by this factor; leaves out the audio.
        slow_audio: Keep the audio in slow motion, at its pitch.
        clean: Restore, denoise and deblur as far as the clip needs it. Default: on if no size, rate or restoration is
            given.
        deblur: Deblurring strength, 0 to 1; auto: only if the clip is blurred.
        denoise: Denoising strength, 0 to 1; auto: only if the clip is noisy.
        restore: Strength of artefact removal, 0 to 1; auto: only if compression is visible.
        deblur_model: A network, or unsharp, wiener or richardson-lucy; wiener:1.6 sets the sigma.
        denoise_model: A network, or bilateral or nlm; nlm:8 sets the sigma.
        restore_model: A network.
        temporal_denoise: Average restored frames along the motion (default).
        model: A network, a model file or a kernel (see vidsr models); NAME+ is a self-ensemble.
        temporal: With --model auto, take a network that uses earlier frames too, where there is one. Default: on if the
            machine has time for it.
        domain: Weights for clean or for compressed clips.
        chroma_from: Chroma: guided by the network's luma, by the bicubic kernel, or by a model on RGB.
        strength: Share of what the network changes against the bicubic kernel, 0 to 1.
        device: Device for the networks; cuda: all NVIDIA or AMD GPUs, xpu: Intel, mps: Apple.
        precision: Number format of the networks.
        batch: Frames per network call.
        tile: Side of a tile in source pixels, 32 or more, to save memory.
        compile: Compile the network first; pays off in long runs.
        memory: Memory limit for the run. Default: 80 % of the free memory.
        codec: Format, or FFmpeg encoder; auto: one that plays everywhere; null: none.
        crf: Quality; lower is better and larger. Default: 18.
        encoder_preset: Encoder speed. Default: medium.
        preset: Options for tape, dvd, phone, web-video, anime, screen or old-film, or your own.
        encoder_options: Option for the encoder; repeatable.
        chroma: Chroma format of the output; auto: the source's.
        start: Start time: seconds, or 1:02.5.
        end: End time: seconds, or 1:02.5.
        frames: Maximum number of source frames.
        input_fps: Frame rate of an image sequence. Default: 25.
        raw: Format of raw video, for example 480x270:yuv420p:24000/1001.
        video_track: Number of the video track to enhance, from 1; the others are copied. Default: the players' choice.
        alpha: Transparency: keep it in .webm, .png and .webp (auto), leave it out, or refuse it.
        max_pixels: Refuse a source of more pixels; its header is read first. Default: 256M.
        hwaccel: Hardware decoder; cuda is NVIDIA's NVDEC.
        deinterlace: Interlaced clips: a frame for each field (auto), or for both; force: all clips.
        log: Per-frame CSV file, or a folder for OUTPUT.frames.csv, or none. Default: .vidsr/OUTPUT.frames.csv.
        report: Copy of the report, or a folder for OUTPUT.report.json.
        stdout_format: Format on the standard output (-o -).
        verify: Verify the finished file against the plan (default).
        reference: True high-resolution clip to measure the output against.
        overwrite: Replace an existing output.
        segment: Length of segments that an interrupted run keeps; auto: 10 s or more; 0: whole clip.
        jobs: Processes that work on clips and their segments; auto: one per GPU, or per 8 processors.
        ray: Ray cluster that works on clips and their segments; auto: this machine.
        cpus_per_worker: Processors for each worker of the Ray cluster.
        fresh: Discard the segments of an interrupted run.

    Returns:
        Sizes, frame counts, times, measures and the verification of the run.

    Raises:
        VidsrError: one line that names the thing, the problem and the way out; no unfinished file is left.
    """
    given = locals()
    process.stop_openmp_spinning()
    job = Job(_path(source, "source"), None if output is None else _path(output, "output"))
    options = parse_options(**_values(given, "enhance"))
    show = progress if callable(progress) else _Progress(job.source.name) if progress else ignore

    def on_written(written: int, expected: int | None) -> None:
        show(written, expected)
        (on_frames or ignore)(written, expected)

    with machine_errors(job.source):
        return enhance_file(job, options, on_written, on_note or ignore)


def enhance_all(sources: Iterable[str | Path], folder: str | Path | None = None, **options: Any) -> list[RunReport]:
    """Enhance several clips, images and folders and return the reports of their runs, in order.

    Args:
        sources: Clips, images and folders, which are searched.
        folder: Folder of the outputs; without it each lies next to its source.
        options: Those of `enhance`.

    Raises:
        VidsrError: the first file that fails; the outputs before it are complete.
    """
    kept = {key: options.pop(key) for key in ("on_frames", "on_note", "progress") if key in options}
    paths = [_path(source, "source") for source in sources]
    parsed = parse_options(**options)
    listed = distinct_outputs(list_jobs(paths, None if folder is None else _path(folder, "folder"), parsed), parsed)
    return [enhance(job.source, output_path(job, parsed, check=False), **kept, **options) for job in listed.jobs]


def frames(source: str | Path, **options: Any) -> Iterator[NDArray[np.uint8]]:
    """Yield the enhanced frames of a clip as RGB images, H x W x 3; nothing is written.

    Args:
        source: Clip or image sequence.
        options: Those of `enhance`; options for the encoder and the files have no effect.

    Raises:
        VidsrError: the clip cannot be read, or the options cannot be met.
    """
    process.stop_openmp_spinning()
    parsed = parse_options(**{"log": "none", **options})
    job, notes = Job(_path(source, "source"), NOT_WRITTEN), Notes()
    with machine_errors(job.source), open_reader(job.source, parsed, notes) as reader:
        plan = plan_clip(job, parsed, reader, notes)
        stages = build_stages(plan.stages, plan.source)
        for batch in stages(mark_repeats(reader.batches(plan.frames_per_batch)), Stopwatch()):
            rgb = (to_rgb(batch, plan.output) * 255).round_().clamp_(0, 255).to(torch.uint8)
            yield from rgb.permute(0, 2, 3, 1).contiguous().numpy()


class _Progress:
    """Prints the frames of a run on one line of the standard error, twice a second."""

    def __init__(self, name: str) -> None:
        self._name, self._printed = name, 0.0

    def __call__(self, written: int, expected: int | None) -> None:
        is_last = expected is not None and written >= expected
        if is_last or monotonic() - self._printed > PROGRESS_SECONDS:
            self._printed = monotonic()
            end = "\n" if is_last else ""
            print(f"\r{self._name}: {written}/{expected or '?'} frames", end=end, file=sys.stderr, flush=True)


@_accept_old_names
def compare(
    source: str | Path,
    *,
    # options: begin
    scale: int = 4,
    fps: str | int | float | Fraction | None = None,
    deblur: str | float | bool | None = None,
    denoise: str | float | bool | None = None,
    restore: str | float | bool | None = None,
    blur: str | None = None,
    noise: str | None = None,
    crf: float | None = None,
    temporal_denoise: bool = True,
    models: str | Sequence[str] | None = None,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto",
    start: str | int | float | None = None,
    frames: int | None = None,
    # options: end
) -> Comparison:
    """Compare methods on one clip or image and return their scores.

    The source is downscaled and upscaled; or, with ``fps``, frames are dropped and interpolated; or, with ``deblur``,
    ``denoise`` or ``restore``, it is degraded and restored.

    Args:
        source: Clip or image.
        scale: Factor to downscale and upscale by.
        fps: Compare interpolation: drop frames, then interpolate at this rate.
        deblur: Compare deblurring at this strength, 0 to 1.
        denoise: Compare denoising at this strength, 0 to 1.
        restore: Compare artefact removal at this strength, 0 to 1.
        blur: Blur to restore from: gaussian:SIGMA, disk:RADIUS or motion:LENGTH.
        noise: Noise to restore from: sigma in 8-bit codes.
        crf: Compression to restore from: quality of libx264.
        temporal_denoise: Average restored frames along the motion (default).
        models: Methods to compare. Default: all.
        device: Device for the networks; cuda: all NVIDIA or AMD GPUs, xpu: Intel, mps: Apple.
        precision: Number format of the networks.
        start: Start time: seconds, or 1:02.5.
        frames: Maximum number of frames of each clip.

    Returns:
        PSNR-Y, SSIM-Y and MSE-Y of every method, and a sample frame of each.

    Raises:
        VidsrError: the source cannot be read, or a method is unknown.
    """
    given = locals()
    process.stop_openmp_spinning()
    options = parse_options(**_values(given, "compare"))
    clip = _path(source, "source")
    with machine_errors(clip):
        return compare_file(clip, scale, models, options, blur, noise, crf)


def compare_file(
    source: Path,
    scale: int,
    methods: str | Sequence[str] | None,
    options: EnhanceOptions,
    blur: str | None = None,
    noise: str | None = None,
    crf: float | None = None,
    on_row: OnRow = ignore,
) -> Comparison:
    """Compare methods on one file: interpolation, restoration or upscaling, as the options ask.

    ``methods``: names, or one text with commas; None compares all. ``on_row`` receives the scores of every frame.
    """
    methods = tuple(methods.split(",")) if isinstance(methods, str) else methods
    if options.clock is not None:
        return compare_interpolation(source, options.clock, methods, options, on_row)
    if options.restorations or blur or noise or crf is not None:
        return compare_restoration(source, parse_damage(blur, noise, crf), methods, options, on_row)
    return compare_upscaling(source, scale, methods or default_methods(scale), options, on_row)


def verify(
    source: str | Path,
    output: str | Path,
    *,
    input_fps: str | int | Fraction | None = None,
    fps: str | int | Fraction | None = None,
    slow_motion: str | int | Fraction | None = None,
    start: str | int | Fraction | None = None,
    end: str | int | Fraction | None = None,
    frames: int | None = None,
    video_track: int | None = None,
) -> Verification:
    """Check times, tags and streams of an output against its source, and decode every frame.

    The report of the run, in ``.vidsr`` next to the output, says which frames to expect. Without it, the options of
    the run do.

    Args:
        source: The clip that was enhanced.
        output: Its output.
        input_fps: Frame rate if the source is an image sequence.
        fps: The ``fps`` of the run.
        slow_motion: Its ``slow_motion``.
        start: Its ``start``.
        end: Its ``end``.
        frames: Its ``frames``.
        video_track: Its ``video_track``.

    Returns:
        Every check with its result; ``ok`` tells whether all passed.

    Raises:
        VidsrError: a file cannot be read.
    """
    reading = None
    if input_fps is not None or video_track is not None:
        reading = parse_reading(input_fps=input_fps, video_track=video_track)
    options = parse_timing(reading or Reading(), fps=fps, slow_motion=slow_motion, start=start, end=end, frames=frames)
    clip, result = _path(source, "source"), _path(output, "output")
    with machine_errors(result):
        return verify_files(clip, result, reading, options)


def load_model(
    name: str,
    scale: int,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    domain: Literal["clean", "compressed", "any"] = "clean",
) -> networks.Model:
    """Load the weights of a network.

    Args:
        name: A network of `vidsr models`; ``NAME+`` is its self-ensemble.
        scale: Factor for width and height: 2, 3 or 4; 1 for restoration.
        device: Device to load it on.
        dtype: Precision of its body; some networks stay in float32.
        domain: Weights for clean or for compressed clips; ``any`` for restoration.

    Returns:
        The network. It maps a uint8 RGB image H x W x 3 to one of ``scale`` times the size.

    Raises:
        ModelError: there are no such weights; the message lists those that exist.
    """
    return networks.load_model(name, scale, device, dtype, WEIGHTS_DOMAIN.get(domain, domain))


def _path(value: str | Path, name: str) -> Path:
    """Return an argument as a path.

    Raises:
        InputError: it is empty, or not a path but an image or a list.
    """
    if isinstance(value, list | tuple | set):
        raise InputError(
            f"{name} is a {type(value).__name__}: give the path of a file; vidsr.enhance_all takes several"
        )
    if not isinstance(value, str | PathLike) or not str(value):
        given = "is empty" if isinstance(value, str) else f"is a {type(value).__name__}"
        raise InputError(f"{name} {given}: give the path of a file, or call the model of load_model with an image")
    return Path(value)


def _values(given: Mapping[str, Any], command: str) -> dict[str, Any]:
    """Return the arguments of a function that are options of `parse_options`."""
    return {one.name: given[one.name] for one in BY_NAME[command].options if not one.own}
