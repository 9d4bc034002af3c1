"""Measure how much faster several workers make the segments of one clip than one worker.

    python benchmarks/scaling.py --workers [--json PATH]

- throttled: 1 and 4 workers; the encoder of each sleeps 100 ms a frame, so the processors are idle
- real: 1 and 2 workers with `--model fast`, each on one processor of its own

All workers have loaded PyTorch before the clock starts, and they make segments of equal length. The time includes the
assembly of the output. Processes are started by `vidsr.segments.workers`, as with `--jobs`.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vidsr.options.enhance import parse_options
from vidsr.options.paths import Job
from vidsr.pipeline.report import RunReport
from vidsr.runtime.worker import Worker
from vidsr.runtime.worker_pool import WorkerPool
from vidsr.segments.enhance import begin, complete
from vidsr.segments.tasks import EstimateNeed, MakeSegment, Task, perform

RATE, SECONDS, SEGMENTS = 24, 24, 8
SLEEP = 0.1  # seconds a frame
CORE = "VIDSR_BENCHMARK_CORE"  # environment variable: the processor of a worker
CASES: dict[str, tuple[str, str, int, dict[str, Any]]] = {  # function, size of the clip, workers, options
    "throttled": ("perform_throttled", "96x54", 4, {"scale": 2, "model": "nearest"}),
    "real": ("perform_on_one_core", "480x270", 2, {"scale": 2, "model": "fast"}),
}


def perform_throttled(task: Task, emit: Callable[[Any], object]) -> Any:
    """Do a task; the encoder sleeps for each frame."""
    from vidsr.video.segment_writer import SegmentWriter

    if not hasattr(SegmentWriter, "write_at_once"):
        write = SegmentWriter.write
        SegmentWriter.write_at_once = write  # type: ignore[attr-defined]

        def write_slowly(self: SegmentWriter, batch: Any) -> None:
            time.sleep(SLEEP * len(batch))
            write(self, batch)

        SegmentWriter.write = write_slowly  # type: ignore[method-assign]
    return perform(task, emit)


def perform_on_one_core(task: Task, emit: Callable[[Any], object]) -> Any:
    """Do a task on the processor of this worker; threads that start later inherit it."""
    os.sched_setaffinity(0, {int(os.environ[CORE])})
    return perform(task, emit)


def measure(function: str, clip: Path, workers: int, options: dict[str, Any]) -> float:
    """Return the seconds in which ``workers`` make the segments of ``clip`` and one process assembles them."""
    job = Job(clip, clip.with_name("out.mp4"))
    wanted = {"segment": f"{SECONDS // SEGMENTS}s", "overwrite": True, "log": "none", **options}
    begun = begin(job, parse_options(**wanted), lambda *_: None, lambda _: None)
    assert not isinstance(begun, RunReport) and len(begun.missing) == SEGMENTS
    cores = sorted(os.sched_getaffinity(0))
    environments = [
        {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", CORE: str(cores[number % len(cores)])}
        for number in range(workers)
    ]
    processes = [Worker(f"benchmarks.workers:{function}", environment) for environment in environments]
    with begun.locked(), WorkerPool(processes) as pool:
        for number in range(workers):
            pool.submit((0, number), (0, number), EstimateNeed((job,), begun.options))
        assert all(outcome.failure is None for outcome in pool.outcomes())
        started = time.perf_counter()
        for index in begun.missing:
            pool.submit((1, index), (1, index), MakeSegment(begun.folder, index, ""))
        for outcome in pool.outcomes():
            assert outcome.failure is None, outcome.failure
        complete(begun)
        return time.perf_counter() - started


def measure_all(rounds: int) -> dict[str, dict[str, Any]]:
    """Return the seconds of one and of several workers in each case, in turn, and the ratio of their medians."""
    from _commands import make_clip  # not in workers, which lack this folder in their path

    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, (function, size, workers, options) in CASES.items():
            clip = evenly_cut(make_clip(Path(scratch), RATE * SECONDS, size))
            seconds: dict[int, list[float]] = {1: [], workers: []}
            for _ in range(rounds):
                for number, values in seconds.items():
                    values.append(measure(function, clip, number, options))
            medians = {number: statistics.median(values) for number, values in seconds.items()}
            speedup = medians[1] / medians[workers]
            results[name] = {"workers": workers, "seconds": seconds, "speedup": speedup}
            print(
                f"{name}: 1 worker {medians[1]:.1f} s, {workers} workers {medians[workers]:.1f} s: {speedup:.2f} times"
            )
    return results


def evenly_cut(clip: Path) -> Path:
    """Return ``clip`` with a keyframe every half second, so that all segments have the same length."""
    from vidsr.bench.process_usage import run

    target = clip.with_suffix(".even.mp4")
    keys = ["-g", str(RATE // 2), "-sc_threshold", "0", "-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p"]
    run(["ffmpeg", "-v", "error", "-i", str(clip), *keys, "-y", str(target)])
    return target
