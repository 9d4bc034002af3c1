"""`vidsr bench`: hardware limits, cost of each step, share of the limits, baselines."""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import torch

from vidsr.bench.baselines import enhance_command, ffmpeg_commands, resize_calls
from vidsr.bench.process_usage import Usage, medians, run
from vidsr.bench.profile import CHECK, Work, stage_costs, timed_run, work_of
from vidsr.bench.roofline import HardwareLimits, measure_limits
from vidsr.device import choose
from vidsr.errors import OptionError
from vidsr.options.enhance import parse_options
from vidsr.options.paths import Job
from vidsr.pipeline.plan import Plan
from vidsr.runtime.process import processors
from vidsr.stages.build import output_of
from vidsr.video import VideoReader

OURS = "vidsr"  # the whole program, in the table of programs


@dataclass(frozen=True)
class ProgramRun:
    """Medians of the runs of a program, and the relative time of vidsr."""

    usage: Usage
    ratio: float


@dataclass(frozen=True)
class Bench:
    """Measured figures of a run and its machine.

    Costs are core-seconds per output frame, exclusive to each step; on a GPU they are seconds.
    """

    machine: str
    cores: int
    compute: str
    plan: tuple[str, ...]
    frames: int
    rounds: int
    limits: HardwareLimits
    costs: dict[str, float]
    seconds: float  # of a whole run in a warm process, per output frame
    machine_share: float  # share of the machine that other processes left to that run
    work: Work
    programs: dict[str, ProgramRun]  # whole processes
    resizes: dict[str, float]  # core-seconds per frame of the resize alone

    @property
    def fps(self) -> float:
        """Output frames per second of the run."""
        return 1 / self.seconds

    @property
    def bound(self) -> float:
        """Frames per second if all cores and the GPU were always busy."""
        return self._rate(self._network)

    @property
    def roofline(self) -> float | None:
        """`bound` with the networks at the hardware limits; None without networks.

        The limit is operations on a CPU; on a GPU it is the slowest of operations, memory traffic and uploads.
        """
        if not self.work.operations:
            return None
        seconds = [self.work.operations / (1e9 * self._product)]
        if self.limits.upload_gbs is not None:
            seconds.append(self.work.traffic / (1e9 * self.limits.copy_gbs))
            seconds.append(self.work.transfer / (1e9 * self.limits.upload_gbs))
        return self._rate(max(seconds))

    def _rate(self, network: float) -> float:
        """Return the frames per second with ``network`` seconds of networks per frame.

        They run on the cores, or on a GPU in parallel with them.
        """
        check = self.costs.get(CHECK, 0.0) / self.cores  # starts after all other steps
        others = sum(self.costs.values()) - self.costs.get("network", 0.0)
        rest = others / self.cores - check
        return 1 / (check + (max(network, rest) if self._on_gpu else network + rest))

    @property
    def efficiency(self) -> float:
        """Share of the bound that the run reaches, without other processes."""
        return self.fps / (self.bound * self.machine_share)

    @property
    def roofline_share(self) -> float | None:
        """Share of the roofline that the run reaches, likewise."""
        return None if self.roofline is None else self.fps / (self.roofline * self.machine_share)

    @property
    def network_gflops(self) -> float | None:
        """Operations per second of the networks, in GFLOP/s; None without networks."""
        return self.work.operations / self._network / 1e9 if self.work.operations else None

    @property
    def network_share(self) -> float | None:
        """That rate relative to the matrix product in the same precision."""
        return None if self.network_gflops is None else self.network_gflops / self._product

    @property
    def bottleneck(self) -> str:
        """The most expensive step."""
        return max(self.costs, key=self.costs.__getitem__)

    @property
    def memory(self) -> float | None:
        """Peak resident MB of the whole program; None if unknown."""
        return self.programs[OURS].usage.peak if OURS in self.programs else None

    @property
    def _network(self) -> float:
        """Seconds of the networks per frame, on all cores or on the GPU."""
        return self.costs.get("network", 0.0) / (1 if self._on_gpu else self.cores)

    @property
    def _on_gpu(self) -> bool:
        return self.compute.startswith("cuda")

    @property
    def _product(self) -> float:
        """GFLOP/s of a matrix product in the networks' precision."""
        return self.limits.gflops[self.compute.split()[1]]

    def to_json(self) -> dict[str, object]:
        """Return all figures for programs."""
        names = (
            "fps", "bound", "efficiency", "roofline", "roofline_share", "network_gflops", "network_share", "bottleneck",
            "memory",
        )  # fmt: skip
        return {**asdict(self), **{name: getattr(self, name) for name in names}}


def bench(clip: Path, given: dict[str, Any], rounds: int = 3, baselines: bool = True) -> Bench:
    """Measure this machine and a run on the first frames of ``clip``.

    ``given`` are options of `parse_options`.

    Each round measures, in turn after a warm-up, the steps, the run, the whole program and, with ``baselines``, the
    installed baselines. Figures are medians.

    Raises:
        VidsrError: the clip cannot be read, or does not fit the options.
    """
    if clip.is_dir():
        raise OptionError(f"{clip} is a folder: name one clip to measure with")
    options = replace(parse_options(**given), overwrite=True)
    compute = choose(options.device, options.precision)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "bench.mkv"
        warm = stage_costs(clip, target, options, compute)  # compiles kernels and allocates memory
        plan, frames = warm.plan, warm.frames
        baseline_commands = ffmpeg_commands(clip, target, plan, frames) if baselines else {}
        programs = _runnable({OURS: enhance_command(clip, target, given), **baseline_commands})
        resizes = timed_resizes(clip, plan) if baselines else {}
        measured = _run_in_turn(
            rounds,
            {
                "costs": lambda: stage_costs(clip, target, options, compute).seconds,
                "run": lambda: timed_run(Job(clip, target), options),
                **{name: partial(run, command) for name, command in programs.items()},
                **resizes,
            },
        )
    return Bench(
        machine=f"{platform.system()} {platform.machine()}, torch {torch.__version__}",
        cores=processors(),
        compute=str(compute if plan.upscale is None or not plan.upscale.networks else plan.upscale.networks[0][0]),
        plan=plan.words,
        frames=frames,
        rounds=rounds,
        limits=measure_limits(compute),
        costs={name: median(one[name] for one in measured["costs"]) / frames for name in warm.seconds},
        seconds=median(seconds for seconds, _ in measured["run"]) / frames,
        machine_share=median(share for _, share in measured["run"]),
        work=work_of(plan),
        programs={
            name: ProgramRun(medians(measured[name]), _ratio(measured[OURS], measured[name])) for name in programs
        },
        resizes={name: median(measured[name]) for name in resizes},
    )


def _run_in_turn(rounds: int, calls: dict[str, Callable[[], Any]]) -> dict[str, list[Any]]:
    """Run all calls once per round, in turn; return their results by name."""
    results: dict[str, list[Any]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            results[name].append(call())
    return results


def _runnable(programs: dict[str, list[str]]) -> dict[str, list[str]]:
    """Run every program once as a warm-up; return those that succeed.

    ffmpeg may lack an encoder. On Windows none can be measured.
    """
    runnable = {}
    for name, command in programs.items() if hasattr(os, "wait4") else ():
        try:
            run(command)
        except subprocess.CalledProcessError:
            if name == OURS:
                raise
        else:
            runnable[name] = command
    return runnable


def _ratio(ours: Sequence[Usage], theirs: Sequence[Usage]) -> float:
    """Return the median time of vidsr relative to a program, without other processes."""
    return median(a.alone / b.alone for a, b in zip(ours, theirs, strict=True))


def timed_resizes(clip: Path, plan: Plan) -> dict[str, Callable[[], float]]:
    """Return calls that time the resizes of the plan, in core-seconds per frame."""
    if plan.upscale is None:
        return {}
    with VideoReader(clip, frames=plan.frames_per_batch) as reader:
        batch, info = next(reader.batches(plan.frames_per_batch)), reader.info

    def timed(call: Callable[[], object]) -> float:
        begun = process_time()
        call()
        return (process_time() - begun) / len(batch)

    output = output_of((plan.upscale,), info)
    calls: dict[str, Callable[[], float]] = {
        name: partial(timed, call) for name, call in resize_calls(batch, info, output).items()
    }
    for call in calls.values():  # warm-up
        call()
    return calls
