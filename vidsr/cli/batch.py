"""The files of a run, in turn or several at a time; one bad file does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from vidsr.cli.progress import Reporter
from vidsr.errors import ExitCode, InputError, Note, OnNote, VidsrError
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.paths import Job, JobList, frame_log_path, output_path
from vidsr.pipeline.summary import FileSummary
from vidsr.runtime import interrupt, process
from vidsr.runtime.error_boundary import Failure
from vidsr.runtime.unfinished import remove_leftovers
from vidsr.runtime.worker import Worker
from vidsr.segments.side_by_side import Listeners, Result, enhance_side_by_side
from vidsr.segments.workers import WorkerLine

MOST_SKIPPED = 10  # files that are named one by one
SHOWN_ONCE = ("color_assumed", "color_tagged", "compiling_kernels")  # codes of notes
FUNCTION = "vidsr.segments.listed_file:enhance_listed_file"

Call = Callable[[Job, EnhanceOptions, Callable[[Any], object]], FileSummary]


def enhance_listed(listed: JobList, options: EnhanceOptions, reporter: Reporter, fail_fast: bool = False) -> ExitCode:
    """Enhance all files of ``listed`` and report on each.

    The error of a single file is raised. Of several files, those that fail, for whatever reason, are reported and the
    others go on, unless ``fail_fast``. They run in worker processes, so a native crash ends one file only. A folder
    that cannot be read counts as a file that fails.

    Raises:
        VidsrError: the only file failed.
    """
    jobs = listed.jobs
    _report_list(listed, reporter)
    on_note = _note_listener(reporter)
    if len(jobs) > 1 and (options.jobs != 1 or options.ray is not None):
        listeners = Listeners(_named(on_note, jobs), reporter.on_frames, reporter.worker)
        reporter.start_all([job.source for job in jobs])
        results = enhance_side_by_side(jobs, options, listeners)
    else:
        results = _in_turn(jobs, options, reporter, on_note)
    done, failed, incomplete = 0, len(listed.unreadable), 0
    with _cleaned_up(jobs, options) as clean_up, closing(results):
        for number, result in results:
            reporter.ended(number)
            if isinstance(result, FileSummary):
                done += 1
                reporter.finish(result)
                incomplete += result.incomplete
                continue
            failed += 1
            reporter.fail_json(jobs[number].source, result)
            reporter.fail(jobs[number].source, result)
            if result.crashed:
                clean_up()
            if fail_fast:
                reporter.note(f"stopped at the first failure, as --fail-fast asks; files left: {len(jobs) - done - 1}")
                break
    files = len(jobs) + len(listed.unreadable)
    reporter.total(files, done, failed, listed.skipped, len(listed.finished))
    return ExitCode.SOME_FAILED if failed else ExitCode.TRUNCATED if incomplete else ExitCode.DONE


def _report_list(listed: JobList, reporter: Reporter) -> None:
    """Report what is left out, and why."""
    for path, reason in list(listed.skipped.items())[:MOST_SKIPPED]:
        reporter.note(f"skipped, {reason}: {path}")
    if len(listed.skipped) > MOST_SKIPPED:
        reporter.note(f"skipped: {len(listed.skipped) - MOST_SKIPPED} more files")
    reporter.begin([job.source for job in listed.jobs])
    if listed.finished:
        files = str(listed.finished[0]) if len(listed.finished) == 1 else f"{len(listed.finished)} files"
        reporter.note(f"already done: {files}")
    for path, reason in listed.unreadable.items():
        failure = Failure.of(InputError(f"cannot be read ({reason}): check its path and its permissions"))
        reporter.fail_json(path, failure)
        reporter.fail(path, failure)


def _note_listener(reporter: Reporter) -> OnNote:
    """Return the listener that logs each note, and shows it; the assumed colour of untagged clips once per run."""
    shown: set[Note] = set()

    def show(note: Note) -> None:
        reporter.log_note(note)
        if note not in shown:
            reporter.show(note)
        if note.code in SHOWN_ONCE:
            shown.add(note)

    return show


def _named(on_note: OnNote, jobs: Sequence[Job]) -> Callable[[Note, int | None], None]:
    """Return a listener that names the file of each note, as the notes of several files mix."""

    def show(note: Note, number: int | None) -> None:
        name = "" if number is None or note.code in SHOWN_ONCE else jobs[number].source.name
        on_note(note if name in note.text else replace(note, text=f"{name}: {note.text}"))

    return show


def _in_turn(jobs: Sequence[Job], options: EnhanceOptions, reporter: Reporter, on_note: OnNote) -> Generator[Result]:
    """Enhance one file after the other and yield what became of each.

    Raises:
        Exception: the only file failed.
    """
    with _caller(len(jobs)) as call:
        for number, job in enumerate(jobs):
            on_frames = reporter.start(job.source, number, len(jobs))

            def on_event(event: Any, on_frames: Callable[..., object] = on_frames) -> None:
                if isinstance(event, Note):
                    on_note(event)
                elif isinstance(event, WorkerLine):
                    reporter.worker(event)
                else:
                    on_frames(*event)

            result: FileSummary | Failure
            try:
                result = call(job, options, on_event)
            except Exception as error:
                interrupt.check()
                result = Failure.of(error)
                if len(jobs) == 1:
                    reporter.fail_json(job.source, result)
                    raise
            yield number, result


def _caller(files: int) -> AbstractContextManager[Call]:
    """Return the function that enhances one file: of several files in a worker, if this process only runs vidsr."""
    if files > 1 and process.is_configured():
        return _in_worker()
    from vidsr.segments.listed_file import enhance_listed_file

    return nullcontext(enhance_listed_file)


@contextmanager
def _in_worker() -> Iterator[Call]:
    with Worker(FUNCTION) as worker:
        yield lambda job, options, on_event: worker.call(job, options, on_event=on_event)


@contextmanager
def _cleaned_up(jobs: Sequence[Job], options: EnhanceOptions) -> Iterator[Callable[[], None]]:
    """Remove, at the end and with the yielded function, the unfinished files of workers that crashed or were killed."""
    folders = {folder for job in jobs for folder in _folders(job, options)} if len(jobs) > 1 else set()

    def clean_up() -> None:
        for folder in folders:
            remove_leftovers(folder)

    interrupt.at_exit(clean_up)
    try:
        yield clean_up
    finally:
        clean_up()
        interrupt.cancel_at_exit(clean_up)


def _folders(job: Job, options: EnhanceOptions) -> set[Path]:
    """Return the folders that ``job`` writes to."""
    with suppress(VidsrError):
        result = output_path(job, options, check=False)
        return {path.parent for path in (result, frame_log_path(job.source, result, options)) if path is not None}
    return set()
