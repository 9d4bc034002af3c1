"""`vidsr enhance --watch`: enhance files as they arrive in folders, until an interrupt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import sleep

from vidsr.cli.batch import enhance_listed
from vidsr.cli.progress import Reporter
from vidsr.errors import InputError, VidsrError
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.finished import without_finished
from vidsr.options.output_names import distinct_outputs
from vidsr.options.paths import Job, JobList, list_jobs
from vidsr.runtime.error_boundary import Failure

POLL_SECONDS = 2.0  # a file that does not change for so long is complete

State = dict[Path, tuple[int, int]]  # file -> size and time of the last change


def watch_folders(inputs: list[Path], output: Path | None, options: EnhanceOptions, reporter: Reporter) -> None:
    """Enhance every file that arrives in the folders ``inputs``. Returns only by an exception, such as an interrupt."""
    reporter.note(f"watching {', '.join(map(str, inputs))}: Ctrl-C ends it")
    before, handled = State(), State()
    while True:
        listed = _listed(inputs, output, options)
        now = {job.source: state for job in listed.jobs if (state := _state(job.source)) is not None}
        ready = arrived(before, now, handled)
        if ready:
            jobs = tuple(job for job in listed.jobs if job.source in ready)
            _enhance(JobList(jobs), options, reporter)
            handled |= ready
        before = now
        sleep(POLL_SECONDS)


def arrived(before: State, now: State, handled: State) -> State:
    """Return the files that did not change since the last look, and were not handled as they are."""
    return {path: state for path, state in now.items() if before.get(path) == state and handled.get(path) != state}


def _listed(inputs: list[Path], output: Path | None, options: EnhanceOptions) -> JobList:
    """Return the jobs of all files at present; none for an empty folder."""
    jobs: list[Job] = []
    for folder in inputs:
        try:
            jobs += list_jobs([folder], output, options).jobs
        except InputError:  # no clip yet
            continue
    return distinct_outputs(JobList(tuple(jobs)), options)


def _enhance(listed: JobList, options: EnhanceOptions, reporter: Reporter) -> None:
    listed = without_finished(listed, options)
    try:
        enhance_listed(replace(listed, finished=()), options, reporter)
    except VidsrError as error:  # of a single file
        reporter.fail(listed.jobs[0].source, Failure.of(error))


def _state(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:  # moved away
        return None
    return status.st_size, status.st_mtime_ns
