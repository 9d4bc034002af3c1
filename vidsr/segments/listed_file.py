"""One file of several, in a form that a worker process can run: all that comes back are values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vidsr.options.enhance import EnhanceOptions
from vidsr.options.paths import Job
from vidsr.pipeline.summary import FileSummary, summarize
from vidsr.runtime.error_boundary import machine_errors
from vidsr.segments.enhance import enhance_file
from vidsr.segments.tasks import note_compiling


def enhance_listed_file(job: Job, options: EnhanceOptions, emit: Callable[[Any], object]) -> FileSummary:
    """Enhance the file of ``job``.

    ``emit`` receives each `Note`, each `WorkerLine`, and the number of frames written with the number expected.

    Raises:
        VidsrError: the file cannot be enhanced, or the machine fails.
    """
    note_compiling(emit)
    with machine_errors(job.source):
        return summarize(enhance_file(job, options, lambda done, frames: emit((done, frames)), emit, emit))
