"""What a worker does: begin a file, make a segment, complete a file. All that travels are small values.

Importing it does not load PyTorch, so neither does a command that only hands out tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from vidsr.errors import Note
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.paths import Job
from vidsr.pipeline.summary import FileSummary
from vidsr.runtime import interrupt
from vidsr.segments.begun_job import BegunJob, Need

FUNCTION = "vidsr.segments.tasks:perform"
EVENT_SECONDS = 0.25  # between two counts of frames

Emit = Callable[[Any], object]
Counts = tuple[int, int | None]  # the event (frames written, frames expected or None)


@dataclass(frozen=True)
class EstimateNeed:
    """Find what a worker takes that enhances any of the files; the result is a `Need`."""

    jobs: tuple[Job, ...]
    options: EnhanceOptions


@dataclass(frozen=True)
class BeginFile:
    """Begin a file. A short one is enhanced at once and gives a `FileSummary`, a long one gives a `BegunJob`."""

    job: Job
    options: EnhanceOptions


@dataclass(frozen=True)
class MakeSegment:
    """Make a segment; the result is its number of frames."""

    folder: Path
    index: int
    device: str


@dataclass(frozen=True)
class CompleteFile:
    """Assemble a file whose segments are all finished; the result is a `FileSummary`."""

    begun: BegunJob


Task = EstimateNeed | BeginFile | MakeSegment | CompleteFile


def perform(task: Task, emit: Emit) -> Need | BegunJob | FileSummary | int:
    """Do what ``task`` says. ``emit`` receives each `Note`, and from time to time `Counts`.

    Raises:
        VidsrError: in one line.
    """
    with interrupt.postponed():
        from vidsr.pipeline.report import RunReport
        from vidsr.pipeline.summary import summarize
        from vidsr.runtime.error_boundary import machine_errors
        from vidsr.segments.enhance import begin, complete
        from vidsr.segments.run_segment import run_segment
        from vidsr.segments.worker_need import estimate_need

    counts = _counts(emit)
    if isinstance(task, MakeSegment):
        with machine_errors(task.folder):
            return run_segment(task.folder, task.index, task.device, counts).frames
    if isinstance(task, CompleteFile):
        with machine_errors(task.begun.files.source):
            return summarize(complete(task.begun, emit))
    if isinstance(task, EstimateNeed):
        return estimate_need(task.jobs, task.options)
    with machine_errors(task.job.source):
        note_compiling(emit)
        done = begin(task.job, task.options, counts, emit)
        return summarize(done) if isinstance(done, RunReport) else done


def note_compiling(emit: Emit) -> None:
    """Emit a note if the kernels are compiled first."""
    from vidsr.kernels.jit import is_compiled

    if not is_compiled():
        emit(Note("compiling_kernels", "compiling kernels, once: the first run takes up to a minute longer"))


def _counts(emit: Emit) -> Callable[[int, int | None], None]:
    """Return a listener that emits the frames written, but not more often than anybody reads them."""
    emitted = 0.0

    def count(done: int, frames: int | None) -> None:
        nonlocal emitted
        if (now := monotonic()) - emitted >= EVENT_SECONDS:
            emitted = now
            emit((done, frames))

    return count
