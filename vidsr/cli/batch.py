"""The files of a run in turn; one bad file does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

from vidsr.cli.progress import Reporter
from vidsr.errors import ExitCode, InputError, Note, VidsrError
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.paths import Job, JobList, output_path
from vidsr.pipeline.summary import FileSummary
from vidsr.runtime import interrupt, process
from vidsr.runtime.error_boundary import Failure, WorkerFailed
from vidsr.runtime.output_file import remove_leftovers
from vidsr.runtime.worker import Worker

MOST_SKIPPED = 10  # files that are named one by one
SHOWN_ONCE = ("color_assumed", "color_tagged", "compiling_kernels")  # codes of notes
FUNCTION = "vidsr.segments.listed_file:enhance_listed_file"

Call = Callable[[Job, EnhanceOptions, Callable[[Any], object]], FileSummary]


def enhance_listed(listed: JobList, options: EnhanceOptions, reporter: Reporter, fail_fast: bool = False) -> ExitCode:
    """Enhance all files of ``listed`` and report on each.

    The error of a single file is raised. Of several files, those that fail, for whatever reason, are reported and the
    others go on, unless ``fail_fast``. They run in a worker process, so a native crash ends one file only. A folder
    that cannot be read counts as a file that fails.

    Raises:
        VidsrError: the only file failed.
    """
    for path, reason in list(listed.skipped.items())[:MOST_SKIPPED]:
        reporter.note(f"skipped, {reason}: {path}")
    if len(listed.skipped) > MOST_SKIPPED:
        reporter.note(f"skipped: {len(listed.skipped) - MOST_SKIPPED} more files")
    reporter.begin([job.source for job in listed.jobs])
    if listed.finished:
        files = str(listed.finished[0]) if len(listed.finished) == 1 else f"{len(listed.finished)} files"
        reporter.note(f"already done: {files}")
    for path, reason in listed.unreadable.items():
        reporter.fail(path, Failure.of(InputError(f"cannot be read ({reason}): check its permissions")))
    shown: set[Note] = set()

    def show(note: Note) -> None:
        """Show a note of a clip; the assumed colour of untagged clips once per run, and log it for each."""
        reporter.log_note(note)
        if note not in shown:
            reporter.show(note)
        if note.code in SHOWN_ONCE:
            shown.add(note)

    failed, incomplete = len(listed.unreadable), 0
    with _caller(len(listed.jobs)) as call:
        for number, job in enumerate(listed.jobs, 1):
            on_frames = reporter.start(job.source, number, len(listed.jobs))

            def on_event(event: Any, on_frames: Callable[..., object] = on_frames) -> None:
                show(event) if isinstance(event, Note) else on_frames(*event)

            try:
                summary = call(job, options, on_event)
            except Exception as error:
                interrupt.check()
                reporter.fail_json(job.source, Failure.of(error))
                if len(listed.jobs) == 1:
                    raise
                if isinstance(error, WorkerFailed):
                    _clean_up(job, options)
                reporter.fail(job.source, Failure.of(error))
                failed += 1
                if fail_fast:
                    left = len(listed.jobs) - number
                    reporter.note(f"stopped at the first failure, as --fail-fast asks; files left: {left}")
                    break
            else:
                reporter.finish(summary)
                incomplete += summary.incomplete
    reporter.total(len(listed.jobs) + len(listed.unreadable), failed, listed.skipped)
    return ExitCode.SOME_FAILED if failed else ExitCode.TRUNCATED if incomplete else ExitCode.DONE


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


def _clean_up(job: Job, options: EnhanceOptions) -> None:
    """Remove the unfinished files that a crash has left."""
    with suppress(VidsrError):
        remove_leftovers(output_path(job, options, check=False).parent)
