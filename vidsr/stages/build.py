"""Stages built from their specs, fresh for each run. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsr.frames import FrameBatch, VideoInfo
from vidsr.models import model_files
from vidsr.models.weight_files import WEIGHTS
from vidsr.options.output_size import Size
from vidsr.stages import (
    PER_FRAME,
    WHOLE_RUN,
    Context,
    Stage,
    StreamRange,
    interpolate,
    temporal_denoise,
)
from vidsr.stages.convert import Convert
from vidsr.stages.fit import Fit
from vidsr.stages.frame_log import Changes, FrameLog, LogRows, Measure, ReferenceFrames, Tap
from vidsr.stages.in_range import InRange
from vidsr.stages.interpolate import Interpolate
from vidsr.stages.interpolation_engines import make_engine
from vidsr.stages.loaded_networks import check_weights, loaded_model
from vidsr.stages.network_engine import NetworkEngine
from vidsr.stages.network_runner import Runner
from vidsr.stages.restore import ChromaDenoise, Restore
from vidsr.stages.rgb_conversion import RgbConversion
from vidsr.stages.rounding import Finish
from vidsr.stages.specs import (
    ConvertSpec,
    FitSpec,
    InterpolateSpec,
    MeasureSpec,
    NetworkSpec,
    RestoreSpec,
    RoundSpec,
    StageSpec,
    TapSpec,
    TemporalDenoiseSpec,
    UpscaleSpec,
)
from vidsr.stages.stopwatch import Stopwatch
from vidsr.stages.temporal_denoise import TemporalDenoise
from vidsr.stages.temporal_upscale import LOOK_AHEAD
from vidsr.stages.upscale import Upscale
from vidsr.video import VideoReader


@dataclass(frozen=True)
class Stages:
    """The stages of one run in order, and what they counted so far."""

    in_order: tuple[Stage, ...]

    def __call__(self, batches: Iterator[FrameBatch], watch: Stopwatch, wait: str = "") -> Iterator[FrameBatch]:
        """Return ``batches`` through all stages, the time of each charged to its name.

        Input time to ``wait``.
        """
        stream = watch.timed(wait, batches) if wait else batches
        for stage in self.in_order:
            stream = watch.timed(stage.name, stage(stream))
        return stream

    @property
    def upscale(self) -> Upscale | None:
        """The stage that resizes, if there is one."""
        return next((stage for stage in self.in_order if isinstance(stage, Upscale)), None)

    @property
    def interpolate(self) -> Interpolate | None:
        """The stage that interpolates, if there is one."""
        return next((stage for stage in self.in_order if isinstance(stage, Interpolate)), None)

    @property
    def counts(self) -> dict[str, int]:
        """Events of the run so far, by identifier; docs/json.md explains each."""
        counts = {} if self.interpolate is None else dict(self.interpolate.counts)
        if self.upscale is not None:
            counts["repeated_frames"] = self.upscale.repeated
            counts["repeated_tiles"] = sum(tile.copied for device in self.upscale.devices for tile in device)
        networks = [one for stage in self.in_order for one in networks_in(stage)]
        if networks:
            counts["fp32_fallbacks"] = sum(one.fp32_fallback for one in networks)
            counts["device_fallbacks"] = sum(one.device_fallback for one in networks)
        runners = [one for one in networks if isinstance(one, Runner)]
        if runners:
            counts["out_of_memory_retries"] = sum(runner.out_of_memory_retries for runner in runners)
            counts["cuda_graph_failures"] = sum(runner.graphs_failed for runner in runners)
        measure = next((stage for stage in self.in_order if isinstance(stage, Measure)), None)
        if measure is not None and measure.references is not None:
            counts["measured_frames"] = measure.measured
        return counts


def networks_in(stage: Stage) -> list[Runner | NetworkEngine]:
    """Return what runs the networks of a stage, in the order in which `networks_of` names them."""
    match stage:
        case Restore(method=Runner() as runner):
            return [runner]
        case Interpolate(engine=NetworkEngine() as engine):
            return [engine]
        case Upscale():
            return [one.runner for device in stage.devices for one in device]
    return []


def build_stages(
    specs: Sequence[StageSpec],
    info: VideoInfo,
    log: FrameLog | LogRows | None = None,
    reference: VideoReader | None = None,
    watch: Stopwatch | None = None,
    one_thread: bool = False,
    folder: Path = WEIGHTS,
    part: StreamRange = WHOLE_RUN,
    chroma_shares: NDArray[np.float32] | None = None,
) -> Stages:
    """Return fresh stages for frames of ``info``.

    ``log`` is where a measuring stage writes, ``reference`` the true frames it compares with. Stages charge their
    parts to ``watch``, that of the thread they run on. With ``one_thread`` none starts threads of its own. The
    output is that of ``part`` of the run; the input holds the context around it too. ``chroma_shares``: see `Upscale`.

    Raises:
        ModelError: a weights file is absent or differs from the one in its spec.
    """
    stages: list[Stage] = []
    changes: list[Changes] = []  # of the stages that keep the size
    tap = Tap()
    last = max((number for number, one in enumerate(specs) if context_of(one) != PER_FRAME), default=-1)
    for number, spec in enumerate(specs):
        match spec:
            case RestoreSpec():
                stage: Stage = build_restore(spec, info, log is not None, folder)
            case TemporalDenoiseSpec():
                stage = TemporalDenoise(info.depth, spec.strength, log is not None, spec.chroma)
            case InterpolateSpec():
                stage = replace(build_interpolate(spec, info, watch if one_thread else None), part=part)
                stage = replace(stage, keeps_context=number < last)
            case UpscaleSpec():
                stage = build_upscale(spec, info, watch, folder, chroma_shares)
            case ConvertSpec():
                stage = Convert(info, spec.chroma, spec.depth)
            case RoundSpec():
                stage = Finish(spec.depth, spec.rounds)
            case FitSpec():
                stage = Fit(info, spec.width, spec.height)
            case TapSpec():
                convert = next((one for one in specs if isinstance(one, ConvertSpec)), None)
                tap = Tap(None if convert is None else Convert(info, convert.chroma, convert.depth))
                stage = tap
            case MeasureSpec():
                assert log is not None
                rounds = all(one.rounds for one in specs if isinstance(one, RoundSpec))
                references = None
                if reference is not None:
                    batches = _reference_frames(reference, info.depth, rounds)
                    references = ReferenceFrames(batches, 1 / (info.fps or Fraction(25)))
                stage = Measure(tap, log, info.peak, references, changes)
        if isinstance(stage, Restore | TemporalDenoise):
            changes.append(stage.changes)
        stages.append(stage)
        if part != WHOLE_RUN and number == last and not isinstance(spec, InterpolateSpec):
            in_range = InRange(part.slowed(slow_motion_of(specs[:number])), tap)
            tap = in_range.tap
            stages.append(in_range)
        info = stage.output(info)
    return Stages(tuple(stages))


def build_restore(spec: RestoreSpec, info: VideoInfo, logged: bool = False, folder: Path = WEIGHTS) -> Restore:
    """Return the restoring stage for frames of ``info``.

    With ``logged`` it notes its changes for the log.
    """
    method = build_runner(spec.method, folder=folder) if isinstance(spec.method, NetworkSpec) else spec.method
    chroma = None if spec.chroma_noise == 0 else ChromaDenoise.of(info, spec.chroma_noise)
    return Restore(spec.task, method, spec.strength, info.peak, logged, chroma)


def build_interpolate(spec: InterpolateSpec, info: VideoInfo, watch: Stopwatch | None = None) -> Interpolate:
    """Return the interpolating stage.

    With a ``watch`` it finds motion on the calling thread and charges it there.
    """
    compute = path = None
    if spec.network is not None:
        compute = spec.network.compute
        path = model_files.located(spec.network.file)
        check_weights(path, spec.network)
    engine = make_engine(spec.engine, info.depth, compute, path)
    stage = Interpolate(spec.clock, engine, info, spec.repeats, spec.slow_motion)
    return stage if watch is None else replace(stage, threads=1, watch=watch)


def build_upscale(
    spec: UpscaleSpec,
    info: VideoInfo,
    watch: Stopwatch | None = None,
    folder: Path = WEIGHTS,
    chroma_shares: NDArray[np.float32] | None = None,
) -> Upscale:
    """Return the resizing stage for frames of ``info``."""
    luma_only = spec.chroma_from != "model"
    runners = []
    for networks in spec.networks:
        conversions = [RgbConversion.of(info, luma_only and one is networks[-1]) for one in networks]
        runners.append([build_runner(*both, folder) for both in zip(networks, conversions, strict=True)])
    size = Size(spec.width, spec.height)
    how = (spec.kernel, spec.rounds, watch, spec.chroma_from, spec.strength)
    return Upscale(size, info, runners, *how, chroma_shares)


def build_runner(spec: NetworkSpec, conversion: RgbConversion | None = None, folder: Path = WEIGHTS) -> Runner:
    """Return the runner of a network, its weights loaded. ``conversion``: of frames to RGB, if the network needs it.

    Raises:
        ModelError: the weights file is absent or differs from the one in ``spec``.
    """
    model = loaded_model(spec, folder)
    conversion = conversion if model.channels == 3 else None
    return Runner(model, spec.compute, spec.batch, spec.tile, conversion)


def output_of(specs: Sequence[StageSpec], info: VideoInfo) -> VideoInfo:
    """Return the facts of the output of stages for a source of ``info``, without loading a network."""
    for spec in specs:
        match spec:
            case InterpolateSpec():
                info = Interpolate(spec.clock, None, info, spec.repeats, spec.slow_motion).output(info)
            case UpscaleSpec():
                info = Upscale(Size(spec.width, spec.height), info, (), spec.kernel).output(info)
            case ConvertSpec():
                info = Convert(info, spec.chroma, spec.depth).output(info)
            case FitSpec():
                info = Fit(info, spec.width, spec.height).output(info)
    return info


def context_of(*specs: StageSpec) -> Context:
    """Return the input frames that stages in sequence need around a range."""
    context = PER_FRAME
    for spec in specs:
        match spec:
            case InterpolateSpec():
                context += interpolate.CONTEXTS[spec.repeats]
            case TemporalDenoiseSpec():
                context += temporal_denoise.CONTEXT
            case UpscaleSpec():
                context += Context(spec.warm_up, LOOK_AHEAD if spec.is_temporal else 0)
    return context


def slow_motion_of(specs: Sequence[StageSpec]) -> Fraction:
    """Return the factor by which the stages stretch time."""
    return next((spec.slow_motion for spec in specs if isinstance(spec, InterpolateSpec)), Fraction(1))


def _reference_frames(reference: VideoReader, depth: int, rounds: bool) -> Iterator[FrameBatch]:
    """Luma of ``reference`` in code values of the output."""
    return Finish(depth, rounds)(Convert(reference.info, "gray", depth)(reference.batches(1)))
