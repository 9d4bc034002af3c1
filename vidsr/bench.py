"""`vidsr bench`: what this machine can do, what each step of a run costs, and how near the run comes to its bound."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import torch

from vidsr.device import DTYPES, Compute, choose
from vidsr.errors import OptionError
from vidsr.frames import FrameBatch
from vidsr.jobs import Job
from vidsr.options import EnhanceOptions
from vidsr.pipeline import enhance_file
from vidsr.stages.build import Plan
from vidsr.stages.measure import FrameLog
from vidsr.stopwatch import Stopwatch
from vidsr.video import VideoReader, open_writer

SIDE = 2048  # of the square matrices whose product is timed
COPY_BYTES = 1 << 28
PRODUCTS = {"cpu": ("fp32", "bf16"), "cuda": ("fp32", "bf16", "fp16")}  # a CPU emulates fp16, for minutes
REPEATS = 5


@dataclass(frozen=True)
class Peaks:
    """Measured limits of the device: matrix products in GFLOP/s by precision, memory copy in GB/s read and written."""

    gflops: dict[str, float]
    copy_gbs: float


@dataclass(frozen=True)
class Bench:
    """What was measured. Costs are core-seconds per output frame, each step run alone on ready input."""

    machine: str
    cores: int
    compute: str
    plan: tuple[str, ...]
    frames: int
    peaks: Peaks
    costs: dict[str, float]
    fps: float  # of the whole run from its first frame on

    @property
    def bound(self) -> float:
        """Frames per second if every core were busy with these costs and nothing else."""
        return self.cores / sum(self.costs.values())

    @property
    def efficiency(self) -> float:
        """Part of the bound that the run reaches."""
        return self.fps / self.bound

    @property
    def bottleneck(self) -> str:
        """The step that costs most."""
        return max(self.costs, key=self.costs.__getitem__)

    def to_json(self) -> dict[str, object]:
        """Everything, for programs."""
        derived = {"bound": self.bound, "efficiency": self.efficiency, "bottleneck": self.bottleneck}
        return {**asdict(self), **derived}


def bench(clip: Path, options: EnhanceOptions) -> Bench:
    """Measures this machine and a run of ``options`` on the first frames of ``clip``.

    Raises:
        VidsrError: the clip can not be read, or the options can not be met on it.
    """
    if clip.is_dir():
        raise OptionError(f"{clip} is a folder: name one clip to measure with")
    compute = choose(options.device, options.precision)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "bench.mkv"
        costs, frames, words = stage_costs(clip, target, options)
        report = enhance_file(Job(clip, target), options)
    return Bench(
        machine=f"{platform.system()} {platform.machine()}, torch {torch.__version__}",
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        compute=str(compute),
        plan=words,
        frames=frames,
        peaks=measure_peaks(compute),
        costs=costs,
        fps=report.frames / sum(report.threads["encode"].values()),
    )


def stage_costs(clip: Path, target: Path, options: EnhanceOptions) -> tuple[dict[str, float], int, tuple[str, ...]]:
    """Core-seconds per output frame of every step, the number of output frames, and the stages in words.

    The steps take turns on one thread, as each batch passes, so that what works in the background is charged rightly;
    the encoder comes after them, as its threads run ahead.
    """
    _staged(clip, target, options)  # kernels are compiled and memory is at hand
    costs, batches, plan = _staged(clip, target, options)
    watch = Stopwatch(process_time)
    with watch.step("encode"), open_writer(target, plan.output, options.encoding, clip) as writer:
        for batch in batches:
            writer.write(batch)
    target.unlink(missing_ok=True)
    frames = sum(map(len, batches))
    return {name: seconds / frames for name, seconds in (costs | watch.seconds).items()}, frames, plan.words


def _staged(clip: Path, target: Path, options: EnhanceOptions) -> tuple[dict[str, float], list[FrameBatch], Plan]:
    """Processor seconds of every step before the encoder, what they made, and the plan."""
    watch = Stopwatch(process_time)
    with VideoReader(clip, options.start, options.end, options.frames, deinterlace=options.deinterlace) as reader:
        plan = Plan(options, reader.info)
        stream = watch.timed("decode", reader.batches(plan.frames_per_batch))
        with FrameLog(target.with_suffix(".csv"), plan.log_columns) as log:
            for stage in plan.stages(log if options.log is not False else None, None, watch):
                stream = watch.timed(stage.name, stage(stream))
            return watch.seconds, list(stream), plan


def measure_peaks(compute: Compute) -> Peaks:
    """Matrix products of each precision and a memory copy, the median of some runs."""
    gflops = {}
    for name in PRODUCTS[compute.device.type]:
        dtype = DTYPES[name]
        a = torch.rand(SIDE, SIDE, device=compute.device).to(dtype)
        gflops[name] = 2 * SIDE**3 / _seconds(lambda a=a: a @ a, compute.device) / 1e9  # type: ignore[misc]
    source = torch.empty(COPY_BYTES, dtype=torch.uint8, device=compute.device).random_(0, 255)
    target = torch.empty_like(source)
    return Peaks(gflops, 2 * COPY_BYTES / _seconds(lambda: target.copy_(source), compute.device) / 1e9)


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """Median wall time of ``work`` after one run that does not count."""
    times = []
    for _ in range(REPEATS + 1):
        _wait_for(device)
        begun = perf_counter()
        work()
        _wait_for(device)
        times.append(perf_counter() - begun)
    return median(times[1:])


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
