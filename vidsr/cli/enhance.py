"""`vidsr enhance`: every file of a run in turn; one bad file does not stop the others.

Options and paths are checked before PyTorch is imported, which takes seconds.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from vidsr.cli.folder_search import Searching
from vidsr.errors import ExitCode, InputError, OptionError
from vidsr.options.enhance import EnhanceOptions, parse_options
from vidsr.options.finished import without_finished
from vidsr.options.image_sequence import ImageSequence, is_sequence
from vidsr.options.output_names import distinct_outputs, refuse_inputs
from vidsr.options.paths import PIPE, JobList, list_jobs, output_path
from vidsr.options.presets import save
from vidsr.runtime.log_file import LogFile
from vidsr.runtime.text_file import read_text
from vidsr.segments.folder_lock import remove_left_over


def enhance(
    inputs: list[Path],
    output: Path | None,
    from_file: Path | None,
    fail_fast: bool,
    dry_run: bool,
    watch: bool,
    save_preset: str | None,
    skip_existing: bool,
    quiet: bool,
    verbose: bool,
    json: bool,
    log_file: Path | None,
    **options: Any,
) -> ExitCode:
    """Enhance all files with the ``options`` of `parse_options` and report on stderr.

    With ``json``, print an object for each file on stdout.
    """
    if json and output == PIPE:
        raise OptionError("--json and -o - both write to the standard output: leave out one")
    inputs = [*inputs, *([] if from_file is None else listed_in(from_file))]
    if not inputs:
        raise OptionError("no input: name a clip, an image or a folder, or a list of them with --from-file")
    if dry_run:
        if save_preset is not None:
            print(f"preset {save_preset} is not saved: --dry-run writes nothing", file=sys.stderr)
        from vidsr.cli.plan import plan

        return plan(inputs, output, json, **options)
    parsed = parse_options(**options)
    if save_preset is not None:
        path = save(save_preset, options, parsed.overwrite)
        print(f"preset saved: {path}", file=sys.stderr)
    check_watched(inputs if watch else [])
    all_files = JobList(()) if watch else list_files(inputs, output, parsed, from_file)
    listed = without_finished(all_files, parsed)
    for job in set(all_files.jobs).difference(listed.jobs):
        remove_left_over(output_path(job, parsed, check=False))
    if skip_existing:
        listed = without_existing(listed, parsed)

    from vidsr.cli.batch import enhance_listed
    from vidsr.cli.progress import Reporter, Verbosity
    from vidsr.cli.watch import watch_folders

    verbosity = Verbosity.VERBOSE if verbose else Verbosity.NORMAL
    if quiet or (json and not verbose):
        verbosity = Verbosity.QUIET
    with _log_file(log_file, listed, parsed) as log, Reporter(verbosity, json=json, log_file=log) as reporter:
        try:
            if watch:
                watch_folders(inputs, output, parsed, reporter)
            return enhance_listed(listed, parsed, reporter, fail_fast)
        except Exception as error:
            reporter.abort(error)
            raise


def _log_file(path: Path | None, listed: JobList, options: EnhanceOptions) -> AbstractContextManager[LogFile | None]:
    """Open the log file of a run.

    Raises:
        OutputError: it is an input, exists without ``overwrite``, or cannot be written.
    """
    if path is None:
        return nullcontext()
    refuse_inputs([path], [job.source for job in listed.jobs])
    return LogFile(path, options.overwrite)


def without_existing(listed: JobList, options: EnhanceOptions) -> JobList:
    """Return the jobs whose output does not exist; the others are skipped."""
    existing = {}
    for job in listed.jobs:
        path = output_path(job, options, check=False)
        if path != PIPE and (ImageSequence(path).numbers if is_sequence(path) else path.exists()):
            existing[job.source] = f"{path.name} exists"
    jobs = tuple(job for job in listed.jobs if job.source not in existing)
    return replace(listed, jobs=jobs, skipped={**listed.skipped, **existing})


def listed_in(path: Path) -> list[Path]:
    """Return the paths of a text file, one a line; ``-`` is the standard input. Empty lines do not count.

    Raises:
        InputError: it cannot be read.
    """
    try:
        text = sys.stdin.read() if path == PIPE else read_text(path)
    except (OSError, UnicodeDecodeError, AttributeError) as error:
        raise InputError(f"{path} cannot be read as a list of inputs ({error}): check the path") from None
    return [Path(line) for line in text.splitlines() if line.strip()]


def check_watched(folders: list[Path]) -> None:
    """Refuse to watch what is not a folder.

    Raises:
        OptionError: it is not.
    """
    for folder in folders:
        if not folder.is_dir():
            raise OptionError(f"--watch: {folder} is not a folder: name the folder in which files arrive")


def list_files(
    inputs: list[Path], output: Path | None, options: EnhanceOptions, from_file: Path | None = None
) -> JobList:
    """Return the jobs of a run. With a list ``from_file``, an input that is missing fails alone.

    Raises:
        VidsrError: an input does not exist, or the options do not fit several inputs.
    """
    is_missing = {path: not (path == PIPE or is_sequence(path) or path.exists()) for path in inputs}
    missing = [] if from_file is None or all(is_missing.values()) else [path for path in inputs if is_missing[path]]
    listed = list_jobs([path for path in inputs if path not in missing], output, options, Searching())
    listed = replace(listed, unreadable={**listed.unreadable, **dict.fromkeys(missing, "no such file or directory")})
    for flag, path in (("--log", options.log), ("--report", options.report)):
        if isinstance(path, Path) and not path.is_dir() and len(listed.jobs) > 1:
            raise OptionError(f"{flag} {path} is one file for {len(listed.jobs)} inputs: name a folder that exists")
    return distinct_outputs(listed, options)
