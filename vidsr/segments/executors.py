"""Run segments one after the other in this process, or several at a time in worker processes."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from itertools import cycle
from pathlib import Path

from vidsr.errors import VidsrError
from vidsr.pipeline.run import OnFrames
from vidsr.runtime.concurrency import unordered_map
from vidsr.runtime.error_boundary import WorkerFailed
from vidsr.runtime.process import processors
from vidsr.runtime.worker import Worker
from vidsr.segments.job import SegmentedJob
from vidsr.segments.run_segment import run_segment
from vidsr.segments.segment_report import SegmentReport

FUNCTION = "vidsr.segments.run_segment:run_in_worker"
PROCESSORS_PER_JOB = 8  # with more of them a network on one process leaves some idle
TRIES = 3  # of a segment whose process crashes or is killed


def number_of_jobs(job: SegmentedJob, wanted: int) -> int:
    """Return how many processes to use; ``wanted`` 0 means one per GPU of the plan, or per 8 processors."""
    return wanted or max(len(gpus(job)), processors() // PROCESSORS_PER_JOB, 1)


def gpus(job: SegmentedJob) -> list[str]:
    """Return the GPUs of the plan, in order."""
    return sorted({network.device for network in job.plan.networks if network.device != "cpu"})


def run_segments(
    folder: Path, job: SegmentedJob, indices: Sequence[int], jobs: int, on_frames: OnFrames
) -> Iterator[SegmentReport]:
    """Yield the reports of the segments ``indices``, as they become ready.

    ``on_frames`` receives the number of frames written of all these segments.

    Raises:
        VidsrError: a segment failed. Segments that other processes have in the making are lost.
    """
    counted = _Counted(on_frames)
    jobs = min(jobs, len(indices))
    if jobs <= 1:
        for index in indices:
            yield run_segment(folder, index, on_frames=partial(counted.show, index))
        return
    threads = str(max(1, processors() // jobs))
    limits = {"OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads}
    with ExitStack() as workers:
        calls = [
            partial(_run, workers.enter_context(Worker(FUNCTION, limits)), folder, device, counted)
            for device, _ in zip(cycle(gpus(job) or [""]), range(jobs), strict=False)
        ]
        results: Generator[tuple[int, SegmentReport]] = unordered_map(indices, calls)
        with closing(results):
            yield from (report for _, report in results)


class _Counted:
    """Sums the frames of several segments."""

    def __init__(self, on_frames: OnFrames) -> None:
        self._on_frames = on_frames
        self._frames: dict[int, int] = {}

    def show(self, index: int, frames: int, _: int | None = None) -> None:
        self._frames[index] = frames
        self._on_frames(sum(self._frames.values()), None)


def _run(worker: Worker, folder: Path, device: str, counted: _Counted, index: int) -> SegmentReport:
    """Run a segment in ``worker``, and again in a new process if that one crashes."""
    for attempt in range(1, TRIES + 1):
        try:
            report: SegmentReport = worker.call(folder, index, device, on_event=lambda event: counted.show(*event))
            return report
        except WorkerFailed as error:
            if not error.failure.crashed or attempt == TRIES:
                raise VidsrError(f"segment {index} of {folder}: {error.failure.line}") from None
    raise AssertionError
