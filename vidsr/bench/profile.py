"""Processor time of each step, time of a warm run, work of the networks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter, process_time

from vidsr.bench.roofline import clock_of
from vidsr.device import Compute
from vidsr.frames import FrameBatch
from vidsr.models import Model, from_file
from vidsr.models.equivariant import saved_multiplications
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.paths import Job
from vidsr.pipeline.plan import Plan, make_plan
from vidsr.pipeline.run import enhance_file
from vidsr.pipeline.verify import verify
from vidsr.runtime.process import idle_seconds, processors
from vidsr.stages.build import build_runner, build_stages
from vidsr.stages.frame_log import FrameLog
from vidsr.stages.memory_budget import frame_bytes
from vidsr.stages.repeats import mark_repeats
from vidsr.stages.stopwatch import Stopwatch
from vidsr.video import VideoReader, open_writer

CHECK = "verify"  # the step after the last frame is encoded


@dataclass(frozen=True)
class Work:
    """Minimum work of one output frame on the device of the networks."""

    operations: float = 0.0  # floating-point, of the upscaling networks
    traffic: float = 0.0  # bytes that their layers read and write
    transfer: int = 0  # bytes of its planes, uploaded and downloaded


@dataclass(frozen=True)
class Costs:
    """Core-seconds of every step, over all frames."""

    seconds: dict[str, float]
    frames: int  # of the output
    plan: Plan


def stage_costs(clip: Path, target: Path, options: EnhanceOptions, compute: Compute) -> Costs:
    """Measure the core-seconds of every step.

    All steps run on one thread, batch by batch, so that background work counts for the step that started it. The
    encoder runs after them, because its threads run ahead; then comes the verification of the file.
    """
    for file in (target, target.with_suffix(".csv")):
        file.unlink(missing_ok=True)  # of the previous round
    seconds, batches, plan = _staged(clip, target, options, compute)
    watch = Stopwatch(process_time)
    with watch.step("encode"), open_writer(target, plan.output, plan.encoding, clip) as writer:
        for batch in batches:
            writer.write(batch)
    if writer.expected is not None:
        with watch.step(CHECK):
            verify(writer.expected)
    return Costs(seconds | watch.seconds, sum(map(len, batches)), plan)


def _staged(
    clip: Path, target: Path, options: EnhanceOptions, compute: Compute
) -> tuple[dict[str, float], list[FrameBatch], Plan]:
    """Return the seconds of every step before the encoder, their output, and the plan."""
    watch = Stopwatch(clock_of(compute.device))
    with VideoReader(clip, options.start, options.end, options.frames, deinterlace=options.deinterlace) as reader:
        plan = make_plan(options, reader.info, logged=options.log is not False)
        stream = watch.timed("decode", mark_repeats(reader.batches(plan.frames_per_batch)))
        with FrameLog(target.with_suffix(".csv"), plan.log_columns) as log:
            log_or_none = log if plan.log_columns else None
            stages = build_stages(plan.stages, reader.info, log_or_none, None, watch, one_thread=True)
            batches = list(stages(stream, watch))
    return watch.seconds, batches, plan


def timed_run(job: Job, options: EnhanceOptions) -> tuple[float, float]:
    """Return the seconds of a run, and the share of the machine it could use.

    Other processes use the rest. The share is 1 where the system does not report idle time.
    """
    begun, idle, own = perf_counter(), idle_seconds(), process_time()
    enhance_file(job, options)
    seconds, now = perf_counter() - begun, idle_seconds()
    if idle is None or now is None:
        return seconds, 1.0
    return seconds, min(1.0, (now - idle + process_time() - own) / (seconds * processors()))


def work_of(plan: Plan) -> Work:
    """Return the work of the upscaling networks for one output frame."""
    if plan.upscale is None or not plan.upscale.networks:
        return Work()
    width, height = plan.source.width, plan.source.height
    operations = traffic = 0.0
    for runner in map(build_runner, plan.upscale.networks[0]):
        if isinstance(runner.network, Model):
            usual = 1000 * from_file(runner.network.path).kmac_per_pixel
            operations += 2 * (usual - saved_multiplications(runner.network.network)) * width * height
            kernels = [p for p in runner.network.network.parameters() if p.ndim == 4]
            traffic += sum(sum(k.shape[:2]) * k.element_size() for k in kernels) * width * height
        width, height = width * runner.network.scale, height * runner.network.scale
    before = replace(plan.output, width=plan.source.width, height=plan.source.height)
    return Work(operations, traffic, frame_bytes(before) + frame_bytes(plan.output))
