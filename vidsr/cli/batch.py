"""The files of a run in turn; one bad file does not stop the others."""

from __future__ import annotations

from vidsr.cli.progress import Reporter
from vidsr.errors import ExitCode, Note
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.paths import JobList
from vidsr.pipeline.run import enhance_file
from vidsr.runtime.error_boundary import machine_errors

SHOWN_ONCE = ("color_assumed", "color_tagged")  # codes of notes


def enhance_listed(listed: JobList, options: EnhanceOptions, reporter: Reporter) -> ExitCode:
    """Enhance all files of ``listed`` and report on each.

    The error of a single file is raised. Of several files, those that fail, for whatever reason, are reported and the
    others go on.

    Raises:
        VidsrError: the only file failed.
    """
    for path in listed.skipped:
        reporter.note(f"skipped, not a clip: {path}")
    shown: set[Note] = set()

    def show(note: Note) -> None:
        """Show a note of a clip; the assumed colour of untagged clips once per run."""
        if note not in shown:
            reporter.show(note)
        if note.code in SHOWN_ONCE:
            shown.add(note)

    failed = truncated = 0
    for number, job in enumerate(listed.jobs, 1):
        on_frames = reporter.start(job.source, number, len(listed.jobs))
        try:
            with machine_errors(job.source):
                report = enhance_file(job, options, on_frames, show)
        except Exception as error:
            if len(listed.jobs) == 1:
                raise
            reporter.fail(job.source, error)
            failed += 1
        else:
            reporter.finish(report)
            truncated += report.truncated
    reporter.total(len(listed.jobs), failed, len(listed.skipped))
    return ExitCode.SOME_FAILED if failed else ExitCode.TRUNCATED if truncated else ExitCode.DONE
