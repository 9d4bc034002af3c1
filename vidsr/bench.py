"""`vidsr bench`: what this machine can do, what each step of a run costs, and how near the run comes to its bound."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import torch

from vidsr.device import DTYPES, Compute, choose
from vidsr.errors import OptionError
from vidsr.frames import FrameBatch
from vidsr.jobs import Job
from vidsr.models import Model, from_file
from vidsr.options import EnhanceOptions
from vidsr.pipeline import enhance_file
from vidsr.process import idle_seconds, processors
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
    """What was measured. Costs are core-seconds per output frame, each step's own; a GPU's are seconds."""

    machine: str
    cores: int
    compute: str
    plan: tuple[str, ...]
    frames: int
    peaks: Peaks
    costs: dict[str, float]
    seconds: float  # of a whole run in a warm process, per output frame
    left: float  # part of the machine that other processes left to that run
    network_gflops: float | None  # rate of the networks' convolutions; None without networks

    @property
    def fps(self) -> float:
        """Output frames per second of the run."""
        return 1 / self.seconds

    @property
    def bound(self) -> float:
        """Frames per second if every core were busy with these costs and nothing else, and a GPU beside them."""
        on_gpu = self.costs.get("network", 0.0) if self.compute.startswith("cuda") else 0.0
        return 1 / max(on_gpu, (sum(self.costs.values()) - on_gpu) / self.cores)

    @property
    def efficiency(self) -> float:
        """Part of the bound that the run reaches on what others left of the machine."""
        return self.fps / (self.bound * self.left)

    @property
    def of_peak(self) -> float | None:
        """Rate of the networks as a part of the measured matrix product in their precision."""
        return None if self.network_gflops is None else self.network_gflops / self.peaks.gflops[self.compute.split()[1]]

    @property
    def bottleneck(self) -> str:
        """The step that costs most."""
        return max(self.costs, key=self.costs.__getitem__)

    def to_json(self) -> dict[str, object]:
        """Everything, for programs."""
        names = ("fps", "bound", "efficiency", "of_peak", "bottleneck")
        return {**asdict(self), **{name: getattr(self, name) for name in names}}


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
        costs, frames, plan = stage_costs(clip, target, options, compute)
        seconds, left = timed_run(Job(clip, target), replace(options, verify=False))
    network = costs.get("network", 0.0) / (1 if compute.device.type == "cuda" else processors())
    operations = _operations(plan)
    return Bench(
        machine=f"{platform.system()} {platform.machine()}, torch {torch.__version__}",
        cores=processors(),
        compute=str(compute if plan.upscale is None or not plan.upscale.runners else plan.upscale.runners[0].compute),
        plan=plan.words,
        frames=frames,
        peaks=measure_peaks(compute),
        costs=costs,
        seconds=seconds / frames,
        left=left,
        network_gflops=operations / network / 1e9 if operations else None,
    )


def stage_costs(
    clip: Path, target: Path, options: EnhanceOptions, compute: Compute
) -> tuple[dict[str, float], int, Plan]:
    """Seconds of processors per output frame of every step, the number of output frames, and the plan.

    The steps take turns on one thread, as each batch passes, so that what works in the background is charged rightly;
    the encoder comes after them, as its threads run ahead.
    """
    _staged(clip, target, options, compute)  # kernels are compiled and memory is at hand
    costs, batches, plan = _staged(clip, target, options, compute)
    watch = Stopwatch(process_time)
    with watch.step("encode"), open_writer(target, plan.output, plan.encoding, clip) as writer:
        for batch in batches:
            writer.write(batch)
    target.unlink(missing_ok=True)
    frames = sum(map(len, batches))
    return {name: seconds / frames for name, seconds in (costs | watch.seconds).items()}, frames, plan


def _staged(
    clip: Path, target: Path, options: EnhanceOptions, compute: Compute
) -> tuple[dict[str, float], list[FrameBatch], Plan]:
    """Seconds of every step before the encoder, what they made, and the plan."""
    watch = Stopwatch(clock_of(compute.device))
    with VideoReader(clip, options.start, options.end, options.frames, deinterlace=options.deinterlace) as reader:
        plan = Plan(options, reader.info)
        if plan.interpolate is not None:
            plan.interpolate = replace(plan.interpolate, lanes=1)
        stream = watch.timed("decode", reader.batches(plan.frames_per_batch))
        with FrameLog(target.with_suffix(".csv"), plan.log_columns) as log:
            for stage in plan.stages(log if options.log is not False else None, None, watch):
                stream = watch.timed(stage.name, stage(stream))
            batches = list(stream)
    return watch.seconds, batches, plan


def timed_run(job: Job, options: EnhanceOptions) -> tuple[float, float]:
    """Seconds of a run, and which part of the machine other processes left to it (1 where the system does not say)."""
    idle, own = idle_seconds(), process_time()
    report = enhance_file(job, options)
    now = idle_seconds()
    if idle is None or now is None:
        return report.seconds, 1.0
    return report.seconds, min(1.0, (now - idle + process_time() - own) / (report.seconds * processors()))


def _operations(plan: Plan) -> float:
    """Floating-point operations of the upscaling networks per output frame."""
    if plan.upscale is None or plan.upscale.runners == ():
        return 0.0
    width, height = plan.upscale.source
    total = 0.0
    for runner in plan.upscale.runners:
        if isinstance(runner.network, Model):
            total += 2000 * from_file(runner.network.path).kmac_per_pixel * width * height
        width, height = width * runner.network.scale, height * runner.network.scale
    return total


def measure_peaks(compute: Compute) -> Peaks:
    """Matrix products of each precision and a memory copy, the median of some runs."""
    clock = clock_of(compute.device)
    share = 1 if compute.device.type == "cuda" else processors()  # a CPU's clock counts the seconds of every core

    def seconds(work: Callable[[], object]) -> float:
        times = []
        for _ in range(REPEATS + 1):
            begun = clock()
            work()
            times.append(clock() - begun)
        return median(times[1:]) / share

    gflops = {}
    for name in PRODUCTS[compute.device.type]:
        dtype = DTYPES[name]
        a = torch.rand(SIDE, SIDE, device=compute.device).to(dtype)
        gflops[name] = 2 * SIDE**3 / seconds(lambda a=a: a @ a) / 1e9  # type: ignore[misc]
    source = torch.empty(COPY_BYTES, dtype=torch.uint8, device=compute.device).random_(0, 255)
    target = torch.empty_like(source)
    return Peaks(gflops, 2 * COPY_BYTES / seconds(lambda: target.copy_(source)) / 1e9)


def clock_of(device: torch.device) -> Callable[[], float]:
    """Seconds of processors on a CPU, where other processes would disturb a wall clock; of the wall on a GPU."""
    if device.type == "cpu":
        return process_time

    def clock() -> float:
        torch.cuda.synchronize(device)
        return perf_counter()

    return clock
