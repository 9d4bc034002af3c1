"""`vidsr enhance`: every file of a run in turn; one bad file does not stop the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidsr.cli.progress import Reporter, Verbosity
from vidsr.errors import ExitCode, Note, OptionError, VidsrError
from vidsr.options.enhance import EnhanceOptions, parse_options
from vidsr.options.paths import list_jobs
from vidsr.pipeline.run import enhance_file

SHOWN_ONCE = ("color_assumed", "color_tagged")  # codes of notes


def enhance(inputs: list[Path], output: Path | None, quiet: bool, verbose: bool, **options: Any) -> ExitCode:
    """Enhance all files with the ``options`` of `parse_options` and report on stderr."""
    parsed = parse_options(**options)
    verbosity = Verbosity.QUIET if quiet else Verbosity.VERBOSE if verbose else Verbosity.NORMAL
    with Reporter(verbosity) as reporter:
        return enhance_all(inputs, output, parsed, reporter)


def enhance_all(inputs: list[Path], output: Path | None, options: EnhanceOptions, reporter: Reporter) -> ExitCode:
    """Enhance all files of ``inputs`` and report on each.

    The error of a single file is raised. Of several files, those that fail are reported and the others go on.

    Raises:
        VidsrError: no file could be started, or the only one failed.
    """
    listed = list_jobs(inputs, output, options)
    if isinstance(options.log, Path) and len(listed.jobs) > 1:
        raise OptionError(f"--log {options.log} is one file for {len(listed.jobs)} inputs: leave out --log")
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
