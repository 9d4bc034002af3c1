"""`vidsr plan`: what a run would do with every file, and its time and size.

Options are checked before PyTorch is imported, which takes seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidsr.cli.folder_search import Searching
from vidsr.errors import ExitCode
from vidsr.options.enhance import parse_options


def plan(inputs: list[Path], output: Path | None, json: bool, **options: Any) -> ExitCode:
    """Print the plans and estimates of all files for the ``options`` of `parse_options`."""
    parsed = parse_options(**options)

    from vidsr.cli.estimates import print_estimates
    from vidsr.pipeline.estimate import estimate_all
    from vidsr.segments.cut_file import cut_file, notes_on_segments

    estimates = estimate_all(
        inputs,
        output,
        parsed,
        Searching(),
        lambda job, planned: notes_on_segments(cut, planned) if (cut := cut_file(job, parsed)) is not None else (),
    )
    print_estimates(estimates, json)
    return estimates.exit_code
