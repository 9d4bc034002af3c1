"""`vidsr verify`: check an output against its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidsr.cli.tables import print_json
from vidsr.options.enhance import parse_reading, parse_timing
from vidsr.options.source import Reading
from vidsr.pipeline.verify import Verification, verify_files


def verify(
    source: Path, target: Path, input_fps: str | None, video_track: int | None, json: bool, **timing: Any
) -> None:
    """Print every check of the output ``target`` against its ``source``.

    ``timing``: the options of the run that decide the times of its output.

    Raises:
        VerifyError: a check failed.
    """
    reading = None
    if input_fps is not None or video_track is not None:
        reading = parse_reading(input_fps=input_fps, video_track=video_track)
    verification = verify_files(source, target, reading, parse_timing(reading or Reading(), **timing))
    print_verification(verification, json)
    verification.raise_if_failed()


def print_verification(verification: Verification, as_json: bool) -> None:
    """Print each check and its result."""
    if as_json:
        print_json(verification.to_json())
        return
    for check in verification.checks:
        print(f"{'ok  ' if check.ok else 'DIFF'} {check}")
