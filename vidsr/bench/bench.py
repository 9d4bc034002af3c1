"""`vidsr bench`: what this machine can do, what each step of a run costs, how near the run comes to its bounds, and
what others make of the same clip.
"""

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

from vidsr.bench.baselines import enhance_command, ffmpeg_commands, resizes
from vidsr.bench.process_usage import Usage, medians, run
from vidsr.bench.profile import CHECK, Work, stage_costs, timed_run, work_of
from vidsr.bench.roofline import Peaks, measure_peaks
from vidsr.device import choose
from vidsr.errors import OptionError
from vidsr.options.enhance import parse_options
from vidsr.options.paths import Job
from vidsr.pipeline.plan import Plan
from vidsr.runtime import processors
from vidsr.stages.build import output_of
from vidsr.video import VideoReader

OURS = "vidsr"  # the whole program, among those beside it


@dataclass(frozen=True)
class Beside:
    """A whole program at the same work: the medians of its runs, and how many times as long ours takes."""

    usage: Usage
    ours: float


@dataclass(frozen=True)
class Bench:
    """What was measured. Costs are core-seconds per output frame, each step's own; a GPU's are seconds."""

    machine: str
    cores: int
    compute: str
    plan: tuple[str, ...]
    frames: int
    rounds: int
    peaks: Peaks
    costs: dict[str, float]
    seconds: float  # of a whole run in a warm process, per output frame
    left: float  # part of the machine that other processes left to that run
    work: Work
    programs: dict[str, Beside]  # processes from their start to their end
    resizes: dict[str, float]  # core-seconds per frame of resizing its planes and nothing else

    @property
    def fps(self) -> float:
        """Output frames per second of the run."""
        return 1 / self.seconds

    @property
    def bound(self) -> float:
        """Frames per second if every core were busy with these costs and nothing else, and a GPU beside them."""
        return self._rate(self._network)

    @property
    def physical(self) -> float | None:
        """The same with the networks at the machine's peaks instead of their own cost; None without networks.

        On a CPU operations limit them; on a GPU the slowest of operations, layers through memory, and uploads.
        """
        if not self.work.operations:
            return None
        limits = [self.work.operations / (1e9 * self._product)]
        if self.peaks.upload_gbs is not None:
            limits.append(self.work.traffic / (1e9 * self.peaks.copy_gbs))
            limits.append(self.work.transfer / (1e9 * self.peaks.upload_gbs))
        return self._rate(max(limits))

    def _rate(self, network: float) -> float:
        """Frames per second with ``network`` seconds of each: on a GPU beside the cores, else on them."""
        check = self.costs.get(CHECK, 0.0) / self.cores  # it begins when all else is done
        others = sum(self.costs.values()) - self.costs.get("network", 0.0)
        beside = others / self.cores - check
        return 1 / (check + (max(network, beside) if self._on_gpu else network + beside))

    @property
    def efficiency(self) -> float:
        """Part of the bound that the run reaches on what others left of the machine."""
        return self.fps / (self.bound * self.left)

    @property
    def of_physical(self) -> float | None:
        """Part of the physical bound that the run reaches, likewise."""
        return None if self.physical is None else self.fps / (self.physical * self.left)

    @property
    def network_gflops(self) -> float | None:
        """Rate of the networks' operations; None without networks."""
        return self.work.operations / self._network / 1e9 if self.work.operations else None

    @property
    def of_peak(self) -> float | None:
        """That rate as a part of the measured matrix product in their precision."""
        return None if self.network_gflops is None else self.network_gflops / self._product

    @property
    def bottleneck(self) -> str:
        """The step that costs most."""
        return max(self.costs, key=self.costs.__getitem__)

    @property
    def memory(self) -> float | None:
        """Peak resident MB of the whole program; None where the system does not say."""
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
        return self.peaks.gflops[self.compute.split()[1]]

    def to_json(self) -> dict[str, object]:
        """Everything, for programs."""
        names = (
            "fps", "bound", "efficiency", "physical", "of_physical", "network_gflops", "of_peak", "bottleneck", "memory"
        )  # fmt: skip
        return {**asdict(self), **{name: getattr(self, name) for name in names}}


def bench(clip: Path, asked: dict[str, Any], rounds: int = 3, baselines: bool = True) -> Bench:
    """Measures this machine, and a run on the first frames of ``clip`` with options by the names of `parse_options`.

    After a warm-up of each, in turn in every round: the steps, the run, the whole program and, where they are
    installed and ``baselines`` says so, others at the same work. Figures are medians.

    Raises:
        VidsrError: the clip can not be read, or the options can not be met on it.
    """
    if clip.is_dir():
        raise OptionError(f"{clip} is a folder: name one clip to measure with")
    options = replace(parse_options(**asked), overwrite=True)
    compute = choose(options.device, options.precision)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "bench.mkv"
        warm = stage_costs(clip, target, options, compute)  # kernels are compiled, memory is at hand
        plan, frames = warm.plan, warm.frames
        others = ffmpeg_commands(clip, target, plan, frames) if baselines else {}
        programs = _working({OURS: enhance_command(clip, target, asked), **others})
        planes = resizes_of(clip, plan) if baselines else {}
        measured = _in_turn(
            rounds,
            {
                "costs": lambda: stage_costs(clip, target, options, compute).seconds,
                "run": lambda: timed_run(Job(clip, target), options),
                **{name: partial(run, command) for name, command in programs.items()},
                **planes,
            },
        )
    return Bench(
        machine=f"{platform.system()} {platform.machine()}, torch {torch.__version__}",
        cores=processors(),
        compute=str(compute if plan.upscale is None or not plan.upscale.networks else plan.upscale.networks[0][0]),
        plan=plan.words,
        frames=frames,
        rounds=rounds,
        peaks=measure_peaks(compute),
        costs={name: median(one[name] for one in measured["costs"]) / frames for name in warm.seconds},
        seconds=median(seconds for seconds, _ in measured["run"]) / frames,
        left=median(left for _, left in measured["run"]),
        work=work_of(plan),
        programs={name: Beside(medians(measured[name]), _times(measured[OURS], measured[name])) for name in programs},
        resizes={name: median(measured[name]) for name in planes},
    )


def _in_turn(rounds: int, ways: dict[str, Callable[[], Any]]) -> dict[str, list[Any]]:
    """What each way gives, one after the other in every round."""
    given: dict[str, list[Any]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            given[name].append(way())
    return given


def _working(programs: dict[str, list[str]]) -> dict[str, list[str]]:
    """Those that run to their end, tried once, which is their warm-up: others' may lack an encoder. None on Windows."""
    working = {}
    for name, command in programs.items() if hasattr(os, "wait4") else ():
        try:
            run(command)
        except subprocess.CalledProcessError:
            if name == OURS:
                raise
        else:
            working[name] = command
    return working


def _times(ours: Sequence[Usage], theirs: Sequence[Usage]) -> float:
    """How many times as long ours takes, had both the machine for themselves, the median of the rounds."""
    return median(a.alone / b.alone for a, b in zip(ours, theirs, strict=True))


def resizes_of(clip: Path, plan: Plan) -> dict[str, Callable[[], float]]:
    """Ways to resize the first frames as the plan does, each tried once: core-seconds per frame. None without."""
    if plan.upscale is None:
        return {}
    with VideoReader(clip, frames=plan.frames_per_batch) as reader:
        batch, info = next(reader.batches(plan.frames_per_batch)), reader.info

    def timed(way: Callable[[], object]) -> float:
        begun = process_time()
        way()
        return (process_time() - begun) / len(batch)

    output = output_of((plan.upscale,), info)
    ways: dict[str, Callable[[], float]] = {
        name: partial(timed, way) for name, way in resizes(batch, info, output).items()
    }
    for way in ways.values():
        way()
    return ways
