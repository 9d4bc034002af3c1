"""`vidsr enhance`: every file of a run in turn; one bad file does not stop the others.

Options and paths are checked before PyTorch is imported, which takes seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidsr.cli.folder_search import Searching
from vidsr.errors import ExitCode, OptionError
from vidsr.options.enhance import EnhanceOptions, parse_options
from vidsr.options.output_names import distinct_outputs
from vidsr.options.paths import JobList, list_jobs


def enhance(inputs: list[Path], output: Path | None, quiet: bool, verbose: bool, **options: Any) -> ExitCode:
    """Enhance all files with the ``options`` of `parse_options` and report on stderr."""
    parsed = parse_options(**options)
    listed = list_files(inputs, output, parsed)

    from vidsr.cli.batch import enhance_listed
    from vidsr.cli.progress import Reporter, Verbosity

    verbosity = Verbosity.QUIET if quiet else Verbosity.VERBOSE if verbose else Verbosity.NORMAL
    with Reporter(verbosity) as reporter:
        try:
            return enhance_listed(listed, parsed, reporter)
        except Exception as error:
            reporter.trace(error)
            raise


def list_files(inputs: list[Path], output: Path | None, options: EnhanceOptions) -> JobList:
    """Return the jobs of a run.

    Raises:
        VidsrError: an input does not exist, or the options do not fit several inputs.
    """
    listed = list_jobs(inputs, output, options, Searching())
    if isinstance(options.log, Path) and len(listed.jobs) > 1:
        raise OptionError(f"--log {options.log} is one file for {len(listed.jobs)} inputs: leave out --log")
    return distinct_outputs(listed, options)
