"""Enhance one file: a long clip in segments, everything else in one run.

    begin: cut -> plan -> job folder
    run each segment that is not finished
    complete: assemble -> remove the job folder

A run that ends early leaves the job folder, and the same command continues.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction

from vidsr.errors import Notes, OnNote, VidsrError, ignore
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.fingerprint import Fingerprint
from vidsr.options.output_names import output_names
from vidsr.options.paths import Job, output_path
from vidsr.pipeline.report import OnFrames, RunReport
from vidsr.pipeline.run import enhance_file as enhance_whole
from vidsr.pipeline.run import note_fallbacks, open_reader, plan_clip, slow_motion
from vidsr.runtime import interrupt
from vidsr.runtime.concurrency import completed_behind
from vidsr.runtime.free_memory import default_limit
from vidsr.runtime.worker_pool import Key
from vidsr.segments.assemble import assemble
from vidsr.segments.begun_job import BegunJob, plan_digest
from vidsr.segments.cut import Cut
from vidsr.segments.cut_file import cut_file, notes_on_segments, planned_cut
from vidsr.segments.folder_lock import FolderLock
from vidsr.segments.job import SegmentedJob
from vidsr.segments.job_folder import JobFolder
from vidsr.segments.network_checks import check_networks
from vidsr.segments.run_segment import begin_segment
from vidsr.segments.tasks import MakeSegment
from vidsr.segments.worker_need import need_of
from vidsr.segments.workers import WorkerLine, open_pool
from vidsr.video import file_clock, lost_streams

ZERO = Fraction(0)

OnWorker = Callable[[WorkerLine], object]
OnSegment = Callable[[int, int], object]  # (number of the segment, its frames written so far)


def enhance_file(
    job: Job,
    options: EnhanceOptions,
    on_frames: OnFrames = ignore,
    on_note: OnNote = ignore,
    on_worker: OnWorker = ignore,
) -> RunReport:
    """Enhance one clip or image and return the report. ``on_worker`` learns what each of several workers does.

    Raises:
        VidsrError: in one line; no partial output is left, except finished segments in the job folder.
    """
    interrupt.set_line(None)
    begun = begin(job, options, on_frames, on_note)
    if isinstance(begun, RunReport):
        return begun
    with begun.locked():
        _make_segments(begun, on_frames, on_note, on_worker)
        report = complete(begun, on_note)
    interrupt.set_line(None)
    return report


def begin(files: Job, options: EnhanceOptions, on_frames: OnFrames, on_note: OnNote) -> RunReport | BegunJob:
    """Cut and plan a long clip, or enhance anything else at once.

    Raises:
        VidsrError: the file cannot be enhanced.
    """
    cut = cut_file(files, options)
    if cut is None:
        return enhance_whole(files, options, on_frames, on_note)
    return _begin_segments(files, options, cut, Notes(on_note))


def complete(begun: BegunJob, on_note: OnNote = ignore) -> RunReport:
    """Assemble a job whose segments are all finished, and remove its folder.

    Raises:
        VidsrError: segments are missing, or the output cannot be written.
    """
    folder, notes = JobFolder(begun.folder), Notes(on_note, begun.notes)
    job = folder.read_job()
    reports = folder.reports(job)
    names = output_names(begun.files, begun.options)
    seconds = time.time() - begun.began + begun.seconds_before
    report = assemble(job, folder, begun.files, names, begun.options, reports, seconds, notes)
    folder.remove()
    return report


def _begin_segments(files: Job, options: EnhanceOptions, cut: Cut, notes: Notes) -> BegunJob:
    began, output = time.time(), output_path(files, options, check=False)
    folder = JobFolder.of(output)
    if folder.has_made(output):
        options = replace(options, overwrite=True)  # what is in the way is the output of this job
    wanted = _planned_job(files, options, cut, notes)
    with FolderLock(folder.path) as lock:
        job = folder.begin(wanted, options.fresh)
        if job.fallbacks is None:
            job = check_networks(job)
            folder.store_job(job)
        note_fallbacks(job.fallbacks or {}, notes)
        reports = folder.finished(job, notes)
        lock.keep()
        digest = plan_digest(folder.path)
    need = need_of(replace(job.plan, options=wanted.plan.options))
    has_own_gpus = job.plan.options.device == wanted.plan.options.device
    if reports:
        notes.info("resuming", f"resuming: {len(reports)} of {len(job.cut.segments)} segments done")
    return BegunJob(
        files=files,
        options=options,
        folder=folder.path,
        plan_digest=digest,
        segments=len(job.cut.segments),
        missing=tuple(index for index in range(len(job.cut.segments)) if index not in reports),
        frames_done=sum(report.frames for report in reports.values()),
        frames=job.plan.output.frames,
        seconds_before=sum(report.seconds for report in reports.values()),
        began=began,
        notes=tuple(notes),
        need=need,
        device=need.gpus[0] if need.gpus and not has_own_gpus else "",
    )


def _planned_job(files: Job, options: EnhanceOptions, cut: Cut, notes: Notes) -> SegmentedJob:
    """Return the job that ``options`` ask for.

    Raises:
        VidsrError: the options cannot be met.
    """
    with open_reader(files.source, options, notes) as reader:
        plan = plan_clip(files, options, reader, notes)
        unsettled = math.ceil(reader.rate_change) if reader.deinterlaces else 0
    notes.extend(notes_on_segments(cut, plan))
    target = output_names(files, options).result
    notes.extend(lost_streams(files.source, target, options.reading, slow_motion(options)))
    played_from, output_zero = file_clock(files.source, ZERO, options.start or ZERO, options.reading)
    assert played_from is not None and output_zero is not None
    return SegmentedJob(
        source=files.source.resolve(),
        target=target.resolve(),
        fingerprint=Fingerprint.of(files.source),
        plan=plan,
        cut=planned_cut(cut, plan),
        played_from=played_from,
        output_zero=output_zero if options.start is not None else ZERO,
        unsettled=unsettled,
    )


def _make_segments(begun: BegunJob, on_frames: OnFrames, on_note: OnNote, on_worker: OnWorker) -> None:
    """Make the missing segments of a job: here one after the other, or by several workers."""
    frames: dict[int, int] = {}  # segment -> frames written

    def show(index: int, done: int) -> None:
        frames[index] = done
        on_frames(begun.frames_done + sum(frames.values()), begun.frames)

    on_frames(begun.frames_done, begun.frames)
    finished = begun.segments - len(begun.missing)
    _note_finished(finished, begun.segments)
    if not begun.missing:
        return
    in_workers = begun.options.ray is not None or begun.options.jobs != 1
    made = _made_by_workers(begun, show, on_note, on_worker) if in_workers else _made_here(begun, show)
    with closing(made):
        for _ in made:
            finished += 1
            _note_finished(finished, begun.segments)


def _made_here(begun: BegunJob, show: OnSegment) -> Generator[object]:
    """Make the missing segments one after the other, and yield after each."""
    begin = (
        begin_segment(begun.folder, index, begun.device, lambda done, _, index=index: show(index, done))  # type: ignore[misc]
        for index in begun.missing
    )
    try:
        yield from completed_behind(begin) if _has_room_for_two(begun) else (complete() for complete in begin)
    except BaseException:  # the segment before may have been completed meanwhile
        _note_finished(JobFolder(begun.folder).count_finished(), begun.segments)
        raise


def _made_by_workers(begun: BegunJob, show: OnSegment, on_note: OnNote, on_worker: OnWorker) -> Generator[object]:
    """Make the missing segments by several workers, and yield after each.

    Raises:
        VidsrError: a segment cannot be made.
    """

    def on_event(key: Key, worker: int, event: object) -> None:
        index, counts = key[1], event if isinstance(event, tuple) else (0, None)
        on_worker(WorkerLine(worker, f"segment {index + 1} of {begun.segments}", counts[0], None))
        show(index, counts[0])

    folder = begun.folder.resolve()
    with open_pool(begun.options, begun.need, folder, on_event, on_note, len(begun.missing)) as (pool, device):
        for index in begun.missing:
            pool.submit((0, index), (index,), MakeSegment(folder, index, device))
        for outcome in pool.outcomes():
            if outcome.failure is not None:
                raise VidsrError(f"segment {outcome.key[1]} of {begun.folder}: {outcome.failure.line}")
            show(outcome.key[1], outcome.value)
            yield outcome


def _has_room_for_two(begun: BegunJob) -> bool:
    """Whether an encoder may complete a segment while the next one begins: the memory of both is free and allowed."""
    if JobFolder(begun.folder).read_job().plan.memory.is_limited:
        return False
    need, free = begun.need.memory, default_limit()
    return need is None or free is None or 2 * need <= free


def _note_finished(finished: int, segments: int) -> None:
    if finished:
        interrupt.set_line(f"{finished} of {segments} segments are finished: the same command continues")
