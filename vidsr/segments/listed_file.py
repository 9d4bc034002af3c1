"""One file of several, in a form that a worker process can run: all that comes back are values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vidsr.errors import Note
from vidsr.kernels.jit import is_compiled
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.paths import Job
from vidsr.pipeline.summary import FileSummary, summarize
from vidsr.runtime.error_boundary import machine_errors
from vidsr.segments.enhance import enhance_file


def enhance_listed_file(job: Job, options: EnhanceOptions, emit: Callable[[Any], object]) -> FileSummary:
    """Enhance the file of ``job``.

    ``emit`` receives each `Note`, each `WorkerLine`, and the number of frames written with the number expected.

    Raises:
        VidsrError: the file cannot be enhanced, or the machine fails.
    """
    if not is_compiled():
        emit(Note("compiling_kernels", "compiling kernels, once: the first run takes up to a minute longer"))
    with machine_errors(job.source):
        return summarize(enhance_file(job, options, lambda done, frames: emit((done, frames)), emit, emit))
