"""Enhance every file of a run, one after the other, so that one bad file does not stop the rest."""

from __future__ import annotations

from pathlib import Path

from vidsr.cli.progress import Reporter
from vidsr.errors import ExitCode, Note, OptionError, VidsrError
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.paths import list_jobs
from vidsr.pipeline.run import enhance_file

SHOWN_ONCE = ("color_assumed", "color_tagged")  # codes of notes


def enhance_all(inputs: list[Path], output: Path | None, options: EnhanceOptions, reporter: Reporter) -> ExitCode:
    """Enhances all files named by ``inputs`` and says what happened to each.

    A single file that fails raises its error. Of several, the failed ones are reported and the rest goes on.

    Raises:
        VidsrError: nothing could be started, or the only file failed.
    """
    listed = list_jobs(inputs, output, options)
    if isinstance(options.log, Path) and len(listed.jobs) > 1:
        raise OptionError(f"--log {options.log} is one file and there are {len(listed.jobs)} inputs: leave --log out")
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
            report = enhance_file(job, options, on_frames, show)
        except VidsrError as error:
            if len(listed.jobs) == 1:
                raise
            reporter.fail(job.source, error)
            failed += 1
        else:
            reporter.finish(report)
            truncated += report.truncated
    reporter.total(len(listed.jobs), failed, len(listed.skipped))
    return ExitCode.SOME_FAILED if failed else ExitCode.TRUNCATED if truncated else ExitCode.DONE
