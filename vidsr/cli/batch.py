"""The files of a run in turn; one bad file does not stop the others."""

from __future__ import annotations

from vidsr.cli.progress import Reporter
from vidsr.errors import ExitCode, InputError, Note
from vidsr.kernels.jit import is_compiled
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.paths import JobList
from vidsr.runtime import interrupt
from vidsr.runtime.error_boundary import machine_errors
from vidsr.segments.enhance import enhance_file

SHOWN_ONCE = ("color_assumed", "color_tagged")  # codes of notes


def enhance_listed(listed: JobList, options: EnhanceOptions, reporter: Reporter) -> ExitCode:
    """Enhance all files of ``listed`` and report on each.

    The error of a single file is raised. Of several files, those that fail, for whatever reason, are reported and the
    others go on. A folder that cannot be read counts as a file that fails.

    Raises:
        VidsrError: the only file failed.
    """
    for path, reason in listed.skipped.items():
        reporter.note(f"skipped, {reason}: {path}")
    reporter.begin([job.source for job in listed.jobs])
    if listed.jobs and not is_compiled():
        reporter.note("compiling kernels, once: the first run takes up to a minute longer")
    for path, reason in listed.unreadable.items():
        reporter.fail(path, InputError(f"cannot be read ({reason}): check its permissions"))
    shown: set[Note] = set()

    def show(note: Note) -> None:
        """Show a note of a clip; the assumed colour of untagged clips once per run."""
        if note not in shown:
            reporter.show(note)
        if note.code in SHOWN_ONCE:
            shown.add(note)

    failed, truncated = len(listed.unreadable), 0
    for number, job in enumerate(listed.jobs, 1):
        on_frames = reporter.start(job.source, number, len(listed.jobs))
        try:
            with machine_errors(job.source):
                report = enhance_file(job, options, on_frames, show)
        except Exception as error:
            interrupt.check()
            reporter.fail_json(job.source, error)
            if len(listed.jobs) == 1:
                raise
            reporter.fail(job.source, error)
            failed += 1
        else:
            reporter.finish(report)
            truncated += report.truncated
    reporter.total(len(listed.jobs) + len(listed.unreadable), failed, len(listed.skipped))
    return ExitCode.SOME_FAILED if failed else ExitCode.TRUNCATED if truncated else ExitCode.DONE
