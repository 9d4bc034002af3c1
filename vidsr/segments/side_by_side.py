"""Several files at the same time: one queue of files and segments for all workers, longest files first.

A file that fails does not stop the others.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from vidsr.errors import Note, VidsrError
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.image_sequence import file_bytes
from vidsr.options.names import kinds_of
from vidsr.options.paths import Job
from vidsr.pipeline.summary import FileSummary
from vidsr.runtime import interrupt
from vidsr.runtime.error_boundary import Failure, WorkerFailed
from vidsr.runtime.worker import Worker
from vidsr.runtime.worker_pool import Key, Outcome, WorkerPool
from vidsr.segments.begun_job import BegunJob, Need
from vidsr.segments.tasks import FUNCTION, BeginFile, CompleteFile, EstimateNeed, MakeSegment
from vidsr.segments.workers import WorkerLine, open_pool

BEGIN = -1  # the part of a file that is not a segment: its beginning, or all of it
COMPLETE = 1 << 30  # the part that comes last

Result = tuple[int, FileSummary | Failure]  # (number of the file, what became of it)


@dataclass(frozen=True)
class Listeners:
    """Who learns what during the run. Files are numbered from 0."""

    on_note: Callable[[Note, int | None], object]  # (note, file that it is about)
    on_frames: Callable[[int, int, int | None], object]  # (file, frames written, frames expected)
    on_worker: Callable[[WorkerLine], object]


def enhance_side_by_side(jobs: Sequence[Job], options: EnhanceOptions, listeners: Listeners) -> Generator[Result]:
    """Enhance all files on the workers that ``options`` ask for; yield what became of each, as it ends.

    Raises:
        OptionError: the Ray cluster cannot be reached, or has no room for a worker.
    """
    jobs = [_absolute(job) for job in jobs] if options.ray is not None else list(jobs)
    order = sorted(range(len(jobs)), key=lambda number: -file_bytes(jobs[number].source))
    need = _estimated_need(jobs, options)
    files = _Files(jobs, listeners)

    def on_note(note: Note) -> None:
        listeners.on_note(note, None)

    with (
        open_pool(options, need, jobs[order[0]].source, files.on_event, on_note) as (pool, device),
        closing(files),
    ):
        in_worker = replace(options, device=kinds_of(options.device)) if device else options
        for rank, number in enumerate(order):
            pool.submit((number, BEGIN), (rank, BEGIN), BeginFile(jobs[number], in_worker))
        ranks = {number: rank for rank, number in enumerate(order)}
        for outcome in pool.outcomes():
            yield from files.ended(outcome, pool, ranks[outcome.key[0]], device)


def _estimated_need(jobs: Sequence[Job], options: EnhanceOptions) -> Need:
    """Return the need of a worker, found in a process of its own, which a damaged file may crash."""
    with Worker(FUNCTION) as worker, suppress(WorkerFailed):
        need: Need = worker.call(EstimateNeed(tuple(jobs), options))
        return need
    return Need()


def _absolute(job: Job) -> Job:
    """Return ``job`` for a machine that works in another folder."""
    return replace(
        job,
        source=job.source.absolute(),
        output=None if job.output is None else job.output.absolute(),
        root=None if job.root is None else job.root.absolute(),
        inputs=tuple(path.absolute() for path in job.inputs),
    )


@dataclass
class _LongFile:
    """A file whose segments are being made."""

    begun: BegunJob
    lock: AbstractContextManager[None]
    left: set[int]
    frames: dict[int, int] = field(default_factory=dict)  # segment -> frames written

    @property
    def finished(self) -> int:
        return self.begun.segments - len(self.left)


class _Files:
    """The files of a run and how far they are."""

    def __init__(self, jobs: Sequence[Job], listeners: Listeners) -> None:
        self._jobs = jobs
        self._listeners = listeners
        self._long: dict[int, _LongFile] = {}

    def on_event(self, key: Key, worker: int, event: Any) -> None:
        """Pass on what a worker reports."""
        number, part = key
        if isinstance(event, Note):
            self._listeners.on_note(event, number)
            return
        done, expected = event if isinstance(event, tuple) else (0, None)
        self._listeners.on_worker(WorkerLine(worker, self._name(number, part), done, expected))
        if part == BEGIN and expected is not None:
            self._listeners.on_frames(number, done, expected)
        elif part not in (BEGIN, COMPLETE):
            self._show(number, part, done)

    def ended(self, outcome: Outcome, pool: WorkerPool, rank: int, device: str) -> Iterator[Result]:
        """Yield the result of a file that has ended; else submit what comes next."""
        number, part = outcome.key
        try:
            if outcome.failure is not None:
                raise WorkerFailed(outcome.failure)
            if isinstance(outcome.value, FileSummary):
                self._release(number)
                yield number, outcome.value
                return
            if isinstance(outcome.value, BegunJob):
                self._begin(number, outcome.value, pool, rank, device)
            else:
                self._show(number, part, outcome.value)
                self._long[number].left.discard(part)
            self._set_line()
            if not self._long[number].left:
                begun = self._long[number].begun
                pool.submit((number, COMPLETE), (rank, COMPLETE), CompleteFile(begun))
        except (WorkerFailed, VidsrError) as error:
            if number in self._long:
                pool.withdraw({(number, index) for index in self._long[number].left})
            self._release(number)
            yield number, self._failure(error, part)

    def close(self) -> None:
        """Release the files that have not ended; their finished segments stay."""
        for number in list(self._long):
            self._release(number)

    def _begin(self, number: int, begun: BegunJob, pool: WorkerPool, rank: int, device: str) -> None:
        lock = begun.locked()
        lock.__enter__()
        self._long[number] = _LongFile(begun, lock, set(begun.missing))
        folder = begun.folder.resolve()
        for index in begun.missing:
            pool.submit((number, index), (rank, index), MakeSegment(folder, index, device))

    def _show(self, number: int, segment: int, done: int) -> None:
        file = self._long.get(number)
        if file is not None:
            file.frames[segment] = done
            self._listeners.on_frames(number, file.begun.frames_done + sum(file.frames.values()), file.begun.frames)

    def _release(self, number: int) -> None:
        file = self._long.pop(number, None)
        if file is not None:
            file.lock.__exit__(None, None, None)

    def _set_line(self) -> None:
        """Say after an interrupt what is kept."""
        finished = sum(file.finished for file in self._long.values())
        text = f"kept segments of unfinished files: {finished}; the same command continues"
        interrupt.set_line(text if finished else None)

    def _name(self, number: int, part: int) -> str:
        place = f"[{number + 1}/{len(self._jobs)}] {self._jobs[number].source.name}"
        if part == BEGIN:
            return place
        if part == COMPLETE:
            return f"{place}, assembling"
        return f"{place}, segment {part + 1} of {self._long[number].begun.segments}" if number in self._long else place

    def _failure(self, error: VidsrError | WorkerFailed, part: int) -> Failure:
        failure = Failure.of(error)
        return failure if part in (BEGIN, COMPLETE) else replace(failure, line=f"segment {part}: {failure.line}")
