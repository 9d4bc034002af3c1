"""What Python programs call: the command line's jobs as functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidsr import runtime
from vidsr.errors import OnNote, ignore
from vidsr.options.enhance import parse_options
from vidsr.options.paths import Job
from vidsr.pipeline.run import OnFrames, RunReport, enhance_file


def enhance(
    source: str | Path,
    target: str | Path | None = None,
    *,
    on_frames: OnFrames = ignore,
    on_note: OnNote = ignore,
    **options: Any,
) -> RunReport:
    """Enhances one clip or image and returns the report of the run.

    ``options`` are those of `vidsr.options.parse_options`, named as on the command line: ``scale=4, fps="2x",
    model="fast", crf=16, start="1:02.5", overwrite=True``. Without ``target`` the result lies beside the source.
    ``on_frames`` hears of frames as they are written, ``on_note`` receives each `Note`: what is lost or assumed.

    Raises:
        VidsrError: one line that names the thing, the value and the way out; nothing is left half-written.
    """
    runtime.stop_openmp_spinning()
    job = Job(Path(source), None if target is None else Path(target))
    return enhance_file(job, parse_options(**options), on_frames, on_note)
